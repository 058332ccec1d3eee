//! What an image says about how to run it: the `config` object of the OCI image specification.
//!
//! All of it is untrusted: an image may propose less privilege, never more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The part of an image's configuration that a plan needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `User`: `user`, `uid`, `user:group`, `uid:gid`; empty means root.
    pub user: String,
    /// `Env`: `KEY=value` entries; an entry without `=` is ignored with a warning.
    pub env: Vec<String>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `WorkingDir`; empty means `/`.
    pub working_dir: String,
    /// `Labels`.
    pub labels: BTreeMap<String, String>,
    /// `Volumes`: paths in the container.
    pub volumes: Vec<String>,
    /// `StopSignal`, for example `SIGQUIT`; empty means SIGTERM.
    pub stop_signal: String,
    /// `ExposedPorts`, for example `80/tcp`.
    pub exposed_ports: Vec<String>,
}
