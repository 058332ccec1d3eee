//! A socket for sd_notify(3) that a container is given: how services say that they are ready.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use selkie_plan::Request;
use selkie_plan::value::BindMount;

use crate::error::{Error, Result};
use crate::files;

/// Where the container finds it.
const INSIDE: &str = "/run/selkie-notify";

/// A socket, and whether `READY=1` has come.
#[derive(Debug)]
pub(super) struct Notify {
    directory: PathBuf,
    socket: UnixDatagram,
    ready: std::cell::Cell<bool>,
}

impl Notify {
    /// Makes a socket in a directory of its own beneath `scratch`.
    pub(super) fn new(scratch: &Path, number: usize) -> Result<Self> {
        let directory = scratch.join(format!("notify-{}-{number}", std::process::id()));
        let failed = |source: std::io::Error| Error::File { action: "make a socket in", path: directory.clone(), source };
        files::make_directories(&directory)?;
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        // Whoever the service runs as may write to it.
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
        Ok(Self { directory, socket, ready: std::cell::Cell::new(false) })
    }

    /// Gives it to a container.
    pub(super) fn hand_in(&self, request: &mut Request) -> Result<()> {
        let volume = format!("{}:{INSIDE}", self.directory.display());
        request.mounts.volumes.push(BindMount::parse(&volume, "/").map_err(Error::Plan)?);
        request.process.env.push(("NOTIFY_SOCKET".to_owned(), format!("{INSIDE}/notify")));
        Ok(())
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let said = buffer.get(..length).unwrap_or(&[]);
            if said.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                self.ready.set(true);
            }
        }
        self.ready.get()
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        // What stays is in the run directory and is gone with the next boot.
        let _ = files::remove_tree(&self.directory);
    }
}
