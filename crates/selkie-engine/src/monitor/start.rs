//! The monitor of a container: starts it, watches it, writes down how it ended, cleans up.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use selkie_runtime::cgroup::{Cgroup, Layout};
use selkie_runtime::{Launch, Stdio};
use selkie_sys::process::{self, Child, Ended, SingleThreaded, Strings};
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Context, socket};

use super::clients::Client;
use super::log::Log;
use super::order::{After, StartOrder};
use super::relay::{Relay, Streams};
use super::{descriptor, drop_privileges, message};
use crate::error::{Error, Result};
use crate::files::{self, Durability, remove_file, write_json};
use crate::process::Identity;
use crate::record::{Exit, Live, now};

/// Everything between the start of a container and its end.
pub(super) fn run(proof: SingleThreaded, after: &After, order: &StartOrder) -> Result<()> {
    let control = process::inherited(descriptor::CONTROL).map_err(Error::system("start a monitor"))?;
    let engine = process::inherited(descriptor::ENGINE).map_err(Error::system("start a monitor"))?;
    let started = now();
    let begun = match begin(proof, order, &started) {
        Ok(begun) => begun,
        Err(error) => {
            report_failure(&control, &error);
            return Err(error);
        }
    };
    let pid = begun.relay.child.pid.as_raw_nonzero().to_string();
    let mut relay = begun.relay;
    // Whoever has started us may be gone already.
    let present = socket::send(&control, message::STARTED, pid.as_bytes(), false).is_ok();
    if present && order.attached {
        relay.clients.push(Client::new(control));
    } else {
        drop(control);
    }
    let mut code = crate::record::LOST;
    let cgroup = begun.cgroup;
    relay.deadline = order.timeout.map(|seconds| std::time::Instant::now() + std::time::Duration::from_secs(seconds.into()));
    let clients = relay.run(|ended| {
        code = ended.code();
        // Nobody is left to hear of an error here; what could not be written shows as a lost end.
        let _ = finish(order, cgroup.as_ref(), &started, ended);
    });
    for mut client in clients {
        client.send(message::EXITED, code.to_string().as_bytes());
        // The removal is the business of the client that waits for the end, if it is still there.
        if order.attached && after.remove && client_takes_over(&client) {
            return Ok(());
        }
    }
    follow(after, order, code, &engine)
}

struct Begun {
    relay: Relay,
    cgroup: Option<Cgroup>,
}

fn begin(proof: SingleThreaded, order: &StartOrder, started: &str) -> Result<Begun> {
    let root = process::inherited(descriptor::SUBJECT).map_err(Error::system("start a monitor"))?;
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let files = rustix::fs::open(&order.running, directory, Mode::empty())
        .call(|| format!("open({:?})", order.running))
        .map_err(Error::system("start a monitor"))?;
    let filter = order.filtered.then(|| read_filter(&order.running)).transpose()?;
    let log = order.log.clone().map(Log::open).transpose()?;
    let listener = if log.is_some() || order.attached { Some(listen(order, &files)?) } else { None };
    let layout = Layout::detect();
    let cgroup = match &order.plan.cgroup.path {
        Some(_) => Some(Cgroup::create(&layout, &order.plan.cgroup)?.0),
        None => None,
    };
    let hierarchies = layout.used(&order.plan.cgroup);
    let preserved = inherited(descriptor::SUBJECT + 1, order.preserve)?;
    let preserved: Vec<_> = preserved.iter().map(AsFd::as_fd).collect();
    let ends = Ends::new(order)?;
    let launch = Launch {
        id: &order.id,
        plan: &order.plan,
        filter: filter.as_deref(),
        root: root.as_fd(),
        staging: &order.staging,
        files: &order.running,
        engine: &order.engine,
        cgroup: cgroup.as_ref(),
        hierarchies: &hierarchies,
        stdio: ends.stdio(order.size),
        start: None,
        preserve: &preserved,
    };
    let running = selkie_runtime::launch(proof, launch).and_then(selkie_runtime::Started::executed);
    let (child, master) = match running {
        Ok(running) => running,
        Err(error) => {
            if let Some(cgroup) = &cgroup {
                let _ = cgroup.remove();
            }
            return Err(error.into());
        }
    };
    record(order, &child, started)?;
    drop_privileges()?;
    Ok(Begun { relay: Relay::new(child, ends.streams(master)?, log, listener, Vec::new()), cgroup })
}

/// Takes the `count` descriptors from `first` on that were handed over for the program.
pub(super) fn inherited(first: i32, count: u32) -> Result<Vec<OwnedFd>> {
    (0..count)
        .map(|offset| process::inherited(first.saturating_add_unsigned(offset)).map_err(Error::system("take what is preserved")))
        .collect()
}

fn listen(order: &StartOrder, files: &OwnedFd) -> Result<OwnedFd> {
    remove_file(&order.running.join("attach"))?;
    socket::listen(files, "attach").map_err(Error::system("listen for attach"))
}

pub(super) fn read_filter(running: &Path) -> Result<Vec<Instruction>> {
    let path = running.join("filter");
    let bytes = std::fs::read(&path).map_err(|source| Error::File { action: "read", path, source })?;
    let (whole, _) = bytes.as_chunks::<8>();
    Ok(whole
        .iter()
        .map(|&[a, b, jt, jf, c, d, e, f]| Instruction { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes([c, d, e, f]) })
        .collect())
}

/// Writes down which process it is: from here on every command finds it.
fn record(order: &StartOrder, child: &Child, started: &str) -> Result<()> {
    let live = Live {
        init: Identity::of(child.pid.as_raw_nonzero().get())?,
        monitor: Identity::of(rustix::process::getpid().as_raw_nonzero().get())?,
        started: started.to_owned(),
        restarts: order.restarts,
    };
    write_json(&order.running, "state.json", &live, Durability::Volatile)
}

/// Both ends of the standard streams.
struct Ends {
    theirs: Option<[OwnedFd; 3]>,
    ours: Option<(Option<OwnedFd>, OwnedFd, OwnedFd)>,
}

impl Ends {
    fn new(order: &StartOrder) -> Result<Self> {
        if order.plan.process.terminal { Ok(Self { theirs: None, ours: None }) } else { pipes(order.interactive) }
    }

    fn stdio(&self, size: Option<(u16, u16)>) -> Stdio<'_> {
        match &self.theirs {
            Some([stdin, stdout, stderr]) => Stdio::Descriptors { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() },
            None => Stdio::Terminal { size },
        }
    }

    /// Keeps our ends only.
    fn streams(self, master: Option<OwnedFd>) -> Result<Streams> {
        streams(self.ours, master)
    }
}

fn pipes(interactive: bool) -> Result<Ends> {
    let (ours, theirs) = stdio_pipes(interactive)?;
    Ok(Ends { theirs: Some(theirs), ours: Some(ours) })
}

/// Our ends: standard input if wanted, output, error.
type Ours = (Option<OwnedFd>, OwnedFd, OwnedFd);

/// Makes pipes for a process; without `interactive` its standard input is `/dev/null`.
pub(super) fn stdio_pipes(interactive: bool) -> Result<(Ours, [OwnedFd; 3])> {
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2()").map_err(Error::system("make pipes"));
    let (stdin, input) = if interactive {
        let (reader, writer) = pipe()?;
        (reader, Some(writer))
    } else {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).call(|| "open(\"/dev/null\")");
        (null.map_err(Error::system("make pipes"))?, None)
    };
    let (output, stdout) = pipe()?;
    let (error, stderr) = pipe()?;
    Ok(((input, output, error), [stdin, stdout, stderr]))
}

/// Makes our ends, or the master of a terminal, fit for one thread that serves all of them.
pub(super) fn streams(ours: Option<Ours>, master: Option<OwnedFd>) -> Result<Streams> {
    let nonblocking = |fd: &OwnedFd| {
        rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK)
            .call(|| "fcntl(F_SETFL, O_NONBLOCK)")
            .map_err(Error::system("serve the standard streams"))
    };
    match ours {
        Some((stdin, stdout, stderr)) => {
            [Some(&stdout), Some(&stderr), stdin.as_ref()].into_iter().flatten().try_for_each(nonblocking)?;
            Ok(Streams::Pipes { stdin, stdout: Some(stdout), stderr: Some(stderr) })
        }
        None => {
            master.iter().try_for_each(nonblocking)?;
            Ok(Streams::Terminal(master))
        }
    }
}

/// Tells the client why nothing was started.
pub(super) fn report_failure(control: &OwnedFd, error: &Error) {
    let body = match error {
        Error::Runtime(error) => {
            let kind = match error.kind {
                selkie_runtime::Kind::NotFound => "n",
                selkie_runtime::Kind::NotExecutable => "x",
                selkie_runtime::Kind::Setup => "s",
            };
            format!("{kind}\0{}\0{}", error.stage, error.message)
        }
        other => {
            let cause = std::error::Error::source(other).map(|source| format!(": {source}")).unwrap_or_default();
            format!("s\0monitor\0{other}{cause}")
        }
    };
    // A client that is gone does not need to know.
    let _ = socket::send(control, message::FAILED, body.as_bytes(), false);
}

/// Writes down how the container ended and removes what it had in the kernel.
fn finish(order: &StartOrder, cgroup: Option<&Cgroup>, started: &str, ended: Ended) -> Result<()> {
    let out_of_memory = cgroup.is_some_and(Cgroup::was_out_of_memory);
    let exit = Exit {
        code: ended.code(),
        started: started.to_owned(),
        finished: now(),
        out_of_memory,
        stopped_by_user: order.running.join("stopped").exists(),
        error: String::new(),
        restarts: order.restarts,
    };
    let written = write_json(&order.container, "exit.json", &exit, Durability::Volatile);
    // All of it is tried; the first error counts.
    let removed = cgroup.map_or(Ok(()), |cgroup| cgroup.remove().map_err(Error::from));
    let forgotten = files::remove_file(&order.running.join("state.json")).and_then(|()| remove_file(&order.running.join("attach")));
    written.and(removed).and(forgotten)
}

/// Returns whether the client at the other end is still there to remove the container.
fn client_takes_over(client: &Client) -> bool {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(client.as_fd(), rustix::event::PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(0))
}

/// Does what the flags say happens after the end, by becoming `selkie` again.
fn follow(after: &After, order: &StartOrder, code: i32, engine: &OwnedFd) -> Result<()> {
    let by_user = order.running.join("stopped").exists();
    let again = after.restart.is_some_and(|restart| !by_user && restart.applies(code, order.restarts));
    let command: &[&str] = match (again, after.remove) {
        (true, _) => &["__restart"],
        (false, true) => &["container", "cleanup", "--rm"],
        (false, false) => return Ok(()),
    };
    let mut arguments = vec!["selkie"];
    arguments.extend(after.globals.iter().map(String::as_str));
    arguments.extend_from_slice(command);
    arguments.push(&order.id);
    let arguments = Strings::new(&arguments).map_err(Error::system("clean up"))?;
    let environment = Strings::new(&["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]).map_err(Error::system("clean up"))?;
    selkie_sys::signal::reset_all();
    let errno = process::execute_descriptor(engine.as_fd(), &arguments, &environment);
    Err(Error::System { action: "clean up".to_owned(), source: selkie_sys::SyscallError::new("execveat(self)", errno) })
}
