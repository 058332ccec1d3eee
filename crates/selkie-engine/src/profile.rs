//! Profiles: what was learned, kept under a name, one file each in `profiles` of the root.

use std::path::PathBuf;

use selkie_caps::CapSet;
use selkie_learn::Report;
use selkie_plan::Request;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, Durability};
use crate::id::Name;
use crate::learn::Oracle;
use crate::store::Store;

/// What was learned of a workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The container as it was learned, with the capabilities that were given.
    pub request: Request,
    /// How it was told whether it works.
    pub oracle: Oracle,
    /// How often the result had to pass.
    pub repeats: u32,
    /// Nothing was to be refused that the baseline was not refused.
    pub strict: bool,
    /// The result.
    pub report: Report,
    /// When, RFC 3339.
    pub learned: String,
}

impl Profile {
    /// Keeps it, in place of one of the same name.
    ///
    /// # Errors
    /// A name that is none, or a file that cannot be written.
    pub fn save(&self, store: &Store) -> Result<()> {
        let name = Name::parse(&self.name)?;
        let directory = directory(store);
        files::make_directories(&directory)?;
        files::write_json(&directory, &file_name(&name), self, Durability::Durable)
    }

    /// Reads the profile `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`], or a damaged file.
    pub fn load(store: &Store, name: &str) -> Result<Self> {
        let parsed = Name::parse(name)?;
        let profile: Option<Self> = files::read_json(&directory(store).join(file_name(&parsed)))?;
        profile.ok_or_else(|| Error::NoSuchProfile { name: name.to_owned() })
    }

    /// Returns all profiles by name, and what could not be read.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(store: &Store) -> Result<(Vec<Self>, Vec<Error>)> {
        let directory = directory(store);
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            entries => entries.map_err(|source| Error::File { action: "read", path: directory, source })?,
        };
        let (mut profiles, mut damaged) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            if entry.path().extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match files::read_json::<Self>(&entry.path()) {
                Ok(profile) => profiles.extend(profile),
                Err(error) => damaged.push(error),
            }
        }
        profiles.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((profiles, damaged))
    }

    /// Removes the profile `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`], or a file that cannot be removed.
    pub fn remove(store: &Store, name: &str) -> Result<()> {
        let path = directory(store).join(file_name(&Name::parse(name)?));
        if !path.exists() {
            return Err(Error::NoSuchProfile { name: name.to_owned() });
        }
        files::remove_file(&path)
    }

    /// Returns the capabilities to enforce for a container of this image; `digest` is that of the image to run, if it has one.
    ///
    /// # Errors
    /// [`Error::Profile`]: the profile is not proven, not complete, or of another image.
    pub fn enforced(&self, digest: Option<&str>) -> Result<CapSet> {
        let refuse = |problem: String| Err(Error::Profile { name: self.name.clone(), problem });
        if !self.report.complete {
            return refuse("is incomplete: the observer has lost evidence".to_owned());
        }
        if !self.report.proven {
            return refuse("is not proven".to_owned());
        }
        if self.report.relative_to.digest.as_deref() != digest {
            let of = |digest: Option<&str>| digest.map_or_else(|| "no image".to_owned(), str::to_owned);
            return refuse(format!(
                "was learned from {}, and the container has {}",
                of(self.report.relative_to.digest.as_deref()),
                of(digest)
            ));
        }
        Ok(self.report.set())
    }
}

fn directory(store: &Store) -> PathBuf {
    store.root().join("profiles")
}

fn file_name(name: &Name) -> String {
    format!("{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(report: Report) -> Profile {
        let (request, oracle, learned) = (Request::default(), Oracle::default(), String::new());
        Profile { name: "web".to_owned(), request, oracle, repeats: 3, strict: false, report, learned }
    }

    #[test]
    fn profile_with_losses_is_not_enforced() {
        let report = Report { proven: true, complete: false, ..Report::default() };
        assert!(matches!(profile(report).enforced(None), Err(Error::Profile { problem, .. }) if problem.contains("incomplete")));
    }

    #[test]
    fn profile_of_another_image_is_not_enforced() {
        let mut report = Report { proven: true, complete: true, ..Report::default() };
        report.relative_to.digest = Some("sha256:a".to_owned());
        let refused = profile(report.clone()).enforced(Some("sha256:b"));
        assert!(matches!(refused, Err(Error::Profile { problem, .. }) if problem.contains("sha256:a") && problem.contains("sha256:b")));
        assert!(profile(report).enforced(Some("sha256:a")).is_ok());
    }

    #[test]
    fn profile_is_found_again() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path().join("root"), place.path().join("run"));
        let kept = profile(Report { version: 1, ..Report::default() });
        kept.save(&store).unwrap();
        assert_eq!(Profile::load(&store, "web").unwrap().report, kept.report);
        assert_eq!(Profile::all(&store).unwrap().0.len(), 1);
        Profile::remove(&store, "web").unwrap();
        assert!(matches!(Profile::load(&store, "web"), Err(Error::NoSuchProfile { .. })));
    }
}
