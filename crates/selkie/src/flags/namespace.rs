//! Flags about namespaces.

use clap::Args;
use selkie_plan::value::{NamespaceMode, NetworkMode, UsernsMode, parse_id_map};
use selkie_plan::{IdMap, NamespacesRequest, PlanError};

use super::outside::Outside;
use super::switch::list;

/// Namespaces.
#[derive(Clone, Debug, Default, Args)]
pub struct NamespaceFlags {
    /// Network: none, host, private, container:NAME, ns:PATH (default: private, with lo alone).
    #[arg(long = "network", visible_alias = "net", allow_hyphen_values = true)]
    pub network: Vec<String>,
    /// PID namespace: private, host, container:NAME, ns:PATH.
    #[arg(long = "pid", allow_hyphen_values = true)]
    pub pid: Option<String>,
    /// IPC namespace: private, shareable, none, host, container:NAME, ns:PATH.
    #[arg(long = "ipc", allow_hyphen_values = true)]
    pub ipc: Option<String>,
    /// UTS namespace: private, host, container:NAME, ns:PATH.
    #[arg(long = "uts", allow_hyphen_values = true)]
    pub uts: Option<String>,
    /// Cgroup namespace: private, host, container:NAME, ns:PATH.
    #[arg(long = "cgroupns", allow_hyphen_values = true)]
    pub cgroupns: Option<String>,
    /// User namespace: host, keep-id, nomap, private, container:NAME, ns:PATH.
    #[arg(long = "userns", allow_hyphen_values = true)]
    pub userns: Option<String>,
    /// Map of uids CONTAINER:HOST:SIZE.
    #[arg(long = "uidmap", allow_hyphen_values = true)]
    pub uid_map: Vec<String>,
    /// Map of gids CONTAINER:HOST:SIZE.
    #[arg(long = "gidmap", allow_hyphen_values = true)]
    pub gid_map: Vec<String>,
    /// Host name of the container.
    #[arg(long = "hostname", short = 'h', allow_hyphen_values = true)]
    pub hostname: Option<String>,
}

impl NamespaceFlags {
    pub(super) fn request(&self, outside: &impl Outside) -> Result<NamespacesRequest, PlanError> {
        let mode = |flag: &str, text: &Option<String>| NamespaceMode::parse(flag, text.as_deref().unwrap_or_default());
        let maps = |kind, texts: &[String]| list(texts).iter().map(|text| parse_id_map(kind, text)).collect::<Result<Vec<IdMap>, _>>();
        let (uid_map, gid_map) = (maps("UID", &self.uid_map)?, maps("GID", &self.gid_map)?);
        if self.userns.as_deref().is_some_and(|mode| mode != "private") && !(uid_map.is_empty() && gid_map.is_empty()) {
            return Err(PlanError::UsernsAndMaps);
        }
        let userns =
            self.userns.clone().or_else(|| if uid_map.is_empty() && gid_map.is_empty() { outside.variable("PODMAN_USERNS") } else { None });
        let network = match self.network.as_slice() {
            [] => NetworkMode::Default,
            [one] => NetworkMode::parse(one)?,
            [_, more, ..] => return Err(PlanError::NotSupportedYet { flag: format!("--network {more} (several networks)") }),
        };
        Ok(NamespacesRequest {
            network,
            pid: mode("pid", &self.pid)?,
            ipc: mode("ipc", &self.ipc)?,
            uts: mode("uts", &self.uts)?,
            cgroup: mode("cgroupns", &self.cgroupns)?,
            user: UsernsMode::parse(userns.as_deref().unwrap_or_default())?,
            uid_map,
            gid_map,
            hostname: self.hostname.clone(),
        })
    }
}
