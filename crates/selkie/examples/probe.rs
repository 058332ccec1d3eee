//! What a process can see and do, as JSON on standard output: run inside containers by the tests.
//!
//! It changes nothing: every attempt that could succeed is made in a child, on nothing that matters, or undone at once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};

/// Paths whose cover is reported.
const COVERED: [&str; 16] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/interrupts",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/fs/selinux",
    "/proc/sys",
    "/proc/bus",
    "/proc/irq",
    "/proc/sysrq-trigger",
];

/// Kernel settings that are reported.
const SYSCTLS: [&str; 5] =
    ["net/ipv4/ping_group_range", "net/ipv4/ip_unprivileged_port_start", "kernel/shm_rmid_forced", "kernel/hostname", "kernel/msgmax"];

/// Files that must not be writable; opened for writing and closed again.
const UNWRITABLE: [&str; 5] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/proc/sys/vm/drop_caches",
    "/sys/fs/cgroup/devices/cgroup.procs",
];

fn main() {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let status: BTreeMap<String, String> = text("/proc/self/status")
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    let link =
        |path: &str| fs::read_link(path).map(|target| target.display().to_string()).unwrap_or_else(|error| format!("error: {error}"));
    let namespaces: BTreeMap<&str, String> = ["mnt", "net", "pid", "ipc", "uts", "user", "cgroup", "time"]
        .into_iter()
        .map(|name| (name, link(&format!("/proc/self/ns/{name}"))))
        .collect();
    let report = json!({
        "status": status,
        "arguments": std::env::args().collect::<Vec<_>>(),
        "environment": std::env::vars().collect::<BTreeMap<_, _>>(),
        "cwd": link("/proc/self/cwd"),
        "exe": link("/proc/self/exe"),
        "root": link("/proc/self/root"),
        "descriptors": descriptors(),
        "namespaces": namespaces,
        "uid_map": text("/proc/self/uid_map").split_whitespace().collect::<Vec<_>>().join(" "),
        "setgroups": text("/proc/self/setgroups").trim(),
        "oom_score_adj": text("/proc/self/oom_score_adj").trim(),
        "limits": limits(&text("/proc/self/limits")),
        "mounts": mounts(&text("/proc/self/mountinfo")),
        "cgroup": text("/proc/self/cgroup").lines().map(str::to_owned).collect::<Vec<_>>(),
        "covered": COVERED.into_iter().map(|path| (path, cover(path))).collect::<BTreeMap<_, _>>(),
        "sysctls": SYSCTLS.into_iter().map(|name| (name, text(&format!("/proc/sys/{name}")).split_whitespace().collect::<Vec<_>>().join(" "))).collect::<BTreeMap<_, _>>(),
        "writable": UNWRITABLE.into_iter().map(|path| (path, opened(path))).collect::<BTreeMap<_, _>>(),
        "dev": listing("/dev"),
        "securebits": rustix::thread::capabilities_secure_bits().map(|bits| bits.bits()).ok(),
        "keep_caps": rustix::thread::get_keep_capabilities().ok(),
        "dumpable": rustix::process::dumpable_behavior().map(|behaviour| format!("{behaviour:?}")).ok(),
        "parent_death_signal": rustix::process::parent_process_death_signal().ok().flatten().map(|signal| signal.as_raw()),
        "session": rustix::process::getsid(None).map(|pid| pid.as_raw_nonzero().get()).ok(),
        "sockets": sockets(),
        "syscalls": syscalls(),
    });
    #[expect(clippy::print_stdout, reason = "this is what a probe is for")]
    {
        println!("{report}");
    }
}

fn descriptors() -> BTreeMap<String, String> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, fs::read_link(entry.path()).ok()?.display().to_string())))
        // The directory that is being read.
        .filter(|(_, target)| !target.ends_with("/fd"))
        .collect()
}

fn limits(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .skip(1)
        .filter_map(|line| Some((line.get(..26)?.trim().to_owned(), line.get(26..68)?.split_whitespace().collect::<Vec<_>>().join(":"))))
        .collect()
}

/// Mount point, file system, options, and what mount_namespaces(7) calls optional fields.
fn mounts(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let kind = right.split(' ').next()?;
            Some(json!({"point": left.get(4)?, "options": left.get(5)?, "propagation": left.get(6..)?.join(" "), "kind": kind, "super": right.split(' ').nth(2)?}))
        })
        .collect()
}

fn cover(path: &str) -> String {
    let Ok(data) = fs::symlink_metadata(path) else { return "missing".to_owned() };
    if data.file_type().is_char_device() {
        return format!("device {}:{}", rustix::fs::major(data.rdev()), rustix::fs::minor(data.rdev()));
    }
    if data.is_dir() {
        let count = fs::read_dir(path).map(Iterator::count).unwrap_or(0);
        return format!("directory of {count}");
    }
    "file".to_owned()
}

fn opened(path: &str) -> String {
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => "opened".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn listing(path: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let data = fs::symlink_metadata(entry.path()).ok()?;
            let what = if data.file_type().is_char_device() {
                format!(
                    "{}:{} {:o} {}:{}",
                    rustix::fs::major(data.rdev()),
                    rustix::fs::minor(data.rdev()),
                    data.mode() & 0o7777,
                    data.uid(),
                    data.gid()
                )
            } else if data.is_symlink() {
                fs::read_link(entry.path()).ok()?.display().to_string()
            } else {
                "directory".to_owned()
            };
            Some((entry.file_name().into_string().ok()?, what))
        })
        .collect()
}

fn outcome<T>(result: Result<T, rustix::io::Errno>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(errno) => format!("{errno:?}")
            .split("code: ")
            .nth(1)
            .and_then(|rest| rest.split(',').next())
            .map_or_else(|| errno.to_string(), |code| format!("errno {code}")),
    }
}

/// Address families and types that filters are about.
fn sockets() -> BTreeMap<&'static str, String> {
    let socket = |family: u16, kind: SocketType| outcome(rustix::net::socket(AddressFamily::from_raw(family), kind, None));
    [
        ("inet stream", socket(2, SocketType::STREAM)),
        ("inet raw", outcome(rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(rustix::net::ipproto::ICMP)))),
        ("packet", socket(17, SocketType::RAW)),
        ("alg", socket(38, SocketType::SEQPACKET)),
        ("vsock", socket(40, SocketType::STREAM)),
    ]
    .into()
}

/// System calls that are only safe to try because they are refused, or change nothing.
fn syscalls() -> BTreeMap<&'static str, String> {
    [
        // Without CAP_SYS_ADMIN and beyond the filter these are EPERM; a success is a finding.
        ("sethostname", outcome(rustix::system::sethostname(rustix::system::uname().nodename().to_bytes()))),
        ("chroot", outcome(rustix::process::chroot("/"))),
        ("mount", outcome(rustix::mount::mount_change("/", rustix::mount::MountPropagationFlags::PRIVATE))),
        ("fsopen", outcome(rustix::mount::fsopen("tmpfs", rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC))),
        ("setpriority", outcome(rustix::process::setpriority_process(None, 0))),
        ("unshare user", outcome(unshare(rustix::thread::UnshareFlags::NEWUSER))),
    ]
    .into()
}

#[expect(deprecated, reason = "the probe has one thread")]
fn unshare(flags: rustix::thread::UnshareFlags) -> Result<(), rustix::io::Errno> {
    rustix::thread::unshare(flags)
}
