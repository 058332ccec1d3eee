//! What the engine knows of a container, and what the kernel says of it now.

use std::path::{Path, PathBuf};

use selkie_plan::{ImageConfig, Plan, Request};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::read_json;
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
    pub request: Request,
    /// What the image said at creation.
    pub image_config: ImageConfig,
    /// The command line that created it.
    pub create_command: Vec<String>,
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
    /// What was asked for.
    pub record: Record,
    /// Its process, if it has one; checked with the kernel.
    pub live: Option<Live>,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// The state that follows.
    pub status: Status,
}

/// The exit status of a container whose monitor died before it, so that nobody saw its end.
pub const LOST: i32 = 255;

impl Container {
    /// Reads the container `id`.
    ///
    /// # Errors
    /// A record that is missing or damaged.
    pub fn load(store: &Store, id: &ContainerId) -> Result<Self> {
        let running = store.running(id);
        // Most containers of a long list do not run: one look saves them the others.
        let has_run_state = running.exists();
        let directory = if has_run_state { store.records(id) } else { store.container(id) };
        let record: Record = read_json(&directory.join("config.json"))?.ok_or_else(|| Error::NoSuchContainer { name: id.to_string() })?;
        let written: Option<Live> = if has_run_state { read_json(&running.join("state.json"))? } else { None };
        let exit: Option<Exit> = read_json(&directory.join("exit.json"))?;
        let live = written.clone().filter(|live| live.init.is_alive());
        let status = match (&live, &written, &exit) {
            (Some(_), _, _) if running.join("paused").exists() => Status::Paused,
            (Some(_), _, _) => Status::Running,
            (None, None, None) => Status::Created,
            (None, _, _) => Status::Exited,
        };
        let exit = match (live.is_some(), written) {
            // Its end is written when it has been seen; a start behind the last end that nobody saw end is lost.
            (false, Some(written)) if exit.as_ref().is_none_or(|exit| exit.started != written.started) => Some(lost(&written, &running)),
            _ => exit,
        };
        Ok(Self { record, live, exit, status })
    }

    /// Finds and reads the container called `name`.
    ///
    /// # Errors
    /// As [`Store::find`] and [`Self::load`].
    pub fn find(store: &Store, name: &str) -> Result<Self> {
        Self::load(store, &store.find(name)?)
    }

    /// Reads every container, sorted by the time of creation. Damaged records come as errors beside them.
    ///
    /// # Errors
    /// When the directory of records cannot be read at all.
    pub fn all(store: &Store) -> Result<(Vec<Self>, Vec<Error>)> {
        let mut containers = Vec::new();
        let mut damaged = Vec::new();
        let (ids, mut half_made) = store.ids()?;
        for id in ids {
            match Self::load(store, &id) {
                Ok(container) => containers.push(container),
                // Half-made or just removed: not there.
                Err(Error::NoSuchContainer { .. }) => half_made = true,
                Err(error) => damaged.push(error),
            }
        }
        if half_made {
            store.heal()?;
        }
        containers.sort_by(|a, b| a.record.created.cmp(&b.record.created));
        Ok((containers, damaged))
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
