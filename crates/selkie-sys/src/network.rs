//! The loopback device of a new network namespace: netdevice(7).

use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::error::{Context, Errno, Result, last};

/// Brings `lo` of the calling thread's network namespace up.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` over the namespace.
pub fn bring_up_loopback() -> Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .call(|| "socket(AF_INET, SOCK_DGRAM)")?;
    // SAFETY: all-zero is a valid `ifreq`; the name is NUL-terminated by the zeros behind it.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = (*from).cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which lives in this frame.
    let value = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if value < 0 { Err(last()) } else { Ok::<(), Errno>(()) }.call(|| "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)")
}
