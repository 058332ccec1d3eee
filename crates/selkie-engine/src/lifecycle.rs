//! Ends, pauses, renames and removes containers, and waits for them.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie_plan::value::RestartPolicy;
use selkie_runtime::cgroup::Cgroup;
use selkie_sys::{Errno, process};

use crate::client::Attached;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::{self, Durability, remove_file, write_json};
use crate::id::{ContainerId, Name};
use crate::process::Identity;
use crate::record::{Container, Live, REMOVING, Record, STATE, Status};

/// How to stop a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// Seconds until SIGKILL; `None` is the container's own.
    pub timeout: Option<u32>,
}

/// What it took to stop a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// No more than was asked for.
    AsAsked,
    /// SIGKILL, because it had not ended so many seconds after its stop signal.
    Killed {
        /// Its stop signal.
        signal: i32,
        /// Those seconds.
        seconds: u32,
    },
}

/// Podman's default patience.
const STOP_TIMEOUT: u32 = 10;
/// How long a monitor may tell its clients how the container ended, before a removal ends it.
const LAST_WORDS: Duration = Duration::from_millis(500);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

impl Engine {
    /// Stops a container: its stop signal first, SIGKILL after the timeout. One that does not run is left as it is, and its restart
    /// policy does not start it again.
    ///
    /// # Errors
    /// When the kernel refuses the signal, or the container does not end.
    pub fn stop(&self, container: &Container, options: StopOptions) -> Result<Stopped> {
        if container.live.is_some() {
            return self.stop_running(container, options);
        }
        if container.status == Status::Exited && container.record.request.lifecycle.restart != RestartPolicy::No {
            let lock = self.store.lock(container.id())?;
            // It may have been started again while we waited.
            let container = Container::load(&self.store, container.id())?;
            if container.live.is_some() {
                drop(lock);
                return self.stop_running(&container, options);
            }
            // After a reboot nothing waits to start it, and there is no directory.
            if self.store.running(container.id()).exists() {
                self.mark_stopped(&container)?;
            }
        }
        self.clean_up_if_unused(container)?;
        Ok(Stopped::AsAsked)
    }

    fn stop_running(&self, container: &Container, options: StopOptions) -> Result<Stopped> {
        let Some(live) = &container.live else { return Ok(Stopped::AsAsked) };
        self.mark_stopped(container)?;
        if container.status == Status::Paused {
            // A frozen process cannot act on a signal.
            self.unpause(container)?;
        }
        let seconds = options.timeout.or(container.record.request.lifecycle.stop_timeout).unwrap_or(STOP_TIMEOUT);
        let mut stopped = Stopped::AsAsked;
        if seconds > 0 {
            let signal = stop_signal(container);
            send(&live.init, signal)?;
            if wait_for(&live.init, Some(Duration::from_secs(seconds.into())))? {
                self.await_record(container)?;
                return Ok(stopped);
            }
            stopped = Stopped::Killed { signal, seconds };
        }
        send(&live.init, SIGKILL)?;
        self.await_end(container)?;
        Ok(stopped)
    }

    /// Sends a signal to the first process of a container.
    ///
    /// # Errors
    /// [`Error::State`] when it does not run.
    pub fn kill(&self, container: &Container, signal: i32) -> Result<()> {
        let refused = || Error::State {
            operation: format!("can only kill running containers. {} is in state {}", container.id(), container.status.as_str()),
        };
        let live = container.live.as_ref().ok_or_else(refused)?;
        if signal == SIGKILL {
            self.mark_stopped(container)?;
        }
        send(&live.init, signal)?;
        if signal == SIGKILL {
            if container.status == Status::Paused {
                // In cgroup v1 a frozen process ends when it goes on.
                self.thaw(container)?;
            }
            self.await_end(container)?;
        }
        Ok(())
    }

    /// Removes a container; a running one only with `force`, which says how it is stopped: without a timeout it is killed at once,
    /// unless it has one of its own.
    ///
    /// # Errors
    /// [`Error::Running`], or what could not be removed.
    pub fn remove(&self, container: &Container, force: Option<StopOptions>) -> Result<Stopped> {
        let id = container.id();
        let _lock = self.store.lock(id)?;
        // Somebody else may have started it while we waited.
        let container = &Container::load(&self.store, id)?;
        let mut stopped = Stopped::AsAsked;
        if container.live.is_some() {
            let Some(StopOptions { timeout }) = force else {
                return Err(Error::Running { id: id.to_string(), status: container.status.as_str() });
            };
            // Its monitor would remove it, too, and wait for us.
            files::write(&self.store.running(id), REMOVING, b"", 0o600, Durability::Volatile)?;
            let own = || container.record.request.lifecycle.stop_timeout.unwrap_or(0).min(STOP_TIMEOUT);
            stopped = self.stop(container, StopOptions { timeout: Some(timeout.unwrap_or_else(own)) })?;
        }
        self.end_monitor(container)?;
        self.store.erase(&container.record)?;
        Ok(stopped)
    }

    /// Removes a container whose monitor has just said to this client that it ended, and is writing that down meanwhile.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove_ended(&self, id: &ContainerId, monitor: &Attached) -> Result<()> {
        let _lock = self.store.lock(id)?;
        let record = Record::read(&self.store.records(id))?.ok_or_else(|| Error::NoSuchContainer { name: id.to_string() })?;
        let hidden = self.store.hide(id, Some(&record))?;
        // It hangs up when it has done its part, or by ending.
        await_event(monitor, PollFlags::empty(), Some(LAST_WORDS))?;
        self.store.release(id)?;
        record.remove_cidfile()?;
        self.store.delete_hidden(id, &hidden)
    }

    /// Removes a container whose record cannot be read, with what it has in the kernel.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove_damaged(&self, id: &ContainerId) -> Result<()> {
        let _lock = self.store.lock(id)?;
        // Of a damaged state there is nothing to stop; what runs is found through the cgroup.
        if let Ok(Some(live)) = files::read_json::<Live>(&self.store.running(id).join("state.json")) {
            send(&live.init, SIGKILL)?;
            wait_for(&live.init, Some(Duration::from_secs(5)))?;
            send(&live.monitor, SIGKILL)?;
        }
        if let Some(cgroup) = self.store.cgroup_of(id) {
            cgroup.remove()?;
        }
        self.store.delete(id, None)
    }

    /// Waits until a container does not run; returns its exit status.
    ///
    /// # Errors
    /// When it has vanished in between.
    pub fn wait(&self, container: &Container) -> Result<i32> {
        if let Some(live) = &container.live {
            wait_for(&live.init, None)?;
            self.await_record(container)?;
        }
        self.await_finish(container.id());
        match Container::load(&self.store, container.id()) {
            Ok(ended) => Ok(ended.exit.map_or(0, |exit| exit.code)),
            // `--rm` was quicker than we are; Podman answers -1.
            Err(Error::NoSuchContainer { .. }) => Ok(-1),
            Err(error) => Err(error),
        }
    }

    /// Freezes every process of a container.
    ///
    /// # Errors
    /// [`Error::State`] when it does not run.
    pub fn pause(&self, container: &Container) -> Result<()> {
        if container.status == Status::Paused {
            return Err(Error::State { operation: format!("{:?} is already paused", container.id().as_str()) });
        }
        let refused = |status: Status| format!("{:?} is not running, can't pause", status.as_str());
        let live = container.running(&refused(container.status))?;
        let paused = self.freeze(container);
        if !live.init.is_alive() {
            // It has ended meanwhile, and what we wrote to is going or gone. Nothing of it may hold up what is started next.
            let _ = self.thaw(container);
            return Err(Error::State { operation: refused(Status::Exited) });
        }
        paused
    }

    fn freeze(&self, container: &Container) -> Result<()> {
        self.cgroup(container)?.freeze(true)?;
        files::write(&self.store.running(container.id()), "paused", b"", 0o600, Durability::Volatile)
    }

    /// Lets a frozen container go on.
    ///
    /// # Errors
    /// [`Error::State`] when it is not paused.
    pub fn unpause(&self, container: &Container) -> Result<()> {
        if container.status != Status::Paused {
            return Err(Error::State { operation: format!("{:?} is not paused, can't unpause", container.id().as_str()) });
        }
        self.thaw(container)
    }

    fn thaw(&self, container: &Container) -> Result<()> {
        self.cgroup(container)?.freeze(false)?;
        remove_file(&self.store.running(container.id()).join("paused"))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Error::NameInUse`].
    pub fn rename(&self, container: &Container, name: &str) -> Result<()> {
        let name = Name::parse(name)?;
        let _lock = self.store.lock(container.id())?;
        // Somebody else may have renamed or removed it while we waited.
        let record = *Container::load(&self.store, container.id())?.record;
        if name == record.name {
            return Ok(());
        }
        // What a rename that was killed has left.
        for left in record.second_name.iter().filter(|left| **left != record.name).chain([&name]) {
            self.store.release_name(left, &record.id)?;
        }
        let directory = self.store.records(&record.id);
        // Whoever is killed from here on leaves a container that knows both of its names.
        record.with_second_name(Some(name.clone())).write(&directory)?;
        match self.store.take_name(&name, &record.id) {
            Ok(None) => {}
            taken => {
                // That it has no second name is not worth the error that led here.
                let _ = record.with_second_name(None).write(&directory);
                let owner = taken?.map(|owner| owner.to_string()).unwrap_or_default();
                return Err(Error::NameInUse { name: name.to_string(), id: owner });
            }
        }
        let old = record.name.clone();
        let renamed = Record { name: name.clone(), ..record.with_second_name(Some(old.clone())) };
        if let Err(error) = renamed.write(&directory) {
            let _ = self.store.release_name(&name, &record.id);
            return Err(error);
        }
        self.store.release_name(&old, &record.id)?;
        renamed.with_second_name(None).write(&directory)
    }

    /// Returns the container's cgroups.
    ///
    /// # Errors
    /// [`Error::State`] when it has none.
    pub fn cgroup(&self, container: &Container) -> Result<Cgroup> {
        self.store
            .cgroup_of(container.id())
            .ok_or_else(|| Error::State { operation: format!("container {} has no cgroup", container.id()) })
    }

    /// Cleans up unless somebody else is just starting or removing the container.
    fn clean_up_if_unused(&self, container: &Container) -> Result<()> {
        let lock = match self.store.try_lock(container.id()) {
            Ok(Some(lock)) => lock,
            Ok(None) | Err(Error::NoSuchContainer { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let cleaned = match Container::load(&self.store, container.id()) {
            Ok(container) if container.live.is_none() => match self.clean_up(&container) {
                // How it has ended is told by its state, which stays until there is room.
                Err(Error::File { source, .. }) if is_want_of_space(&source) => Ok(()),
                cleaned => cleaned,
            },
            Ok(_) | Err(Error::NoSuchContainer { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        drop(lock);
        cleaned
    }

    /// Writes down an end that nobody saw, and removes what is left of it.
    pub(crate) fn clean_up(&self, container: &Container) -> Result<()> {
        self.await_finish(container.id());
        // Its monitor died before it, or had no room: nobody has written its end.
        if let Some(exit) = &container.exit
            && self.store.running(container.id()).join(STATE).exists()
        {
            // Goes in any case; the state only when it is told elsewhere.
            if let Some(cgroup) = self.store.cgroup_of(container.id()) {
                cgroup.remove()?;
            }
            write_json(&self.store.records(container.id()), "exit.json", exit, Durability::Volatile)?;
        }
        self.store.release(container.id())
    }

    /// Returns whether the last end of a container was wanted by somebody.
    #[must_use]
    pub fn was_stopped_by_user(&self, container: &Container) -> bool {
        self.store.running(container.id()).join("stopped").exists()
    }

    /// Notes that the end is wanted, so that no restart policy applies.
    fn mark_stopped(&self, container: &Container) -> Result<()> {
        match files::write(&self.store.running(container.id()), "stopped", b"", 0o600, Durability::Volatile) {
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NoSuchContainer { name: container.id().to_string() })
            }
            written => written,
        }
    }

    /// Waits until the container has ended and its end is written.
    fn await_end(&self, container: &Container) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let Some(live) = &container.live else { return Ok(()) };
        if !wait_for(&live.init, Some(PATIENCE))? {
            return Err(Error::State {
                operation: format!("container {} does not end: its process {} is stuck in the kernel", container.id(), live.init.pid),
            });
        }
        self.await_record(container)
    }

    /// Waits until the monitor has written how a container ended; does it in its place when it is gone.
    fn await_record(&self, container: &Container) -> Result<()> {
        let Some(live) = &container.live else { return Ok(()) };
        let state = self.store.running(container.id()).join("state.json");
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut pause = Duration::from_micros(100);
        while state.exists() && Instant::now() < deadline {
            if !live.monitor.is_alive() {
                return self.clean_up_if_unused(container);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until the monitor of a container that has ended has done what it does then: all of it is by name, and must not
    /// hit what is started next.
    fn await_finish(&self, id: &ContainerId) {
        let state = self.store.running(id).join(STATE);
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Ok(Some(live)) = files::read_json::<Live>(&state)
            && live.monitor.is_alive()
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends a monitor that still serves clients of a container that has ended.
    fn end_monitor(&self, container: &Container) -> Result<()> {
        let Some(live) = &container.live else { return Ok(()) };
        wait_for(&live.monitor, Some(LAST_WORDS))?;
        send(&live.monitor, SIGKILL)
    }
}

/// Returns whether something could not be written because there is no room for it.
fn is_want_of_space(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn stop_signal(container: &Container) -> i32 {
    let record = &container.record;
    let image = || selkie_plan::value::parse_signal(&record.image_config.stop_signal).ok();
    record.request.process.stop_signal.or_else(image).and_then(|number| i32::try_from(number).ok()).unwrap_or(SIGTERM)
}

/// Sends a signal to exactly this process; one that has ended is left alone.
fn send(target: &Identity, signal: i32) -> Result<()> {
    let Some(pidfd) = target.open()? else { return Ok(()) };
    match process::send_signal(&pidfd, signal) {
        Err(error) if error.errno == Errno::SRCH => Ok(()),
        sent => sent.map_err(Error::system(format!("send signal {signal} to process {}", target.pid))),
    }
}

/// Waits until the process has ended; returns false when the patience is over.
fn wait_for(target: &Identity, patience: Option<Duration>) -> Result<bool> {
    target.open()?.map_or(Ok(true), |pidfd| await_event(pidfd, PollFlags::IN, patience))
}

/// Waits until one of `events`, or the end of the other side, has happened to `fd`; returns false when the patience is over.
fn await_event(fd: impl AsFd, events: PollFlags, patience: Option<Duration>) -> Result<bool> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() });
        match poll(&mut [PollFd::new(&fd, events)], timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(Error::System {
                    action: "wait for a process".to_owned(),
                    source: selkie_sys::SyscallError::new("poll()", errno),
                });
            }
        }
    }
}
