//! The other end of a monitor: a client that is attached to a process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use selkie_sys::{Context, Errno, socket};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::monitor::message;
use crate::record::{Container, Status};

/// A connection to the monitor of a process that has been started.
#[derive(Debug)]
pub struct Attached {
    socket: OwnedFd,
    /// The process, in the engine's PID namespace.
    pub pid: i32,
    /// Output arrives here; otherwise the connection only was for the start.
    pub attached: bool,
}

/// What a monitor says.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Standard output, or the terminal.
    Output(&'a [u8]),
    /// Standard error.
    Error(&'a [u8]),
    /// The process has ended with this status.
    Exited(i32),
    /// The monitor is gone without a word.
    Lost,
}

impl Attached {
    pub(crate) fn new(socket: OwnedFd, pid: i32, attached: bool) -> Self {
        Self { socket, pid, attached }
    }

    /// Receives the next message into `buffer`, which has to hold [`Self::BUFFER`] bytes. Waits for it.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> Event<'b> {
        let length = match socket::receive(&self.socket, buffer, false) {
            // It has hung up without reading all of our input. The kernel says so once, before what it had sent.
            Err(Errno::CONNRESET) => socket::receive(&self.socket, buffer, false).unwrap_or(0),
            received => received.unwrap_or(0),
        };
        match buffer.get(..length).and_then(<[u8]>::split_first) {
            Some((&message::OUTPUT, data)) => Event::Output(data),
            Some((&message::ERROR, data)) => Event::Error(data),
            Some((&message::EXITED, status)) => {
                std::str::from_utf8(status).ok().and_then(|text| text.parse().ok()).map_or(Event::Lost, Event::Exited)
            }
            _ => Event::Lost,
        }
    }

    /// The longest message, in bytes.
    pub const BUFFER: usize = message::LIMIT + 1;

    /// Sends data for standard input. Waits for room.
    ///
    /// # Errors
    /// `EPIPE` when the process has ended.
    pub fn send_input(&self, data: &[u8]) -> std::result::Result<(), Errno> {
        data.chunks(message::LIMIT).try_for_each(|chunk| socket::send(&self.socket, message::INPUT, chunk, false))
    }

    /// Says that standard input has ended.
    pub fn end_input(&self) {
        // A process that has ended does not read any more anyway.
        let _ = socket::send(&self.socket, message::END_OF_INPUT, &[], false);
    }

    /// Tells the terminal its size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let [a, b] = rows.to_le_bytes();
        let [c, d] = columns.to_le_bytes();
        // A process that has ended has no terminal any more.
        let _ = socket::send(&self.socket, message::SIZE, &[a, b, c, d], false);
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Engine {
    /// Connects to the monitor of a running container.
    ///
    /// # Errors
    /// [`Error::State`] when it does not run, [`Error::Monitor`] when its monitor is gone.
    pub fn attach(&self, container: &Container) -> Result<Attached> {
        let Some(live) = container.live.as_ref().filter(|_| container.status == Status::Running) else { return Err(Error::NotAttachable) };
        let directory = self.store.running(container.id());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&directory, flags, Mode::empty()).call(|| format!("open({directory:?})"));
        let socket = opened.and_then(|directory| socket::connect(directory, "attach")).map_err(|error| match live.init.is_alive() {
            true => Error::Monitor {
                id: container.id().to_string(),
                problem: format!("is gone ({error}): the container runs on, its output cannot be had"),
            },
            false => Error::NotAttachable,
        })?;
        Ok(Attached::new(socket, live.init.pid, true))
    }
}
