//! `--volume HOST-DIR:CONTAINER-DIR[:OPTIONS]`: bind mounts. Named volumes are not there yet.

use serde::{Deserialize, Serialize};

use crate::{PlanError, Propagation};

/// A bind mount as asked for; `None` leaves a flag as the source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindMount {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute, clean path in the container.
    pub destination: String,
    /// `ro` or `rw`.
    pub readonly: bool,
    /// `nosuid` or `suid`.
    pub nosuid: bool,
    /// `nodev` or `dev`.
    pub nodev: bool,
    /// `noexec` or `exec`.
    pub noexec: bool,
    /// `bind`: without what is mounted beneath the source.
    pub not_recursive: bool,
    /// `shared`, `rslave`, ...
    pub propagation: Propagation,
    /// `z` or `Z`, for SELinux.
    pub relabel: Option<Relabel>,
    /// `U`: the source is given to the user of the container, with all that is in it, at each start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub give: bool,
}

/// How SELinux labels the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relabel {
    /// `z`: for all containers.
    Shared,
    /// `Z`: for this one alone.
    Private,
}

impl BindMount {
    /// Parses the value of `--volume`; `cwd` makes a source that begins with `.` absolute.
    ///
    /// # Errors
    /// Podman's texts; [`PlanError::NotSupportedYet`] for anonymous and named volumes.
    pub fn parse(text: &str, cwd: &str) -> Result<Self, PlanError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, options) = match *parts.as_slice() {
            [destination] => {
                clean_destination(destination)?;
                return Err(PlanError::NotSupportedYet { flag: format!("--volume {text} (anonymous volumes)") });
            }
            [source, destination] => (source, destination, ""),
            [source, destination, options] => (source, destination, options),
            _ => return Err(PlanError::VolumeFormat { text: text.to_owned() }),
        };
        if source.is_empty() {
            return Err(PlanError::EmptySource);
        }
        if destination.is_empty() {
            return Err(PlanError::EmptyDestination);
        }
        let destination = clean_destination(destination)?;
        let mut mount = Self { destination, ..Self::default() };
        mount.apply(options)?;
        mount.source = match source {
            absolute if absolute.starts_with('/') => clean(absolute),
            relative if relative.starts_with('.') => clean(&format!("{cwd}/{relative}")),
            _ => return Err(PlanError::NotSupportedYet { flag: format!("--volume {text} (named volumes)") }),
        };
        Ok(mount)
    }

    /// Applies options separated by commas.
    ///
    /// # Errors
    /// Podman's texts for unknown options and options that exclude each other.
    pub fn apply(&mut self, options: &str) -> Result<(), PlanError> {
        let words: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
        for (group, choice) in CHOICES {
            let given: Vec<&str> = words.iter().copied().filter(|word| group.contains(word)).collect();
            if given.len() > 1 {
                return Err(PlanError::MountOptionConflict { options: given.join(", "), choice });
            }
        }
        words.into_iter().try_for_each(|word| self.option(word))
    }

    fn option(&mut self, word: &str) -> Result<(), PlanError> {
        match word {
            "ro" | "readonly" => self.readonly = true,
            "rw" => self.readonly = false,
            "nosuid" => self.nosuid = true,
            "suid" => self.nosuid = false,
            "nodev" => self.nodev = true,
            "dev" => self.nodev = false,
            "noexec" => self.noexec = true,
            "exec" => self.noexec = false,
            "bind" => self.not_recursive = true,
            "rbind" => self.not_recursive = false,
            "z" => self.relabel = Some(Relabel::Shared),
            "Z" => self.relabel = Some(Relabel::Private),
            "U" => self.give = true,
            // Named volumes are copied up, bind mounts never; the rest is for Docker Desktop.
            "copy" | "nocopy" | "cached" | "delegated" | "consistent" => {}
            "O" | "idmap" | "unbindable" | "runbindable" => {
                return Err(PlanError::NotSupportedYet { flag: format!("--volume option {word}") });
            }
            other => self.propagation = propagation(other)?,
        }
        Ok(())
    }
}

/// Groups of options of which one may be given.
const CHOICES: [(&[&str], &str); 7] = [
    (&["rw", "ro"], "'rw' or 'ro' option"),
    (&["z", "Z", "O"], "'z', 'Z', or 'O' option"),
    (
        &["shared", "rshared", "private", "rprivate", "slave", "rslave", "unbindable", "runbindable"],
        "'[r]shared', '[r]private', '[r]slave' or '[r]unbindable' option",
    ),
    (&["bind", "rbind"], "'rbind' or 'bind' option"),
    (&["nodev", "dev"], "'nodev' or 'dev' option"),
    (&["noexec", "exec"], "'noexec' or 'exec' option"),
    (&["nosuid", "suid"], "'nosuid' or 'suid' option"),
];

/// Parses a propagation.
pub(super) fn propagation(word: &str) -> Result<Propagation, PlanError> {
    Ok(match word {
        "private" => Propagation::Private,
        "rprivate" => Propagation::Rprivate,
        "slave" => Propagation::Slave,
        "rslave" => Propagation::Rslave,
        "shared" => Propagation::Shared,
        "rshared" => Propagation::Rshared,
        other => return Err(PlanError::MountOption { option: other.to_owned() }),
    })
}

/// Returns the clean form of a destination in the container.
pub(super) fn clean_destination(path: &str) -> Result<String, PlanError> {
    if !path.starts_with('/') {
        return Err(PlanError::RelativeDestination { path: path.to_owned() });
    }
    if path.contains('\0') {
        return Err(PlanError::ForbiddenCharacter { what: "container path", value: path.to_owned() });
    }
    match clean(path) {
        root if root == "/" => Err(PlanError::RootDestination { path: path.to_owned() }),
        path => Ok(path),
    }
}

/// Returns an absolute path without `.`, `..`, doubled and trailing slashes, as Go's `filepath.Clean`.
#[must_use]
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        BindMount::parse(text, "/here").unwrap_err().to_string()
    }

    #[test]
    fn volume_option_u_gives_the_source_to_the_user() {
        assert!(BindMount::parse("/a:/b:U,ro", "/here").unwrap().give);
        assert!(!BindMount::parse("/a:/b:ro", "/here").unwrap().give);
    }

    #[test]
    fn volume_is_source_destination_options() {
        let mount = BindMount::parse("/a/../b:/x//y/:ro,nosuid,rslave,Z", "/here").unwrap();
        let expected = BindMount {
            source: "/b".into(),
            destination: "/x/y".into(),
            readonly: true,
            nosuid: true,
            propagation: Propagation::Rslave,
            relabel: Some(Relabel::Private),
            ..BindMount::default()
        };
        assert_eq!(mount, expected);
        assert_eq!(BindMount::parse("./d:/x", "/here").unwrap().source, "/here/d");
    }

    #[test]
    fn volume_errors_are_podmans() {
        assert_eq!(error("/tmp:rel"), "invalid container path \"rel\", must be an absolute path");
        assert_eq!(error(":/x"), "host directory cannot be empty");
        assert_eq!(error("/tmp:"), "container directory cannot be empty");
        assert_eq!(error("/a:/b:c:d"), "/a:/b:c:d: incorrect volume format, should be [host-dir:]ctr-dir[:option]");
        assert_eq!(error("/tmp:/x:ro,rw"), "invalid options \"ro, rw\", can only specify 1 'rw' or 'ro' option");
        assert_eq!(error("/tmp:/x:z,Z"), "invalid options \"z, Z\", can only specify 1 'z', 'Z', or 'O' option");
        assert_eq!(error("rel:/x:bogus"), "invalid option type \"bogus\"");
        assert_eq!(error("name:/x"), "--volume name:/x (named volumes): not supported yet");
        assert_eq!(error("/x"), "--volume /x (anonymous volumes): not supported yet");
        assert!(error("/tmp:/.").contains("root of the container"));
    }
}
