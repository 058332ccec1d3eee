//! A client at a terminal: moves bytes between it and the monitor of a process until the process ends or the user detaches.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use selkie_engine::{Attached, Event};

use crate::exit;
use crate::ui::error::Failure;
use crate::ui::{reader, signals};

/// How a client behaves.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Standard input goes to the process.
    pub(crate) interactive: bool,
    /// The process has a terminal.
    pub(crate) tty: bool,
    /// Bytes that detach; empty never.
    pub(crate) detach_keys: Vec<u8>,
    /// Signals go to the process.
    pub(crate) proxy: bool,
    /// Output is shown.
    pub(crate) stdout: bool,
    /// Errors are shown.
    pub(crate) stderr: bool,
    /// It only looks: when nobody reads standard output it ends, though nothing is written. A client whose status is the process's
    /// goes on until there is something to write, as any program in a pipe does.
    pub(crate) watches_reader: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process has ended with this status.
    Exited(i32),
    /// The user has typed the detach keys.
    Detached,
    /// Nobody reads the output any more. The process goes on, as Podman has it.
    Unread,
}

impl End {
    /// Returns the exit code of a client that has nothing more to do.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Exited(status) => exit::of_status(status),
            Self::Detached => ExitCode::SUCCESS,
            Self::Unread => ExitCode::from(exit::UNREAD),
        }
    }
}

/// Sets a terminal back when it goes out of scope.
struct RawMode {
    saved: Termios,
}

impl RawMode {
    /// Makes standard input raw if it is a terminal.
    fn enter() -> Option<Self> {
        Self::change(Termios::make_raw)
    }

    /// Lets the output of a terminal through as it comes: that of the container has made lines of it already. The keys keep their
    /// meaning, so that Ctrl-C ends what nothing can be typed to.
    fn of_output() -> Option<Self> {
        Self::change(|terminal| terminal.output_modes.remove(OutputModes::OPOST))
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Option<Self> {
        let saved = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = saved.clone();
        change(&mut raw);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { saved })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.saved);
    }
}

/// Returns rows and columns of the caller's terminal, if there is one.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    selkie_sys::terminal::size(std::io::stdin()).or_else(|_| selkie_sys::terminal::size(std::io::stdout())).ok()
}

/// Parses detach keys: single letters or `ctrl-X`, separated by commas. An empty text means none.
pub(crate) fn parse_detach_keys(text: &str) -> Result<Vec<u8>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|key| match (key.strip_prefix("ctrl-"), key.as_bytes()) {
            (None, [byte]) => Ok(*byte),
            (Some(control), _) => match control.as_bytes() {
                [byte @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Ok(byte.to_ascii_uppercase() & 0x1f),
                _ => Err(Failure::engine(format!("unable to parse detach keys: unknown character '{key}'"))),
            },
            _ => Err(Failure::engine(format!("unable to parse detach keys: unknown character '{key}'"))),
        })
        .collect()
}

/// Serves the process until it ends. `signal` passes one on.
pub(crate) fn serve(attached: &Attached, options: &Options, signal: &mut dyn FnMut(i32)) -> Result<End, Failure> {
    let raw = match options.tty && std::io::stdin().is_terminal() {
        true if options.interactive => RawMode::enter(),
        true => RawMode::of_output(),
        false => None,
    };
    let signals = signals::watch(options.proxy)?;
    let mut session = Session {
        attached,
        options,
        input: options.interactive,
        reader: options.watches_reader && options.stdout,
        matched: 0,
        buffer: vec![0; Attached::BUFFER],
    };
    let end = session.run(&signals, signal);
    drop(raw);
    end
}

struct Session<'a> {
    attached: &'a Attached,
    options: &'a Options,
    input: bool,
    reader: bool,
    matched: usize,
    buffer: Vec<u8>,
}

impl Session<'_> {
    fn run(&mut self, signals: &OwnedFd, signal: &mut dyn FnMut(i32)) -> Result<End, Failure> {
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        loop {
            let mut polled = vec![PollFd::from_borrowed_fd(self.attached.as_fd(), PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            if self.input {
                polled.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            }
            if self.reader {
                polled.push(PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()));
            }
            match poll(&mut polled, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(std::io::Error::from(errno).into()),
            }
            let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready.get(1) == Some(&true) {
                while let Some(number) = selkie_sys::signal::next(signals) {
                    self.on_signal(number, signal);
                }
            }
            if ready.first() == Some(&true)
                && let Some(end) = self.on_output()?
            {
                return Ok(end);
            }
            if self.reader && ready.last() == Some(&true) {
                if reader::is_gone(&stdout) {
                    return Ok(End::Unread);
                }
                // A terminal that is gone: its hang-up is a signal of its own.
                self.reader = false;
            }
            if self.input && ready.get(2) == Some(&true) && self.on_input()? {
                return Ok(End::Detached);
            }
        }
    }

    fn on_signal(&self, number: i32, signal: &mut dyn FnMut(i32)) {
        if number == signals::RESIZED {
            if let (true, Some((rows, columns))) = (self.options.tty, terminal_size()) {
                self.attached.resize(rows, columns);
            }
        } else {
            signal(number);
        }
    }

    fn on_output(&mut self) -> Result<Option<End>, Failure> {
        let written = match self.attached.receive(&mut self.buffer) {
            Event::Output(data) if self.options.stdout => write(&mut std::io::stdout().lock(), data),
            Event::Error(data) if self.options.stderr => write(&mut std::io::stderr().lock(), data),
            Event::Output(_) | Event::Error(_) => Written::Whole,
            Event::Exited(code) => return Ok(Some(End::Exited(code))),
            Event::Lost => return Err(Failure::engine("the monitor of the container is gone; its exit status is not known").with_code(255)),
        };
        Ok((written == Written::Unread).then_some(End::Unread))
    }

    /// Passes input on; returns true when it had the detach keys.
    fn on_input(&mut self) -> Result<bool, Failure> {
        let mut data = [0; 4096];
        let length = match rustix::io::read(std::io::stdin(), &mut data) {
            Ok(length) => length,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(false),
            // A terminal that is gone is the end of the input.
            Err(rustix::io::Errno::IO) => 0,
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        };
        let data = data.get(..length).unwrap_or(&[]);
        if data.is_empty() {
            self.input = false;
            self.attached.end_input();
            return Ok(false);
        }
        if self.options.tty && self.detaches(data) {
            return Ok(true);
        }
        if self.attached.send_input(data).is_err() {
            self.input = false;
        }
        Ok(false)
    }

    /// Follows the detach keys through what is typed, one read after the other.
    fn detaches(&mut self, data: &[u8]) -> bool {
        let keys = &self.options.detach_keys;
        for byte in data {
            self.matched = match keys.get(self.matched) {
                Some(key) if key == byte => self.matched + 1,
                _ => usize::from(keys.first() == Some(byte)),
            };
            if !keys.is_empty() && self.matched == keys.len() {
                return true;
            }
        }
        false
    }
}

/// What has become of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// It is out, or lost for a reason of the place it went to, a full disk for example, which must not end the client.
    Whole,
    /// Nobody reads it.
    Unread,
}

/// Writes output.
fn write(stream: &mut impl Write, data: &[u8]) -> Written {
    match stream.write_all(data).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Written::Unread,
        _ => Written::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_of_podman() {
        assert_eq!(parse_detach_keys("ctrl-p,ctrl-q").unwrap(), [16, 17]);
    }

    #[test]
    fn detach_keys_with_an_unknown_word_are_refused() {
        assert_eq!(parse_detach_keys("ctrl-p,foo").unwrap_err().line(), "unable to parse detach keys: unknown character 'foo'");
    }
}
