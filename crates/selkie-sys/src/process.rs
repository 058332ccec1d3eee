//! Processes: clone3(2), execveat(2), pidfd_open(2) and what goes with them.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

pub use rustix::process::{Pid, Signal};

use crate::error::{Context, Errno, Result, check, last};

/// New mount namespace.
pub const NEW_MOUNT: u64 = libc::CLONE_NEWNS as u64;
/// New PID namespace.
pub const NEW_PID: u64 = libc::CLONE_NEWPID as u64;
/// New network namespace.
pub const NEW_NETWORK: u64 = libc::CLONE_NEWNET as u64;
/// New IPC namespace.
pub const NEW_IPC: u64 = libc::CLONE_NEWIPC as u64;
/// New UTS namespace.
pub const NEW_UTS: u64 = libc::CLONE_NEWUTS as u64;
/// New user namespace.
pub const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
/// New cgroup namespace.
pub const NEW_CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;

/// The new process is a child of the caller's parent.
pub const SIBLING: u64 = libc::CLONE_PARENT as u64;

/// Proof that the calling process has one thread, so that a fork copies no lock that another thread holds.
#[derive(Clone, Copy, Debug)]
pub struct SingleThreaded(());

impl SingleThreaded {
    /// Checks that the calling process has one thread.
    ///
    /// # Errors
    /// `EDEADLK` when it has more, or that `/proc` cannot be read.
    pub fn check() -> Result<Self> {
        let tasks = rustix::fs::stat("/proc/self/task").call(|| "stat(\"/proc/self/task\")")?.st_nlink;
        if tasks == 3 { Ok(Self(())) } else { Err(Errno::DEADLK).call(|| format!("clone3() with {} threads", tasks.saturating_sub(2))) }
    }
}

/// A child of the calling process.
#[derive(Debug)]
pub struct Child {
    /// Its process id in the caller's PID namespace.
    pub pid: Pid,
    /// Refers to this process whatever happens to the number.
    pub pidfd: OwnedFd,
}

/// Which side of a fork the caller is.
#[derive(Debug)]
pub enum Forked {
    /// The caller, with its new child.
    Parent(Child),
    /// The child.
    Child,
}

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks with the namespaces in `flags`, the child in the cgroup v2 directory `cgroup` if one is given.
///
/// # Errors
/// `EPERM` for a namespace that the caller may not make, `EAGAIN` or `ENOMEM` at a limit.
pub fn fork(_proof: SingleThreaded, flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
    let mut pidfd: i32 = -1;
    let mut arguments = CloneArguments {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        // A sibling ends with its parent's own signal; the kernel takes no other with CLONE_PARENT.
        exit_signal: if flags & SIBLING == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(0);
    }
    // SAFETY: without CLONE_VM the child has its own copy of memory, and `_proof` says that no other thread held a lock in it.
    let value = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>()) };
    let pid = match check(value) {
        // Filters that look at flags refuse clone3(2), whose flags they cannot see, so that callers use clone(2).
        Err(Errno::NOSYS) if cgroup.is_none() => {
            // SAFETY: as above; the third argument is where CLONE_PIDFD stores the descriptor, the rest is not used.
            let value =
                unsafe { libc::syscall(libc::SYS_clone, arguments.flags | arguments.exit_signal, 0_u64, &raw mut pidfd, 0_u64, 0_u64) };
            check(value)
        }
        cloned => cloned,
    }
    .call(|| format!("clone3(flags={flags:#x})"))?;
    match Pid::from_raw(i32::try_from(pid).unwrap_or(0)) {
        None => Ok(Forked::Child),
        // SAFETY: CLONE_PIDFD made the kernel store a new descriptor here, which nobody else owns.
        Some(pid) => Ok(Forked::Parent(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })),
    }
}

/// Strings in the form that execve(2) wants, made before a fork.
#[derive(Debug)]
pub struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Converts `values`.
    ///
    /// # Errors
    /// `EINVAL` for a value with a NUL byte.
    pub fn new<S: AsRef<OsStr>>(values: &[S]) -> Result<Self> {
        let owned = values
            .iter()
            .map(|value| CString::new(value.as_ref().as_bytes()).map_err(|_| Errno::INVAL).call(|| format!("execve({:?})", value.as_ref())))
            .collect::<Result<Vec<_>>>()?;
        let pointers = owned.iter().map(|value| value.as_ptr()).chain([core::ptr::null()]).collect();
        Ok(Self { _owned: owned, pointers })
    }
}

/// Replaces the process with the program at `path`; returns only when that failed.
#[must_use]
pub fn execute(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: both lists end with a null pointer and their strings live in `Strings`.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    last()
}

/// Replaces the process with the program behind `fd`; returns only when that failed.
#[must_use]
pub fn execute_descriptor(fd: BorrowedFd<'_>, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: the path is an empty C string; both lists end with a null pointer and their strings live in `Strings`.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last()
}

/// Moves `keep` to the numbers 0.. and `extra` behind them (close-on-exec). Allocates nothing if `sources` has room for as many.
pub(crate) fn renumber<const N: usize>(keep: &[i32], extra: &[i32; N], sources: &mut Vec<i32>) -> core::result::Result<[i32; N], Errno> {
    // First above every target number, so that no dup2 overwrites a source.
    let base = i32::try_from(keep.len()).unwrap_or(0) + 16;
    let high = |fd: i32| {
        // SAFETY: F_DUPFD_CLOEXEC takes an integer and makes a new descriptor; no memory is involved.
        let value = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, base) };
        if value < 0 { Err(last()) } else { Ok(value) }
    };
    sources.clear();
    for fd in keep {
        sources.push(high(*fd)?);
    }
    let mut moved = [0; N];
    for (to, from) in moved.iter_mut().zip(extra) {
        *to = high(*from)?;
    }
    for (number, source) in (0..).zip(sources.iter().copied()) {
        // SAFETY: dup2 onto a number below `base`; whatever owned it belongs to a process image that ends here.
        if unsafe { libc::dup2(source, number) } < 0 {
            return Err(last());
        }
    }
    Ok(moved)
}

/// Makes the descriptors `keep` the numbers 0.. of this process and closes everything else at once.
///
/// For a child that is about to become visible to others and has nothing to lose: whatever owned the closed
/// descriptors must not be used or dropped any more, which is so when the process ends by `execve` or [`exit_now`].
///
/// # Errors
/// What dup2(2) or close_range(2) answered.
pub fn keep_descriptors(keep: &[BorrowedFd<'_>]) -> Result<()> {
    let numbers: Vec<i32> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    renumber(&numbers, &[], &mut Vec::with_capacity(keep.len())).call(|| "dup2()")?;
    let first = u32::try_from(keep.len()).unwrap_or(u32::MAX);
    // SAFETY: no owner of a closed descriptor is used again, see above.
    let value = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    check(value).call(|| format!("close_range({first})")).map(drop)
}

/// Takes descriptor `number` that [`keep_descriptors`] has just made, without closing it at the next execve(2).
#[must_use]
pub fn kept(number: i32) -> BorrowedFd<'static> {
    // SAFETY: the caller has kept it under this number and closes it by ending.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Marks every descriptor from `first` on close-on-exec.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_above_on_exec(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: the flag only marks descriptors; none is closed now.
    let value = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    check(value).call(|| format!("close_range({first}, CLOEXEC)")).map(drop)
}

/// Takes descriptor `number` that the process was started with.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn inherited(number: i32) -> Result<OwnedFd> {
    // SAFETY: F_SETFD takes integers only.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(last()).call(|| format!("fcntl({number}, F_SETFD)"));
    }
    // SAFETY: the descriptor is open (above), and the caller takes each inherited number once, right after the start.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Ends the process without running anything.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` does not return and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Ended {
    /// Returns the status as a shell gives it: 128 + n for signal n.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// Waits for the child behind `pidfd` and reaps it.
///
/// # Errors
/// `ECHILD` when it is not a child of the caller.
pub fn wait(pidfd: impl AsFd) -> Result<Ended> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)).call(|| "waitid(P_PIDFD)")?;
    let Some(status) = status else { return Err(Errno::CHILD).call(|| "waitid(P_PIDFD)") };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Signaled(signal),
        (None, None) => Ended::Exited(255),
    })
}

/// Reaps one ended child of any kind without waiting; returns its pid and how it ended.
#[must_use]
pub fn reap_any() -> Option<(Pid, Ended)> {
    let (pid, status) = rustix::process::wait(rustix::process::WaitOptions::NOHANG).ok()??;
    let ended = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Signaled(signal),
        (None, None) => Ended::Exited(255),
    };
    Some((pid, ended))
}

/// Opens a descriptor of the process with the number `pid`.
///
/// # Errors
/// `ESRCH` when there is none, or only a thread of that number.
pub fn open(pid: Pid) -> Result<OwnedFd> {
    let opened = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    // The number is looked up before its process: one that is reaped in between leaves a number that is no process's any more, for
    // which kernels before 6.15 have EINVAL, and later ones ENOENT (pidfd_prepare in kernel/fork.c).
    let opened = opened.map_err(|errno| if matches!(errno, Errno::INVAL | Errno::NOENT) { Errno::SRCH } else { errno });
    opened.call(|| format!("pidfd_open({pid})"))
}

/// Sends signal number `signal` to the process behind `pidfd`; 0 only asks whether it is there.
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    // SAFETY: the call takes integers; the siginfo pointer is null, which means as kill(2) does it.
    let value =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, core::ptr::null::<libc::siginfo_t>(), 0) };
    check(value).call(|| format!("pidfd_send_signal({signal})")).map(drop)
}

/// Moves the calling process into namespaces of the process behind `pidfd`, all in one call.
///
/// # Errors
/// `EPERM` without the rights over one of them, `EINVAL` for a user namespace that the caller is in already.
pub fn join_namespaces(_proof: SingleThreaded, pidfd: impl AsFd, flags: u64) -> Result<()> {
    let flags_c = i32::try_from(flags).map_err(|_| Errno::INVAL).call(|| format!("setns({flags:#x})"))?;
    // SAFETY: setns takes integers; `_proof` says that no other thread keeps the old namespaces.
    let value = unsafe { libc::setns(pidfd.as_fd().as_raw_fd(), flags_c) };
    check(value.into()).call(|| format!("setns(pidfd, {flags:#x})")).map(drop)
}

/// Moves the calling process into the namespace behind `fd`, of whatever kind it is.
///
/// # Errors
/// `EINVAL` when it is no namespace.
pub fn join_namespace(_proof: SingleThreaded, fd: impl AsFd) -> Result<()> {
    // SAFETY: setns takes integers; `_proof` says that no other thread keeps the old namespace.
    let value = unsafe { libc::setns(fd.as_fd().as_raw_fd(), 0) };
    check(value.into()).call(|| "setns(0)").map(drop)
}

/// Gives the calling process new namespaces.
///
/// # Errors
/// `EPERM` for one that it may not make.
pub fn unshare(_proof: SingleThreaded, flags: u64) -> Result<()> {
    let flags_c = i32::try_from(flags).map_err(|_| Errno::INVAL).call(|| format!("unshare({flags:#x})"))?;
    // SAFETY: namespace flags change no memory or descriptor table of the process.
    let value = unsafe { libc::unshare(flags_c) };
    check(value.into()).call(|| format!("unshare({flags:#x})")).map(drop)
}

/// Decides whether other processes of the same user may look into the calling process: prctl(2) `PR_SET_DUMPABLE`.
///
/// # Errors
/// None on Linux.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    // SAFETY: the option takes an integer.
    let value = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, u64::from(dumpable), 0, 0, 0) };
    check(value.into()).call(|| format!("prctl(PR_SET_DUMPABLE, {})", u8::from(dumpable))).map(drop)
}

/// Makes the calling process the parent of orphans among its descendants: prctl(2) `PR_SET_CHILD_SUBREAPER`.
///
/// # Errors
/// `EINVAL` before Linux 3.4.
pub fn become_subreaper() -> Result<()> {
    // SAFETY: the option takes an integer.
    let value = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1_u64, 0, 0, 0) };
    check(value.into()).call(|| "prctl(PR_SET_CHILD_SUBREAPER, 1)").map(drop)
}

/// Names the calling process, as `ps` and `/proc/PID/comm` show it.
pub fn set_name(name: &CStr) {
    // SAFETY: the kernel reads at most 16 bytes of a NUL-terminated string. A failure would only cost the name.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Sets user and group ids of the calling thread, all four of each, and its supplementary groups first.
///
/// # Errors
/// `EPERM` without `CAP_SETUID` or `CAP_SETGID`, `EINVAL` for an id that its user namespace does not map.
pub fn set_ids(uid: u32, gid: u32, groups: Option<&[u32]>) -> Result<()> {
    if let Some(groups) = groups {
        // SAFETY: the kernel reads `groups.len()` ids of 32 bits.
        let value = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        check(value).call(|| format!("setgroups({groups:?})"))?;
    }
    // SAFETY: the raw call changes the calling thread only; it takes integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).call(|| format!("setresgid({gid})"))?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).call(|| format!("setresuid({uid})")).map(drop)
}

/// Sets the ids that the calling thread uses towards file systems, and nothing else. Leaving uid 0 takes the capabilities over
/// files out of its effective set.
///
/// # Errors
/// `EPERM` without `CAP_SETUID` or `CAP_SETGID`, or for an id that its user namespace does not map.
pub fn set_file_ids(uid: u32, gid: u32) -> Result<()> {
    // Both calls return the old id whatever happens; -1 changes nothing and tells the new one.
    // SAFETY: the raw calls change the calling thread only; they take integers.
    let gids = unsafe { [libc::syscall(libc::SYS_setfsgid, gid), libc::syscall(libc::SYS_setfsgid, u32::MAX)] };
    if gids[1] != i64::from(gid) {
        return Err(Errno::PERM).call(|| format!("setfsgid({gid})"));
    }
    // SAFETY: as above.
    let uids = unsafe { [libc::syscall(libc::SYS_setfsuid, uid), libc::syscall(libc::SYS_setfsuid, u32::MAX)] };
    if uids[1] == i64::from(uid) { Ok(()) } else { Err(Errno::PERM).call(|| format!("setfsuid({uid})")) }
}

/// Sets a resource limit of `process` (`None`: this one) by the kernel's number, `u64::MAX` being infinity: prlimit(2).
///
/// # Errors
/// `EPERM` for a hard limit above the current one without `CAP_SYS_RESOURCE` in the first user namespace.
pub fn set_limit(process: Option<Pid>, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one limit; the old one is not asked for.
    let value =
        unsafe { libc::syscall(libc::SYS_prlimit64, raw(process), resource, &raw const limit, core::ptr::null_mut::<libc::rlimit64>()) };
    check(value).call(|| format!("prlimit({resource}, {soft}:{hard})")).map(drop)
}

/// Returns soft and hard limit of `process` (`None`: this one) by the kernel's number.
///
/// # Errors
/// `EINVAL` for a number that the kernel does not have, `ESRCH` for a process that has ended.
pub fn limit(process: Option<Pid>, resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one limit into this frame.
    let value = unsafe { libc::syscall(libc::SYS_prlimit64, raw(process), resource, core::ptr::null::<libc::rlimit64>(), &raw mut limit) };
    check(value).call(|| format!("prlimit({resource})"))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

fn raw(process: Option<Pid>) -> i32 {
    process.map_or(0, |pid| pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn open_of_a_number_that_is_no_process_finds_none() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            let _ = ended.recv();
        });
        let number = told.recv().unwrap();
        assert_eq!(open(number).unwrap_err().errno, Errno::SRCH);
        drop(end);
        thread.join().unwrap();
        let errno = open(Pid::from_raw(i32::MAX).unwrap()).unwrap_err().errno;
        assert_eq!(errno, Errno::SRCH);
    }
}
