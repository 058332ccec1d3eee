//! `--mount type=TYPE,KEY=VALUE,...`: the long form of `--volume` and `--tmpfs`, and devpts.

use serde::{Deserialize, Serialize};

use super::bind::{BindMount, Relabel, clean, clean_destination, propagation};
use super::tmpfs::TmpfsMount;
use super::words::split_slice;
use crate::PlanError;

/// A mount as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserMount {
    /// `type=bind`.
    Bind(BindMount),
    /// `type=tmpfs`.
    Tmpfs(TmpfsMount),
    /// `type=devpts`.
    Devpts(DevptsMount),
}

/// A further instance of devpts(4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DevptsMount {
    /// Absolute, clean path in the container.
    pub destination: String,
    /// `uid=`, `gid=`, `mode=`, `max=`.
    pub options: Vec<String>,
}

impl UserMount {
    /// Parses the value of `--mount`; `cwd` makes a relative source absolute.
    ///
    /// # Errors
    /// Podman's texts; [`PlanError::NotSupportedYet`] for the types that are not there yet.
    pub fn parse(text: &str, cwd: &str) -> Result<Self, PlanError> {
        let words = split_slice(text);
        if !text.contains('=') {
            return Err(PlanError::MountFormat { text: text.to_owned() });
        }
        let kind = words.iter().find_map(|word| word.strip_prefix("type=")).unwrap_or("volume");
        let pairs = words.iter().filter(|word| !word.starts_with("type=")).map(|word| {
            let (key, value) = word.split_once('=').map_or((word.as_str(), None), |(key, value)| (key, Some(value)));
            (word.as_str(), key, value)
        });
        match kind {
            "bind" => bind(pairs, cwd).map(Self::Bind),
            "tmpfs" => tmpfs(pairs).map(Self::Tmpfs),
            "devpts" => devpts(pairs).map(Self::Devpts),
            "volume" | "image" | "glob" | "ramfs" | "artifact" => Err(PlanError::NotSupportedYet { flag: format!("--mount type={kind}") }),
            other => Err(PlanError::MountType { kind: other.to_owned() }),
        }
    }
}

/// A word, and its two halves.
type Pair<'a> = (&'a str, &'a str, Option<&'a str>);

fn bind<'a>(pairs: impl Iterator<Item = Pair<'a>>, cwd: &str) -> Result<BindMount, PlanError> {
    let mut mount = BindMount::default();
    for (word, key, value) in pairs {
        let unknown = || PlanError::MountKey { option: key.to_owned() };
        match (key, value) {
            ("src" | "source", Some(path)) if path.starts_with('/') => mount.source = clean(path),
            ("src" | "source", Some(path)) if !path.is_empty() => mount.source = clean(&format!("{cwd}/{path}")),
            ("src" | "source", _) => return Err(PlanError::EmptySource),
            ("dst" | "destination" | "target", Some(path)) => mount.destination = clean_destination(path)?,
            ("ro" | "readonly", value) => mount.readonly = flag(value).ok_or_else(|| switch(value))?,
            ("rw", value) => mount.readonly = !flag(value).ok_or_else(|| switch(value))?,
            ("bind-propagation", Some(value)) => mount.propagation = propagation(value)?,
            ("bind-nonrecursive", value) => mount.not_recursive = flag(value).ok_or_else(unknown)?,
            ("relabel", Some("shared")) => mount.relabel = Some(Relabel::Shared),
            ("relabel", Some("private")) => mount.relabel = Some(Relabel::Private),
            ("consistency", Some(_)) => {}
            ("U" | "chown", value) => {
                mount.give = flag(value).ok_or_else(|| PlanError::MountGive { value: value.unwrap_or_default().to_owned() })?
            }
            ("idmap" | "O", _) => return Err(PlanError::NotSupportedYet { flag: format!("--mount option {key}") }),
            (_, None) => mount.apply(word).map_err(|error| match error {
                PlanError::MountOption { .. } => unknown(),
                other => other,
            })?,
            _ => return Err(unknown()),
        }
    }
    if mount.destination.is_empty() {
        return Err(PlanError::NoDestination);
    }
    if mount.source.is_empty() {
        mount.source.clone_from(&mount.destination);
    }
    Ok(mount)
}

fn tmpfs<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Result<TmpfsMount, PlanError> {
    let mut mount = TmpfsMount::default();
    for (word, key, value) in pairs {
        let unknown = |_| PlanError::MountKey { option: word.to_owned() };
        match (key, value) {
            ("dst" | "destination" | "target", Some(path)) => mount.destination = clean_destination(path)?,
            ("ro" | "readonly", value) => mount.readonly = flag(value).ok_or_else(|| switch(value))?,
            ("tmpfs-size", Some(size)) => mount.option(&format!("size={size}")).map_err(unknown)?,
            ("tmpfs-mode", Some(mode)) => mount.option(&format!("mode={mode}")).map_err(unknown)?,
            ("consistency", Some(_)) => {}
            _ => mount.option(word).map_err(|error| match error {
                PlanError::TmpfsOption { option } => PlanError::MountKey { option },
                other => other,
            })?,
        }
    }
    if mount.destination.is_empty() { Err(PlanError::NoDestination) } else { Ok(mount) }
}

fn devpts<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Result<DevptsMount, PlanError> {
    let mut mount = DevptsMount::default();
    for (word, key, value) in pairs {
        match (key, value) {
            ("dst" | "destination" | "target", Some(path)) => mount.destination = clean_destination(path)?,
            ("uid" | "gid" | "max", Some(number)) if number.parse::<u32>().is_ok() => mount.options.push(word.to_owned()),
            ("mode", Some(mode)) if u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o777) => mount.options.push(word.to_owned()),
            _ => return Err(PlanError::MountKey { option: word.to_owned() }),
        }
    }
    if mount.destination.is_empty() { Err(PlanError::NoDestination) } else { Ok(mount) }
}

fn switch(value: Option<&str>) -> PlanError {
    PlanError::MountSwitch { value: value.unwrap_or_default().to_owned() }
}

/// A key alone is true.
fn flag(value: Option<&str>) -> Option<bool> {
    match value {
        None | Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Propagation;

    fn error(text: &str) -> String {
        UserMount::parse(text, "/").unwrap_err().to_string()
    }

    #[test]
    fn mount_of_each_type() {
        let bind = BindMount {
            source: "/a".into(),
            destination: "/x".into(),
            readonly: true,
            propagation: Propagation::Shared,
            ..BindMount::default()
        };
        assert_eq!(UserMount::parse("type=bind,src=/a,dst=/x,ro,bind-propagation=shared", "/"), Ok(UserMount::Bind(bind)));
        let tmpfs = TmpfsMount { destination: "/x".into(), options: vec!["size=1m".into()], ..TmpfsMount::default() };
        assert_eq!(UserMount::parse("type=tmpfs,target=/x,tmpfs-size=1m", "/"), Ok(UserMount::Tmpfs(tmpfs)));
        let devpts = DevptsMount { destination: "/x".into(), options: vec!["mode=620".into()] };
        assert_eq!(UserMount::parse("type=devpts,target=/x,mode=620", "/"), Ok(UserMount::Devpts(devpts)));
    }

    #[test]
    fn mount_errors_are_podmans() {
        assert!(error("foo").starts_with("incorrect mount format: should be --mount type=<bind|tmpfs|volume>"));
        assert_eq!(error("type=foo,target=/x"), "invalid filesystem type \"foo\"");
        assert_eq!(error("type=bind,source=/tmp"), "must set volume destination");
        assert_eq!(error("type=tmpfs,target=/x,bogus"), "bogus: invalid mount option");
        assert_eq!(error("type=bind,src=/tmp,target=/x,bind-propagation=junk"), "invalid option type \"junk\"");
        assert_eq!(error("type=bind,src=/tmp,dst=rel"), "invalid container path \"rel\", must be an absolute path");
        assert_eq!(error("type=volume,dst=/x"), "--mount type=volume: not supported yet");
        assert_eq!(error("type=bind,src=/tmp,dst=/x,bogus=1"), "bogus: invalid mount option");
    }
}
