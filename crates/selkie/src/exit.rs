//! Exit codes: Podman's.

use std::process::ExitCode;

/// The engine could not do it.
pub(crate) const ENGINE: u8 = 125;
/// Ctrl-C: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Nobody reads standard output: 128 and the number of SIGPIPE, of which Podman dies.
pub(crate) const UNREAD: u8 = 141;

/// Returns the exit code of a container's status, which is one byte.
pub(crate) fn of_status(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status & 0xff).unwrap_or(ENGINE))
}
