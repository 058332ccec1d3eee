//! What the engine knows of a container, and what the kernel says of it now.

use std::path::{Path, PathBuf};

use selkie_plan::value::RestartPolicy;
use selkie_plan::{ImageConfig, Plan, Request};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, Durability, read_json, write_json};
use crate::id::{ContainerId, Name};
use crate::process::Identity;
use crate::store::Store;

/// What was asked for, written once at creation (and again by `rename`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The container's id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The image that it was made from; `None` with `--rootfs`.
    pub image: Option<RecordImage>,
    /// Where its root file system comes from.
    pub root: RootSource,
    /// The flags.
    #[serde(default)]
    pub request: Request,
    /// What the image said at creation.
    #[serde(default)]
    pub image_config: ImageConfig,
    /// The command line that created it.
    pub create_command: Vec<String>,
    /// `run` made it: without a start, nobody wanted it.
    #[serde(default)]
    pub to_start: bool,
    /// The name that a rename is taking or giving up: whoever was killed over it has left a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_name: Option<Name>,
}

/// The file of a record.
const NAME: &str = "config.json";

impl Record {
    /// Writes `config.json` to `directory`: what every command reads of every container, so only what is not usual.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let failed = |source| Error::Record { path: directory.join(NAME), source };
        let durability = self.durability();
        if durability == Durability::Volatile {
            // Read once or twice.
            return write_json(directory, NAME, self, durability);
        }
        let mut value = serde_json::to_value(self).map_err(failed)?;
        let usual = serde_json::json!({
            "request": serde_json::to_value(Request::default()).map_err(failed)?,
            "image_config": serde_json::to_value(ImageConfig::default()).map_err(failed)?,
            "to_start": false,
        });
        files::without_defaults(&mut value, &usual);
        write_json(directory, NAME, &value, durability)
    }

    /// Reads the record in a directory; `None` when there is none.
    pub(crate) fn read(directory: &Path) -> Result<Option<Box<Self>>> {
        read_json(&directory.join(NAME))
    }

    pub(crate) fn with_second_name(&self, second_name: Option<Name>) -> Self {
        Self { second_name, ..self.clone() }
    }

    /// Returns whether the container has to be there after a power cut: not with `--rm`.
    pub(crate) fn durability(&self) -> Durability {
        if self.request.lifecycle.remove { Durability::Volatile } else { Durability::Durable }
    }

    /// Removes the file that the user wanted the id in, if there is one.
    pub(crate) fn remove_cidfile(&self) -> Result<()> {
        self.request.lifecycle.cidfile.as_ref().map_or(Ok(()), |file| files::remove_file(file.as_ref()))
    }
}

/// The image of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordImage {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// The reference that was found, for example `localhost/centos:latest`.
    pub name: String,
    /// Its manifest's digest.
    pub digest: String,
}

/// Where a root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootSource {
    /// The layers of an image under a writable layer of the container.
    Image(String),
    /// A directory of the host, used directly.
    Directory(PathBuf),
    /// A directory of the host under a writable layer of the container (`--rootfs PATH:O`, `host:`).
    Overlay(PathBuf),
}

/// The process of a container that runs, written when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Its first process.
    pub init: Identity,
    /// Its monitor.
    pub monitor: Identity,
    /// When it was started, RFC 3339.
    pub started: String,
    /// How often the restart policy has started it again.
    #[serde(default)]
    pub restarts: u32,
    /// How it has ended, where that could not be written among its records, for want of space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Exit>,
}

/// How a container last ended, written when it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit status, 128 + n for signal n.
    pub code: i32,
    /// When it had been started, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub finished: String,
    /// The kernel killed one of its processes for want of memory.
    #[serde(default)]
    pub out_of_memory: bool,
    /// `selkie stop` or `kill` ended it, so that no restart policy applies.
    #[serde(default)]
    pub stopped_by_user: bool,
    /// Why it could not be started.
    #[serde(default)]
    pub error: String,
    /// How often the restart policy had started it again.
    #[serde(default)]
    pub restarts: u32,
}

/// The state of a container, as Podman names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Never started.
    Created,
    /// Its first process is there.
    Running,
    /// It is there and frozen.
    Paused,
    /// It has ended.
    Exited,
}

impl Status {
    /// Returns the word that tables and `inspect` show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }
}

/// A container as it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// What was asked for: large, and so not moved about with the rest.
    pub record: Box<Record>,
    /// Its process, if it has one; checked with the kernel.
    pub live: Option<Live>,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// The state that follows.
    pub status: Status,
}

/// The file with the [`Live`] of a container that runs.
pub(crate) const STATE: &str = "state.json";

/// There from before the first thing that a start makes until the program runs, when it becomes the state. Empty at first,
/// then the same [`Live`]. Before the program runs, nobody may join the container: it still sees the host's tree.
pub(crate) const STARTING: &str = "starting.json";

/// There while somebody removes a container that runs: its monitor has nothing to do after the end.
pub(crate) const REMOVING: &str = "removing";

/// The exit status of a container whose monitor died before it, so that nobody saw its end.
pub const LOST: i32 = 255;

impl Container {
    /// Reads the container `id`. One whose process has just ended is waited for, a little: its monitor is writing down how.
    ///
    /// # Errors
    /// A record that is missing or damaged.
    pub fn load(store: &Store, id: &ContainerId) -> Result<Self> {
        Self::settled(store, id, true)
    }

    /// Reads the container `id`, which has nothing in the run directory unless `may_run`.
    fn settled(store: &Store, id: &ContainerId, may_run: bool) -> Result<Self> {
        for _ in 0..50 {
            if let (container, true) = Self::look(store, id, may_run)? {
                return Ok(container);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(Self::look(store, id, may_run)?.0)
    }

    /// Reads the container `id`; returns with it whether what is written is true, or will be in a moment.
    fn look(store: &Store, id: &ContainerId, may_run: bool) -> Result<(Self, bool)> {
        let running = store.running(id);
        let has_run_state = may_run && running.exists();
        let directory = if has_run_state { store.records(id) } else { store.container(id) };
        let record = Record::read(&directory)?.ok_or_else(|| Error::NoSuchContainer { name: id.to_string() })?;
        let written = if has_run_state { written(&running)? } else { None };
        let exit: Option<Exit> = read_json(&directory.join("exit.json"))?;
        let live = written.clone().filter(|live| live.init.is_alive());
        let status = match (&live, &written, &exit) {
            (Some(_), _, _) if running.join("paused").exists() => Status::Paused,
            (Some(_), _, _) => Status::Running,
            (None, None, None) => Status::Created,
            (None, _, _) => Status::Exited,
        };
        let (exit, is_settled) = match (live.is_some(), written) {
            // Its end is written when it has been seen; a start behind the last end that nobody saw end is lost.
            (false, Some(written)) if exit.as_ref().is_none_or(|exit| exit.started != written.started) => {
                let is_settled = written.ended.is_some() || !written.monitor.is_alive();
                (Some(written.ended.clone().unwrap_or_else(|| lost(&written, &running))), is_settled)
            }
            _ => (exit, true),
        };
        Ok((Self { record, live, exit, status }, is_settled))
    }

    /// Finds and reads the container called `name`.
    ///
    /// # Errors
    /// As [`Store::find`] and [`Self::load`].
    pub fn find(store: &Store, name: &str) -> Result<Self> {
        let container = Self::load(store, &store.find(name)?)?;
        match Name::parse(name.strip_prefix('/').unwrap_or(name)) {
            Ok(wanted) if !container.id().as_str().starts_with(wanted.as_str()) && store.forget_leftover(&wanted, &container.record)? => {
                Self::load(store, &store.find(name)?)
            }
            _ => Ok(container),
        }
    }

    /// Reads every container, sorted by the time of creation. Damaged records come as errors beside them.
    ///
    /// # Errors
    /// When the directory of records cannot be read at all.
    pub fn all(store: &Store) -> Result<(Vec<Self>, Vec<Error>)> {
        let mut containers = Vec::new();
        let mut damaged = Vec::new();
        let (ids, mut half_made) = store.ids()?;
        // Most containers of a long list do not run: one look at all saves each of them some.
        let running = store.with_run_state();
        for id in ids {
            match Self::settled(store, &id, running.contains(id.as_str())) {
                Ok(container) if container.is_abandoned() && store.forget_abandoned(&id)? => {}
                Ok(container) => containers.push(container),
                // Half-made or just removed: not there.
                Err(Error::NoSuchContainer { .. }) => half_made = true,
                Err(error) => damaged.push(error),
            }
        }
        if half_made {
            store.heal()?;
        }
        // By the keys first: a container is too large to be moved about.
        containers.sort_by_cached_key(|container| container.record.created.clone());
        Ok((containers, damaged))
    }

    /// Returns the ids of containers whose records cannot be read.
    ///
    /// # Errors
    /// When the directory of records cannot be read at all.
    pub fn damaged(store: &Store) -> Result<Vec<ContainerId>> {
        let is_damaged = |id: &ContainerId| !matches!(Self::load(store, id), Ok(_) | Err(Error::NoSuchContainer { .. }));
        Ok(store.ids()?.0.into_iter().filter(is_damaged).collect())
    }

    /// Returns whether whoever should have removed the container may have died before.
    pub(crate) fn is_abandoned(&self) -> bool {
        let lifecycle = &self.record.request.lifecycle;
        let is_over = self.status == Status::Exited || (self.status == Status::Created && self.record.to_start);
        lifecycle.remove && lifecycle.restart == RestartPolicy::No && self.live.is_none() && is_over
    }

    /// Returns the container's id.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.record.id
    }

    /// Returns the process of a running container.
    ///
    /// # Errors
    /// [`Error::State`] with `operation` when it does not run.
    pub fn running(&self, operation: &str) -> Result<&Live> {
        match (&self.live, self.status) {
            (Some(live), Status::Running) => Ok(live),
            _ => Err(Error::State { operation: operation.to_owned() }),
        }
    }

    /// Reads what was last planned for the container.
    ///
    /// # Errors
    /// A damaged record.
    pub fn plan(&self, store: &Store) -> Result<Option<Plan>> {
        read_json(&store.records(self.id()).join("plan.json"))
    }
}

/// Reads which process a container has or had.
fn written(running: &Path) -> Result<Option<Live>> {
    if let Some(live) = read_json(&running.join(STATE))? {
        return Ok(Some(live));
    }
    // While the monitor lives, the start is not over; a part of a record is none.
    let starting: Option<Live> = read_json(&running.join(STARTING)).unwrap_or_default();
    Ok(starting.filter(|live| !live.monitor.is_alive()))
}

/// The end of a container that nobody saw: its status is not known, its time is that of the last sign of life.
fn lost(live: &Live, running: &Path) -> Exit {
    let finished = std::fs::metadata(running.join("state.json"))
        .and_then(|data| data.modified())
        .ok()
        .and_then(|time| jiff::Timestamp::try_from(time).ok())
        .map_or_else(|| live.started.clone(), |time| time.to_string());
    Exit {
        code: LOST,
        started: live.started.clone(),
        finished,
        out_of_memory: false,
        stopped_by_user: false,
        error: "its monitor ended before it: the exit status is not known".to_owned(),
        restarts: live.restarts,
    }
}

/// Returns the present time, RFC 3339 with nanoseconds.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}
