//! What is known of one container of any engine.

use std::sync::Arc;

use selkie_caps::CapSet;

use super::Filter;
use crate::privileged::Configured;
use crate::{Engine, Owner};

/// A container as its engine's files describe it. Texts are as they were written: fit for a terminal only after cleaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostContainer {
    /// Its engine and its id.
    pub owner: Owner,
    /// Its name, where that is something else than its id.
    pub name: Option<String>,
    /// The image that it is made from.
    pub image: Option<String>,
    /// The digest of that image's manifest, where files have it.
    pub digest: Option<String>,
    /// Its pod: its name, or the first digits of its id where files have no name.
    pub pod: Option<String>,
    /// The namespace of Kubernetes or of containerd that it is in.
    pub namespace: Option<String>,
    /// The user whose engine it is; `None` for the host's.
    pub user: Option<u32>,
    /// Whether its engine calls it privileged; `None` where the engine keeps no such flag.
    pub privileged: Option<bool>,
    /// The bounding set that it is configured with.
    pub bounding: Option<CapSet>,
    /// What it is configured to allow of the system calls that matter.
    pub filter: Option<Filter>,
    /// What configures it. Only of the host's engines: a user may put anything there.
    pub configuration: Option<Configuration>,
    /// What it runs.
    pub command: Vec<String>,
    /// When it was created, RFC 3339.
    pub created: Option<String>,
    /// Its first process, as the files have it: whether that lives, and is still the same, they do not say.
    pub pid: Option<u32>,
    /// When that process was started, in clock ticks since boot.
    pub start: Option<u64>,
    /// Its engine's word for its state, where the engine was asked.
    pub state: Option<&'static str>,
}

/// What configures a container, in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// The path of a file: a `config.json` of the OCI, Docker's `hostconfig.json`, or LXC's.
    File(String),
    /// What a `config.json` of the OCI would say, out of a database.
    Specification(Arc<[u8]>),
}

impl HostContainer {
    /// Returns one of which nothing is known but whose it is.
    #[must_use]
    pub fn unknown(engine: Engine, id: impl Into<String>) -> Self {
        Self {
            owner: Owner { engine, id: id.into() },
            name: None,
            image: None,
            digest: None,
            pod: None,
            namespace: None,
            user: None,
            privileged: None,
            bounding: None,
            filter: None,
            configuration: None,
            command: Vec::new(),
            created: None,
            pid: None,
            start: None,
            state: None,
        }
    }

    /// Returns what a person calls it: its name, or its short id.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.owner.short())
    }

    /// Returns what its engine was told.
    #[must_use]
    pub fn configured(&self) -> Configured {
        Configured { privileged: self.privileged, bounding: self.bounding, filter: self.filter.clone() }
    }

    /// Takes from `other`, a record of the same container in another file, what this one lacks.
    pub(super) fn complete_from(&mut self, mut other: Self) {
        fn or<T>(mine: &mut Option<T>, other: Option<T>) {
            if mine.is_none() {
                *mine = other;
            }
        }
        or(&mut self.name, other.name);
        or(&mut self.image, other.image);
        or(&mut self.digest, other.digest);
        // Who knows the pod knows the namespace that it is in: containerd's own stands where no pod is known.
        if self.pod.is_none() && other.pod.is_some() && other.namespace.is_some() {
            self.namespace = other.namespace.take();
        }
        or(&mut self.pod, other.pod);
        or(&mut self.namespace, other.namespace);
        or(&mut self.privileged, other.privileged);
        or(&mut self.bounding, other.bounding);
        or(&mut self.filter, other.filter);
        or(&mut self.configuration, other.configuration);
        or(&mut self.created, other.created);
        or(&mut self.state, other.state);
        if self.pid.is_none() {
            (self.pid, self.start) = (other.pid, other.start);
        } else if self.pid == other.pid {
            or(&mut self.start, other.start);
        }
        if self.command.is_empty() {
            self.command = other.command;
        }
    }
}
