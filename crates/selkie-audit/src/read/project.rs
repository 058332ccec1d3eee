//! What a service of a compose file has of the file's other services, of its volumes and of its networks. compose-spec.io, "Services"
//! (`pid`, `ipc`, `network_mode`, `volumes_from`), "Networks" (`name`), "Volumes" (`driver_opts`).
//!
//! Not for what a service says of itself. A name that is none of the file is not known: that is said.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::extends::Service;
use super::{compose, variables};
use crate::subject::Mount;
use crate::tree::{Node, Value};
use crate::{Located, Place};

/// How many services may be asked one by way of another.
const HOPS: usize = 64;
/// How many mounts of others the services of a file may have.
const MOUNTS: usize = 100_000;

/// A compose file, as its services see it.
#[derive(Default)]
pub(super) struct Project {
    services: BTreeMap<String, Rc<Node>>,
    /// Named volumes that are paths of the host.
    binds: BTreeMap<String, String>,
    /// Networks that are the host's, each with the place that says so.
    host_networks: BTreeMap<String, Place>,
    /// How many mounts of others were given out.
    mounts: Cell<usize>,
}

/// Whether a namespace is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// It is, and here the service itself says so, if it does.
    Host(Option<Place>),
    /// It is not.
    Own,
    /// It is that of something which is not in the file, or too far away.
    Unknown,
}

impl Project {
    pub(super) fn new(document: &Node, services: &[Service]) -> Self {
        Self {
            services: services.iter().map(|service| (service.name.clone(), Rc::clone(&service.node))).collect(),
            binds: bind_volumes(document),
            host_networks: host_networks(document),
            mounts: Cell::new(0),
        }
    }

    /// Returns whose the namespace is that `key` of this service is about.
    pub(super) fn namespace(&self, node: &Node, key: &str) -> Shared {
        let place = node.get(key).map(|value| value.place);
        let mut node = node;
        for _ in 0..HOPS {
            let value = node.get(key).and_then(|value| value.scalar()).map(|text| variables::fill(&text).text).unwrap_or_default();
            match value.split_once(':') {
                _ if value == "host" => return Shared::Host(place),
                Some(("service", name)) => match self.services.get(name) {
                    Some(other) => node = other,
                    None => return Shared::Unknown,
                },
                Some(("container" | "ns", _)) => return Shared::Unknown,
                _ if key == "network_mode" && value.is_empty() => return self.networks(node, place),
                _ => return Shared::Own,
            }
        }
        Shared::Unknown
    }

    /// Returns whether one of the networks of a service is the host's; without any it has `default`.
    fn networks(&self, node: &Node, place: Option<Place>) -> Shared {
        let names: Vec<Located<String>> = match node.get("networks").map(|value| &value.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            Some(Value::List(items)) => items.iter().filter_map(|item| Some(Located::new(item.scalar()?, item.place))).collect(),
            _ => vec![Located::nowhere("default".to_owned())],
        };
        let host = |name: &Located<String>| self.host_networks.get(&name.value).map(|top| place.or(name.place).or(Some(*top)));
        names.iter().find_map(host).map_or(Shared::Own, Shared::Host)
    }

    /// Adds to `mounts` what the services have mounted that `volumes_from` of this one names; returns those that are not known.
    pub(super) fn mounts_of_others(&self, items: &[Located<String>], mounts: &mut Vec<Located<Mount>>) -> Vec<Located<String>> {
        let (mut unknown, mut seen) = (Vec::new(), BTreeSet::new());
        for item in items {
            let mut open = vec![(item.value.clone(), false)];
            while let Some((text, read_only)) = open.pop() {
                let (name, mode) = text.split_once(':').unwrap_or((&text, ""));
                let read_only = read_only || mode == "ro";
                let node = self.services.get(name).filter(|_| !text.starts_with("container:") && self.mounts.get() < MOUNTS);
                let Some(node) = node else {
                    unknown.push(item.clone());
                    continue;
                };
                if !seen.insert((name.to_owned(), read_only)) {
                    continue;
                }
                let own = node.get("volumes").map_or(&[][..], |volumes| volumes.items()).iter().filter_map(|item| self.mount(item));
                let before = mounts.len();
                mounts.extend(
                    own.map(|mount| Located { value: Mount { read_only: read_only || mount.read_only, ..mount }, place: item.place }),
                );
                let more = node.get("volumes_from").map_or(&[][..], |others| others.items());
                self.mounts.set(self.mounts.get() + 1 + more.len() + mounts.len() - before);
                open.extend(more.iter().filter_map(|item| Some((variables::fill(&item.scalar()?).text, read_only))));
            }
        }
        unknown.dedup();
        unknown
    }

    /// Returns what an item of `volumes` mounts.
    pub(super) fn mount(&self, item: &Node) -> Option<Mount> {
        let mut mount = compose::mount(item)?;
        if !mount.of_host
            && let Some(path) = self.binds.get(&mount.source)
        {
            mount.source.clone_from(path);
            mount.of_host = true;
        }
        Some(mount)
    }
}

/// Named volumes of the local driver that are bind mounts: `driver_opts: {o: bind, device: /}`.
fn bind_volumes(document: &Node) -> BTreeMap<String, String> {
    let volumes = document.get("volumes").map_or(&[][..], |volumes| volumes.entries());
    let device = |node: &Node| {
        let options = node.get("driver_opts")?;
        let is_bind = options.get("o")?.scalar()?.split(',').any(|option| matches!(option, "bind" | "rbind"));
        is_bind.then(|| options.get("device")?.scalar())?
    };
    volumes.iter().filter_map(|entry| Some((entry.key.value.clone(), device(&entry.value)?))).collect()
}

/// Networks of the file that are Docker's own `host`, which is one only as an external network.
fn host_networks(document: &Node) -> BTreeMap<String, Place> {
    let networks = document.get("networks").map_or(&[][..], |networks| networks.entries());
    let host = |key: &str, node: &Node| {
        let external = node.get("external")?;
        // `external: {name: host}` is the old way to write it.
        let name = external.get("name").or_else(|| node.get("name"));
        let is_external = external.truth() != Some(false);
        let text = name.and_then(|name| name.scalar()).map_or_else(|| key.to_owned(), |text| variables::fill(&text).text);
        (is_external && text == "host").then(|| name.unwrap_or(external).place)
    };
    networks.iter().filter_map(|entry| Some((entry.key.value.clone(), host(&entry.key.value, &entry.value)?))).collect()
}
