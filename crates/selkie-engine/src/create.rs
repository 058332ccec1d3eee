//! Creates a container: finds its image, reserves its name, plans it, writes its record.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use selkie_plan::value::{NetworkMode, UsernsMode};
use selkie_plan::{ImageConfig, LogDriver, Plan, PullPolicy, Request, plan};

use crate::engine::Engine;
use crate::entrypoint::refused_program;
use crate::error::{Error, Result};
use crate::files::{self, Durability, write_dense_json};
use crate::id::{ContainerId, Name};
use crate::lifecycle::StopOptions;
use crate::monitor::Waiting;
use crate::record::{Container, Record, RecordImage, RootSource, now};
use crate::store::Lock;

/// A container that has just been created, with what a start right behind it can use again.
#[derive(Debug)]
pub struct Created {
    /// Its record.
    pub record: Record,
    /// Its plan, for warnings and `--dry-run`; `None` when only a start can tell (an unknown user, for example).
    pub plan: Option<Plan>,
    pub(crate) root: OwnedFd,
    pub(crate) lock: Lock,
    pub(crate) monitor: Option<Waiting>,
}

/// What an image contributes to a record.
struct Source {
    image: Option<RecordImage>,
    root: RootSource,
    config: ImageConfig,
}

impl Source {
    /// Describes a new container, which nobody starts.
    fn record(self, id: ContainerId, name: Name, request: Request, command: Vec<String>) -> Record {
        Record {
            id,
            name,
            created: now(),
            image: self.image,
            root: self.root,
            request,
            image_config: self.config,
            create_command: command,
            to_start: false,
            second_name: None,
        }
    }
}

/// How often somebody else may have been quicker to replace a container.
const REPLACEMENTS: usize = 100;

impl Engine {
    /// Creates a container. `command` is the command line that asked for it; `to_start` says that a start follows at once.
    ///
    /// # Errors
    /// No such image, a name in use, a request that cannot be planned; nothing is left behind then.
    pub fn create(&self, request: Request, command: Vec<String>, to_start: bool) -> Result<Created> {
        self.require_root()?;
        refuse_unsupported(&request)?;
        self.store.prepare()?;
        // It takes as long to start as everything up to its orders; where those never come it ends by itself.
        let monitor = to_start.then(|| Waiting::start_for(&request)).transpose()?;
        self.store.heal()?;
        let source = self.source(&request)?;
        if request.lifecycle.replace {
            self.replace(&request)?;
        }
        let id = ContainerId::random()?;
        let wanted = request.name.as_deref().map(Name::parse).transpose()?;
        let lock = self.store.make(&id)?;
        // Where its records are says which kind of name it has.
        let directory = if request.lifecycle.remove { self.store.volatile_records(&id) } else { self.store.container(&id) };
        let made =
            files::make_directories(&directory).and_then(|()| self.reserve(wanted, &id, request.lifecycle.replace)).and_then(|name| {
                let record = Record { to_start, ..source.record(id.clone(), name, request, command) };
                self.write_new(record, monitor.as_ref())
            });
        match made {
            Ok((record, plan, root)) => Ok(Created { record, plan, root, lock, monitor }),
            Err(error) => {
                self.forget(&id);
                Err(error)
            }
        }
    }

    /// Plans a container without making one: `--dry-run`.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn dry_run(&self, request: Request, command: Vec<String>) -> Result<Plan> {
        self.require_root()?;
        self.store.prepare()?;
        let source = self.source(&request)?;
        let id = ContainerId::random()?;
        let name = request.name.as_deref().map_or_else(Name::random, Name::parse)?;
        let record = source.record(id.clone(), name, request, command);
        let _lock = self.store.make(&id)?;
        let planned = self.mount_root(&record).and_then(|root| {
            let facts = self.facts(&record, &root)?;
            let mut planned = plan(&record.request, &record.image_config, &facts)?;
            planned.warnings.extend(refused_program(&planned, &root));
            Ok(planned)
        });
        self.forget(&id);
        planned
    }

    fn write_new(&self, record: Record, monitor: Option<&Waiting>) -> Result<(Record, Option<Plan>, OwnedFd)> {
        let directory = self.store.records(&record.id);
        let root = self.mount_root(&record)?;
        // Until the plan is written.
        let _ids = self.lock_ids(&record.request)?;
        let facts = self.facts(&record, &root)?;
        let mut planned = match plan(&record.request, &record.image_config, &facts) {
            Ok(planned) => Some(planned),
            // Podman finds these out at the start, with another exit code.
            Err(error) if error.exit_code() == 126 => None,
            Err(error) => return Err(error.into()),
        };
        let root = match &planned {
            Some(planned) => self.root_for(planned, &record, root)?,
            None => root,
        };
        if let Some(planned) = &mut planned {
            planned.warnings.extend(refused_program(planned, &root));
            write_dense_json(&directory, "plan.json", planned, Durability::Volatile)?;
            if let Some(monitor) = monitor {
                self.begin(&record.id, planned, monitor)?;
            }
        }
        record.write(&directory)?;
        if record.durability() == Durability::Durable {
            files::sync_directory(&self.store.containers())?;
        }
        Ok((record, planned, root))
    }

    /// Reserves `wanted`, or a random name that nobody has. With `replace` whoever has it is removed.
    fn reserve(&self, wanted: Option<Name>, id: &ContainerId, replace: bool) -> Result<Name> {
        if let Some(name) = wanted {
            let mut owner = self.store.take_name(&name, id)?;
            // Others may replace it at the same time: each is waited for until it has been started, and replaced.
            for _ in 0..if replace { REPLACEMENTS } else { 0 } {
                let Some(other) = &owner else { break };
                drop(self.store.lock(other));
                self.remove_for_replacement(other)?;
                owner = self.store.take_name(&name, id)?;
            }
            return match owner {
                None => Ok(name),
                Some(owner) => Err(Error::NameInUse { name: name.to_string(), id: owner.to_string() }),
            };
        }
        loop {
            let name = Name::random()?;
            if self.store.take_name(&name, id)?.is_none() {
                return Ok(name);
            }
        }
    }

    /// Removes what a failed creation has made.
    fn forget(&self, id: &ContainerId) {
        // The error that led here is the one to tell; what stays is half-made and the next command removes it.
        let _ = self.store.release_names(id);
        let _ = files::remove_tree(&self.store.running(id));
        let _ = files::remove_tree(&self.store.container(id));
        let _ = files::remove_file(&self.store.lock_file(id));
    }

    fn replace(&self, request: &Request) -> Result<()> {
        let Some(name) = request.name.as_deref() else { return Ok(()) };
        match self.store.find(name) {
            Ok(id) => self.remove_for_replacement(&id),
            Err(Error::NoSuchContainer { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn remove_for_replacement(&self, id: &ContainerId) -> Result<()> {
        match Container::load(&self.store, id).and_then(|container| self.remove(&container, Some(StopOptions::default()))) {
            // Somebody else replaces it, too, and was quicker.
            Err(Error::NoSuchContainer { .. }) => Ok(()),
            removed => removed.map(drop),
        }
    }

    fn source(&self, request: &Request) -> Result<Source> {
        if let Some(rootfs) = &request.rootfs {
            let (path, overlay) = match rootfs.strip_suffix(":O") {
                Some(path) => (path, true),
                None => (rootfs.as_str(), false),
            };
            let path = std::fs::canonicalize(path).map_err(|source| Error::File {
                action: "use as root file system",
                path: PathBuf::from(path),
                source,
            })?;
            if !path.is_dir() {
                return Err(Error::Invalid { problem: format!("root file system `{}` is not a directory", path.display()) });
            }
            let root = if overlay { RootSource::Overlay(path) } else { RootSource::Directory(path) };
            return Ok(Source { image: None, root, config: ImageConfig::default() });
        }
        let reference = request.image.as_deref().unwrap_or_default();
        if reference == "host:" {
            return Ok(Source { image: None, root: RootSource::Overlay(PathBuf::from("/")), config: ImageConfig::default() });
        }
        let image = self.images.find(reference)?;
        let name = image.name_for(reference).to_owned();
        Ok(Source {
            root: RootSource::Image(image.id.clone()),
            config: image_config(&image.config),
            image: Some(RecordImage { id: image.id, name, digest: image.digest }),
        })
    }
}

impl Engine {
    /// Returns what the image of a request says, if it has one that is here.
    #[must_use]
    pub fn image_config(&self, request: &Request) -> Option<ImageConfig> {
        let reference = request.image.as_deref().filter(|image| *image != "host:")?;
        self.images.find(reference).ok().map(|image| image_config(&image.config))
    }
}

/// Returns whether a container has, by all that is known before it is planned, new namespaces that belong to the host's users.
pub(crate) fn has_own_namespaces(request: &Request) -> bool {
    let namespaces = &request.namespaces;
    let network = matches!(namespaces.network, NetworkMode::Default | NetworkMode::Private | NetworkMode::None);
    let user = matches!(namespaces.user, UsernsMode::Default | UsernsMode::Host);
    network && user && namespaces.uid_map.is_empty() && namespaces.gid_map.is_empty()
}

/// Flags of the engine's own part that it knows and cannot do yet.
fn refuse_unsupported(request: &Request) -> Result<()> {
    let lifecycle = &request.lifecycle;
    let refused = [
        (lifecycle.remove_image, "--rmi"),
        (matches!(lifecycle.pull, PullPolicy::Always | PullPolicy::Newer), "--pull always or newer"),
        (lifecycle.platform.is_some(), "--platform, --os, --arch or --variant"),
        (matches!(lifecycle.log_driver, Some(LogDriver::Journald)), "--log-driver journald"),
        (matches!(lifecycle.log_driver, Some(LogDriver::Passthrough)), "--log-driver passthrough"),
    ];
    let first = refused.into_iter().find(|(asked, _)| *asked);
    first.map_or(Ok(()), |(_, what)| Err(Error::NotSupported { what: what.to_owned() }))
}

/// Takes what a plan needs out of an image's configuration. What is missing or of another type counts as not said.
fn image_config(config: &serde_json::Value) -> ImageConfig {
    let config = config.get("config").unwrap_or(&serde_json::Value::Null);
    let word = |key: &str| config.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let words = |key: &str| -> Vec<String> {
        config
            .get(key)
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let keys = |key: &str| -> Vec<String> {
        config.get(key).and_then(serde_json::Value::as_object).into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    ImageConfig {
        user: word("User"),
        env: words("Env"),
        entrypoint: words("Entrypoint"),
        cmd: words("Cmd"),
        working_dir: word("WorkingDir"),
        labels: config
            .get("Labels")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        volumes: keys("Volumes"),
        stop_signal: word("StopSignal"),
        exposed_ports: keys("ExposedPorts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_config_with_wrong_types_says_nothing() {
        let config = serde_json::json!({"config": {"User": 5, "Env": "x", "Cmd": [1, "a"], "Labels": {"a": 1, "b": "c"}}});
        let expected =
            ImageConfig { cmd: vec!["a".to_owned()], labels: [("b".to_owned(), "c".to_owned())].into(), ..ImageConfig::default() };
        assert_eq!(image_config(&config), expected);
    }
}
