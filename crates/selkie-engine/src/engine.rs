//! The engine's own configuration: where things are and what containers.conf says.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use selkie_plan::ContainersConf;

use crate::store::Store;

/// One engine.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) images: selkie_image::Store,
    pub(crate) conf: ContainersConf,
    pub(crate) binary: PathBuf,
}

impl Engine {
    /// Builds an engine with its records in `store`. `binary` is the path of the running program.
    #[must_use]
    pub fn new(store: Store, conf: ContainersConf, binary: PathBuf) -> Self {
        let images = selkie_image::Store::new(store.root());
        Self { store, images, conf, binary }
    }

    /// Returns where the records are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the images.
    #[must_use]
    pub fn images(&self) -> &selkie_image::Store {
        &self.images
    }

    /// Returns what containers.conf says.
    #[must_use]
    pub fn conf(&self) -> &ContainersConf {
        &self.conf
    }

    /// Returns the path of the engine's own binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Checks that containers can be made at all.
    #[expect(clippy::unused_self, reason = "asked of an engine, as everything else about one")]
    pub(crate) fn require_root(&self) -> crate::Result<()> {
        if rustix::process::geteuid().is_root() {
            Ok(())
        } else {
            Err(crate::Error::NotSupported { what: "containers of a user who is not root".to_owned() })
        }
    }

    /// Returns the command that is this program again with another verb and the same records: its input and output are ours, it says
    /// nothing else, and Ctrl-C does not reach it.
    pub(crate) fn again(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(self.globals()).arg(verb).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Returns the flags with which another `selkie` finds the same records.
    pub(crate) fn globals(&self) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        vec!["--root".to_owned(), text(self.store.root()), "--runroot".to_owned(), text(self.store.run())]
    }
}
