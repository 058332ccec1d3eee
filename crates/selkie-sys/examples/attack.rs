//! A hostile program for containers of the tests: it tries what a container must not be able to do.
//!
//! ```text
//! attack calls       system calls that must be refused, each with its outcome, as JSON
//! attack swap A B    exchanges two directory entries for ever, for races against whoever uses them
//! attack cgroups     opens each `cgroup.procs` beneath /sys/fs/cgroup for writing, and says what came of it
//! attack hunt A B    looks at both places again and again for a procfs or sysfs that is open, and says what is
//! ```
#![allow(unsafe_code, reason = "system calls that no library makes, with flags that no library allows")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["swap", one, other] => swap(one, other),
        ["cgroups"] => cgroups(Path::new("/sys/fs/cgroup"), 2),
        ["hunt", places @ ..] => hunt(places),
        _ => say(&serde_json::json!(calls()).to_string()),
    }
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{line}");
    }
}

fn swap(one: &str, other: &str) -> ! {
    loop {
        // What is missing for a moment comes back.
        let _ = rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, rustix::fs::RenameFlags::EXCHANGE);
    }
}

fn cgroups(directory: &Path, depth: u32) {
    let file = directory.join("cgroup.procs");
    if file.exists() {
        say(&format!("{} {}", file.display(), outcome(rustix::fs::open(&file, OFlags::WRONLY, Mode::empty()))));
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().filter(|_| depth > 0);
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        cgroups(&entry.path(), depth - 1);
    }
}

/// Files that have to be covered by the null device, directories that have to be empty.
const COVERED: [&str; 7] = ["keys", "kcore", "timer_list", "interrupts", "firmware", "dev/block", "devices/virtual/powercap"];

/// Files that nobody may open for writing. They are only opened.
const READ_ONLY: [&str; 4] = ["sys/kernel/core_pattern", "sysrq-trigger", "kernel/uevent_helper", "kernel/mm/ksm/run"];

/// By descriptor, so that what is judged is what was found, wherever it is a moment later.
fn hunt(places: &[&str]) {
    const KERNEL: [i64; 2] = [0x9fa0, 0x6265_6572];
    let mut seen = BTreeSet::new();
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    for place in places.iter().cycle().take(places.len() * 200) {
        let Ok(found) = rustix::fs::open(*place, directory, Mode::empty()) else { continue };
        if !rustix::fs::fstatfs(&found).is_ok_and(|data| KERNEL.contains(&data.f_type)) {
            continue;
        }
        for path in COVERED {
            if is_open(&found, path) {
                seen.insert(format!("{path} is not covered"));
            }
        }
        for path in READ_ONLY {
            if rustix::fs::openat(&found, path, OFlags::WRONLY, Mode::empty()).is_ok() {
                seen.insert(format!("{path} can be written"));
            }
        }
    }
    seen.iter().for_each(|line| say(line));
}

fn is_open(kernel: &OwnedFd, path: &str) -> bool {
    let Ok(data) = rustix::fs::statat(kernel, path, AtFlags::SYMLINK_NOFOLLOW) else { return false };
    match FileType::from_raw_mode(data.st_mode) {
        FileType::Directory => {
            let list = rustix::fs::openat(kernel, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
            // `.` and `..`
            list.and_then(rustix::fs::Dir::new).is_ok_and(|list| list.flatten().count() > 2)
        }
        FileType::CharacterDevice => data.st_rdev != rustix::fs::makedev(1, 3),
        _ => true,
    }
}

/// The outcome of each call, `ok` or the error's number. What would change this process comes last.
fn calls() -> BTreeMap<&'static str, String> {
    let socket = |family: u16, kind: SocketType| outcome(rustix::net::socket(AddressFamily::from_raw(family), kind, None));
    [
        ("socket AF_ALG", socket(38, SocketType::SEQPACKET)),
        ("socket AF_ALG, upper half set", socket_with_upper_half()),
        ("socket AF_VSOCK", socket(40, SocketType::STREAM)),
        ("io_uring_setup", io_uring()),
        ("clone NEWUSER", clone()),
        ("clone3 NEWUSER", clone3()),
        // Of the namespace that this process is in already: EINVAL, if the filter lets it through to the kernel.
        ("setns NEWUSER", setns()),
        ("unshare NEWUSER", unshare()),
    ]
    .into()
}

fn outcome<T>(result: Result<T, Errno>) -> String {
    result.map_or_else(|errno| format!("errno {}", errno.raw_os_error()), |_| String::from("ok"))
}

fn raw(value: libc::c_long) -> String {
    if value < 0 { format!("errno {}", std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { String::from("ok") }
}

/// What clone(2) returned: the child ends at once, its parent waits for it.
fn made(child: libc::c_long) -> String {
    if child == 0 {
        // SAFETY: nothing of this process is used or dropped in the child.
        unsafe { libc::_exit(0) }
    }
    let said = raw(child);
    let _ = rustix::process::wait(rustix::process::WaitOptions::empty());
    said
}

fn clone() -> String {
    let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: no shared memory and no new stack: the child is as after fork(2), and ends in `made`.
    made(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })
}

fn clone3() -> String {
    // struct clone_args, first version: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    let arguments: [u64; 8] = [u64::from(libc::CLONE_NEWUSER.cast_unsigned()), 0, 0, 0, u64::from(libc::SIGCHLD.cast_unsigned()), 0, 0, 0];
    // SAFETY: the kernel reads exactly the array; no shared memory and no new stack, as for `clone`.
    made(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) })
}

fn io_uring() -> String {
    let mut parameters = [0_u8; 120];
    // SAFETY: struct io_uring_params has 120 bytes, all of which the kernel may write.
    raw(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })
}

/// The kernel takes the family from the lower half of the register; a filter that compares all of it sees another one.
fn socket_with_upper_half() -> String {
    // SAFETY: takes no pointer; the descriptor stays open until the program ends.
    raw(unsafe { libc::syscall(libc::SYS_socket, 0x1_0000_0000_i64 | i64::from(libc::AF_ALG), libc::SOCK_SEQPACKET, 0) })
}

fn setns() -> String {
    let Ok(own) = std::fs::File::open("/proc/self/ns/user") else { return String::from("no /proc/self/ns/user") };
    outcome(rustix::thread::move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::User)))
}

#[expect(deprecated, reason = "this program has one thread")]
fn unshare() -> String {
    outcome(rustix::thread::unshare(UnshareFlags::NEWUSER))
}
