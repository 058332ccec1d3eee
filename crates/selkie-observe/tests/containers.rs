//! What an observer sees of real processes. Needs root and a rung; says why where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Container, observer, program, skip, trace_of};
use selkie_caps::{CapSet, Capability, FileCaps};
use selkie_learn::{Call, Credentials, Detail, Ending, Lost, Rung, Trace, trace};

/// The one call of that name, without what is another one each time: time, process, addresses, and the stacks, which are compared
/// on their own.
fn the_call(trace: &Trace, syscall: &str) -> (Call, Vec<Vec<String>>) {
    let calls: Vec<&Call> = trace.calls.iter().filter(|call| call.syscall == syscall).collect();
    let [call] = calls[..] else { panic!("{} calls of {syscall} in {}", calls.len(), trace.to_text()) };
    let mut call = Call { at: 0, pid: 0, arguments: [0; 6], ..call.clone() };
    let stacks = call.denied.iter_mut().map(|check| std::mem::take(&mut check.stack)).collect();
    (call, stacks)
}

/// A refused call of a root without any capability; `denied` are its checks.
fn refused(syscall: &str, result: i64, detail: Detail, denied: &[Capability], rung: Rung) -> Call {
    let flags = selkie_learn::Flags {
        target_initial: true,
        owner_initial: true,
        target_own: true,
        uid_zero: true,
        powerless: true,
        silent: (rung != Rung::TpBtf).then_some(false),
        ..selkie_learn::Flags::default()
    };
    let check = |capability: &Capability| selkie_learn::Check { capability: *capability, denied: true, flags, stack: Vec::new() };
    Call {
        comm: "refused".to_owned(),
        program: program_in_root(),
        syscall: syscall.to_owned(),
        detail,
        result,
        denied: denied.iter().map(check).collect(),
        count: 1,
        ..Call::default()
    }
}

/// The program as the kernel side can tell it: if it is on the mount of the root directory, and its names are not too long.
fn program_in_root() -> Option<String> {
    let path = program().canonicalize().unwrap();
    let on_root = std::fs::metadata(&path).unwrap().dev() == std::fs::metadata("/").unwrap().dev();
    let short = path.iter().count() <= 9 && path.iter().all(|part| part.len() < 47);
    (on_root && short).then(|| path.display().to_string())
}

fn assert_call(trace: &Trace, wanted: &Call, function: &str) {
    let (found, stacks) = the_call(trace, &wanted.syscall);
    assert_eq!(&found, wanted);
    if trace.has_stacks && !wanted.denied.is_empty() {
        assert!(
            stacks.iter().any(|stack| stack[0] == "cap_capable" && stack.iter().any(|name| name == function)),
            "{function}: {stacks:?}"
        );
    }
}

fn path(path: &str) -> Detail {
    Detail::Path { path: path.to_owned(), other: None }
}

#[test]
fn bind_to_a_low_port_shows_the_address_and_the_check() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["bind:80"]);
    let detail = Detail::Address { address: "127.0.0.1:80".to_owned() };
    let wanted = refused("bind", -13, detail, &[Capability::NetBindService], trace.rung);
    assert_call(&trace, &wanted, "__inet_bind");
    assert_eq!((trace.version, trace.rung, trace.lost), (trace::VERSION, observer.rung(), Lost::default()));
}

#[test]
fn chown_shows_the_path() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["chown:/"]);
    assert_call(&trace, &refused("chown", -1, path("/"), &[Capability::Chown], trace.rung), "setattr_prepare");
}

#[test]
fn setuid_is_refused_by_its_own_check() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["setuid:1"]);
    assert_call(&trace, &refused("setuid", -1, Detail::None, &[Capability::Setuid], trace.rung), "__sys_setuid");
    assert_eq!(trace.calls.iter().find(|call| call.syscall == "setuid").unwrap().arguments[0], 1);
}

#[test]
fn netlink_request_is_denied_in_a_call_that_succeeds() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["netlink"]);
    let detail = Detail::Netlink { message: 16, protocol: Some(0), payload: vec![0; 16] };
    assert_call(&trace, &refused("sendto", 32, detail, &[Capability::NetAdmin], trace.rung), "rtnetlink_rcv_msg");
}

#[test]
fn capset_shows_the_sets() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["capset"]);
    let detail = Detail::Sets { effective: CapSet::KNOWN, permitted: CapSet::KNOWN, inheritable: CapSet::EMPTY };
    // Before the tracepoint the check of capset(2) is compiled into its caller, where no probe sees it.
    let denied: &[Capability] = if trace.rung == Rung::TpBtf { &[Capability::Setpcap] } else { &[] };
    assert_call(&trace, &refused("capset", -1, detail, denied, trace.rung), "cap_capset");
}

#[test]
fn refusal_by_a_filter_has_no_check() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["seccomp"]);
    assert_call(&trace, &refused("sethostname", -1, Detail::None, &[], trace.rung), "");
}

#[test]
fn execution_that_is_refused_shows_the_file_capabilities() {
    let Some(observer) = observer() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("ping"), directory.path().join("link"));
    std::fs::copy(program(), &file).unwrap();
    let attribute = FileCaps::new(CapSet::EMPTY.with(Capability::NetRaw), CapSet::EMPTY, true).to_bytes();
    if let Err(errno) = rustix::fs::setxattr(&file, "security.capability", &attribute, rustix::fs::XattrFlags::empty()) {
        return skip(&format!("{}: no file capabilities here: {errno}", file.display()));
    }
    symlink(&file, &link).unwrap();
    let trace = trace_of(&*observer, "-", "mnt", &[&format!("exec:{}", link.display())]);
    let refused_: Vec<&Call> = trace.calls.iter().filter(|call| call.syscall == "execve" && call.result < 0).collect();
    let [call] = refused_[..] else { panic!("{}", trace.to_text()) };
    let wanted = Detail::Program {
        path: link.display().to_string(),
        capabilities: Some("cap_net_raw=ep".to_owned()),
        permitted: CapSet::EMPTY.with(Capability::NetRaw),
        effective: true,
    };
    assert_eq!((call.result, &call.detail), (-1, &wanted));
}

#[test]
fn granted_checks_are_counted_with_their_stack() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "sys_admin", "mnt", &["check:1000"]);
    let counts: Vec<_> = trace.checks.iter().filter(|count| count.syscall.as_deref() == Some("sethostname")).collect();
    let [count] = counts[..] else { panic!("{}", trace.to_text()) };
    assert_eq!((count.count, count.check.capability, count.check.denied, count.sampled), (1000, Capability::SysAdmin, false, true));
    assert!(count.check.flags.held && !count.check.flags.powerless && count.first < count.last);
    assert!(!trace.has_stacks || count.check.stack.iter().any(|name| name == "__x64_sys_sethostname"), "{:?}", count.check.stack);
    assert!(!trace.calls.iter().any(|call| call.syscall == "sethostname"));
}

#[test]
fn calls_alike_are_counted_beyond_what_is_kept() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["check:1000"]);
    let (call, _) = the_call(&trace, "sethostname");
    assert_eq!((call.count, call.result, call.denied.len()), (1000, -1, 1));
    assert_eq!(trace.lost, Lost::default());
}

#[test]
fn setup_before_the_first_execution_is_not_recorded() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt", &["setuid:1"]);
    assert!(!trace.to_text().contains("CHROOT"), "{}", trace.to_text());
    // With its own execve(2) it begins.
    assert!(trace.rung != Rung::TpBtf || trace.checks[0].syscall.as_deref() == Some("execve"));
}

#[test]
fn endings_are_counted_with_ids_and_sets() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "setuid,chown", "mnt", &["child:bind:80", "child:setuid:7", "seccomp"]);
    let held = CapSet::EMPTY.with(Capability::Setuid).with(Capability::Chown);
    let credentials = Credentials { uid: 0, gid: 0, effective: held, permitted: held, bounding: held };
    let ending = |credentials, no_new_privileges| Ending { comm: "refused".to_owned(), credentials, no_new_privileges, count: 1 };
    let dropped = Credentials { uid: 7, effective: CapSet::EMPTY, permitted: CapSet::EMPTY, ..credentials };
    let mut wanted = vec![ending(credentials, false), ending(dropped, false), ending(credentials, true)];
    wanted.sort();
    assert_eq!(trace.endings, wanted);
}

#[test]
fn processes_that_end_with_their_first_one_are_counted() {
    let Some(observer) = observer() else { return };
    let trace = trace_of(&*observer, "-", "mnt,pid", &["linger", "bind:80"]);
    let [call] = &trace.calls.iter().filter(|call| call.syscall == "bind").collect::<Vec<_>>()[..] else { panic!("{}", trace.to_text()) };
    assert_eq!(call.pid, 1, "as the container counts");
    // The first one, the one that lingers and is killed for it, and the parent outside, which is in the mount namespace too.
    assert_eq!(trace.endings.iter().map(|ending| ending.count).sum::<u64>(), 3);
}

#[test]
fn containers_at_the_same_time_are_told_apart() {
    let Some(observer) = observer() else { return };
    let mut one = Container::hold("-", "mnt", &["bind:81"]);
    let mut other = Container::hold("net_bind_service", "mnt", &["chown:/", "bind:0"]);
    observer.watch(one.subject(5)).unwrap();
    observer.watch(other.subject(6)).unwrap();
    one.go();
    other.go();
    one.wait();
    other.wait();
    let (one, other) = (observer.finish(5).unwrap(), observer.finish(6).unwrap());
    let failed = |trace: &Trace| trace.calls.iter().filter(|call| call.result < 0).map(|call| call.syscall.clone()).collect::<Vec<_>>();
    assert_eq!((failed(&one), failed(&other)), (vec!["bind".to_owned()], vec!["chown".to_owned()]));
}

#[test]
fn observers_at_the_same_time_have_their_own_records() {
    let (Some(first), Some(second)) = (observer(), observer()) else { return };
    let mut one = Container::hold("-", "mnt", &["bind:82"]);
    let mut other = Container::hold("-", "mnt", &["chown:/"]);
    first.watch(one.subject(1)).unwrap();
    second.watch(other.subject(1)).unwrap();
    one.go();
    other.go();
    one.wait();
    other.wait();
    let failed = |trace: &Trace| {
        trace.calls.iter().filter(|call| call.result < 0).map(|call| (call.syscall.clone(), call.count)).collect::<Vec<_>>()
    };
    assert_eq!(failed(&first.finish(1).unwrap()), [("bind".to_owned(), 1)]);
    assert_eq!(failed(&second.finish(1).unwrap()), [("chown".to_owned(), 1)]);
}

#[test]
fn poll_returns_each_refused_call_once() {
    let Some(observer) = observer() else { return };
    let mut container = Container::hold("-", "mnt", &["bind:80", "setuid:1"]);
    observer.watch(container.subject(1)).unwrap();
    assert_eq!(observer.poll(1).unwrap(), []);
    container.go();
    container.wait();
    let failed = |calls: Vec<Call>| calls.into_iter().filter(|call| call.result < 0).map(|call| call.syscall).collect::<Vec<_>>();
    assert_eq!(failed(observer.poll(1).unwrap()), ["bind", "setuid"]);
    assert_eq!(observer.poll(1).unwrap(), []);
    assert_eq!(failed(observer.finish(1).unwrap().calls), ["bind", "setuid"]);
}

/// A cgroup of the test's own with another one in it; removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let mount = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter().find(|place| Path::new(place).join("cgroup.procs").exists());
        let Some(mount) = mount else {
            skip("no cgroup v2");
            return None;
        };
        let outer = Path::new(mount).join(format!("selkie-observe-{}/outer", std::process::id()));
        match std::fs::create_dir_all(outer.join("inner")) {
            Ok(()) => Some(Self(outer)),
            Err(error) => {
                skip(&format!("no cgroup of its own: {error}"));
                None
            }
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for place in [&self.0.join("inner"), &self.0, self.0.parent().unwrap()] {
            let _ = std::fs::remove_dir(place);
        }
    }
}

#[test]
fn process_that_leaves_its_mount_namespace_is_seen_by_its_cgroup_and_those_above() {
    let Some(observer) = observer() else { return };
    let Some(cgroup) = Cgroup::new() else { return };
    let enter = format!("enter:{}", cgroup.0.join("inner").display());
    let mut container = Container::hold("sys_admin", "mnt", &["unshare", "bind:80", &enter, "chown:/"]);
    std::fs::write(cgroup.0.join("cgroup.procs"), container.pid.to_string()).unwrap();
    observer.watch(container.subject(1)).unwrap();
    container.go();
    container.wait();
    let trace = observer.finish(1).unwrap();
    let failed: Vec<&str> = trace.calls.iter().filter(|call| call.result < 0).map(|call| call.syscall.as_str()).collect();
    assert_eq!(failed, ["bind", "chown"], "{}", trace.to_text());
    assert_eq!(trace.endings.iter().map(|ending| ending.count).sum::<u64>(), 1);
}

#[test]
fn process_that_has_ended_is_gone() {
    let Some(observer) = observer() else { return };
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    let subject = selkie_observe::Subject { context: 1, pid: child.id().cast_signed() };
    assert_eq!(observer.watch(subject).unwrap_err().to_string(), format!("process {} has ended", child.id()));
}

#[test]
fn process_that_shares_everything_with_the_observer_is_refused() {
    let Some(observer) = observer() else { return };
    let pid = std::process::id();
    let subject = selkie_observe::Subject { context: 1, pid: pid.cast_signed() };
    assert_eq!(
        observer.watch(subject).unwrap_err().to_string(),
        format!("process {pid} has neither a mount namespace nor a cgroup of its own")
    );
}

#[test]
fn reading_thread_keeps_three_capabilities_at_most() {
    let Some(_observer) = observer() else { return };
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let statuses: Vec<String> = threads.filter_map(|thread| std::fs::read_to_string(thread.join("status")).ok()).collect();
    let observers: Vec<&String> = statuses.iter().filter(|status| status.starts_with("Name:\tselkie-observe\n")).collect();
    assert!(!observers.is_empty());
    let allowed = [Capability::Bpf, Capability::Perfmon, Capability::Syslog].into_iter().collect::<CapSet>();
    for status in observers {
        for line in ["CapEff:\t", "CapPrm:\t", "CapInh:\t"] {
            let set = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
            assert!(CapSet::from_bits(u64::from_str_radix(set, 16).unwrap()).is_subset(allowed), "{line}{set}");
        }
    }
}
