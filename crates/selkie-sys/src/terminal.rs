//! Pseudo-terminals: pty(7), a new pair inside a container's own devpts.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

use crate::error::{Context, Errno, Result};

/// Opens a new pair from the `ptmx` of the devpts instance `devpts` and returns master, replica and the replica's number.
///
/// The replica is opened through the master, never by a path that a container could replace.
///
/// # Errors
/// `EIO` when the file is not a devpts `ptmx`; `ENOSPC` when the system has no pair left.
pub fn open_pair(devpts: impl AsFd) -> Result<(OwnedFd, OwnedFd, u32)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat(devpts, "ptmx", flags, Mode::empty()).call(|| "openat(devpts, \"ptmx\")")?;
    rustix::pty::unlockpt(&master).call(|| "ioctl(TIOCSPTLCK)")?;
    let replica = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .call(|| "ioctl(TIOCGPTPEER)")?;
    let stat = rustix::fs::fstat(&replica).call(|| "fstat(pty)")?;
    Ok((master, replica, rustix::fs::minor(stat.st_rdev)))
}

/// Makes `replica` the controlling terminal of the calling session leader.
///
/// # Errors
/// `EPERM` when the caller is no session leader.
pub fn make_controlling(replica: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(replica).call(|| "ioctl(TIOCSCTTY)")
}

/// Sets the size of a terminal, in characters.
///
/// # Errors
/// `ENOTTY` when it is none.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).call(|| format!("ioctl(TIOCSWINSZ, {rows}x{columns})"))
}

/// Returns rows and columns of a terminal.
///
/// # Errors
/// `ENOTTY` when it is none.
pub fn size(terminal: impl AsFd) -> core::result::Result<(u16, u16), Errno> {
    rustix::termios::tcgetwinsize(terminal).map(|size| (size.ws_row, size.ws_col))
}
