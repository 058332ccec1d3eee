//! Every-day commands of container engines, on one busybox image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::measure::{Contestant, in_turns, output, run};
use crate::report::Report;

/// What all benchmarks use: an image, a bundle, and the engines that are there.
pub(crate) struct Setup {
    directory: tempfile::TempDir,
    memory: tempfile::TempDir,
    pub(crate) selkie: PathBuf,
    podmans: Vec<(&'static str, &'static str)>,
}

/// Names for the table, and the runtime of each.
const PODMANS: [(&str, &str); 2] = [("podman + runc", "runc"), ("podman + crun", "crun")];

/// On the disk that engines have their stores on; `/tmp` is memory on many machines.
const DISK: &str = "/var/tmp";

impl Setup {
    pub(crate) fn new(selkie: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("selkie-bench-").tempdir_in(DISK).map_err(|error| error.to_string())?;
        spread_apart(directory.path());
        let memory = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { directory.path() };
        let memory = tempfile::Builder::new().prefix("selkie-bench-").tempdir_in(memory).map_err(|error| error.to_string())?;
        let podmans = PODMANS.into_iter().filter(|(_, runtime)| installed("podman") && installed(runtime)).collect();
        // As an installation does it: of a file that a linker has just written, the page cache holds single pages, which takes
        // longer to map than what users run.
        let installed = directory.path().join("selkie");
        std::fs::copy(selkie, &installed).map_err(|error| format!("cannot copy {}: {error}", selkie.display()))?;
        let setup = Self { directory, memory, selkie: installed, podmans };
        setup.make_image()?;
        Ok(setup)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A directory in memory, as `/run` is on most machines.
    fn volatile(&self, name: &str) -> PathBuf {
        self.memory.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("rootfs")
    }

    fn make_image(&self) -> Result<()> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .ok_or("busybox-static is not installed")?;
        let io = |error: std::io::Error| error.to_string();
        for directory in ["bin", "proc", "sys", "dev", "etc", "tmp", "run"] {
            std::fs::create_dir_all(self.root().join(directory)).map_err(io)?;
        }
        std::fs::copy(busybox, self.root().join("bin/busybox")).map_err(io)?;
        for name in ["sh", "true", "sleep"] {
            std::os::unix::fs::symlink("busybox", self.root().join("bin").join(name)).map_err(io)?;
        }
        std::fs::write(self.root().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").map_err(io)?;
        run(Command::new("tar").arg("-C").arg(self.root()).arg("-cf").arg(self.path("image.tar")).arg("."))?;
        run(self.selkie(&["import"]).arg(self.path("image.tar")).arg("localhost/bb"))?;
        // Podman asks for limits that a root without CAP_SYS_RESOURCE may not set.
        std::fs::write(self.path("containers.conf"), "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n")
            .map_err(io)?;
        if !self.podmans.is_empty() {
            run(self.podman("runc", &["import"]).arg(self.path("image.tar")).arg("localhost/bb"))?;
        }
        self.make_bundle()
    }

    /// A bundle for runc and crun: their own default, with this root and `true`.
    fn make_bundle(&self) -> Result<()> {
        let runtime = if installed("runc") { "runc" } else { "crun" };
        if !installed(runtime) {
            return Ok(());
        }
        let bundle = self.path("bundle");
        std::fs::create_dir_all(&bundle).map_err(|error| error.to_string())?;
        run(Command::new(runtime).arg("spec").current_dir(&bundle))?;
        let path = bundle.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mut spec: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if let Some(process) = spec.get_mut("process").and_then(serde_json::Value::as_object_mut) {
            process.insert("args".to_owned(), json!(["/bin/true"]));
            process.insert("terminal".to_owned(), json!(false));
            process.remove("rlimits");
        }
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("root".to_owned(), json!({"path": self.root(), "readonly": false}));
        }
        std::fs::write(path, spec.to_string()).map_err(|error| error.to_string())
    }

    pub(crate) fn selkie(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.selkie);
        command.arg("--root").arg(self.path("selkie-root")).arg("--runroot").arg(self.volatile("selkie")).args(words);
        command
    }

    fn podman(&self, runtime: &str, words: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.path("podman-root")).arg("--runroot").arg(self.volatile("podman"));
        command.args(["--runtime", runtime, "--cgroup-manager", "cgroupfs", "--events-backend", "none"]).args(words);
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command
    }

    /// The same command for selkie and every Podman.
    fn everyone<'a>(&'a self, words: &'a [&'a str]) -> Vec<Contestant<'a>> {
        let mut list = vec![Contestant::new("selkie", move || run(&mut self.selkie(words)))];
        for (name, runtime) in &self.podmans {
            list.push(Contestant::new(name, move || run(&mut self.podman(runtime, words))));
        }
        list
    }

    /// Makes one running container called `c` with every engine; those that cannot are left out of what follows.
    fn with_running(&self, words: &[&str]) -> Result<Vec<(&'static str, &'static str)>> {
        run(&mut self.selkie(words))?;
        Ok(self.podmans.iter().copied().filter(|(_, runtime)| run(&mut self.podman(runtime, &renamed(words, runtime))).is_ok()).collect())
    }

    pub(crate) fn remove_everything(&self) {
        // What is left is removed with the directory; a container that still runs is not.
        let _ = run(&mut self.selkie(&["rm", "-a", "-f", "-t", "0"]));
        for (_, runtime) in &self.podmans {
            let _ = run(&mut self.podman(runtime, &["rm", "-a", "-f", "-t", "0"]));
        }
    }
}

/// Asks the file system to keep what is in `directory` apart: chattr(1), `T`.
///
/// An ext4 without a journal looks past every inode that was deleted in the last minutes nearby, for each that it makes: some 0.2 us
/// each, and a test suite or another engine deletes thousands. So each engine has only its own.
fn spread_apart(directory: &Path) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    // Other file systems have no such thing, and need none.
    if let Ok(directory) = std::fs::File::open(directory)
        && let Ok(flags) = ioctl_getflags(&directory)
    {
        let _ = ioctl_setflags(&directory, flags | IFlags::TOPDIR);
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.remove_everything();
    }
}

/// The Podmans share one store, so each has a container of its own name.
fn renamed<'a>(words: &[&'a str], runtime: &'a str) -> Vec<&'a str> {
    words.iter().map(|word| if *word == "c" { runtime } else { word }).collect()
}

/// Returns whether `program` is in one of the usual places.
pub(crate) fn installed(program: &str) -> bool {
    ["/bin", "/usr/bin", "/sbin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(program).exists())
}

/// `run --rm --network none`, and what is below it.
pub(crate) fn run_and_remove(setup: &Setup, rounds: usize, report: &mut Report) -> Result<()> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let root = setup.root();
    let words = ["run", "--rm", "--network", "none", "localhost/bb", "/bin/true"];
    let mut list = vec![Contestant::new("floor", move || run(Command::new(&own).arg("floor").arg(&root).arg("/bin/true")))];
    list.extend(setup.everyone(&words));
    for runtime in ["runc", "crun"].into_iter().filter(|runtime| installed(runtime)) {
        list.push(Contestant::new(runtime, move || {
            let state = setup.path(&format!("{runtime}-state"));
            run(Command::new(runtime).arg("--root").arg(state).args(["run", "--bundle"]).arg(setup.path("bundle")).arg("bench"))
        }));
    }
    if installed("bwrap") {
        let root = setup.root();
        list.push(Contestant::new("bwrap", move || {
            run(Command::new("bwrap").arg("--unshare-all").arg("--bind").arg(&root).args([
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "/bin/true",
            ]))
        }));
    }
    report.table("run --rm --network none IMAGE true", "floor", &in_turns(rounds, &list));
    Ok(())
}

/// `exec` in a container that runs.
pub(crate) fn exec(setup: &Setup, rounds: usize, report: &mut Report) -> Result<()> {
    let podmans = setup.with_running(&["run", "-d", "--name", "c", "--network", "none", "localhost/bb", "/bin/sleep", "10000"])?;
    let mut list = vec![Contestant::new("selkie", || run(&mut setup.selkie(&["exec", "c", "/bin/true"])))];
    for (name, runtime) in podmans {
        list.push(Contestant::new(name, move || run(&mut setup.podman(runtime, &["exec", runtime, "/bin/true"]))));
    }
    report.table("exec c true", "selkie", &in_turns(rounds, &list));
    setup.remove_everything();
    Ok(())
}

/// `start` of a created container, `stop` of a running one that ends at once.
pub(crate) fn start_and_stop(setup: &Setup, rounds: usize, report: &mut Report) -> Result<()> {
    // PID 1 has to want SIGTERM: busybox' shell with a trap, waiting for a child. Before it says so the signal would be ignored, and
    // `stop` would show nothing but its own patience.
    let script = "trap 'exit 0' TERM; echo ready; sleep 10000 & wait";
    let words = ["create", "--name", "c", "--network", "none", "localhost/bb", "/bin/sh", "-c", script];
    let podmans = setup.with_running(&words)?;
    let selkie: Verbs = Box::new(|words| setup.selkie(&[words, &["c"]].concat()));
    let mut engines = vec![("selkie", selkie)];
    for (name, runtime) in podmans {
        engines.push((name, Box::new(move |words| setup.podman(runtime, &[words, &[runtime]].concat()))));
    }
    let starts: Vec<_> = engines.iter().map(|(name, command)| start(name, command)).collect();
    let stops: Vec<_> = engines.iter().map(|(name, command)| stop(name, command)).collect();
    report.table("start c", "selkie", &in_turns(rounds, &starts));
    report.table("stop c", "selkie", &in_turns(rounds, &stops));
    setup.remove_everything();
    Ok(())
}

/// Makes a command of one engine about its container.
type Verbs<'a> = Box<dyn Fn(&[&str]) -> Command + 'a>;

/// Times the start of the container that `command` puts behind its words.
fn start<'a>(name: &str, command: &'a Verbs<'a>) -> Contestant<'a> {
    // Without patience: what was started a moment ago may not listen yet.
    Contestant::new(name, || run(&mut command(&["start"]))).after(|| run(&mut command(&["stop", "-t", "0"])))
}

/// Times its end, once it listens.
fn stop<'a>(name: &str, command: &'a Verbs<'a>) -> Contestant<'a> {
    let said = || output(&mut command(&["logs"])).map(|log| log.lines().count());
    let prepare = move || {
        run(&mut command(&["stop", "-t", "0"]))?;
        let before = said()?;
        run(&mut command(&["start"]))?;
        let deadline = Instant::now() + PATIENCE;
        while said()? == before {
            if Instant::now() > deadline {
                return Err("the container does not become ready".to_owned());
            }
        }
        Ok(())
    };
    Contestant::new(name, || run(&mut command(&["stop"]))).after(prepare)
}

/// How long a container may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// `ps -a` with 200 containers, and `inspect` of one.
pub(crate) fn look(setup: &Setup, rounds: usize, report: &mut Report) -> Result<()> {
    for number in 0..200 {
        let name = format!("c{number}");
        let words = ["create", "--name", &name, "--network", "none", "localhost/bb", "/bin/true"];
        run(&mut setup.selkie(&words))?;
        if let Some((_, runtime)) = setup.podmans.first() {
            run(&mut setup.podman(runtime, &words))?;
        }
    }
    let podman = &setup.podmans.get(..1).unwrap_or_default();
    for (title, words) in [("ps -a, 200 containers", &["ps", "-a"][..]), ("inspect c7", &["inspect", "c7"])] {
        let mut list = vec![Contestant::new("selkie", move || run(&mut setup.selkie(words)))];
        for (_, runtime) in podman.iter() {
            list.push(Contestant::new("podman", move || run(&mut setup.podman(runtime, words))));
        }
        report.table(title, "selkie", &in_turns(rounds, &list));
    }
    setup.remove_everything();
    Ok(())
}

/// A hundred `run --rm` at once: none may fail.
pub(crate) fn parallel(setup: &Setup, report: &mut Report) -> Result<()> {
    const COUNT: usize = 100;
    let begun = Instant::now();
    let children: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut command = setup.selkie(&["run", "--rm", "--network", "none", "localhost/bb", "/bin/true"]);
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()
        })
        .collect();
    let failed = children
        .into_iter()
        .filter_map(|child| child.and_then(|mut child| child.wait()).ok())
        .fold(COUNT, |failed, status| if status.success() { failed - 1 } else { failed });
    let left = output(&mut setup.selkie(&["ps", "-aq"]))?.lines().count();
    report.note(&format!("{COUNT} parallel `run --rm`: {failed} failures, {left} containers left, {:.2} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Memory of a monitor, ten containers running, beside conmon's.
pub(crate) fn memory(setup: &Setup, report: &mut Report) -> Result<()> {
    const COUNT: usize = 10;
    for number in 0..COUNT {
        let name = format!("m{number}");
        let words = ["run", "-d", "--name", &name, "--network", "none", "localhost/bb", "/bin/sleep", "10000"];
        run(&mut setup.selkie(&words))?;
        if let Some((_, runtime)) = setup.podmans.first() {
            run(&mut setup.podman(runtime, &words))?;
        }
    }
    for (engine, format) in [("selkie", "{{.State.ConmonPid}}"), ("podman", "{{.State.ConmonPid}}")] {
        let mut total = 0;
        for number in 0..COUNT {
            let name = format!("m{number}");
            let words = ["inspect", "--format", format, &name];
            let pid = match (engine, setup.podmans.first()) {
                ("selkie", _) => output(&mut setup.selkie(&words))?,
                (_, Some((_, runtime))) => output(&mut setup.podman(runtime, &words))?,
                (_, None) => continue,
            };
            if number == 5 {
                let _ = std::process::Command::new("sh").arg("-c").arg(format!("cat /proc/{pid}/smaps > /tmp/smaps.{engine}")).status();
            }
            total += proportional_set_size(&pid).unwrap_or(0);
        }
        if total > 0 {
            let what = if engine == "selkie" { "selkie's monitor" } else { "conmon" };
            let each = f64::from(total) / 10.0;
            report.note(&format!("{what}: {each:.0} KiB PSS each ({:.3} MiB), {COUNT} running", each / 1024.0));
        }
    }
    setup.remove_everything();
    Ok(())
}

/// KiB.
fn proportional_set_size(pid: &str) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:"))?.split_whitespace().next()?.parse().ok()
}
