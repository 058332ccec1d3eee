//! Denied checks that the kernel counts while nobody watches: `observe load`, then any container.
//!
//! Each test has a BPF file system of its own, in a mount namespace of its own: others load and unload meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Engine, Said, engine, skip, until};

/// An engine whose commands see a BPF file system that nobody else does.
struct Private {
    engine: Engine,
    holder: Child,
}

impl Private {
    /// `None`, with the reason on standard error, where nothing can be pinned.
    fn new() -> Option<Self> {
        let engine = engine()?;
        let script = "mount -t bpf bpf /sys/fs/bpf && echo there && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let private = Self { engine, holder };
        if line != "there\n" {
            skip("no BPF file system can be mounted here");
            return None;
        }
        Some(private)
    }

    /// As [`Self::new`], with the programs loaded.
    fn loaded() -> Option<Self> {
        let private = Self::new()?;
        let said = private.run(&["observe", "load"]);
        if said.code != 0 {
            skip(&format!("nothing can be pinned here: {}", said.stderr));
            return None;
        }
        Some(private)
    }

    fn run(&self, words: &[&str]) -> Said {
        let inner = self.engine.command(words);
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code().unwrap() }
    }

    fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.stdout.trim_end_matches('\n').to_owned()
    }

    /// Starts a container with no capability.
    fn start(&self, flags: &[&str], script: &str) -> Said {
        let rootfs = format!("{}:O", self.engine.rootfs());
        let words = ["run", "--cap-drop", "all"].into_iter().chain(flags.iter().copied());
        self.run(&words.chain(["--rootfs", &rootfs, "sh", "-c", script]).collect::<Vec<_>>())
    }

    fn loaded_state(&self) -> Value {
        let state: Value = serde_json::from_str(&self.ok(&["observe", "status", "--format", "json"])).unwrap();
        // One document, or a list of one.
        let state = state.get(0).cloned().unwrap_or(state);
        state["Loaded"][0].clone()
    }

    fn recorded(&self) -> Value {
        self.loaded_state()["Recorded"].clone()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "--all", "--force", "--time", "0"]);
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Is refused a port, and a change of owner.
const DENIED: &str = "busybox nc -l -p 80 -w 1; busybox chown 5 /etc/group";

#[test]
fn denied_checks_are_said_while_it_runs_and_after_its_end_and_not_when_it_is_removed() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["-d", "--name", "web"], &format!("{DENIED}; sleep 100"));
    until(|| private.run(&["why", "web"]).stdout.contains("CHOWN was asked for in"));
    let state = private.loaded_state();
    assert_eq!((&state["Recorded"], &state["CallsAttached"], &state["Watchers"]), (&json!(1), &json!(false), &json!([])));
    let meanwhile = private.ok(&["why", "web"]);
    private.ok(&["stop", "--time", "0", "web"]);
    assert_eq!(private.ok(&["why", "web"]), meanwhile);
    assert!(meanwhile.contains("busybox: NET_BIND_SERVICE was asked for in bind, by __inet6_bind, and denied; what became"), "{meanwhile}");
    assert!(meanwhile.contains("  if it failed: --cap-add NET_BIND_SERVICE"), "{meanwhile}");
    // The kernel asks for this at every mmap(2), and it means nothing.
    assert!(!meanwhile.contains("SYS_ADMIN"), "{meanwhile}");
    private.ok(&["rm", "web"]);
    assert_eq!(private.recorded(), json!(0));
}

#[test]
fn what_is_counted_goes_on_when_it_is_started_again() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["--name", "again"], "busybox chown 5 /etc/group");
    private.ok(&["start", "again"]);
    private.ok(&["wait", "again"]);
    let said: Value = serde_json::from_str(&private.ok(&["why", "--format", "json", "again"])).unwrap();
    assert_eq!(said[0]["capabilities"], json!(["CAP_CHOWN"]));
    assert_eq!((&said[0]["count"], &said[0]["result"]), (&json!(2), &json!("unknown")));
}

#[test]
fn container_that_is_removed_at_its_end_leaves_nothing() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["--rm"], DENIED);
    private.start(&["--rm", "-d", "--name", "own"], DENIED);
    until(|| private.run(&["container", "exists", "own"]).code != 0);
    assert_eq!(private.recorded(), json!(0));
}

#[test]
fn container_whose_engine_was_killed_is_forgotten_with_it() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["--rm", "-d", "--name", "left"], "sleep 100");
    let pids = private.ok(&["inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", "left"]);
    for pid in pids.split(' ') {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    until(|| private.run(&["ps", "--all", "--quiet"]).stdout.is_empty());
    assert_eq!(private.recorded(), json!(0));
}

#[test]
fn container_whose_directory_was_deleted_by_hand_is_swept() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["--name", "gone"], DENIED);
    assert_eq!(private.recorded(), json!(1));
    for directory in ["root/containers", "run/containers"] {
        std::fs::remove_dir_all(private.engine.path(directory)).unwrap();
        std::fs::create_dir(private.engine.path(directory)).unwrap();
    }
    assert_eq!(private.recorded(), json!(0));
}

#[test]
fn containers_of_another_store_are_not_swept() {
    let (Some(private), Some(other)) = (Private::loaded(), engine()) else { return };
    private.start(&["--name", "mine"], DENIED);
    let inner = other.command(&["observe", "status"]);
    let mut command = Command::new("nsenter");
    command.arg(format!("--mount=/proc/{}/ns/mnt", private.holder.id())).arg(inner.get_program()).args(inner.get_args());
    assert!(command.output().unwrap().status.success());
    assert_eq!(private.recorded(), json!(1));
}

#[test]
fn container_without_programs_loaded_runs_and_is_not_recorded() {
    let Some(private) = Private::new() else { return };
    assert_eq!(private.start(&["--name", "plain"], "true").code, 0);
    let said = private.run(&["why", "plain"]);
    assert_eq!(said.code, 125);
    assert!(said.stderr.contains("was not watched"), "{}", said.stderr);
}

#[test]
fn unloading_takes_the_record_and_nothing_else() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["-d", "--name", "stays"], "sleep 100");
    private.ok(&["observe", "unload"]);
    assert_eq!(private.run(&["why", "stays"]).code, 125);
    assert_eq!(private.ok(&["inspect", "--format", "{{.State.Status}}", "stays"]), "running");
    private.ok(&["rm", "--force", "--time", "0", "stays"]);
}

#[test]
fn who_learns_beside_a_recorded_container_gets_nothing_of_it() {
    let Some(private) = Private::loaded() else { return };
    private.start(&["-d", "--name", "noisy"], "while :; do busybox chown 5 /etc/group; done");
    let rootfs = format!("{}:O", private.engine.rootfs());
    let words = ["run", "--rm", "--why", "--cap-drop", "all", "--rootfs", &rootfs, "sh", "-c", "busybox nc -l -p 80 -w 1"];
    let said = private.run(&words);
    assert!(said.stderr.contains(":80) = EACCES: needs NET_BIND_SERVICE") && !said.stderr.contains("CHOWN"), "{}", said.stderr);
    assert!(private.ok(&["why", "noisy"]).contains("CHOWN was asked for"));
}
