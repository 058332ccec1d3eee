//! The monitor of a container: starts it, watches it, writes down how it ended, cleans up.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use selkie_plan::Plan;
use selkie_runtime::cgroup::{Cgroup, Hierarchy};
use selkie_runtime::{Ahead, Launch, Stdio};
use selkie_sys::process::{self, Child, Ended, SingleThreaded, Strings};
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Context, socket};

use super::clients::Client;
use super::log::Log;
use super::order::{After, PlanNote, StartOrder};
use super::relay::{Relay, Streams};
use super::{Given, drop_privileges, message};
use crate::error::{Error, Result, with_causes};
use crate::files::{self, Durability, remove_file, write_json};
use crate::process::Identity;
use crate::record::{Exit, Live, REMOVING, STARTING, STATE, now};
use crate::recording;
use crate::start::{FILTER, TRACE_FILTER};

/// What is still needed of the orders when the container runs; the plan is not.
struct Watch {
    id: String,
    container: PathBuf,
    running: PathBuf,
    restarts: u32,
    started: String,
    cgroup: Option<Cgroup>,
}

/// Everything between the start of a container and its end.
pub(super) fn run(proof: SingleThreaded, after: &After, order: Box<StartOrder>, given: Given) -> Result<()> {
    let Given { control, engine, subject: root, mut further, ahead, planned } = given;
    // The client's lock, ours too until the container can be found: the client may die at any moment.
    let lock = (!further.is_empty()).then(|| further.remove(0));
    let started = now();
    // The removal is the business of the client that waits for the end, if it is still there.
    let is_watched = order.attached && after.remove;
    let planned =
        planned.unwrap_or_else(|| Err(Error::State { operation: "a monitor has orders to start a container without its plan".to_owned() }));
    let subject = Subject { control: &control, root: &root, further: &further, ahead: ahead.as_ref(), is_watched };
    let begun = planned.and_then(|planned| begin(proof, &order, planned, subject, &started));
    drop(lock);
    let Begun { mut relay, cgroup, mounts } = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let _ = remove_file(&order.running.join(STATE));
            let _ = remove_file(&order.running.join(STARTING));
            report_failure(&control, &error);
            return Err(error);
        }
    };
    relay.bound = order.bound;
    relay.settles = !is_watched;
    relay.deadline = order.timeout.map(|seconds| std::time::Instant::now() + std::time::Duration::from_secs(seconds.into()));
    let pid = relay.child.pid.as_raw_nonzero().to_string();
    // Whoever has started us may be gone already.
    let present = socket::send(&control, message::STARTED, pid.as_bytes(), false).is_ok();
    if present && order.attached {
        relay.clients.push(Client::new(control));
    } else {
        drop(control);
    }
    let StartOrder { id, container, running, restarts, own_mounts, .. } = *order;
    let watch = Watch { id, container, running, restarts, started, cgroup };
    // With them the namespaces outlive the container's process, which so ends sooner: taking a mount namespace apart is slow.
    let mut kept = ahead.map(Ahead::into_namespaces).filter(|_| is_watched).unwrap_or_default();
    kept.extend(mounts);
    drop((root, further));
    let mut code = crate::record::LOST;
    let clients = relay.run(is_watched, |ended| {
        code = ended.code();
        // Nobody is left to hear of an error here; what could not be written shows as a lost end.
        let _ = finish(&watch, ended);
    });
    if is_watched && clients.iter().any(client_takes_over) {
        if !own_mounts {
            // The user may want to unmount next what the container had.
            kept.clear();
        }
        // It waits for us to hang up, which is sooner than by ending.
        drop(clients);
        return Ok(());
    }
    drop((kept, clients));
    follow(after, &watch, code, &engine)
}

struct Begun {
    relay: Relay,
    cgroup: Option<Cgroup>,
    /// The container's mount namespace, if somebody waits for the end.
    mounts: Option<OwnedFd>,
}

/// What a start has at hand besides its orders.
#[derive(Clone, Copy)]
struct Subject<'a> {
    control: &'a OwnedFd,
    root: &'a OwnedFd,
    further: &'a [OwnedFd],
    ahead: Option<&'a Ahead>,
    is_watched: bool,
}

/// A plan, with the cgroups that are begun for it.
pub(super) struct Planned {
    plan: Plan,
    hierarchies: Vec<Hierarchy>,
    cgroup: Option<Cgroup>,
}

impl Planned {
    /// Reads the plan that a [`PlanNote`] tells of, and begins its cgroups.
    pub(super) fn make(note: &[u8]) -> Result<Self> {
        let odd = |source| Error::Record { path: "note of the plan".into(), source };
        let PlanNote { records, hierarchies } = serde_json::from_slice(note).map_err(odd)?;
        let path = records.join("plan.json");
        let gone = || Error::File { action: "read", path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
        let plan: Plan = files::read_json(&path)?.ok_or_else(gone)?;
        let cgroup = match &plan.cgroup.path {
            Some(_) => Some(Cgroup::begin(hierarchies.clone(), &plan.cgroup)?),
            None => None,
        };
        Ok(Self { plan, hierarchies, cgroup })
    }

    /// Says of a start that the kernel has ended for want of memory what it wants.
    fn explain(&self, error: Error) -> Error {
        let Some(memory) = self.plan.cgroup.memory.filter(|_| self.cgroup.as_ref().is_some_and(Cgroup::was_out_of_memory)) else {
            return error;
        };
        let problem = format!("the limit of {memory} bytes is too small for the program to be started");
        Error::Runtime(selkie_runtime::Error::refused("limit `--memory`", problem))
    }

    /// Takes the cgroups away again: nothing is in them.
    pub(super) fn abandon(self) {
        if let Some(cgroup) = self.cgroup {
            // Nobody is left to hear of an error; the next command that has to do with the container finds it.
            let _ = cgroup.remove();
        }
    }
}

/// What it has on the stack does not stay there while the container runs.
#[inline(never)]
fn begin(proof: SingleThreaded, order: &StartOrder, planned: Box<Planned>, subject: Subject<'_>, started: &str) -> Result<Begun> {
    let (executed, ends) = match start(proof, order, &planned, subject, started) {
        Ok(running) => running,
        // The reason for the failure is what the user has to hear.
        Err(error) => {
            let error = planned.explain(error);
            planned.abandon();
            return Err(error);
        }
    };
    let Executed { child, master, listener } = executed;
    // Without it the end only takes longer.
    let mounts = subject.is_watched.then(|| mount_namespace(&child)).flatten();
    drop_privileges()?;
    let log = order.log.clone().map(Log::new);
    let relay = Relay::new(child, ends.streams(master)?, log, listener, Vec::new());
    Ok(Begun { relay, cgroup: planned.cgroup, mounts })
}

fn start(proof: SingleThreaded, order: &StartOrder, planned: &Planned, subject: Subject<'_>, started: &str) -> Result<(Executed, Ends)> {
    let Planned { plan, hierarchies, cgroup } = planned;
    let filter = order.filtered.then(|| read_filter(&order.running, FILTER)).transpose()?;
    let trace = order.traced.then(|| read_filter(&order.running, TRACE_FILTER)).transpose()?;
    let preserved: Vec<_> = subject.further.iter().map(AsFd::as_fd).collect();
    let ends = if plan.process.terminal { Ends { theirs: None, ours: None } } else { pipes(order.interactive)? };
    let launch = Launch {
        id: &order.id,
        plan,
        filter: filter.as_deref(),
        trace: trace.as_deref(),
        root: subject.root.as_fd(),
        staging: &order.staging,
        files: &order.running,
        engine: &order.engine,
        cgroup: cgroup.as_ref(),
        hierarchies,
        stdio: ends.stdio(order.size),
        ahead: subject.ahead,
        preserve: &preserved,
        held: order.held,
    };
    let executed = execute(proof, order, (&launch, subject.control), started)?;
    Ok((executed, ends))
}

/// A container that runs.
struct Executed {
    child: Child,
    master: Option<OwnedFd>,
    /// Where those who attach later connect.
    listener: Option<OwnedFd>,
}

fn mount_namespace(child: &Child) -> Option<OwnedFd> {
    rustix::fs::open(format!("/proc/{}/ns/mnt", child.pid.as_raw_nonzero()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Makes the container's process, writes it down, and only then lets it execute its program: whenever this monitor dies,
/// what runs can be found, and what cannot be found does not run.
fn execute(proof: SingleThreaded, order: &StartOrder, (launch, control): (&Launch<'_>, &OwnedFd), began: &str) -> Result<Executed> {
    // First what it waits for: it makes the container meanwhile.
    let started = selkie_runtime::launch(proof, launch)?.accompanied(launch)?;
    let listener = match record(order, &started.child, began).and_then(|()| listen(order)) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = started.abandon();
            return Err(error);
        }
    };
    if let Some(store) = order.recorded {
        recording::begin(&order.id, started.child.pid.as_raw_nonzero().get(), store);
    }
    let started = started.made(launch)?;
    if order.held
        && let Err(error) = hold(control, &started.child)
    {
        // What init itself says comes first: one that has failed cannot be watched either.
        return Err(started.abandon().map_or(error, Error::from));
    }
    let (child, master) = started.executed()?;
    files::rename(&order.running, STARTING, STATE)?;
    Ok(Executed { child, master, listener })
}

/// Tells the client which process waits, and returns when it may go on.
fn hold(control: &OwnedFd, child: &Child) -> Result<()> {
    let gone = |errno| Error::System {
        action: "let a held process go on".to_owned(),
        source: selkie_sys::SyscallError::new("recvmsg(client)", errno),
    };
    let pid = child.pid.as_raw_nonzero().to_string();
    socket::send(control, message::HELD, pid.as_bytes(), false).map_err(gone)?;
    let mut word = [0; 16];
    match socket::receive(control, &mut word, false) {
        Ok(1) if word.first() == Some(&message::GO) => Ok(()),
        Ok(_) => Err(gone(selkie_sys::Errno::CONNRESET)),
        Err(errno) => Err(gone(errno)),
    }
}

/// Listens for those who attach later, if there is anything to attach to.
fn listen(order: &StartOrder) -> Result<Option<OwnedFd>> {
    if order.log.is_none() && !order.attached {
        return Ok(None);
    }
    remove_file(&order.running.join("attach"))?;
    let listener = rustix::fs::open(&order.running, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({:?})", order.running))
        .and_then(|files| socket::listen(files, "attach"));
    listener.map(Some).map_err(Error::system("listen for attach"))
}

pub(super) fn read_filter(running: &Path, name: &str) -> Result<Vec<Instruction>> {
    let path = running.join(name);
    let bytes = std::fs::read(&path).map_err(|source| Error::File { action: "read", path, source })?;
    let (whole, _) = bytes.as_chunks::<8>();
    Ok(whole
        .iter()
        .map(|&[a, b, jt, jf, c, d, e, f]| Instruction { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes([c, d, e, f]) })
        .collect())
}

/// Writes down which process it is: if this monitor dies, the next command finds it.
fn record(order: &StartOrder, child: &Child, started: &str) -> Result<()> {
    let live = Live {
        init: Identity::of(child.pid.as_raw_nonzero().get())?,
        monitor: Identity::of(rustix::process::getpid().as_raw_nonzero().get())?,
        started: started.to_owned(),
        restarts: order.restarts,
        ended: None,
    };
    files::write_json_in_place(&order.running, STARTING, &live)
}

/// Both ends of the standard streams.
struct Ends {
    theirs: Option<[OwnedFd; 3]>,
    ours: Option<(Option<OwnedFd>, OwnedFd, OwnedFd)>,
}

impl Ends {
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
        other => format!("s\0monitor\0{}", with_causes(other)),
    };
    // A client that is gone does not need to know.
    let _ = socket::send(control, message::FAILED, body.as_bytes(), false);
}

/// Writes down how the container ended and removes what it had in the kernel.
fn finish(watch: &Watch, ended: Ended) -> Result<()> {
    let exit = Exit {
        code: ended.code(),
        started: watch.started.clone(),
        finished: now(),
        out_of_memory: watch.cgroup.as_ref().is_some_and(Cgroup::was_out_of_memory),
        stopped_by_user: watch.running.join("stopped").exists(),
        error: String::new(),
        restarts: watch.restarts,
    };
    let written = write_json(&watch.container, "exit.json", &exit, Durability::Volatile);
    // All of it is tried; the first error counts.
    let removed = watch.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.remove().map_err(Error::from));
    // The state goes last: once it is gone, another start may be at work in this directory.
    let forgotten = remove_file(&watch.running.join("attach")).and_then(|()| match &written {
        Ok(()) => remove_file(&watch.running.join(STATE)),
        // Without room among its records the state says it. If that has no room either, it tells of an end that nobody saw.
        Err(_) => keep(watch, exit),
    });
    written.and(removed).and(forgotten)
}

/// Writes into the state of a container how it has ended.
fn keep(watch: &Watch, exit: Exit) -> Result<()> {
    let Some(live) = files::read_json::<Live>(&watch.running.join(STATE))? else { return Ok(()) };
    write_json(&watch.running, STATE, &Live { ended: Some(exit), ..live }, Durability::Volatile)
}

/// Returns whether the client at the other end is still there to remove the container.
fn client_takes_over(client: &Client) -> bool {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(client.as_fd(), rustix::event::PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(0))
}

/// Does what the flags say happens after the end, by becoming `selkie` again.
fn follow(after: &After, watch: &Watch, code: i32, engine: &OwnedFd) -> Result<()> {
    if watch.running.join(REMOVING).exists() {
        return Ok(());
    }
    let by_user = watch.running.join("stopped").exists();
    let again = after.restart.is_some_and(|restart| !by_user && restart.applies(code, watch.restarts));
    let command: &[&str] = match (again, after.remove) {
        (true, _) => &["__restart"],
        (false, true) => &["container", "cleanup", "--rm"],
        (false, false) => return Ok(()),
    };
    let mut arguments = vec!["selkie"];
    arguments.extend(after.globals.iter().map(String::as_str));
    arguments.extend_from_slice(command);
    arguments.push(&watch.id);
    let arguments = Strings::new(&arguments).map_err(Error::system("clean up"))?;
    let environment = Strings::new(&["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]).map_err(Error::system("clean up"))?;
    selkie_sys::signal::reset_all();
    let errno = process::execute_descriptor(engine.as_fd(), &arguments, &environment);
    Err(Error::System { action: "clean up".to_owned(), source: selkie_sys::SyscallError::new("execveat(self)", errno) })
}
