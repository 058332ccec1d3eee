//! Starts a container: mounts its root, plans it on the host as it is now, and hands it to a monitor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use selkie_caps::CapSet;
use selkie_plan::value::RestartPolicy;
use selkie_plan::{IdMaps, LogDriver, Mount, MountSource, Plan, Warning, plan};
use selkie_runtime::cgroup::Layout;
use selkie_sys::socket;

use crate::client::Attached;
use crate::create::Created;
use crate::engine::Engine;
use crate::entrypoint::refused_program;
use crate::error::{Error, Result};
use crate::files::{self, Durability, write_dense_json};
use crate::filter::{self, Filter};
use crate::id::ContainerId;
use crate::lifecycle::StopOptions;
use crate::monitor::{After, LogTarget, Order, PlanNote, Restart, StartOrder, Task, Waiting, message};
use crate::ownership;
use crate::record::{Container, Record, RootSource, STARTING, Status};
use crate::rootfs;
use crate::store::Lock;

/// How to start a container.
#[derive(Debug, Default)]
pub struct StartOptions<'a> {
    /// The caller wants the output and may give input.
    pub attach: bool,
    /// Rows and columns of the caller's terminal.
    pub size: Option<(u16, u16)>,
    /// Descriptors that the program gets as 3, 4, ...
    pub preserve: Vec<BorrowedFd<'a>>,
    /// How often the restart policy has started it before.
    pub restarts: u32,
    /// Called with the pid of the container's first process, which waits short of its program until this returns.
    pub hold: Option<Hold<'a>>,
    /// The container is killed when nobody is attached to it any more.
    pub bound: bool,
    /// The system call filter is that of a container with these capabilities, whatever this one has.
    pub filter_for: Option<CapSet>,
    /// Calls that can be refused for want of a capability stop for a tracer, which has to be there when [`Self::hold`] returns:
    /// without one they fail with `ENOSYS`.
    pub trace: bool,
    /// Called before the start with what only this start has found to be wrong: a container that was created long ago.
    pub warn: Option<Warn<'a>>,
}

/// The file of the run directory with the filter of the plan.
pub(crate) const FILTER: &str = "filter";

/// The file of the run directory with the filter that shows calls to a tracer.
pub(crate) const TRACE_FILTER: &str = "trace-filter";

/// What is done with a process that waits short of its program.
#[derive(Clone, Copy)]
pub struct Hold<'a>(pub &'a dyn Fn(i32) -> std::result::Result<(), String>);

impl std::fmt::Debug for Hold<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hold")
    }
}

/// What is done with a warning of a start.
#[derive(Clone, Copy)]
pub struct Warn<'a>(pub &'a dyn Fn(&Warning));

impl std::fmt::Debug for Warn<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Warn")
    }
}

/// Writes a number of a process to the file of a flag, if it was given.
fn write_pid(file: Option<&str>, pid: i32) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, pid.to_string()).map_err(|source| Error::File { action: "write", path: file.into(), source })
}

/// What a start needs besides the plan.
struct Made<'a> {
    root: OwnedFd,
    /// The container's lock, which the monitor holds with us until the container can be found.
    lock: &'a Lock,
    monitor: Waiting,
}

impl Engine {
    /// Starts a container that has just been created.
    ///
    /// # Errors
    /// What could not be planned or made. The container stays as created, or is removed if that was asked for.
    pub fn start_created(&self, created: Created, options: &StartOptions<'_>) -> Result<Attached> {
        let Created { record, plan: planned, root, lock: held, monitor } = created;
        let lock = &held;
        let started = match (monitor, planned) {
            // It knows the plan.
            (Some(monitor), Some(planned)) => self.launch(&record, &planned, Made { root, lock, monitor }, options),
            (monitor, _) => monitor
                .map_or_else(|| Waiting::start_for(&record.request), Ok)
                .and_then(|monitor| self.plan_and_launch(&record, Made { root, lock, monitor }, options)),
        };
        drop(held);
        if started.is_err() && record.request.lifecycle.remove {
            // The reason for the failure is what the user has to hear.
            let _ = Container::load(&self.store, &record.id).and_then(|container| self.remove(&container, Some(StopOptions::default())));
        }
        started
    }

    /// Starts a container that does not run.
    ///
    /// # Errors
    /// What could not be planned or made; the container stays as it was.
    pub fn start(&self, container: &Container, options: &StartOptions<'_>) -> Result<Attached> {
        self.require_root()?;
        self.store.prepare()?;
        let lock = self.store.lock(container.id())?;
        // Somebody else may have started or removed it while we waited.
        let mut container = Container::load(&self.store, container.id())?;
        if container.status == Status::Running {
            match self.attach(&container) {
                // It has just ended, and is started again.
                Err(Error::NotAttachable) => container = Container::load(&self.store, container.id())?,
                attached => return attached,
            }
        }
        match container.status {
            Status::Running => return Err(Error::NotAttachable),
            Status::Paused => {
                return Err(Error::State { operation: format!("container {} is paused and cannot be started", container.id()) });
            }
            // By its restart policy, and somebody has stopped it in between.
            Status::Exited if options.restarts > 0 && self.was_stopped_by_user(&container) => {
                return Err(Error::State { operation: format!("container {} was stopped", container.id()) });
            }
            Status::Created | Status::Exited => {}
        }
        let monitor = Waiting::start_for(&container.record.request)?;
        self.clean_up(&container)?;
        let root = self.mount_root(&container.record)?;
        self.plan_and_launch(&container.record, Made { root, lock: &lock, monitor }, options)
    }

    fn plan_and_launch(&self, record: &Record, mut made: Made<'_>, options: &StartOptions<'_>) -> Result<Attached> {
        let ids = self.lock_ids(&record.request)?;
        let facts = self.facts(record, &made.root)?;
        let mut planned = plan(&record.request, &record.image_config, &facts)?;
        made.root = self.root_for(&planned, record, made.root)?;
        if let Some(warning) = refused_program(&planned, &made.root) {
            if let Some(Warn(warn)) = options.warn {
                warn(&warning);
            }
            planned.warnings.push(warning);
        }
        write_dense_json(&self.store.records(&record.id), "plan.json", &planned, Durability::Volatile)?;
        drop(ids);
        self.begin(&record.id, &planned, &made.monitor)?;
        self.launch(record, &planned, made, options)
    }

    /// Notes that a container is being started, which has a plan by now, and tells the monitor: from here on there may be something
    /// of it in the kernel.
    pub(crate) fn begin(&self, id: &ContainerId, planned: &Plan, monitor: &Waiting) -> Result<()> {
        let running = self.store.running(id);
        files::make_directories(&running)?;
        self.store.clear_running(id)?;
        files::write_new(&running, STARTING, b"", 0o600)?;
        monitor.planned(&PlanNote { records: self.store.records(id), hierarchies: Layout::of_host().used(&planned.cgroup) })
    }

    fn launch(&self, record: &Record, planned: &Plan, made: Made<'_>, options: &StartOptions<'_>) -> Result<Attached> {
        ownership::give(&record.request, planned)?;
        let Made { root, lock, monitor } = made;
        let running = self.store.running(&record.id);
        let filtered = self.write_run_files(planned, &running, options.filter_for)?;
        if options.trace {
            filter::place_trace((&running, TRACE_FILTER))?;
        }
        let lifecycle = &record.request.lifecycle;
        let order = Order {
            task: Task::Start(Box::new(StartOrder {
                id: record.id.to_string(),
                container: self.store.records(&record.id),
                running,
                staging: self.store.staging(),
                engine: self.binary.clone(),
                log: self.log_target(record)?,
                attached: options.attach,
                interactive: record.request.process.interactive,
                size: options.size,
                restarts: options.restarts,
                timeout: lifecycle.timeout.filter(|seconds| *seconds > 0),
                filtered,
                traced: options.trace,
                held: options.hold.is_some(),
                // Whoever holds it watches it.
                recorded: options.hold.is_none().then(|| self.store.tag()),
                own_mounts: has_own_mounts(record, planned),
                bound: options.bound,
            })),
            after: After { globals: self.globals(), remove: lifecycle.remove, restart: restart(lifecycle.restart) },
        };
        let pid = monitor.pid;
        let mut further = vec![lock.as_fd()];
        further.extend_from_slice(&options.preserve);
        let ours = monitor.order(&order, root.as_fd(), &further)?;
        if lifecycle.remove {
            // There is nothing to do but to wait.
            rootfs::remove_mark(&self.store.container(&record.id));
        }
        write_pid(lifecycle.conmon_pidfile.as_deref(), pid.as_raw_nonzero().get())?;
        let pid = await_started(&ours, record.id.as_str(), options.hold)?;
        write_pid(lifecycle.pidfile.as_deref(), pid)?;
        Ok(Attached::new(ours, pid, options.attach))
    }

    /// Writes the generated files and the filter; returns whether there is a filter.
    fn write_run_files(&self, planned: &Plan, running: &Path, filter_for: Option<CapSet>) -> Result<bool> {
        for file in &planned.files {
            files::write_new(running, &file.name, file.content.as_bytes(), file.mode)?;
        }
        if let Some((uid, gid)) = planned.namespaces.user.maps().and_then(IdMaps::root) {
            // They are the container's own, as with everybody's ids.
            planned.files.iter().try_for_each(|file| files::give(&running.join(&file.name), uid, gid))?;
        }
        let wanted = Filter { seccomp: &planned.seccomp, capabilities: filter_for.unwrap_or(planned.process.sets.bounding) };
        filter::place(wanted, &self.store, &self.binary, (running, FILTER))
    }

    fn log_target(&self, record: &Record) -> Result<Option<LogTarget>> {
        let lifecycle = &record.request.lifecycle;
        let json = match lifecycle.log_driver.unwrap_or(LogDriver::K8sFile) {
            LogDriver::K8sFile => false,
            LogDriver::JsonFile => true,
            // The others have been refused at the creation.
            LogDriver::None | LogDriver::Journald | LogDriver::Passthrough => return Ok(None),
        };
        let option = |key: &str| lifecycle.log_options.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let limit = option("max-size").map(|text| selkie_plan::value::parse_size("--log-opt max-size", text)).transpose()?;
        let path = self.log_file(record);
        if !path.parent().is_some_and(Path::is_dir) {
            return Err(Error::Invalid { problem: format!("the directory of the log file `{}` does not exist", path.display()) });
        }
        Ok(Some(LogTarget { path, json, limit }))
    }

    /// Returns the file with the output of a container.
    #[must_use]
    pub fn log_path(&self, container: &Container) -> PathBuf {
        self.log_file(&container.record)
    }

    fn log_file(&self, record: &Record) -> PathBuf {
        let chosen = record.request.lifecycle.log_options.iter().rev().find(|(name, _)| name == "path");
        chosen.map_or_else(|| self.store.container(&record.id).join("ctr.log"), |(_, path)| PathBuf::from(path))
    }
}

/// Returns whether an image, new file systems and generated files are all that is mounted in a container.
fn has_own_mounts(record: &Record, planned: &Plan) -> bool {
    let is_own = |mount: &Mount| !matches!(mount.source, MountSource::Bind { .. });
    matches!(record.root, RootSource::Image(_)) && planned.mounts.iter().all(is_own)
}

fn restart(policy: RestartPolicy) -> Option<Restart> {
    match policy {
        RestartPolicy::No => None,
        RestartPolicy::OnFailure { retries } => Some(Restart::OnFailure(retries.unwrap_or(0))),
        RestartPolicy::Always | RestartPolicy::UnlessStopped => Some(Restart::Always),
    }
}

/// Waits until the monitor says that the program runs; returns its pid.
pub(crate) fn await_started(control: &OwnedFd, id: &str, hold: Option<Hold<'_>>) -> Result<i32> {
    let mut buffer = [0; 8192];
    let length = socket::receive(control, &mut buffer, false).unwrap_or(0);
    let Some((tag, body)) = buffer.get(..length).and_then(<[u8]>::split_first) else {
        return Err(Error::Monitor { id: id.to_owned(), problem: "ended before the container was started".to_owned() });
    };
    let text = String::from_utf8_lossy(body);
    match *tag {
        message::HELD => {
            let odd = || Error::Monitor { id: id.to_owned(), problem: format!("said {text:?} in place of a pid") };
            let pid = text.parse().map_err(|_| odd())?;
            let hold = hold.ok_or_else(odd)?;
            let held = hold.0(pid);
            // A monitor that is gone says so below, by not answering.
            let word = if held.is_ok() { message::GO } else { message::ABANDON };
            let _ = socket::send(control, word, &[], false);
            let started = await_started(control, id, None);
            match held {
                Ok(()) => started,
                Err(problem) => Err(match started {
                    Err(error @ Error::Runtime(_)) if !is_abandoned(&error) => error,
                    _ => Error::Observe { problem },
                }),
            }
        }
        message::STARTED => {
            text.parse().map_err(|_| Error::Monitor { id: id.to_owned(), problem: format!("said {text:?} in place of a pid") })
        }
        message::FAILED => Err(failure(&text)),
        _ => Err(Error::Monitor { id: id.to_owned(), problem: "said something unexpected".to_owned() }),
    }
}

/// Returns whether it only says that the process was ended because we said so.
fn is_abandoned(error: &Error) -> bool {
    matches!(error, Error::Runtime(error) if error.stage.0 == "monitor")
}

/// Reads what [`crate::monitor`] wrote: kind, stage and message.
fn failure(text: &str) -> Error {
    let mut parts = text.splitn(3, '\0');
    let (kind, stage, message) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kind = match kind {
        Some("n") => selkie_runtime::Kind::NotFound,
        Some("x") => selkie_runtime::Kind::NotExecutable,
        _ => selkie_runtime::Kind::Setup,
    };
    Error::Runtime(selkie_runtime::Error { kind, stage: selkie_runtime::Stage(stage.to_owned()), message: message.to_owned(), errno: None })
}
