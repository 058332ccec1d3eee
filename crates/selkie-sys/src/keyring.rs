//! Session keyrings: keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`.

use std::ffi::CString;

use crate::error::{Context, Errno, Result, check};

/// Gives the calling process a new session keyring called `name`, so that it cannot reach the caller's keys.
///
/// # Errors
/// `EDQUOT` when the user's quota of keys is used up; `ENOSYS` on a kernel without keyrings.
pub fn join_session(name: &str) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let text = CString::new(name).map_err(|_| Errno::INVAL).call(|| format!("keyctl(JOIN_SESSION_KEYRING, {name:?})"))?;
    // SAFETY: `text` is NUL-terminated and outlives the call, which only reads it.
    let value = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, text.as_ptr(), 0, 0, 0) };
    check(value).call(|| format!("keyctl(JOIN_SESSION_KEYRING, {name:?})")).map(drop)
}
