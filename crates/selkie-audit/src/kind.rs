//! What kind of file a file is.

use std::fmt;

use crate::place::Source;
use crate::tree::{self, Node};
use crate::{ReadError, drop_in, unit};

/// A kind of file that can be audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// Compose: compose-spec.io.
    Compose,
    /// Kubernetes objects in YAML or JSON.
    Kubernetes,
    /// `.container` and `.pod` of podman-systemd.unit(5).
    Quadlet,
    /// An OCI runtime's config.json.
    Oci,
    /// containers.conf(5).
    ContainersConf,
    /// lxc.container.conf(5).
    Lxc,
    /// systemd.nspawn(5).
    Nspawn,
}

impl FileType {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Compose, Self::Kubernetes, Self::Quadlet, Self::Oci, Self::ContainersConf, Self::Lxc, Self::Nspawn];

    /// Returns its name, as `--type` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Quadlet => "quadlet",
            Self::Oci => "oci",
            Self::ContainersConf => "containers.conf",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
        }
    }

    /// Reads a name as `--type` takes it; `kube` and `k8s` too.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "kube" | "k8s" => Some(Self::Kubernetes),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells what `source` is, by its name where that is sure, else by its first words.
///
/// # Errors
/// [`ReadError::Unrecognised`], or broken YAML or JSON of which no more can be said.
pub(crate) fn recognise(name: &str, source: &Source) -> Result<FileType, ReadError> {
    by_name(name).map_or_else(|| by_content(name, source), Ok)
}

fn by_name(name: &str) -> Option<FileType> {
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "conf" if drop_in::unit_of(name).is_some() => Some(FileType::Quadlet),
        "container" | "pod" | "kube" | "network" | "volume" | "image" | "build" => Some(FileType::Quadlet),
        "nspawn" => Some(FileType::Nspawn),
        "conf" if file == "containers.conf" || name.contains("containers.conf.d/") => Some(FileType::ContainersConf),
        "yml" | "yaml" if file.starts_with("compose.") || file.starts_with("docker-compose") || file.starts_with("podman-compose") => {
            Some(FileType::Compose)
        }
        _ => None,
    }
}

fn by_content(name: &str, source: &Source) -> Result<FileType, ReadError> {
    let is_json = source.text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with('{');
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    if is_json && !is_yaml {
        let documents = tree::json(source)?;
        return documents.documents.iter().find_map(|node| by_keys(node)).ok_or(ReadError::Unrecognised);
    }
    if !is_yaml && let Some(kind) = by_lines(source) {
        return Ok(kind);
    }
    match tree::yaml(source) {
        Ok(documents) => documents.documents.iter().find_map(|node| by_keys(node)).ok_or(ReadError::Unrecognised),
        Err(error) if is_yaml || looks_like_yaml(source.text) => Err(error),
        Err(_) => Err(ReadError::Unrecognised),
    }
}

fn by_keys(node: &Node) -> Option<FileType> {
    let has = |key| node.entry(key).is_some();
    if has("apiVersion") && has("kind") {
        Some(FileType::Kubernetes)
    } else if has("ociVersion") {
        Some(FileType::Oci)
    } else if has("services") {
        Some(FileType::Compose)
    } else {
        None
    }
}

fn by_lines(source: &Source) -> Option<FileType> {
    let first = |prefix: &str| source.text.lines().any(|line| line.trim_start().starts_with(prefix));
    if first("[Container]") || first("[Pod]") {
        Some(FileType::Quadlet)
    } else if first("[containers]") || first("[engine]") {
        Some(FileType::ContainersConf)
    } else if (first("[Exec]") || first("[Files]") || first("[Network]")) && unit::parse(source).is_ok() {
        Some(FileType::Nspawn)
    } else if first("lxc.") {
        Some(FileType::Lxc)
    } else {
        None
    }
}

fn looks_like_yaml(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("apiVersion:") || line.starts_with("kind:") || line.starts_with("services:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, text: &str) -> Option<FileType> {
        recognise(name, &Source::new(text)).ok()
    }

    #[test]
    fn files_are_told_by_name() {
        assert_eq!(kind("/etc/containers/systemd/web.container", ""), Some(FileType::Quadlet));
        assert_eq!(kind("docker-compose.prod.yml", ""), Some(FileType::Compose));
        assert_eq!(kind("web.nspawn", ""), Some(FileType::Nspawn));
        assert_eq!(kind("/etc/containers/containers.conf", ""), Some(FileType::ContainersConf));
    }

    #[test]
    fn files_are_told_by_content() {
        assert_eq!(kind("x.yaml", "apiVersion: v1\nkind: Pod\n"), Some(FileType::Kubernetes));
        assert_eq!(kind("-", "{\"ociVersion\": \"1.0.2\"}"), Some(FileType::Oci));
        assert_eq!(kind("-", "services:\n  web: {}\n"), Some(FileType::Compose));
        assert_eq!(kind("config", "lxc.uts.name = a\n"), Some(FileType::Lxc));
        assert_eq!(kind("x", "[Container]\nImage=a\n"), Some(FileType::Quadlet));
        assert_eq!(kind("x", "hello\n"), None);
    }
}
