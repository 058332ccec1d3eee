//! Tracing of other processes: ptrace(2). Only tracees that were seized, as `PTRACE_ATTACH` cannot tell stops apart.
//!
//! A tracee belongs to the *thread* that seized it (or to whose tracee it was born): every function here is called by that thread.
//!
//! ```text
//! seize --> wait_any --> (tid, event) --> resume --> wait_any ...
//!                                     \-> syscall_stop, event_message, read_memory while it is stopped
//! ```

use std::os::fd::{AsRawFd, OwnedFd};

pub use rustix::process::Pid;

use crate::error::{Context, Errno, Result, check, last};
use crate::process::Ended;

/// Follow the children of fork(2).
pub const TRACE_FORK: u32 = libc::PTRACE_O_TRACEFORK as u32;
/// Follow the children of vfork(2).
pub const TRACE_VFORK: u32 = libc::PTRACE_O_TRACEVFORK as u32;
/// Follow the children, and threads, of clone(2).
pub const TRACE_CLONE: u32 = libc::PTRACE_O_TRACECLONE as u32;
/// Stop at a successful execve(2).
pub const TRACE_EXEC: u32 = libc::PTRACE_O_TRACEEXEC as u32;
/// Stop at the end of a thread, while it can still be looked at.
pub const TRACE_EXIT: u32 = libc::PTRACE_O_TRACEEXIT as u32;
/// Stop at a call for which a filter says `SECCOMP_RET_TRACE`.
pub const TRACE_SECCOMP: u32 = libc::PTRACE_O_TRACESECCOMP as u32;
/// Tell stops at system calls from `SIGTRAP`s.
pub const TRACE_SYSCALL_GOOD: u32 = libc::PTRACE_O_TRACESYSGOOD as u32;
/// Kill the tracees when the tracer ends without having let them go.
pub const EXIT_KILL: u32 = libc::PTRACE_O_EXITKILL as u32;

/// What has happened to a tracee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is gone, and reaped.
    Ended(Ended),
    /// It is about to get this signal; [`resume`] delivers it, or another one, or none.
    Signal(i32),
    /// Its process has been stopped by this signal; [`listen`] leaves it so.
    Group(i32),
    /// It has stopped for the tracer: it is new, was interrupted, or its process goes on after a [`Self::Group`].
    Stopped,
    /// It enters or leaves a system call.
    Syscall,
    /// A filter has said `SECCOMP_RET_TRACE` at a call that it enters.
    Seccomp,
    /// It has a child, whose pid is the message: by fork(2), vfork(2) or clone(2).
    Child,
    /// Its child of vfork(2) has let it go on.
    ChildReleased,
    /// It has executed a program; the message is the tid that it had before.
    Executed,
    /// It is about to end.
    Ending,
}

/// How a tracee goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until something happens.
    Event,
    /// Until then, or the next entry into, or exit from, a system call.
    Syscall,
}

/// Where in a system call a tracee has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyscallStop {
    /// In none.
    None,
    /// At its entry, by [`Until::Syscall`] or by a filter.
    Entry(Entry),
    /// At its exit; a negative errno, or what it returned.
    Exit(i64),
}

/// A system call that is being entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `AUDIT_ARCH_` token.
    pub arch: u32,
    /// Its number there.
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// Becomes the tracer of thread `tid`, which is not stopped by that.
///
/// # Errors
/// `EPERM` without the right to trace it, or when it has a tracer; `ESRCH` when it is gone.
pub fn seize(tid: Pid, options: u32) -> Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, options as usize).call(|| format!("ptrace(PTRACE_SEIZE, {tid}, {options:#x})"))
}

/// Stops a tracee, which reports [`Event::Stopped`].
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn interrupt(tid: Pid) -> Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).call(|| format!("ptrace(PTRACE_INTERRUPT, {tid})"))
}

/// Lets a stopped tracee go on, with `signal` if that is not 0.
///
/// # Errors
/// `ESRCH` when it is not stopped, or was killed meanwhile.
pub fn resume(tid: Pid, until: Until, signal: i32) -> Result<()> {
    let (number, name) = match until {
        Until::Event => (libc::PTRACE_CONT, "PTRACE_CONT"),
        Until::Syscall => (libc::PTRACE_SYSCALL, "PTRACE_SYSCALL"),
    };
    request(number, tid, 0, usize::try_from(signal).unwrap_or(0)).call(|| format!("ptrace({name}, {tid}, {signal})"))
}

/// Lets a tracee at an [`Event::Group`] stay stopped, and report when its process goes on.
///
/// # Errors
/// `ESRCH` as [`resume`]; `EIO` when it is not at such a stop.
pub fn listen(tid: Pid) -> Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0).call(|| format!("ptrace(PTRACE_LISTEN, {tid})"))
}

/// Ends the tracing of a stopped tracee, which goes on with `signal` if that is not 0. A process that is stopped stays stopped.
///
/// # Errors
/// As [`resume`].
pub fn detach(tid: Pid, signal: i32) -> Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, usize::try_from(signal).unwrap_or(0)).call(|| format!("ptrace(PTRACE_DETACH, {tid}, {signal})"))
}

/// Returns the message of the event that a tracee is stopped at.
///
/// # Errors
/// As [`resume`].
pub fn event_message(tid: Pid) -> Result<u64> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut message) as usize).call(|| format!("ptrace(PTRACE_GETEVENTMSG, {tid})"))?;
    Ok(message)
}

/// `struct ptrace_syscall_info` of `linux/ptrace.h`, its union as words.
#[repr(C)]
#[derive(Default)]
struct SyscallInfo {
    kind: u8,
    padding: [u8; 3],
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    words: [u64; 8],
}

/// Returns where in a system call a stopped tracee is, the same way on every architecture.
///
/// # Errors
/// As [`resume`]; `EIO` before Linux 5.3.
pub fn syscall_stop(tid: Pid) -> Result<SyscallStop> {
    let mut info = SyscallInfo::default();
    let call = || format!("ptrace(PTRACE_GET_SYSCALL_INFO, {tid})");
    request(libc::PTRACE_GET_SYSCALL_INFO, tid, size_of::<SyscallInfo>(), (&raw mut info) as usize).call(call)?;
    let [first, arguments @ .., _] = info.words;
    Ok(match info.kind {
        1 | 3 => SyscallStop::Entry(Entry { arch: info.arch, number: first, arguments }),
        2 => SyscallStop::Exit(first.cast_signed()),
        _ => SyscallStop::None,
    })
}

/// Waits for the next event of a tracee or child of the calling thread; `None` when it has none.
///
/// Children of other threads of the process are left alone.
///
/// # Errors
/// None on Linux.
pub fn wait_any() -> Result<Option<(Pid, Event)>> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer, which lives in this frame.
        let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        match Pid::from_raw(tid.max(0)) {
            Some(tid) => return Ok(Some((tid, event(status)))),
            None => match last() {
                Errno::CHILD => return Ok(None),
                Errno::INTR => {}
                errno => return Err(errno).call(|| "waitpid(-1, __WALL | __WNOTHREAD)"),
            },
        }
    }
}

fn event(status: i32) -> Event {
    if libc::WIFEXITED(status) {
        return Event::Ended(Ended::Exited(libc::WEXITSTATUS(status)));
    }
    if libc::WIFSIGNALED(status) {
        return Event::Ended(Ended::Signaled(libc::WTERMSIG(status)));
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Event::Syscall,
        0 => Event::Signal(signal),
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => Event::Child,
        libc::PTRACE_EVENT_VFORK_DONE => Event::ChildReleased,
        libc::PTRACE_EVENT_EXEC => Event::Executed,
        libc::PTRACE_EVENT_EXIT => Event::Ending,
        libc::PTRACE_EVENT_SECCOMP => Event::Seccomp,
        _ if matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => Event::Group(signal),
        _ => Event::Stopped,
    }
}

/// Reads memory of process `pid` at `address` into `buffer`; returns how much of it is there.
///
/// # Errors
/// `EFAULT` when nothing is there, `EPERM` without the right to trace the process, `ESRCH` when it is gone.
pub fn read_memory(pid: Pid, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let call = |length: usize| format!("process_vm_readv({pid}, {address:#x}, {length})");
    let remote_base = usize::try_from(address).map_err(|_| Errno::FAULT).call(|| call(buffer.len()))?;
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: remote_base as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`, which is borrowed for the call; the remote address is
    // one of another process, which the kernel checks.
    let value = unsafe { libc::process_vm_readv(pid.as_raw_nonzero().get(), &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(value).map_err(|_| last()).call(|| call(buffer.len()))
}

/// Makes a child of the calling thread that ends when the returned descriptor is closed: that wakes [`wait_any`], which reports it
/// as [`Event::Ended`]. Nothing else can wake it without a signal handler, which would be the whole process's.
///
/// # Errors
/// `EAGAIN` at a limit of processes, `EMFILE` at one of descriptors.
pub fn bell() -> Result<(Pid, OwnedFd)> {
    let (reader, rope) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)")?;
    // SAFETY: without CLONE_VM the child has its own copy of memory, of which it uses two integers of this frame: between here and
    // its end it makes system calls only and takes no lock that another thread may have held.
    let value = unsafe { libc::syscall(libc::SYS_clone, 0_usize, 0_usize, 0_usize, 0_usize, 0_usize) };
    match Pid::from_raw(i32::try_from(check(value).call(|| "clone(0)")?).unwrap_or(0)) {
        Some(pid) => Ok((pid, rope)),
        None => await_silence(reader.as_raw_fd(), rope.as_raw_fd()),
    }
}

/// The life of a [`bell`]: gives up all descriptors but `reader`, and ends when nobody can write to it any more.
fn await_silence(reader: i32, rope: i32) -> ! {
    let every = u64::MAX;
    let mut byte = 0_u8;
    // SAFETY: the kernel reads the set of signals in this frame. A handler of the parent's must not run in this copy.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const every, 0_usize, size_of::<u64>()) };
    // SAFETY: the descriptor that is closed is this process's copy, whose owner is in the parent.
    unsafe { libc::syscall(libc::SYS_close, rope) };
    if reader > 0 {
        // SAFETY: as above, for all below `reader`.
        unsafe { libc::syscall(libc::SYS_close_range, 0, reader - 1, 0) };
    }
    // SAFETY: as above, for all above it.
    unsafe { libc::syscall(libc::SYS_close_range, reader + 1, u32::MAX, 0) };
    // SAFETY: one byte of this frame is written; nobody ever sends one. All signals are blocked, so there is no EINTR.
    unsafe { libc::syscall(libc::SYS_read, reader, &raw mut byte, 1_usize) };
    crate::process::exit_now(0)
}

fn request(request: libc::c_uint, tid: Pid, address: usize, data: usize) -> core::result::Result<(), Errno> {
    // SAFETY: `data` is a number, or the address of a value in the caller's frame of the size that the request writes; none of the
    // requests of this module reads or writes through `address`, which is 0 or that size.
    let value = unsafe { libc::syscall(libc::SYS_ptrace, libc::c_long::from(request), tid.as_raw_nonzero().get(), address, data) };
    check(value).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bell_wakes_the_thread_that_made_it_when_the_rope_is_let_go() {
        std::thread::spawn(|| {
            let (pid, rope) = bell().unwrap();
            drop(rope);
            assert_eq!(wait_any().unwrap(), Some((pid, Event::Ended(Ended::Exited(0)))));
            assert_eq!(wait_any().unwrap(), None);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn read_memory_stops_where_memory_ends() {
        let value = 0x1122_3344_5566_7788_u64;
        let mut bytes = [0; 8];
        let own = rustix::process::getpid();
        assert_eq!(read_memory(own, (&raw const value) as u64, &mut bytes).unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(bytes), value);
        assert_eq!(read_memory(own, 8, &mut bytes).unwrap_err().errno, Errno::FAULT);
    }

    #[test]
    fn events_are_told_apart_by_signal_and_number() {
        let stopped = |signal: i32, event: i32| (event << 16) | (signal << 8) | 0x7f;
        assert_eq!(event(stopped(libc::SIGTRAP | 0x80, 0)), Event::Syscall);
        assert_eq!(event(stopped(libc::SIGTRAP, 0)), Event::Signal(libc::SIGTRAP));
        assert_eq!(event(stopped(libc::SIGSTOP, 0)), Event::Signal(libc::SIGSTOP));
        assert_eq!(event(stopped(libc::SIGSTOP, libc::PTRACE_EVENT_STOP)), Event::Group(libc::SIGSTOP));
        assert_eq!(event(stopped(libc::SIGTRAP, libc::PTRACE_EVENT_STOP)), Event::Stopped);
        assert_eq!(event(stopped(libc::SIGTRAP, libc::PTRACE_EVENT_SECCOMP)), Event::Seccomp);
        assert_eq!(event(9), Event::Ended(Ended::Signaled(9)));
        assert_eq!(event(3 << 8), Event::Ended(Ended::Exited(3)));
    }
}
