//! Clients of a monitor: whoever is attached to its container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use selkie_sys::{Errno, socket};

/// One attached client. It holds at most one message that did not fit into its socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    pending: Option<(u8, Vec<u8>)>,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, pending: None }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns whether the client has to read before it can get more.
    pub(super) fn is_full(&self) -> bool {
        self.pending.is_some()
    }

    /// Sends a message, or keeps it until there is room. Returns false when the client is gone.
    pub(super) fn send(&mut self, tag: u8, body: &[u8]) -> bool {
        match socket::send(&self.socket, tag, body, true) {
            Ok(()) => true,
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                self.pending = Some((tag, body.to_vec()));
                true
            }
            Err(_) => false,
        }
    }

    /// Tries to send what was kept. Returns false when the client is gone.
    pub(super) fn flush(&mut self) -> bool {
        match self.pending.take() {
            Some((tag, body)) => self.send(tag, &body),
            None => true,
        }
    }
}
