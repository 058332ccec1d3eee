//! Signals of a client that waits for a process: passed on, or the terminal's new size.

use std::os::fd::OwnedFd;

use crate::ui::error::Failure;

/// SIGWINCH: the terminal has another size.
pub(crate) const RESIZED: i32 = 28;

/// What Podman passes on with `--sig-proxy`: everything that is not about the client itself.
const PROXIED: [i32; 12] = [1, 2, 3, 10, 12, 14, 15, 18, 21, 22, 29, 30];

/// Returns a descriptor that reports the signals of a client; without `proxy` only the terminal's size.
pub(crate) fn watch(proxy: bool) -> Result<OwnedFd, Failure> {
    let mut signals = vec![RESIZED];
    if proxy {
        signals.extend(PROXIED);
    }
    Ok(selkie_sys::signal::descriptor(&signals)?)
}
