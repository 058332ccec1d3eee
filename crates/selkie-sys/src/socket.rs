//! Sequenced-packet Unix sockets between the engine and its monitors: unix(7), `SOCK_SEQPACKET`.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::error::{Context, Errno, Result};

/// Returns two connected ends.
///
/// # Errors
/// `EMFILE` and the like.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)")
}

/// Listens at `name` in the directory `directory`, which may be too deep for a socket address of 108 bytes.
///
/// # Errors
/// `EADDRINUSE` when the file exists.
pub fn listen(directory: impl AsFd, name: &str) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
        .call(|| "socket(AF_UNIX, SOCK_SEQPACKET)")?;
    let address = short_address(directory.as_fd(), name)?;
    rustix::net::bind(&socket, &address).call(|| format!("bind({name:?})"))?;
    rustix::net::listen(&socket, 16).call(|| format!("listen({name:?})"))?;
    Ok(socket)
}

/// Connects to the socket `name` in the directory `directory`.
///
/// # Errors
/// `ENOENT` when there is none, `ECONNREFUSED` when nobody listens.
pub fn connect(directory: impl AsFd, name: &str) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_SEQPACKET)")?;
    let address = short_address(directory.as_fd(), name)?;
    rustix::net::connect(&socket, &address).call(|| format!("connect({name:?})"))?;
    Ok(socket)
}

/// Accepts a connection; `None` when none is waiting.
///
/// # Errors
/// `EMFILE` and the like.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>> {
    match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno).call(|| "accept4()"),
    }
}

/// Sends one message, its first byte being `tag`. Waits for room unless `nonblocking`.
///
/// # Errors
/// `EPIPE` when the other end is gone, `EAGAIN` when there is no room.
pub fn send(socket: impl AsFd, tag: u8, body: &[u8], nonblocking: bool) -> core::result::Result<(), Errno> {
    let flags = if nonblocking { SendFlags::NOSIGNAL | SendFlags::DONTWAIT } else { SendFlags::NOSIGNAL };
    let head = [tag];
    let parts = [IoSlice::new(&head), IoSlice::new(body)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(&socket, &parts, &mut SendAncillaryBuffer::default(), flags)).map(drop)
}

/// Receives one message into `buffer` and returns its length; 0 when the other end is gone.
///
/// # Errors
/// `EAGAIN` when `nonblocking` and nothing is there; `EMSGSIZE` for a message that is longer than the buffer.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], nonblocking: bool) -> core::result::Result<usize, Errno> {
    let flags = if nonblocking { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
    let mut parts = [IoSliceMut::new(buffer)];
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut parts, &mut RecvAncillaryBuffer::default(), flags | RecvFlags::CMSG_CLOEXEC)
    })?;
    if message.flags.contains(rustix::net::ReturnFlags::TRUNC) { Err(Errno::MSGSIZE) } else { Ok(message.bytes) }
}

/// Sends one descriptor with a message.
///
/// # Errors
/// `EPIPE` when the other end is gone.
pub fn send_descriptor(socket: impl AsFd, message: &[u8], fd: impl AsFd) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    ancillary.push(rustix::net::SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL).call(|| "sendmsg(SCM_RIGHTS)").map(drop)
}

/// Receives one message into `buffer`, with the descriptor that came with it; the length is 0 when the other end is gone.
///
/// # Errors
/// `ECONNRESET` and the like.
pub fn receive_with_descriptor(socket: impl AsFd, buffer: &mut [u8]) -> core::result::Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = rustix::io::retry_on_intr(|| rustix::net::recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((message.bytes, fd))
}

fn short_address(directory: std::os::fd::BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    SocketAddrUnix::new(Path::new(&path)).call(|| format!("bind({name:?})"))
}
