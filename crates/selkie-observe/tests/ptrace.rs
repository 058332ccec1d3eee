//! The ptrace rung on real processes. They come from the example `traced` of selkie-sys: the tests cannot install filters themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../../../tests/skip.rs"]
mod skip;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use selkie_caps::{CapSet, Capability};
use selkie_learn::{Call, Check, Credentials, Detail, Ending, Flags, Lost, Trace};
use selkie_observe::{Error, Observer, Orphans, Ptrace, Rung, Subject};
use selkie_seccomp::{Arch, trace_filter};
use skip::skip;

const EPERM: i64 = -1;
const EACCES: i64 = -13;
/// Name of a process that executed `/proc/self/exe`.
const COMM: &str = "exe";
/// Its supervisor's environment variable in [`trace_and_die`].
const DIE: &str = "SELKIE_TEST_TRACE_AND_DIE";

/// A process that waits until it is traced.
struct Held {
    supervisor: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pid: i32,
    directory: tempfile::TempDir,
}

impl Held {
    fn new(keep: CapSet, act: &[&str]) -> Option<Self> {
        let program = traced()?;
        let directory = tempfile::tempdir().unwrap();
        let filter = directory.path().join("filter");
        std::fs::write(&filter, bytes()).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let mut supervisor = Command::new(program)
            .args(["supervise", filter.to_str().unwrap(), &format!("{keep:x}")])
            .args(act)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = supervisor.stdin.take().unwrap();
        let output = BufReader::new(supervisor.stdout.take().unwrap());
        let mut held = Self { supervisor, input, output, pid: 0, directory };
        held.pid = held.line().strip_prefix("pid ").unwrap().parse().unwrap();
        Some(held)
    }

    fn go(&mut self) {
        self.input.write_all(b"x").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns what is printed until both processes have ended.
    fn rest(&mut self) -> Vec<String> {
        let lines = self.output.by_ref().lines().map(Result::unwrap).collect();
        self.supervisor.wait().unwrap();
        lines
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn bytes() -> Vec<u8> {
    let program = trace_filter(Arch::native().unwrap()).unwrap();
    program.instructions().iter().flat_map(|one| [&one.code.to_le_bytes()[..], &[one.jt, one.jf], &one.k.to_le_bytes()].concat()).collect()
}

/// Returns the example; `None`, said aloud, if these tests cannot run here.
fn traced() -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        skip("not root: capabilities cannot be given up one by one");
        return None;
    }
    if let Err(error) = Ptrace::available() {
        skip(&error.to_string());
        return None;
    }
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("traced");
    if !program.exists() {
        assert!(std::env::var_os("SELKIE_TEST_REQUIRE").is_none_or(|value| value != "1"), "{} is missing", program.display());
        skip("the example `traced` is not built: cargo build -p selkie-sys --examples");
        return None;
    }
    Some(program)
}

/// Runs an act to its end under the tracer; returns what it printed, and the trace without what differs from run to run.
fn learn(keep: CapSet, act: &[&str]) -> Option<(Vec<String>, Trace)> {
    let mut held = Held::new(keep, act)?;
    let observer = Ptrace::new(Orphans::Kill);
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    let lines = held.rest();
    Some((lines, plain(observer.finish(1).unwrap())))
}

/// Takes out times, pids and addresses.
fn plain(mut trace: Trace) -> Trace {
    assert_eq!((trace.version, trace.rung, trace.lost), (1, Rung::Ptrace, Lost::default()));
    for call in &mut trace.calls {
        assert!(call.pid > 0);
        (call.at, call.pid) = (0, 0);
        call.arguments.iter_mut().filter(|argument| **argument > 0xffff).for_each(|argument| *argument = 0);
        // What a register holds that is no argument.
        let count = match call.syscall.as_str() {
            "bind" | "execve" => 3,
            // The flags of openat(2) hold O_LARGEFILE, whose bit is another one on each machine.
            "capset" | "openat" => 2,
            "fchownat" => 5,
            _ => 6,
        };
        call.arguments[count..].fill(0);
        assert_eq!(call.program.take().as_deref().map(|path| path.ends_with("/traced")), Some(true));
    }
    trace
}

fn credentials(keep: CapSet) -> Credentials {
    Credentials { uid: 0, gid: 0, effective: keep, permitted: keep, bounding: keep }
}

fn denied(capability: Capability) -> Check {
    let initial = std::fs::read_link("/proc/self/ns/user").unwrap() == Path::new("user:[4026531837]");
    let flags =
        Flags { target_initial: initial, owner_initial: initial, target_own: true, uid_zero: true, powerless: true, ..Flags::default() };
    Check { capability, denied: true, flags, stack: Vec::new() }
}

fn path(path: &str) -> Detail {
    Detail::Path { path: path.to_owned(), other: None }
}

/// What is recorded of the act `chown file` of a process without capabilities.
fn chown() -> Call {
    Call {
        comm: COMM.to_owned(),
        syscall: "fchownat".to_owned(),
        arguments: [0, 0, 1, 0, 0, 0],
        detail: path("file"),
        result: EPERM,
        denied: vec![denied(Capability::Chown)],
        credentials: credentials(CapSet::EMPTY),
        count: 1,
        ..Call::default()
    }
}

fn ending(keep: CapSet, count: u64) -> Ending {
    Ending { comm: COMM.to_owned(), credentials: credentials(keep), no_new_privileges: false, count }
}

#[test]
fn refused_call_is_recorded_with_path_result_and_guess() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["chown", "file"]) else { return };
    assert_eq!(lines, ["1", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (vec![chown()], vec![ending(CapSet::EMPTY, 1)]));
}

#[test]
fn call_that_works_is_not_recorded() {
    let keep = CapSet::EMPTY.with(Capability::Chown);
    let Some((lines, trace)) = learn(keep, &["chown", "file"]) else { return };
    assert_eq!(lines, ["0", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (Vec::new(), vec![ending(keep, 1)]));
}

#[test]
fn same_call_twice_is_counted() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["twice", "file"]) else { return };
    assert_eq!(lines, ["1", "1", "exited 0"]);
    assert_eq!(trace.calls, [Call { count: 2, ..chown() }]);
}

#[test]
fn bind_is_recorded_with_its_address() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["bind", "81"]) else { return };
    assert_eq!(lines, ["13", "exited 0"]);
    let call = Call {
        syscall: "bind".to_owned(),
        arguments: [3, 0, 16, 0, 0, 0],
        detail: Detail::Address { address: "127.0.0.1:81".to_owned() },
        result: EACCES,
        denied: vec![denied(Capability::NetBindService)],
        ..chown()
    };
    assert_eq!(trace.calls, [call]);
}

#[test]
fn answer_of_netlink_is_recorded_as_the_request() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["netlink"]) else { return };
    assert_eq!(lines, ["1 1", "exited 0"]);
    let call = Call {
        syscall: "sendto".to_owned(),
        arguments: [3, 0, 32, 0, 0, 0],
        detail: Detail::Netlink { message: 16, protocol: Some(0), payload: vec![0; 16] },
        result: 0,
        denied: vec![denied(Capability::NetAdmin)],
        ..chown()
    };
    assert_eq!(trace.calls, [call]);
}

#[test]
fn capset_is_recorded_with_its_sets() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["capset"]) else { return };
    assert_eq!(lines, ["1", "exited 0"]);
    let net = CapSet::EMPTY.with(Capability::NetAdmin);
    let detail = Detail::Sets { effective: net, permitted: net, inheritable: CapSet::EMPTY };
    assert_eq!(trace.calls, [Call { syscall: "capset".to_owned(), arguments: [0; 6], detail, denied: Vec::new(), ..chown() }]);
}

#[test]
fn file_capability_above_the_bounding_set_is_read_from_the_program() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["execute", "./program"]) else { return };
    let program = held.directory.path().join("program");
    // Not by ourselves: a child of another test would have the file open for writing for a moment (ETXTBSY).
    assert!(Command::new("cp").args([&traced().unwrap(), &program]).status().unwrap().success());
    let net = CapSet::EMPTY.with(Capability::NetRaw);
    let attribute = selkie_caps::FileCaps::new(net, CapSet::EMPTY, true).to_bytes();
    if rustix::fs::setxattr(&program, "security.capability", &attribute, rustix::fs::XattrFlags::empty()).is_err() {
        return skip("no file capabilities on this file system");
    }
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    assert_eq!(held.rest(), ["1", "exited 0"]);
    let detail =
        Detail::Program { path: "./program".to_owned(), capabilities: Some("cap_net_raw=ep".to_owned()), permitted: net, effective: true };
    let trace = plain(observer.finish(1).unwrap());
    assert_eq!(trace.calls, [Call { syscall: "execve".to_owned(), arguments: [0; 6], detail, denied: Vec::new(), ..chown() }]);
}

#[test]
fn reading_the_file_of_another_user_has_two_answers() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["read", "file"]) else { return };
    let file = held.directory.path().join("file");
    std::os::unix::fs::chown(&file, Some(1), Some(1)).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    assert_eq!(held.rest(), ["13", "exited 0"]);
    let denied = vec![denied(Capability::DacReadSearch), denied(Capability::DacOverride)];
    let call = Call { syscall: "openat".to_owned(), arguments: [0; 6], result: EACCES, denied, ..chown() };
    assert_eq!(plain(observer.finish(1).unwrap()).calls, [call]);
}

#[test]
fn threads_are_followed() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["thread", "file"]) else { return };
    assert_eq!(lines, ["1", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (vec![chown()], vec![ending(CapSet::EMPTY, 1)]));
}

#[test]
fn execve_of_another_thread_does_not_end_the_process() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["thread-execute", "file"]) else { return };
    assert_eq!(lines, ["1", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (vec![chown()], vec![ending(CapSet::EMPTY, 1)]));
}

#[test]
fn children_of_fork_are_followed() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["fork", "file"]) else { return };
    assert_eq!(lines, ["1", "done", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (vec![chown()], vec![ending(CapSet::EMPTY, 2)]));
}

#[test]
fn children_of_vfork_are_followed_into_their_programs() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["vfork", "file"]) else { return };
    assert_eq!(lines, ["1", "done", "exited 0"]);
    assert_eq!((trace.calls, trace.endings), (vec![chown()], vec![ending(CapSet::EMPTY, 2)]));
}

#[test]
fn process_that_is_stopped_stays_so_until_it_is_continued() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["stop", "file"]) else { return };
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    assert_eq!(held.line(), "stopped 19");
    send(held.pid, rustix::process::Signal::CONT);
    // Whoever waits for it may hear of its end before he has asked whether it was continued.
    let lines: Vec<String> = held.rest().into_iter().filter(|line| line != "continued").collect();
    assert_eq!(lines, ["1", "exited 0"]);
    assert_eq!(plain(observer.finish(1).unwrap()).calls, [chown()]);
}

#[test]
fn signals_are_delivered() {
    let Some((lines, trace)) = learn(CapSet::EMPTY, &["signal", "file"]) else { return };
    assert_eq!(lines, ["handled", "1", "exited 0"]);
    assert_eq!(trace.calls, [chown()]);
}

#[test]
fn process_that_is_killed_ends_the_watch() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["wait", "file"]) else { return };
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    assert_eq!(held.line(), "ready");
    send(held.pid, rustix::process::Signal::KILL);
    assert_eq!(held.rest(), ["killed 9"]);
    assert_eq!(plain(observer.finish(1).unwrap()).calls, []);
}

#[test]
fn poll_returns_each_call_once_and_finish_all_of_them() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["twice", "file"]) else { return };
    let observer = Ptrace::default();
    observer.watch(Subject { context: 7, pid: held.pid }).unwrap();
    assert_eq!(observer.poll(7).unwrap(), []);
    held.go();
    held.rest();
    let polled = [observer.poll(7).unwrap(), observer.poll(7).unwrap()].map(|calls| calls.len());
    assert_eq!((polled, observer.finish(7).unwrap().calls.len()), ([1, 0], 1));
}

#[test]
fn finish_lets_what_lives_go_and_leaves_nothing_stopped() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["wait", "file"]) else { return };
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    held.go();
    assert_eq!(held.line(), "ready");
    assert_eq!(plain(observer.finish(1).unwrap()).calls, []);
    // ENOSYS: the filter asks for a tracer that is gone.
    held.go();
    assert_eq!(held.rest(), ["38", "exited 0"]);
}

#[test]
fn watch_of_a_process_that_is_gone_says_so() {
    let Some(mut held) = Held::new(CapSet::EMPTY, &["chown", "file"]) else { return };
    send(held.pid, rustix::process::Signal::KILL);
    assert_eq!(held.rest(), ["killed 9"]);
    let error = Ptrace::default().watch(Subject { context: 1, pid: held.pid }).unwrap_err();
    assert!(matches!(error, Error::Gone { pid } if pid == held.pid), "{error}");
}

#[test]
fn watch_of_a_number_that_is_taken_is_refused() {
    let Some(held) = Held::new(CapSet::EMPTY, &["chown", "file"]) else { return };
    let observer = Ptrace::default();
    observer.watch(Subject { context: 1, pid: held.pid }).unwrap();
    let error = observer.watch(Subject { context: 1, pid: held.pid }).unwrap_err();
    assert_eq!(error.to_string(), "container 1 is watched already");
}

#[test]
fn finish_of_what_is_not_watched_says_so() {
    let error = Ptrace::default().finish(9).unwrap_err();
    assert_eq!(error.to_string(), "container 9 is not watched");
}

#[test]
fn tracer_that_dies_takes_a_container_with_it_or_leaves_it_running() {
    for (orphans, expected) in [("kill", ["killed 9", ""]), ("release", ["38", "exited 0"])] {
        let Some(mut held) = Held::new(CapSet::EMPTY, &["wait", "file"]) else { return };
        let mut tracer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trace_and_die", "--nocapture"])
            .env(DIE, format!("{} {orphans}", held.pid))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(tracer.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("watching")));
        held.go();
        assert_eq!(held.line(), "ready");
        tracer.kill().unwrap();
        tracer.wait().unwrap();
        // A process that was killed does not read any more.
        let _ = held.input.write_all(b"x");
        assert_eq!([held.line(), held.line()], expected);
    }
}

/// Not a test: the process that [`tracer_that_dies_takes_a_container_with_it_or_leaves_it_running`] kills.
#[test]
fn trace_and_die() {
    let Ok(order) = std::env::var(DIE) else { return };
    let (pid, orphans) = order.split_once(' ').unwrap();
    let observer = Ptrace::new(if orphans == "kill" { Orphans::Kill } else { Orphans::Release });
    observer.watch(Subject { context: 1, pid: pid.parse().unwrap() }).unwrap();
    let mut out = std::io::stdout();
    out.write_all(b"watching\n").and_then(|()| out.flush()).unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

fn send(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}
