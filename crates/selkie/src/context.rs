//! What every command starts from: the engine that the global flags and the environment describe.

use std::path::PathBuf;

use selkie_engine::{ConfFiles, Container, Engine, Store};

use crate::cli::Globals;
use crate::ui::error::Failure;

/// Surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) engine: Engine,
}

impl Context {
    /// Reads the configuration and refers to the store.
    pub(crate) fn new(globals: &Globals) -> Result<Self, Failure> {
        let root_user = rustix::process::geteuid().is_root();
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || variable("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let root = globals.root.clone().unwrap_or_else(|| {
            if root_user {
                PathBuf::from("/var/lib/selkie")
            } else {
                variable("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local/share")).join("selkie")
            }
        });
        let run = globals.runroot.clone().unwrap_or_else(|| {
            if root_user {
                PathBuf::from("/run/selkie")
            } else {
                let user = rustix::process::geteuid().as_raw();
                variable("XDG_RUNTIME_DIR").unwrap_or_else(|| PathBuf::from(format!("/run/user/{user}"))).join("selkie")
            }
        });
        let conf = ConfFiles {
            only: variable("CONTAINERS_CONF"),
            last: variable("CONTAINERS_CONF_OVERRIDE"),
            user: (!root_user).then(|| variable("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config")).join("containers")),
        };
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let binary = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        Ok(Self { engine: Engine::new(Store::new(absolute(root), absolute(run)), conf.read()?, binary) })
    }

    /// Finds a container.
    pub(crate) fn container(&self, name: &str) -> Result<Container, Failure> {
        Ok(Container::find(self.engine.store(), name)?)
    }

    /// Returns every container; damaged records are reported and left out.
    pub(crate) fn containers(&self) -> Result<Vec<Container>, Failure> {
        let (containers, damaged) = Container::all(self.engine.store())?;
        for error in damaged {
            crate::ui::error::warn(&Failure::from(error).line());
        }
        Ok(containers)
    }

    /// Returns the container that was created last.
    pub(crate) fn latest(&self) -> Result<Container, Failure> {
        self.containers()?.pop().ok_or_else(|| Failure::engine("no containers to operate on: no such container"))
    }
}
