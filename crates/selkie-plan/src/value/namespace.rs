//! Modes of namespaces: `--pid`, `--ipc`, `--uts`, `--cgroupns`, `--network`, `--userns`.

use serde::{Deserialize, Serialize};

use super::parse_id_map;
use crate::{IdMap, PlanError};

/// What to do about a kind of namespace, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// Nothing asked: containers.conf, then private.
    #[default]
    Default,
    /// A new one.
    Private,
    /// A new one that other containers may join (`--ipc shareable`).
    Shareable,
    /// A new one without `/dev/shm` (`--ipc none`).
    None,
    /// The host's.
    Host,
    /// That of another container.
    Container(String),
    /// That of a file, for example `/proc/42/ns/pid`.
    Path(String),
}

impl NamespaceMode {
    /// Parses the value of `--FLAG`.
    ///
    /// # Errors
    /// [`PlanError::NamespaceMode`]; [`PlanError::NotSupportedYet`] for `pod`.
    pub fn parse(flag: &str, text: &str) -> Result<Self, PlanError> {
        match (text, flag) {
            ("", _) => Ok(Self::Default),
            ("private", _) => Ok(Self::Private),
            ("host", _) => Ok(Self::Host),
            ("shareable", "ipc") => Ok(Self::Shareable),
            ("none", "ipc") => Ok(Self::None),
            ("pod", _) => Err(PlanError::NotSupportedYet { flag: format!("--{flag} pod") }),
            _ => match joined(text)? {
                Joined::Container(name) => Ok(Self::Container(name)),
                Joined::Path(path) => Ok(Self::Path(path)),
            },
        }
    }
}

/// The network, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Nothing asked: containers.conf, then private.
    #[default]
    Default,
    /// A new one in which `lo` is up and nothing else is.
    Private,
    /// The same, asked for by the name `none`.
    None,
    /// The host's.
    Host,
    /// That of another container.
    Container(String),
    /// That of a file.
    Path(String),
}

impl NetworkMode {
    /// Parses the value of `--network`.
    ///
    /// # Errors
    /// [`PlanError::NotSupportedYet`] for bridges, pasta and named networks; [`PlanError::NamespaceMode`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        match text {
            "" | "default" => Ok(Self::Default),
            "private" => Ok(Self::Private),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ if text.starts_with("container:") || text.starts_with("ns:") => match joined(text)? {
                Joined::Container(name) => Ok(Self::Container(name)),
                Joined::Path(path) => Ok(Self::Path(path)),
            },
            _ => Err(PlanError::NotSupportedYet { flag: format!("--network {text}") }),
        }
    }
}

/// The user namespace, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsernsMode {
    /// Nothing asked: containers.conf, then the engine's own (rootless: the one that it made for itself).
    #[default]
    Default,
    /// The same, asked for by name.
    Host,
    /// A new one with `--uidmap` and `--gidmap`.
    Private,
    /// The caller keeps their own id inside.
    KeepId {
        /// Another uid for the caller inside.
        uid: Option<u32>,
        /// Another gid for the caller inside.
        gid: Option<u32>,
        /// How many ids.
        size: Option<u32>,
    },
    /// A new one with ids that no other container has.
    Auto(AutoUserns),
    /// The caller's id is not mapped at all.
    NoMap,
    /// That of another container.
    Container(String),
    /// That of a file.
    Path(String),
}

/// Options of `--userns auto`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoUserns {
    /// How many ids; `None` is what the image needs.
    pub size: Option<u32>,
    /// Users that are mapped by hand.
    pub uid_map: Vec<IdMap>,
    /// Groups that are mapped by hand.
    pub gid_map: Vec<IdMap>,
}

impl UsernsMode {
    /// Parses the value of `--userns`.
    ///
    /// # Errors
    /// [`PlanError::NamespaceMode`]; [`PlanError::NotSupportedYet`] for `pod`; [`PlanError::AutoOption`] and [`PlanError::IdMap`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        match text.split_once(':').map_or((text, None), |(mode, rest)| (mode, Some(rest))) {
            ("", None) => Ok(Self::Default),
            ("host", None) => Ok(Self::Host),
            ("private", None) => Ok(Self::Private),
            ("nomap", None) => Ok(Self::NoMap),
            ("keep-id", options) => keep_id(text, options.unwrap_or_default()),
            ("auto", options) => auto(options.unwrap_or_default()).map(Self::Auto),
            ("pod", None) => Err(PlanError::NotSupportedYet { flag: String::from("--userns pod") }),
            _ => match joined(text)? {
                Joined::Container(name) => Ok(Self::Container(name)),
                Joined::Path(path) => Ok(Self::Path(path)),
            },
        }
    }
}

fn keep_id(text: &str, options: &str) -> Result<UsernsMode, PlanError> {
    let error = || PlanError::NamespaceMode { mode: text.to_owned() };
    let (mut uid, mut gid, mut size) = (None, None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').ok_or_else(error)?;
        let number = Some(value.parse::<u32>().map_err(|_| error())?);
        match key {
            "uid" => uid = number,
            "gid" => gid = number,
            "size" => size = number,
            _ => return Err(error()),
        }
    }
    Ok(UsernsMode::KeepId { uid, gid, size })
}

fn auto(options: &str) -> Result<AutoUserns, PlanError> {
    let mut auto = AutoUserns::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let error = |problem| PlanError::AutoOption { problem, option: option.to_owned() };
        let (key, value) = option.split_once('=').ok_or_else(|| error("invalid"))?;
        match key {
            "size" => auto.size = Some(value.parse().ok().filter(|size| *size > 0).ok_or_else(|| error("invalid"))?),
            "uidmapping" => auto.uid_map.push(parse_id_map("UID", value)?),
            "gidmapping" => auto.gid_map.push(parse_id_map("GID", value)?),
            _ => return Err(error("unknown")),
        }
    }
    Ok(auto)
}

enum Joined {
    Container(String),
    Path(String),
}

fn joined(text: &str) -> Result<Joined, PlanError> {
    match text.split_once(':') {
        Some(("container", name)) if !name.is_empty() => Ok(Joined::Container(name.to_owned())),
        Some(("ns", path)) if path.starts_with('/') => Ok(Joined::Path(path.to_owned())),
        _ => Err(PlanError::NamespaceMode { mode: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_of_a_namespace() {
        assert_eq!(NamespaceMode::parse("pid", "host"), Ok(NamespaceMode::Host));
        assert_eq!(NamespaceMode::parse("pid", "container:a"), Ok(NamespaceMode::Container("a".into())));
        assert_eq!(NamespaceMode::parse("pid", "ns:/proc/1/ns/pid"), Ok(NamespaceMode::Path("/proc/1/ns/pid".into())));
        for text in ["bogus", "container:", "ns:", "none"] {
            assert_eq!(NamespaceMode::parse("pid", text), Err(PlanError::NamespaceMode { mode: text.into() }));
        }
        assert_eq!(NamespaceMode::parse("ipc", "none"), Ok(NamespaceMode::None));
    }

    #[test]
    fn mode_of_the_user_namespace() {
        assert_eq!(UsernsMode::parse("keep-id:uid=5,gid=6"), Ok(UsernsMode::KeepId { uid: Some(5), gid: Some(6), size: None }));
        let auto = AutoUserns { size: Some(5), uid_map: vec![IdMap { container: 1, host: 2, size: 3 }], gid_map: Vec::new() };
        assert_eq!(UsernsMode::parse("auto:size=5,uidmapping=1:2:3"), Ok(UsernsMode::Auto(auto)));
        assert_eq!(UsernsMode::parse("auto"), Ok(UsernsMode::Auto(AutoUserns::default())));
        assert_eq!(UsernsMode::parse("bogus"), Err(PlanError::NamespaceMode { mode: "bogus".into() }));
        assert_eq!(UsernsMode::parse("keep-id:x=1"), Err(PlanError::NamespaceMode { mode: "keep-id:x=1".into() }));
    }

    #[test]
    fn mode_of_the_network() {
        assert_eq!(NetworkMode::parse("none"), Ok(NetworkMode::None));
        assert_eq!(NetworkMode::parse("bridge"), Err(PlanError::NotSupportedYet { flag: "--network bridge".into() }));
    }
}
