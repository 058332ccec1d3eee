//! Which capability a refused call was probably missing, from the call and its errno alone: for a rung that sees no checks.
//!
//! The table follows the kernel's own checks, and says nothing where a refusal has another reason more often. A guess is a
//! suspicion that the learner then proves by a run, so one too many costs a run and one too few costs a search.
//!
//! What the arguments tell better is left to [`crate::refusal`]: a capset(2) beyond the permitted set, an ambient capability that is
//! not permitted, and a program whose file capabilities the bounding set lacks.

use selkie_caps::Capability::{self, *};

use crate::trace::{Call, Check, Detail, EACCES, EPERM, EROFS, Flags};

const ENOMEM: i64 = -12;

/// Returns whether a result of the call `syscall` is a refusal that a tracer records.
#[must_use]
pub fn is_refusal(syscall: &str, result: i64) -> bool {
    match result {
        EPERM | EACCES | EROFS => true,
        // A limit of locked memory, which IPC_LOCK lifts.
        ENOMEM => syscall.starts_with("mlock"),
        _ => false,
    }
}

/// Returns the checks that were probably denied in `call`, in the order in which the kernel makes them.
///
/// `owner_initial` tells whether the process is in the initial user namespace. A capability that it holds there cannot be what is
/// missing; one that it holds in another namespace is refused if the kernel wants it in the initial one.
#[must_use]
pub fn denied(call: &Call, owner_initial: bool) -> Vec<Check> {
    let Some(row) = row(call) else { return Vec::new() };
    let credentials = &call.credentials;
    let check = |capability: &Capability| {
        let held = credentials.effective.contains(*capability);
        let flags = Flags {
            held,
            target_initial: row.initial || owner_initial,
            owner_initial,
            target_own: !row.initial || owner_initial,
            uid_zero: credentials.uid == 0,
            powerless: credentials.effective.is_empty(),
            ..Flags::default()
        };
        let possible = !held || (row.initial && !owner_initial);
        possible.then_some(Check { capability: *capability, denied: true, flags, stack: Vec::new() })
    };
    let checks: Vec<Check> = row.capabilities.iter().filter_map(check).collect();
    // Either of two would have been enough: one that is held was not what was missing.
    if checks.len() == row.capabilities.len() { checks } else { Vec::new() }
}

/// Returns the capabilities of which one was probably missing.
#[must_use]
pub fn guess(call: &Call) -> &'static [Capability] {
    row(call).map_or(&[], |row| row.capabilities)
}

fn row(call: &Call) -> Option<&'static Row> {
    let name = base_name(&call.syscall);
    let answer = match &call.detail {
        Detail::Netlink { .. } if call.result >= 0 => EPERM,
        _ => call.result,
    };
    TABLE.iter().find(|row| row.calls.contains(&name) && row.errnos.contains(&answer) && (row.when)(call))
}

/// Returns the name without the width of its ids or times: `setuid32` is `setuid`.
fn base_name(name: &str) -> &str {
    match name {
        "fstatat64" => "newfstatat",
        "clock_adjtime64" | "clock_settime64" | "lstat64" | "stat64" | "statfs64" | "truncate64" => name.trim_end_matches("64"),
        "utimensat_time64" => "utimensat",
        _ => name.strip_suffix("32").unwrap_or(name),
    }
}

/// One line of the table: calls, what they return, what else has to hold, and what was missing.
struct Row {
    calls: &'static [&'static str],
    errnos: &'static [i64],
    when: fn(&Call) -> bool,
    /// One, or the two of which one is enough.
    capabilities: &'static [Capability],
    /// The kernel wants it in the initial user namespace.
    initial: bool,
}

const fn row_of(calls: &'static [&'static str], errnos: &'static [i64], when: fn(&Call) -> bool, wanted: &'static [Capability]) -> Row {
    Row { calls, errnos, when, capabilities: wanted, initial: false }
}

const fn initial(calls: &'static [&'static str], errnos: &'static [i64], when: fn(&Call) -> bool, wanted: &'static [Capability]) -> Row {
    Row { calls, errnos, when, capabilities: wanted, initial: true }
}

const PERM: &[i64] = &[EPERM];
const ACCES: &[i64] = &[EACCES];
const BOTH: &[i64] = &[EPERM, EACCES];
/// To read a file or search a directory, the kernel asks for the lesser right first.
const READ: &[Capability] = &[DacReadSearch, DacOverride];

const CHMOD: &[&str] = &["chmod", "fchmod", "fchmodat", "fchmodat2"];
const SET_TIMES: &[&str] = &["futimesat", "utime", "utimensat", "utimes"];
const SET_ATTRIBUTE: &[&str] = &["fsetxattr", "lsetxattr", "setxattr", "fremovexattr", "lremovexattr", "removexattr"];
const OPEN: &[&str] = &["creat", "open", "openat", "openat2"];
const CHANGE_DIRECTORY: &[&str] =
    &["link", "linkat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "rmdir", "symlink", "symlinkat", "unlink", "unlinkat"];
const LOOK: &[&str] =
    &["access", "chdir", "faccessat", "faccessat2", "fchdir", "lstat", "newfstatat", "readlink", "readlinkat", "stat", "statfs", "statx"];
const SEND: &[&str] = &["send", "sendto", "sendmsg", "sendmmsg"];
const MOUNT: &[&str] =
    &["fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root", "umount", "umount2"];
const SIGNAL: &[&str] = &["kill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "tkill"];
const LOOK_INTO: &[&str] = &["kcmp", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace", "userfaultfd"];
const SCHEDULE: &[&str] = &[
    "ioprio_set",
    "mbind",
    "migrate_pages",
    "move_pages",
    "nice",
    "process_madvise",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "setpriority",
];

/// The first line that fits counts.
const TABLE: &[Row] = &[
    row_of(&["chown", "fchown", "fchownat", "lchown"], PERM, always, &[Chown]),
    row_of(CHMOD, PERM, always, &[Fowner]),
    row_of(SET_TIMES, BOTH, always, &[Fowner]),
    row_of(SET_ATTRIBUTE, PERM, |call| attribute(call) == "security.capability", &[Setfcap]),
    row_of(SET_ATTRIBUTE, PERM, |call| attribute(call).starts_with("security."), &[SysAdmin]),
    initial(SET_ATTRIBUTE, PERM, |call| attribute(call).starts_with("trusted."), &[SysAdmin]),
    row_of(SET_ATTRIBUTE, PERM, always, &[Fowner]),
    row_of(SET_ATTRIBUTE, ACCES, always, &[DacOverride]),
    row_of(OPEN, PERM, |call| open_flags(call).is_some_and(|flags| flags & O_NOATIME != 0), &[Fowner]),
    initial(OPEN, PERM, |call| matches!(&call.detail, Detail::Path { path, .. } if path == "/dev/kmsg"), &[Syslog]),
    row_of(OPEN, ACCES, |call| open_flags(call).is_some_and(only_reads), READ),
    row_of(OPEN, ACCES, always, &[DacOverride]),
    initial(&["open_by_handle_at"], PERM, always, &[DacReadSearch]),
    row_of(&["truncate"], ACCES, always, &[DacOverride]),
    initial(&["mknod", "mknodat"], PERM, is_device, &[Mknod]),
    row_of(&["mknod", "mknodat"], ACCES, always, &[DacOverride]),
    // A directory with the sticky bit, or a hard link to what belongs to another user.
    row_of(&["link", "linkat", "rename", "renameat", "renameat2", "rmdir", "unlink", "unlinkat"], PERM, always, &[Fowner]),
    row_of(CHANGE_DIRECTORY, ACCES, always, &[DacOverride]),
    row_of(&["access", "faccessat", "faccessat2"], ACCES, asks_for_writing, &[DacOverride]),
    row_of(LOOK, ACCES, always, READ),
    row_of(&["execve", "execveat"], ACCES, always, &[DacOverride]),
    row_of(&["bind"], ACCES, |call| is_low_port(&call.detail), &[NetBindService]),
    row_of(&["bind", "connect", "sendto"], ACCES, |call| starts_with(&call.detail, "unix:"), &[DacOverride]),
    row_of(&["bind"], PERM, |call| starts_with(&call.detail, "netlink"), &[NetAdmin]),
    row_of(&["bind"], PERM, |call| starts_with(&call.detail, "packet"), &[NetRaw]),
    row_of(&["socket"], BOTH, |call| family(call) == AF_KEY, &[NetAdmin]),
    row_of(&["socket"], BOTH, |call| family(call) == AF_PACKET || socket_type(call) == SOCK_RAW, &[NetRaw]),
    row_of(&["setsockopt"], BOTH, binds_or_takes_over, &[NetRaw]),
    row_of(&["getsockopt", "setsockopt"], BOTH, always, &[NetAdmin]),
    row_of(SEND, PERM, |call| netlink(call) == Some((NETLINK_AUDIT, true)), &[AuditWrite]),
    row_of(SEND, PERM, |call| netlink(call) == Some((NETLINK_AUDIT, false)), &[AuditControl]),
    row_of(SEND, PERM, |call| netlink(call).is_some(), &[NetAdmin]),
    row_of(&["setreuid", "setresuid", "setuid"], PERM, always, &[Setuid]),
    row_of(&["setgid", "setgroups", "setregid", "setresgid"], PERM, always, &[Setgid]),
    row_of(&["capset"], PERM, |call| !exceeds_permitted(call), &[Setpcap]),
    row_of(&["prctl"], PERM, |call| matches!(call.arguments, [PR_CAPBSET_DROP | PR_SET_SECUREBITS, ..]), &[Setpcap]),
    row_of(&["prctl"], PERM, |call| call.arguments[0] == PR_SET_MM, &[SysResource]),
    row_of(&["chroot"], PERM, always, &[SysChroot]),
    row_of(MOUNT, BOTH, always, &[SysAdmin]),
    row_of(&["clone", "unshare"], PERM, |call| call.arguments[0] & NAMESPACES != 0, &[SysAdmin]),
    row_of(&["clone3", "setns", "sethostname", "setdomainname"], PERM, always, &[SysAdmin]),
    row_of(&["seccomp"], ACCES, always, &[SysAdmin]),
    initial(&["fanotify_init", "fanotify_mark", "quotactl", "quotactl_fd", "swapoff", "swapon"], PERM, always, &[SysAdmin]),
    initial(&["adjtimex", "clock_adjtime", "clock_settime", "settimeofday", "stime"], PERM, always, &[SysTime]),
    initial(&["timer_create", "timerfd_create"], PERM, always, &[WakeAlarm]),
    initial(&["syslog"], PERM, always, &[Syslog]),
    initial(&["reboot"], PERM, |call| call.arguments[0] == REBOOT_MAGIC, &[SysBoot]),
    initial(&["kexec_file_load", "kexec_load"], PERM, always, &[SysBoot]),
    initial(&["acct"], PERM, always, &[SysPacct]),
    initial(&["vhangup"], PERM, always, &[SysTtyConfig]),
    initial(&["delete_module", "finit_module", "init_module"], PERM, always, &[SysModule]),
    initial(&["ioperm", "iopl"], PERM, always, &[SysRawio]),
    initial(&["bpf"], PERM, always, &[Bpf]),
    initial(&["perf_event_open"], BOTH, always, &[Perfmon]),
    row_of(&["keyctl"], BOTH, always, &[SysAdmin]),
    row_of(SIGNAL, PERM, always, &[Kill]),
    row_of(LOOK_INTO, PERM, always, &[SysPtrace]),
    row_of(SCHEDULE, BOTH, always, &[SysNice]),
    initial(&["prlimit64", "setrlimit"], PERM, always, &[SysResource]),
    initial(&["fcntl"], PERM, |call| call.arguments[1] == F_SETPIPE_SZ, &[SysResource]),
    row_of(&["fcntl"], ACCES, |call| call.arguments[1] == F_SETLEASE, &[Lease]),
    row_of(&["mlock", "mlock2", "mlockall"], &[EPERM, ENOMEM], always, &[IpcLock]),
    row_of(&["shmctl"], PERM, |call| matches!(call.arguments[1] & 0xff, SHM_LOCK | SHM_UNLOCK), &[IpcLock]),
    initial(&["shmget"], PERM, |call| call.arguments[2] & SHM_HUGETLB != 0, &[IpcLock]),
    row_of(&["msgctl", "semctl", "shmctl"], PERM, always, &[SysAdmin]),
    row_of(&["msgctl", "msgget", "semctl", "semget", "shmat", "shmctl", "shmget"], ACCES, always, &[IpcOwner]),
    row_of(&["ioctl"], BOTH, |call| call.arguments[1] & 0xff00 == SIOC, &[NetAdmin]),
    initial(&["ioctl"], BOTH, |call| matches!(call.arguments[1] & 0xff00, KD | VT), &[SysTtyConfig]),
    initial(&["ioctl"], BOTH, |call| matches!(call.arguments[1] & 0xffff_ffff, TIOCSTI), &[SysAdmin]),
    initial(&["ioctl"], BOTH, |call| call.arguments[1] & 0xff00 == BLK, &[SysAdmin]),
    initial(&["ioctl"], PERM, |call| matches!(call.arguments[1] & 0xffff_ffff, SET_FLAGS | SET_ATTRIBUTES), &[LinuxImmutable]),
];

const O_WRITES: u64 = 0o3;
const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;
const O_NOATIME: u64 = 0o100_0000;
const W_OK: u64 = 2;
const AF_KEY: u64 = 15;
const AF_PACKET: u64 = 17;
const SOCK_RAW: u64 = 3;
const NETLINK_AUDIT: i32 = 9;
const PR_CAPBSET_DROP: u64 = 24;
const PR_SET_SECUREBITS: u64 = 28;
const PR_SET_MM: u64 = 35;
/// `CLONE_NEW*` of everything that needs a right; a new user namespace needs none, and gives the others theirs.
const NAMESPACES: u64 = 0x6e02_0080;
const REBOOT_MAGIC: u64 = 0xfee1_dead;
const F_SETLEASE: u64 = 1024;
const F_SETPIPE_SZ: u64 = 1031;
const SHM_LOCK: u64 = 11;
const SHM_UNLOCK: u64 = 12;
const SHM_HUGETLB: u64 = 0o4000;
const SIOC: u64 = 0x8900;
const KD: u64 = 0x4b00;
const VT: u64 = 0x5600;
const BLK: u64 = 0x1200;
const TIOCSTI: u64 = 0x5412;
const SET_FLAGS: u64 = 0x4008_6602;
const SET_ATTRIBUTES: u64 = 0x401c_5820;

const fn always(_: &Call) -> bool {
    true
}

/// Returns the flags of an open(2), as far as they are an argument.
fn open_flags(call: &Call) -> Option<u64> {
    match call.syscall.as_str() {
        "open" => Some(call.arguments[1]),
        "openat" => Some(call.arguments[2]),
        _ => None,
    }
}

const fn only_reads(flags: u64) -> bool {
    flags & (O_WRITES | O_CREAT | O_TRUNC) == 0
}

fn asks_for_writing(call: &Call) -> bool {
    let mode = if call.syscall == "access" { call.arguments[1] } else { call.arguments[2] };
    mode & W_OK != 0
}

/// Returns the name of the attribute, which stands where other calls have their second path.
fn attribute(call: &Call) -> &str {
    match &call.detail {
        Detail::Path { other: Some(name), .. } => name,
        _ => "",
    }
}

/// A FIFO, a socket and a plain file need no right.
fn is_device(call: &Call) -> bool {
    let mode = if call.syscall == "mknod" { call.arguments[1] } else { call.arguments[2] };
    matches!(mode & 0o170_000, 0o020_000 | 0o060_000)
}

fn starts_with(detail: &Detail, prefix: &str) -> bool {
    matches!(detail, Detail::Address { address } if address.starts_with(prefix))
}

fn is_low_port(detail: &Detail) -> bool {
    let Detail::Address { address } = detail else { return false };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    !address.starts_with("unix:") && port.is_some_and(|port| port < 1024)
}

fn family(call: &Call) -> u64 {
    call.arguments[0] & 0xffff_ffff
}

fn socket_type(call: &Call) -> u64 {
    call.arguments[1] & 0xf
}

/// `SO_BINDTODEVICE`, and the addresses of others: `IP_TRANSPARENT`, `IPV6_TRANSPARENT`.
fn binds_or_takes_over(call: &Call) -> bool {
    matches!((call.arguments[1], call.arguments[2]), (1, 25) | (0, 19) | (41, 75))
}

/// Returns the protocol of a netlink request, `NETLINK_ROUTE` if unknown, and whether it is a record for the audit log.
fn netlink(call: &Call) -> Option<(i32, bool)> {
    match call.detail {
        Detail::Netlink { message, protocol, .. } => Some((protocol.unwrap_or(0), matches!(message, 1005 | 1100..=1199 | 2100..=2999))),
        _ => None,
    }
}

fn exceeds_permitted(call: &Call) -> bool {
    match call.detail {
        Detail::Sets { effective, permitted, .. } => !effective.union(permitted).is_subset(call.credentials.permitted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::CapSet;

    use super::*;
    use crate::trace::Credentials;

    fn call(syscall: &str, result: i64, arguments: [u64; 6]) -> Call {
        Call { syscall: syscall.to_owned(), result, arguments, ..Call::default() }
    }

    fn with(mut call: Call, detail: Detail) -> Call {
        call.detail = detail;
        call
    }

    fn address(text: &str) -> Detail {
        Detail::Address { address: text.to_owned() }
    }

    fn attribute(name: &str) -> Detail {
        Detail::Path { path: "/f".to_owned(), other: Some(name.to_owned()) }
    }

    fn message(message: u16, protocol: Option<i32>) -> Detail {
        Detail::Netlink { message, protocol, payload: Vec::new() }
    }

    const NONE: [u64; 6] = [0; 6];

    #[test]
    fn files_by_call_errno_and_mode() {
        let table: &[(Call, &[Capability])] = &[
            (call("fchownat", EPERM, NONE), &[Chown]),
            (call("lchown32", EPERM, NONE), &[Chown]),
            (call("fchmodat", EPERM, NONE), &[Fowner]),
            (call("utimensat", EACCES, NONE), &[Fowner]),
            (call("openat", EACCES, [0, 0, 0o2_000_000, 0, 0, 0]), &[DacReadSearch, DacOverride]),
            (call("openat", EACCES, [0, 0, 0o1, 0, 0, 0]), &[DacOverride]),
            (call("open", EACCES, [0, 0o101, 0, 0, 0, 0]), &[DacOverride]),
            (call("openat2", EACCES, NONE), &[DacOverride]),
            (call("open", EPERM, [0, O_NOATIME, 0, 0, 0, 0]), &[Fowner]),
            (call("open", EPERM, NONE), &[]),
            (with(call("openat", EPERM, NONE), Detail::Path { path: "/dev/kmsg".to_owned(), other: None }), &[Syslog]),
            (call("unlinkat", EPERM, NONE), &[Fowner]),
            (call("unlinkat", EACCES, NONE), &[DacOverride]),
            (call("mknodat", EPERM, [0, 0, 0o020_644, 0, 0, 0]), &[Mknod]),
            (call("mknod", EPERM, [0, 0o010_644, 0, 0, 0, 0]), &[]),
            (call("newfstatat", EACCES, NONE), &[DacReadSearch, DacOverride]),
            (call("access", EACCES, [0, 2, 0, 0, 0, 0]), &[DacOverride]),
            (call("faccessat", EACCES, [0, 0, 4, 0, 0, 0]), &[DacReadSearch, DacOverride]),
            (with(call("setxattr", EPERM, NONE), attribute("security.capability")), &[Setfcap]),
            (with(call("setxattr", EPERM, NONE), attribute("trusted.x")), &[SysAdmin]),
            (with(call("setxattr", EPERM, NONE), attribute("user.x")), &[Fowner]),
            (call("openat", EROFS, NONE), &[]),
        ];
        for (call, expected) in table {
            assert_eq!(guess(call), *expected, "{call:?}");
        }
    }

    #[test]
    fn sockets_by_address_family_and_message() {
        let table: &[(Call, &[Capability])] = &[
            (with(call("bind", EACCES, NONE), address("0.0.0.0:80")), &[NetBindService]),
            (with(call("bind", EACCES, NONE), address("[::]:443")), &[NetBindService]),
            (with(call("bind", EACCES, NONE), address("0.0.0.0:8080")), &[]),
            (with(call("bind", EACCES, NONE), address("unix:/run/a:80")), &[DacOverride]),
            (with(call("bind", EPERM, NONE), address("netlink")), &[NetAdmin]),
            (with(call("connect", EACCES, NONE), address("unix:/run/a")), &[DacOverride]),
            (call("socket", EPERM, [2, 3, 1, 0, 0, 0]), &[NetRaw]),
            (call("socket", EPERM, [17, 2, 0, 0, 0, 0]), &[NetRaw]),
            (call("socket", EACCES, [2, 2, 1, 0, 0, 0]), &[]),
            (call("setsockopt", EPERM, [3, 1, 36, 0, 0, 0]), &[NetAdmin]),
            (call("setsockopt", EPERM, [3, 1, 25, 0, 0, 0]), &[NetRaw]),
            (with(call("sendto", 0, NONE), message(16, Some(0))), &[NetAdmin]),
            (with(call("sendmsg", 0, NONE), message(2560, Some(12))), &[NetAdmin]),
            (with(call("sendto", 0, NONE), message(1100, Some(9))), &[AuditWrite]),
            (with(call("sendto", 0, NONE), message(1000, Some(9))), &[AuditControl]),
            (with(call("sendto", 0, NONE), message(16, None)), &[NetAdmin]),
            (call("ioctl", EPERM, [3, 0x8914, 0, 0, 0, 0]), &[NetAdmin]),
        ];
        for (call, expected) in table {
            assert_eq!(guess(call), *expected, "{call:?}");
        }
    }

    #[test]
    fn the_rest_by_name_and_numbers() {
        let table: &[(Call, &[Capability])] = &[
            (call("setuid", EPERM, NONE), &[Setuid]),
            (call("setresgid32", EPERM, NONE), &[Setgid]),
            (call("setgroups", EPERM, NONE), &[Setgid]),
            (call("prctl", EPERM, [24, 1, 0, 0, 0, 0]), &[Setpcap]),
            (call("prctl", EPERM, [47, 2, 12, 0, 0, 0]), &[]),
            (call("chroot", EPERM, NONE), &[SysChroot]),
            (call("mount", EPERM, NONE), &[SysAdmin]),
            (call("unshare", EPERM, [0x0002_0000, 0, 0, 0, 0, 0]), &[SysAdmin]),
            (call("unshare", EPERM, [0x1000_0000, 0, 0, 0, 0, 0]), &[]),
            (call("clock_settime", EPERM, NONE), &[SysTime]),
            (call("syslog", EPERM, NONE), &[Syslog]),
            (call("kill", EPERM, NONE), &[Kill]),
            (call("ptrace", EPERM, NONE), &[SysPtrace]),
            (call("setpriority", EACCES, NONE), &[SysNice]),
            (call("prlimit64", EPERM, NONE), &[SysResource]),
            (call("mlockall", ENOMEM, NONE), &[IpcLock]),
            (call("mlock", EPERM, NONE), &[IpcLock]),
            (call("shmctl", EPERM, [1, 11, 0, 0, 0, 0]), &[IpcLock]),
            (call("shmctl", EACCES, [1, 2, 0, 0, 0, 0]), &[IpcOwner]),
            (call("fcntl", EACCES, [3, 1024, 0, 0, 0, 0]), &[Lease]),
            (call("execve", EPERM, NONE), &[]),
            (call("getpid", EPERM, NONE), &[]),
        ];
        for (call, expected) in table {
            assert_eq!(guess(call), *expected, "{call:?}");
        }
    }

    #[test]
    fn every_name_of_the_table_is_shown_to_the_tracer() {
        let unseen: Vec<&str> =
            TABLE.iter().flat_map(|row| row.calls.iter().copied()).filter(|name| !selkie_seccomp::is_traced(name)).collect();
        assert_eq!(unseen, Vec::<&str>::new());
    }

    #[test]
    fn capset_beyond_the_permitted_set_is_left_to_its_sets() {
        let net = CapSet::EMPTY.with(NetAdmin);
        let sets = |inheritable| Detail::Sets { effective: CapSet::EMPTY, permitted: net, inheritable };
        let mut call = with(call("capset", EPERM, NONE), sets(CapSet::EMPTY));
        assert_eq!(guess(&call), &[]);
        call.credentials.permitted = net;
        assert_eq!(guess(&call), &[Setpcap]);
    }

    #[test]
    fn denied_capability_that_is_held_is_not_what_is_missing() {
        let mut call = call("chown", EPERM, NONE);
        call.credentials = Credentials { effective: CapSet::EMPTY.with(Chown), ..Credentials::default() };
        assert_eq!(denied(&call, true), []);
    }

    #[test]
    fn denied_capability_that_is_held_in_another_namespace_is_wanted_in_the_initial_one() {
        let mut call = call("mknod", EPERM, [0, 0o020_666, 0, 0, 0, 0]);
        call.credentials = Credentials { uid: 1000, effective: CapSet::EMPTY.with(Mknod), ..Credentials::default() };
        let flags = Flags { held: true, target_initial: true, ..Flags::default() };
        assert_eq!(denied(&call, false), [Check { capability: Mknod, denied: true, flags, stack: Vec::new() }]);
    }

    #[test]
    fn denied_read_names_both_rights_that_would_do() {
        let mut call = call("open", EACCES, NONE);
        let flags =
            Flags { target_initial: true, owner_initial: true, target_own: true, uid_zero: true, powerless: true, ..Flags::default() };
        let check = |capability| Check { capability, denied: true, flags, stack: Vec::new() };
        assert_eq!(denied(&call, true), [check(DacReadSearch), check(DacOverride)]);
        call.credentials.effective = CapSet::EMPTY.with(DacOverride);
        assert_eq!(denied(&call, true), []);
    }
}
