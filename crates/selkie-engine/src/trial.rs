//! One run of a container for the learner: a process of its own that starts the container, holds it until it is watched, passes
//! its output on, and removes it. Lines of JSON both ways.
//!
//! ```text
//! learner -> trial   Order        once, first
//!                    Word::Go     the process that is held may execute its program
//!                    Word::Signal sends a signal to the first process
//!                    (closed)     end: the container is killed and removed
//! trial -> learner   Event        created, held, started, output, exited, failed
//! ```
//!
//! A process of its own, because containers are started by processes of one thread, and because whatever becomes of the learner the
//! container goes with this process: its monitor kills a container that nobody is attached to.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use selkie_caps::CapSet;
use selkie_plan::Request;
use selkie_sys::{Errno, process};
use serde::{Deserialize, Serialize};

use crate::client::{Attached, Event as Said};
use crate::engine::Engine;
use crate::error::{Error, Result, with_causes};
use crate::record::RecordImage;
use crate::start::{Hold, StartOptions};

/// What is to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The container; it is always removed at the end.
    pub request: Request,
    /// The system call filter is that of a container with these capabilities, whatever this one has.
    pub filter_for: Option<CapSet>,
    /// Calls that can be refused stop for a tracer.
    pub trace: bool,
}

/// What the learner says after the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Let the held process go on.
    Go,
    /// Send a signal to the container's first process.
    Signal(i32),
}

/// What a trial says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The container is made, not started.
    Created {
        /// Its id.
        id: String,
        /// Its image, if it has one.
        image: Option<RecordImage>,
        /// The signal that stops it.
        stop_signal: u32,
        /// The writable layer.
        layer: PathBuf,
    },
    /// Its first process waits short of its program.
    Held {
        /// As this host sees it.
        pid: i32,
    },
    /// It has executed its program.
    Started {
        /// As this host sees it.
        pid: i32,
    },
    /// Output, of both streams as it comes.
    Output {
        /// As text; bytes that are none are replaced.
        text: String,
    },
    /// The first process has ended.
    Exited {
        /// With this status, 128 + n for signal n.
        code: i32,
    },
    /// It could not be run.
    Failed {
        /// Podman's exit code for it.
        code: u8,
        /// Why, with all causes.
        problem: String,
    },
}

impl Engine {
    /// Runs one trial with the learner at the other end of `input` and `output`, until the container is gone.
    ///
    /// # Errors
    /// What the learner has been told already, or that it cannot be told.
    pub fn trial(&self, input: BorrowedFd<'_>, output: &mut dyn Write) -> Result<()> {
        let mut words = Words { input, pending: Vec::new() };
        let Some(line) = words.next()? else { return Ok(()) };
        let order: Order = parse(&line)?;
        let ended = self.run_trial(order, &mut words, output);
        if let Err(error) = &ended {
            tell(output, &Event::Failed { code: error.exit_code(), problem: with_causes(error) })?;
        }
        ended
    }

    fn run_trial(&self, mut order: Order, words: &mut Words<'_>, output: &mut dyn Write) -> Result<()> {
        order.request.lifecycle.remove = true;
        order.request.lifecycle.detach = false;
        // Several runs are made, and files of others would go at the end of each.
        order.request.lifecycle.cidfile = None;
        order.request.lifecycle.pidfile = None;
        order.request.lifecycle.conmon_pidfile = None;
        let created = self.create(order.request, Vec::new(), true)?;
        let record = created.record.clone();
        tell(
            output,
            &Event::Created {
                id: record.id.to_string(),
                image: record.image.clone(),
                stop_signal: record.request.stop_signal(&record.image_config),
                layer: self.store.container(&record.id).join("upper"),
            },
        )?;
        let shared = std::cell::RefCell::new((words, output));
        let hold = |pid: i32| {
            let (words, output) = &mut *shared.borrow_mut();
            tell(*output, &Event::Held { pid }).map_err(|error| error.to_string())?;
            match words.next() {
                Ok(Some(line)) if parse::<Word>(&line).is_ok_and(|word| word == Word::Go) => Ok(()),
                _ => Err("the learner has ended".to_owned()),
            }
        };
        let options = StartOptions {
            attach: true,
            bound: true,
            hold: Some(Hold(&hold)),
            filter_for: order.filter_for,
            trace: order.trace,
            ..StartOptions::default()
        };
        let attached = self.start_created(created, &options)?;
        let (words, output) = shared.into_inner();
        tell(output, &Event::Started { pid: attached.pid })?;
        serve(&attached, words, output)?;
        // What has to be looked at in its layer has been when the learner hangs up.
        while words.next()?.is_some() {}
        match self.remove_ended(&record.id, &attached) {
            Err(Error::NoSuchContainer { .. }) => Ok(()),
            removed => removed,
        }
    }
}

/// Passes output on until the container has ended.
fn serve(attached: &Attached, words: &mut Words<'_>, output: &mut dyn Write) -> Result<()> {
    let mut buffer = vec![0; Attached::BUFFER];
    let mut listening = true;
    loop {
        let wanted = if listening { PollFlags::IN } else { PollFlags::empty() };
        let mut polled = [PollFd::from_borrowed_fd(attached.as_fd(), PollFlags::IN), PollFd::from_borrowed_fd(words.input, wanted)];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(trouble("poll()", errno)),
        }
        let [monitor, learner] = polled.map(|entry| entry.revents());
        if listening && (learner.intersects(PollFlags::IN | PollFlags::HUP) || words.has_line()) {
            match words.next()? {
                Some(line) => {
                    if let Word::Signal(signal) = parse(&line)? {
                        send(attached.pid, signal);
                    }
                }
                None => {
                    listening = false;
                    send(attached.pid, 9);
                }
            }
        }
        if !monitor.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            continue;
        }
        let event = match attached.receive(&mut buffer) {
            Said::Output(data) | Said::Error(data) => Event::Output { text: String::from_utf8_lossy(data).into_owned() },
            Said::Exited(code) => Event::Exited { code },
            Said::Lost => Event::Exited { code: crate::record::LOST },
        };
        // A learner that is gone needs no output; the container is being killed then.
        let told = tell(output, &event);
        if matches!(event, Event::Exited { .. }) {
            return Ok(());
        }
        if told.is_err() && listening {
            listening = false;
            send(attached.pid, 9);
        }
    }
}

fn send(pid: i32, signal: i32) {
    // A process that has ended needs no signal. It is our container's first process, which its monitor reaps only
    // after telling us, so that the pid is still its own.
    if let Some(pid) = process::Pid::from_raw(pid)
        && let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
    {
        let _ = process::send_signal(&pidfd, signal);
    }
}

fn trouble(call: &'static str, errno: Errno) -> Error {
    Error::System { action: "run a trial".to_owned(), source: selkie_sys::SyscallError::new(call, errno) }
}

fn tell(output: &mut dyn Write, event: &Event) -> Result<()> {
    let failed = |source: std::io::Error| Error::File { action: "write", path: "events of a trial".into(), source };
    let mut line = serde_json::to_vec(event).map_err(|source| Error::Record { path: "events of a trial".into(), source })?;
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(failed)
}

fn parse<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|source| Error::Record { path: "orders of a trial".into(), source })
}

/// Lines of the learner.
#[derive(Debug)]
struct Words<'a> {
    input: BorrowedFd<'a>,
    pending: Vec<u8>,
}

impl Words<'_> {
    /// Returns whether a line is there without reading.
    fn has_line(&self) -> bool {
        self.pending.contains(&b'\n')
    }

    /// Returns the next line; `None` when the learner has hung up.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.pending, rest)));
            }
            let mut buffer = [0; 65536];
            match rustix::io::read(self.input, &mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => self.pending.extend_from_slice(buffer.get(..length).unwrap_or(&[])),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(trouble("read(learner)", errno)),
            }
        }
    }
}
