//! The monitor: one small process that is the parent of a container's first process, or of an exec session.
//!
//! It starts the process with all rights, gives every capability up, and from then on only moves bytes: it reaps,
//! logs, serves `attach`, and writes down how the process ended. What needs rights afterwards (removal, a restart)
//! it does by becoming `selkie` again. It is one thread, and it never reads or executes anything of the container.
//!
//! It is started before it is known what it has to do: its orders come as JSON in a memory file over the control socket.

mod clients;
mod log;
mod order;
mod relay;
mod session;
mod start;

pub(crate) use log::LogTarget;
pub use order::start_ahead;
pub(crate) use order::{After, Order, PlanNote, Restart, SessionOrder, StartOrder, Task, Waiting};

use std::io::Read;
use std::os::fd::OwnedFd;

use selkie_caps::CapSet;
use selkie_runtime::Ahead;
use selkie_sys::process::SingleThreaded;
use selkie_sys::{Context, capability, process, socket};

use self::start::Planned;
use crate::error::Error;

/// Descriptors that a monitor is started with.
pub(crate) mod descriptor {
    /// The socket to the client that started it.
    pub(crate) const CONTROL: i32 = 3;
    /// The protected copy of the engine's own binary.
    pub(crate) const ENGINE: i32 = 4;
}

/// Messages between a client and a monitor: one byte, then a body.
pub mod message {
    /// Client: a container with namespaces of its own is going to be started.
    pub const AHEAD: u8 = b'A';
    /// Client: the container is planned; body says what is needed to begin it, as JSON.
    pub const PLANNED: u8 = b'P';
    /// Client: the orders, in the first of the descriptors that come with it.
    pub const ORDERS: u8 = b'O';
    /// Monitor: the program runs; body is its pid as text.
    pub const STARTED: u8 = b'S';
    /// Monitor: it could not be started; body is kind, stage and message separated by NUL.
    pub const FAILED: u8 = b'F';
    /// Monitor: standard output, or the terminal.
    pub const OUTPUT: u8 = b'o';
    /// Monitor: standard error.
    pub const ERROR: u8 = b'e';
    /// Monitor: the process has ended; body is its status as text.
    pub const EXITED: u8 = b'x';
    /// Monitor: the process waits short of its program; body is its pid as text. It goes on at [`GO`].
    pub const HELD: u8 = b'h';
    /// Client: let the process that is held go on.
    pub const GO: u8 = b'g';
    /// Client: end the process that is held.
    pub const ABANDON: u8 = b'a';
    /// Client: data for standard input.
    pub const INPUT: u8 = b'i';
    /// Client: standard input has ended.
    pub const END_OF_INPUT: u8 = b'c';
    /// Client: rows and columns, two little-endian numbers of 16 bits.
    pub const SIZE: u8 = b'w';
    /// The most that one message carries.
    pub const LIMIT: usize = 32 * 1024;
}

/// Runs the monitor that this process was started as, and does not return.
///
/// # Errors
/// Never to a caller; the type lets the steps use `?`. What went wrong is told to the client over the control socket.
pub fn main() -> ! {
    let status = match run() {
        Ok(()) => 0,
        Err(_) => 1,
    };
    process::exit_now(status)
}

/// The most that is said before the orders: a path, and where a host has its cgroups.
const NOTE_LIMIT: usize = 8 * 1024;

/// What a monitor is given besides its orders.
pub(crate) struct Given {
    /// The client that started it.
    control: OwnedFd,
    /// The protected copy of the engine's own binary.
    engine: OwnedFd,
    /// The root file system (start) or the container's first process (session).
    subject: OwnedFd,
    /// The container's devpts (session with a terminal), and what the program gets as 3, 4, ...
    further: Vec<OwnedFd>,
    /// Namespaces and file systems of a container.
    ahead: Option<Ahead>,
    /// The plan of a container, and what is made of it.
    planned: Option<Result<Box<Planned>, Error>>,
}

fn run() -> Result<(), Error> {
    let Some((proof, order, given)) = receive()? else { return Ok(()) };
    match order.task {
        Task::Start(start) => start::run(proof, &order.after, start, given),
        Task::Session(session) => session::run(proof, session, given),
    }
}

/// Becomes a monitor and waits for orders; there are none if the client has found out that there is nothing to do, or is gone.
///
/// Its frame is not left on the stack of a process that waits for as long as a container runs.
#[inline(never)]
fn receive() -> Result<Option<(SingleThreaded, Box<Order>, Given)>, Error> {
    let action = || Error::system("be a monitor");
    let proof = SingleThreaded::check().map_err(action())?;
    process::set_name(c"selkie-monitor");
    selkie_sys::memory::keep_heap_small();
    // A session of its own: no terminal of the caller can end it.
    let _ = rustix::process::setsid();
    for signal in [1, 2, 3, 13, 15] {
        selkie_sys::signal::ignore(signal);
    }
    process::become_subreaper().map_err(Error::system("adopt orphans of the container"))?;
    let control = process::inherited(descriptor::CONTROL).map_err(action())?;
    let engine = process::inherited(descriptor::ENGINE).map_err(action())?;
    let (mut ahead, mut planned) = (None, None);
    // Not on the stack, of which what is beneath the last frame stays.
    let mut message = vec![0; NOTE_LIMIT];
    let mut fds = loop {
        let (length, fds) = socket::receive_with_descriptors(&control, &mut message).call(|| "recvmsg()").map_err(action())?;
        match message.get(..length) {
            // Without them the launch makes its own, and says why it cannot.
            Some([message::AHEAD]) => ahead = Ahead::make(proof).ok(),
            Some([message::PLANNED, note @ ..]) => planned = Some(Planned::make(note).map(Box::new)),
            _ => break fds.into_iter(),
        }
    };
    drop(message);
    let (Some(memory), Some(subject)) = (fds.next(), fds.next()) else {
        if let Some(Ok(planned)) = planned {
            planned.abandon();
        }
        return Ok(None);
    };
    let order = Box::new(read_order(memory)?);
    Ok(Some((proof, order, Given { control, engine, subject, further: fds.collect(), ahead, planned })))
}

fn read_order(memory: OwnedFd) -> Result<Order, Error> {
    let mut text = Vec::new();
    std::fs::File::from(memory).read_to_end(&mut text).map_err(|source| Error::File {
        action: "read",
        path: "orders of the monitor".into(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| Error::Record { path: "orders of the monitor".into(), source })
}

/// Gives up every capability; only the bounding set stays, so that becoming `selkie` again can do what is left to do.
fn drop_privileges() -> Result<(), Error> {
    capability::set_ambient(CapSet::EMPTY).map_err(Error::system("drop the monitor's capabilities"))?;
    capability::set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY).map_err(Error::system("drop the monitor's capabilities"))
}
