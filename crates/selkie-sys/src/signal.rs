//! Signal dispositions and signalfd(2).

use std::os::fd::{FromRawFd, OwnedFd};

use crate::error::{Context, Result, last};

/// The highest signal number of Linux.
const LAST_SIGNAL: libc::c_int = 64;

/// Sets every signal to its default action and unblocks all of them, whatever the caller had inherited.
pub fn reset_all() {
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: SIG_DFL installs no handler. SIGKILL, SIGSTOP and the C library's own two are refused, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is valid for sigemptyset, which initialises it; the old mask is not asked for.
    unsafe {
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, core::ptr::null_mut());
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
