//! Signal dispositions and signalfd(2).

use std::os::fd::{FromRawFd, OwnedFd};

use crate::error::{Context, Result, last};

/// The highest signal number of Linux.
const LAST_SIGNAL: libc::c_int = 64;

/// What the kernel keeps for a signal: `struct sigaction` of `asm/signal.h`, not that of the C library.
#[repr(C)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Sets every signal to its default action and unblocks all of them, whatever the caller had inherited.
///
/// The C library refuses the two signals that it uses itself, and a caller may have left even those ignored.
pub fn reset_all() {
    let default = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the kernel reads one action with a mask of 8 bytes; the default action runs no code of ours. SIGKILL and
        // SIGSTOP are refused, which changes nothing.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const default, core::ptr::null_mut::<Action>(), size_of::<u64>()) };
    }
    let none: u64 = 0;
    // SAFETY: the kernel reads a mask of 8 bytes; the old one is not asked for.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, core::ptr::null_mut::<u64>(), size_of::<u64>());
    }
}

/// Ignores `signal`.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Blocks `signals` and returns a descriptor that becomes readable when one of them arrives.
///
/// # Errors
/// `EMFILE` and the like.
pub fn descriptor(signals: &[i32]) -> Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before its use; signalfd returns a new descriptor that nobody else owns.
    unsafe {
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, core::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 { Err(last()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
    .call(|| format!("signalfd({signals:?})"))
}

/// Reads the next pending signal number of a descriptor made by [`descriptor`]; `None` when none is pending.
#[must_use]
pub fn next(fd: &OwnedFd) -> Option<i32> {
    let mut record = [0_u8; 128];
    match rustix::io::read(fd, &mut record) {
        Ok(128) => record.first_chunk::<4>().and_then(|number| i32::try_from(u32::from_ne_bytes(*number)).ok()),
        _ => None,
    }
}
