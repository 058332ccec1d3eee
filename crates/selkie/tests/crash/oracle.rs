//! What must not be left on the host: the leak oracle. Everything of a test is told apart from the rest of the host by its
//! working directory and by a cgroup parent of its own.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Engine, Said, busybox, lack, text};

/// An engine whose processes and cgroups can be found on the host.
pub(crate) struct Watched {
    pub(crate) engine: Engine,
    parent: String,
}

impl Watched {
    /// Makes one; `None` where containers cannot be made, or nothing can run in them.
    pub(crate) fn new() -> Option<Self> {
        if busybox().is_none() {
            lack("busybox is not installed");
            return None;
        }
        let engine = Engine::new()?;
        engine.rootfs();
        let name = engine.path("").file_name().unwrap().to_str().unwrap().to_owned();
        Some(Self { engine, parent: format!("/{name}") })
    }

    /// The command, started where the oracle finds what becomes of it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.engine.command(words);
        command.current_dir(self.engine.path("")).stdin(Stdio::null());
        command
    }

    /// `verb flags` for a container that this oracle watches, in the root file system of the engine.
    pub(crate) fn words(&self, start: &str, program: &str) -> Vec<String> {
        let mut words: Vec<String> = start.split(' ').map(str::to_owned).collect();
        words.extend(["--cgroup-parent".to_owned(), self.parent.clone(), "--rootfs".to_owned(), self.engine.rootfs()]);
        words.extend(program.split(' ').map(str::to_owned));
        words
    }

    /// The command that runs `program` in a new container.
    pub(crate) fn container(&self, start: &str, program: &str) -> Command {
        let words = self.words(start, program);
        self.command(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs it; it has to succeed.
    pub(crate) fn start(&self, start: &str, program: &str) -> String {
        let output = self.container(start, program).output().unwrap();
        assert!(output.status.success(), "{start} {program}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        said(&self.command(words).output().unwrap())
    }

    /// Runs a command that has to succeed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.stdout.trim_end().to_owned()
    }

    /// The state of a container; empty when there is none.
    pub(crate) fn state(&self, name: &str) -> String {
        self.ok(&["ps", "--all", "--filter", &format!("name=^{name}$"), "--format", "{{.State}}"])
    }

    /// The pid of a container's first process, and of its monitor.
    pub(crate) fn pids(&self, name: &str) -> (i32, i32) {
        let id = self.ok(&["inspect", "--format", "{{.Id}}", name]);
        let state = std::fs::read(self.engine.path("run/containers").join(id).join("state.json")).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        let pid = |who: &str| i32::try_from(state[who]["pid"].as_i64().unwrap()).unwrap();
        (pid("init"), pid("monitor"))
    }

    /// Removes every container and waits until nothing is left; what a process still ends by itself gets three seconds.
    #[track_caller]
    pub(crate) fn leaves_nothing(&self, after: &str) {
        let listed = self.run(&["ps", "--all", "--quiet"]);
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "after {after}: {listed:?}");
        let removed = self.run(&["rm", "--all", "--force", "--time", "0"]);
        assert_eq!((removed.code, removed.stderr.as_str()), (0, ""), "after {after}: {removed:?}");
        self.is_clean(after);
    }

    /// Waits until nothing is left.
    #[track_caller]
    pub(crate) fn is_clean(&self, after: &str) {
        let deadline = Instant::now() + Duration::from_secs(3);
        let mut left = self.left();
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            left = self.left();
        }
        assert!(left.is_empty(), "after {after}, this is left: {left:#?}");
    }

    fn left(&self) -> Vec<String> {
        let describe = |pid: &PathBuf| {
            let words = std::fs::read_to_string(pid.join("cmdline")).unwrap_or_default().replace('\0', " ");
            format!("process {}: {words}", pid.display())
        };
        let mut left: Vec<String> = self.processes().iter().map(describe).collect();
        left.extend(self.cgroups().into_iter().map(|path| format!("cgroup {}", path.display())));
        for directory in ["root/containers", "root/names", "run/containers", "run/rootfs"] {
            left.extend(children(self.engine.path(directory)).iter().map(|path| path.display().to_string()));
        }
        let ours = text(&self.engine.path(""));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        // A test's own file systems are directly beneath its directory, and called so.
        left.extend(mounts.lines().filter(|line| line.contains(&ours) && !line.contains("/own-")).map(str::to_owned));
        left
    }

    /// Sends SIGKILL to everything of this engine at once: clients, monitors and containers.
    pub(crate) fn kill_all(&self) {
        for process in self.processes() {
            let pid = process.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            // One that has just ended is as good as killed.
            let _ = rustix::process::kill_process(pid.and_then(rustix::process::Pid::from_raw).unwrap(), rustix::process::Signal::KILL);
        }
    }

    /// Directories in `/proc` of processes that were started from our directory, or are in our cgroups.
    fn processes(&self) -> Vec<PathBuf> {
        let ours = self.engine.path("");
        let is_ours = |pid: &PathBuf| {
            let cgroup = std::fs::read_to_string(pid.join("cgroup")).unwrap_or_default();
            std::fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&ours)) || cgroup.contains(&format!("{}/", self.parent))
        };
        let is_zombie = |pid: &PathBuf| std::fs::read_to_string(pid.join("stat")).unwrap_or_default().contains(") Z ");
        let mut pids = children(PathBuf::from("/proc"));
        pids.retain(|path| {
            path.file_name().unwrap().to_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()) && is_ours(path) && !is_zombie(path)
        });
        pids
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let name = self.parent.trim_start_matches('/');
        let mut hierarchies = children(PathBuf::from("/sys/fs/cgroup"));
        hierarchies.push(PathBuf::from("/sys/fs/cgroup"));
        hierarchies.iter().flat_map(|hierarchy| children(hierarchy.join(name))).filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "--all", "--force", "--time", "0"]).output();
        let mut hierarchies = children(PathBuf::from("/sys/fs/cgroup"));
        hierarchies.push(PathBuf::from("/sys/fs/cgroup"));
        for hierarchy in hierarchies {
            // Most hierarchies have none of ours.
            let _ = std::fs::remove_dir(hierarchy.join(self.parent.trim_start_matches('/')));
        }
    }
}

fn children(directory: PathBuf) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Lets a command run for a while and kills it then, if it still runs.
pub(crate) fn killed_after(mut command: Command, delay: Duration) {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Sends SIGKILL and waits until the process is gone, or a zombie.
pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    until("a killed process ends", || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")).then_some(()).is_none());
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not after ten seconds");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a command has said; 128 and more for a signal.
pub(crate) fn said(output: &Output) -> Said {
    Said {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
    }
}
