//! Moves bytes between a process and its clients until the process has ended and all it said has been delivered.
//!
//! Nothing is buffered beyond one message a client: a client that does not read stops the reading of the process's
//! output, and so in the end the process, exactly as a pipe would.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie_sys::process::{Child, Ended};
use selkie_sys::{Errno, process, socket, terminal};

use super::clients::Client;
use super::log::{Log, Stream};
use super::message;

/// The engine's ends of a process's standard streams.
#[derive(Debug)]
pub(super) enum Streams {
    /// Pipes.
    Pipes {
        /// `None` when it reads from `/dev/null`.
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    },
    /// A terminal.
    Terminal(Option<OwnedFd>),
}

/// What a relay works on.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) child: Child,
    pub(super) streams: Streams,
    pub(super) log: Option<Log>,
    pub(super) listener: Option<OwnedFd>,
    pub(super) clients: Vec<Client>,
    input: Vec<u8>,
    close_input: bool,
    ended: Option<Ended>,
    /// The clients have been told of the end.
    told: bool,
    /// When the process is killed.
    pub(super) deadline: Option<Instant>,
    /// The process is killed when nobody is attached any more.
    pub(super) bound: bool,
    /// It waits for long, it seems: it becomes as small as can be just before.
    pub(super) settles: bool,
}

/// Which descriptor an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Child,
    Stdout,
    Stderr,
    Stdin,
    Terminal,
    Listener,
    Client(usize),
}

impl Relay {
    pub(super) fn new(child: Child, streams: Streams, log: Option<Log>, listener: Option<OwnedFd>, clients: Vec<Client>) -> Self {
        Self {
            child,
            streams,
            log,
            listener,
            clients,
            input: Vec::new(),
            close_input: false,
            ended: None,
            told: false,
            deadline: None,
            bound: false,
            settles: false,
        }
    }

    /// Runs until the process has ended, all of its output is delivered, and the clients know how it ended. Calls `ended` when
    /// its output is in the log, before the clients hear of the end or, if `client_first`, after.
    pub(super) fn run(mut self, client_first: bool, ended: impl FnOnce(Ended)) -> Vec<Client> {
        let mut buffer = vec![0; message::LIMIT];
        let mut ended = Some(ended);
        let mut tell = |how| {
            if let Some(ended) = ended.take() {
                ended(how);
            }
        };
        loop {
            for (source, flags) in self.wait() {
                self.handle(source, flags, &mut buffer);
            }
            self.clients.retain_mut(|client| client.is_full() || client.flush());
            // The process itself is among the children that ended, or an orphan of it that came to us.
            while let Some((pid, how)) = process::reap_any() {
                if pid == self.child.pid {
                    self.ended = Some(how);
                }
            }
            if self.bound && self.clients.is_empty() && self.ended.is_none() {
                // What ends it ends everything in its PID namespace.
                let _ = process::send_signal(&self.child.pidfd, 9);
                self.bound = false;
            }
            let Some(how) = self.ended else { continue };
            if !self.is_drained() {
                // A client that does not read keeps back output, but not that the process has ended.
                if self.clients.iter().any(Client::is_full) {
                    tell(how);
                }
                continue;
            }
            if !self.told {
                self.told = true;
                if !client_first {
                    tell(how);
                }
                self.clients.retain_mut(|client| client.send(message::EXITED, how.code().to_string().as_bytes()));
                tell(how);
            }
            // That, too, may have found no room.
            if self.is_drained() {
                return self.clients;
            }
        }
    }

    /// Returns whether everything that the process has said is delivered.
    fn is_drained(&self) -> bool {
        let closed = match &self.streams {
            Streams::Pipes { stdout, stderr, .. } => stdout.is_none() && stderr.is_none(),
            Streams::Terminal(master) => master.is_none(),
        };
        closed && !self.clients.iter().any(Client::is_full)
    }

    fn interests(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut list = Vec::with_capacity(8);
        if self.ended.is_none() {
            list.push((Source::Child, self.child.pidfd.as_fd(), PollFlags::IN));
            list.extend(self.listener.as_ref().map(|listener| (Source::Listener, listener.as_fd(), PollFlags::IN)));
        }
        let room = !self.clients.iter().any(Client::is_full);
        let reading = if room { PollFlags::IN } else { PollFlags::empty() };
        let writing = if self.input.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        match &self.streams {
            Streams::Pipes { stdin, stdout, stderr } => {
                list.extend(stdin.as_ref().filter(|_| !self.input.is_empty()).map(|fd| (Source::Stdin, fd.as_fd(), PollFlags::OUT)));
                if room {
                    list.extend(stdout.as_ref().map(|fd| (Source::Stdout, fd.as_fd(), PollFlags::IN)));
                    list.extend(stderr.as_ref().map(|fd| (Source::Stderr, fd.as_fd(), PollFlags::IN)));
                }
            }
            Streams::Terminal(master) => {
                let flags = reading | writing;
                list.extend(master.as_ref().filter(|_| !flags.is_empty()).map(|fd| (Source::Terminal, fd.as_fd(), flags)));
            }
        }
        for (number, client) in self.clients.iter().enumerate() {
            let mut flags = if client.is_full() { PollFlags::OUT } else { PollFlags::empty() };
            if self.input.is_empty() {
                flags |= PollFlags::IN;
            }
            list.push((Source::Client(number), client.as_fd(), flags));
        }
        list
    }

    fn wait(&mut self) -> Vec<(Source, PollFlags)> {
        let settles = std::mem::take(&mut self.settles);
        let interests = self.interests();
        let mut polled: Vec<PollFd<'_>> = interests.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        // After the end of the process only what is still in the pipes counts; other holders of them are not waited for.
        let patience = match (self.ended, self.deadline) {
            (Some(_), _) => Some(Duration::from_millis(100)),
            (None, Some(deadline)) => Some(deadline.saturating_duration_since(Instant::now())),
            (None, None) => None,
        };
        let patience = patience.map(|time| Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() });
        if settles {
            // Here, where next to no code is left to be mapped again until there is something to do.
            selkie_sys::memory::release();
        }
        match poll(&mut polled, patience.as_ref()) {
            Ok(0) if self.ended.is_none() => {
                // Its time is over. What ends it ends everything in its PID namespace.
                let _ = process::send_signal(&self.child.pidfd, 9);
                self.deadline = None;
                Vec::new()
            }
            Ok(0) => vec![(Source::Stdout, PollFlags::HUP), (Source::Stderr, PollFlags::HUP), (Source::Terminal, PollFlags::HUP)],
            Ok(_) => {
                let happened = interests.iter().zip(&polled).map(|((source, _, _), polled)| (*source, polled.revents()));
                // Clients last and backwards, so that removing one does not move those before it.
                let mut events: Vec<_> = happened.filter(|(_, flags)| !flags.is_empty()).collect();
                events.sort_by_key(|(source, _)| match source {
                    Source::Client(number) => usize::MAX - number,
                    _ => 0,
                });
                events
            }
            Err(_) => Vec::new(),
        }
    }

    fn handle(&mut self, source: Source, flags: PollFlags, buffer: &mut [u8]) {
        match source {
            // Reaped with all others, in one place.
            Source::Child => {}
            Source::Listener => self.accept(),
            Source::Client(number) => self.serve(number, flags, buffer),
            Source::Stdin => self.write_input(),
            Source::Stdout | Source::Stderr | Source::Terminal => {
                if source == Source::Terminal && flags.contains(PollFlags::OUT) {
                    self.write_input();
                }
                if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    self.read_output(source, buffer);
                }
            }
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        while let Ok(Some(connection)) = socket::accept(listener) {
            self.clients.push(Client::new(connection));
        }
    }

    fn serve(&mut self, number: usize, flags: PollFlags, buffer: &mut [u8]) {
        let Some(client) = self.clients.get_mut(number) else { return };
        let mut present = true;
        if flags.contains(PollFlags::OUT) {
            present = client.flush();
        }
        if present && flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            present = match socket::receive(client.as_fd(), buffer, true) {
                Ok(0) => false,
                Ok(length) => {
                    self.obey(buffer.get(..length).unwrap_or(&[]));
                    true
                }
                Err(Errno::AGAIN) => true,
                Err(_) => false,
            };
        }
        if !present {
            self.clients.swap_remove(number);
            self.settles |= self.clients.is_empty() && self.ended.is_none();
        }
    }

    /// Does what one message of a client asks for.
    fn obey(&mut self, received: &[u8]) {
        match received.split_first() {
            Some((&message::INPUT, data)) => {
                self.input.extend_from_slice(data);
                self.write_input();
            }
            Some((&message::END_OF_INPUT, _)) => {
                self.close_input = true;
                self.write_input();
            }
            Some((&message::SIZE, [a, b, c, d])) => {
                if let Streams::Terminal(Some(master)) = &self.streams {
                    // A size that the kernel refuses changes nothing.
                    let _ = terminal::resize(master, u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
                }
            }
            _ => {}
        }
    }

    fn write_input(&mut self) {
        let stdin = match &mut self.streams {
            Streams::Pipes { stdin, .. } => stdin,
            Streams::Terminal(master) => master,
        };
        let Some(fd) = stdin else {
            self.input.clear();
            return;
        };
        match rustix::io::write(&*fd, &self.input) {
            Ok(length) => drop(self.input.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // It reads no more.
            Err(_) => self.input.clear(),
        }
        if self.close_input
            && self.input.is_empty()
            && let Streams::Pipes { stdin, .. } = &mut self.streams
        {
            *stdin = None;
        }
    }

    fn read_output(&mut self, source: Source, buffer: &mut [u8]) {
        if self.clients.iter().any(Client::is_full) {
            return;
        }
        let slot = match (&mut self.streams, source) {
            (Streams::Pipes { stdout, .. }, Source::Stdout) => stdout,
            (Streams::Pipes { stderr, .. }, Source::Stderr) => stderr,
            (Streams::Terminal(master), Source::Terminal) => master,
            _ => return,
        };
        let Some(fd) = slot else { return };
        match rustix::io::read(&*fd, &mut *buffer) {
            // A terminal answers EIO when the last process has closed it.
            Ok(0) | Err(Errno::IO) => *slot = None,
            // While the process lives somebody may still write; afterwards this was all.
            Err(Errno::AGAIN) if self.ended.is_some() => *slot = None,
            Err(_) => {}
            Ok(length) => self.deliver(source, buffer.get(..length).unwrap_or(&[])),
        }
    }

    fn deliver(&mut self, source: Source, data: &[u8]) {
        let (stream, tag) = if source == Source::Stderr { (Stream::Stderr, message::ERROR) } else { (Stream::Stdout, message::OUTPUT) };
        if let Some(log) = &mut self.log {
            log.append(stream, data);
        }
        self.clients.retain_mut(|client| client.send(tag, data));
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::Pid;

    use super::*;

    #[test]
    fn end_is_told_to_a_client_that_had_no_room_for_it() {
        #[expect(clippy::zombie_processes, reason = "the relay reaps it")]
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let child = Child { pid, pidfd: rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap() };
        let (ours, theirs) = socket::pair().unwrap();
        for body in [&[0_u8; 1000][..], &[]] {
            while socket::send(&ours, message::OUTPUT, body, true).is_ok() {}
        }
        let streams = Streams::Pipes { stdin: None, stdout: None, stderr: None };
        let relay = Relay::new(child, streams, None, None, vec![Client::new(ours)]);
        let (ended, begin) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            // It is told before it reads the first message.
            begin.recv().unwrap();
            let (mut buffer, mut last) = ([0; 2000], None);
            while let Ok(1..) = socket::receive(&theirs, &mut buffer, false) {
                last = buffer.first().copied();
            }
            last
        });
        drop(relay.run(true, |_| ended.send(()).unwrap()));
        assert_eq!(reader.join().unwrap(), Some(message::EXITED));
    }
}
