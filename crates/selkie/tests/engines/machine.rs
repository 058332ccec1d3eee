//! A machine within the machine, in which engines run that must neither see nor touch anything of the real one.
//!
//! `sandbox.sh` makes it, `start.sh` starts two containers of each engine in it and then runs lines of shell.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::harness::{self, Engine, SELKIE, Said, busybox, lack, skip, text};

/// The machine. It ends, with all that is in it, when it goes out of scope.
pub struct Machine {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    works: String,
    /// Which engines run in it.
    pub started: BTreeSet<String>,
}

impl Machine {
    /// Starts it, with these engines or with all of them; `None`, with the reason on standard error, where there can be none.
    pub fn start(engine: &Engine, engines: &str) -> Option<Self> {
        if busybox().is_none() {
            lack("busybox is not installed");
            return None;
        }
        let works = text(&engine.path("works"));
        prepare(Path::new(&works), &engine.rootfs());
        let name = format!("selkie-engines-{}", std::process::id());
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("sandbox.sh"), "sandbox", &name, &works, include_str!("start.sh")])
            .env("ENGINES", engines)
            .env("SELKIE", Path::new(&works).join("selkie"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (shell.stdin.take(), BufReader::new(shell.stdout.take().unwrap()));
        let mut machine = Self { shell, orders, answers, works, started: BTreeSet::new() };
        loop {
            let line = machine.answer();
            match line.split_once(' ') {
                Some(("started", engine)) => _ = machine.started.insert(engine.to_owned()),
                Some(("missing", why)) => skip(why),
                _ if line == "ready" => return Some(machine),
                _ if line.is_empty() => {
                    skip("namespaces or cgroups for a machine within the machine cannot be made here");
                    return None;
                }
                _ => panic!("the sandbox said {line:?}"),
            }
        }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Runs a line of shell in it, `$selkie` being the program under test.
    pub fn run(&mut self, line: &str) -> Said {
        writeln!(self.orders.as_mut().unwrap(), "{line}").unwrap();
        let answer = self.answer();
        let code = answer.strip_prefix("code ").unwrap_or_else(|| panic!("{line}: {answer:?}")).parse().unwrap();
        let read = |name: &str| std::fs::read_to_string(Path::new(&self.works).join(name)).unwrap();
        Said { stdout: read("out"), stderr: read("err"), code }
    }

    pub fn ok(&mut self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {said:?}");
        said.stdout
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.shell.wait();
    }
}

/// What `start.sh` needs: a root file system, the same of another user and as an archive, two bundles of the runtimes'.
fn prepare(works: &Path, rootfs: &str) {
    let run = |program: &str, words: &[&str]| assert!(Command::new(program).args(words).status().unwrap().success(), "{program} {words:?}");
    for name in ["plain", "full"] {
        std::fs::create_dir_all(works.join(name)).unwrap();
    }
    // nspawn takes only what has an operating system for a root.
    std::fs::create_dir_all(Path::new(rootfs).join("usr")).unwrap();
    std::fs::write(Path::new(rootfs).join("etc/os-release"), "ID=test\n").unwrap();
    // Another user is to run the program, too, wherever it was built.
    std::fs::copy(SELKIE, works.join("selkie")).unwrap();
    run("cp", &["-a", rootfs, &text(&works.join("rootfs"))]);
    run("cp", &["-a", rootfs, &text(&works.join("theirs"))]);
    run("chown", &["-R", "5000:5000", &text(&works.join("theirs"))]);
    run("tar", &["-C", rootfs, "-cf", &text(&works.join("bb.tar")), "."]);
    for directory in [works, works.parent().unwrap()] {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let lacked: Vec<String> = (0..64)
        .filter(|bit| harness::own_bounding() >> bit & 1 == 0)
        .filter_map(selkie_caps::Capability::from_number)
        .map(|capability| capability.name().to_ascii_uppercase())
        .collect();
    std::fs::write(works.join("absent"), lacked.join(" ")).unwrap();
    for (name, held) in [("plain", "CAP_KILL"), ("full", "CAP_SYS_MODULE")] {
        let bundle = works.join(name);
        let mount = |kind: &str, at: &str| json!({"destination": at, "type": kind, "source": kind});
        let spaces = ["pid", "mount", "ipc", "uts", "network"].map(|kind| json!({"type": kind}));
        let spec = json!({
            "ociVersion": "1.0.2",
            "root": {"path": text(&works.join("rootfs"))},
            "process": {
                "cwd": "/", "args": ["sleep", "1000"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
                "capabilities": {"bounding": [held], "effective": [held], "permitted": [held]},
            },
            "mounts": [mount("proc", "/proc"), mount("tmpfs", "/dev")],
            // As `runc spec` has it: whoever writes /proc/sys/kernel/core_pattern names a program that the host's root runs.
            "linux": {"namespaces": spaces, "readonlyPaths": ["/proc/sys"], "maskedPaths": ["/proc/kcore"]},
        });
        std::fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
    }
}
