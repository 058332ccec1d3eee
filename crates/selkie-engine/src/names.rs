//! Names of containers: a link from the name to the id. Whoever makes the link has the name.
//!
//! A container that outlives a reboot has its link beneath the root, one with `--rm` beneath the run root, where its records are.
//! So that a name is taken once over both, every link is made beneath the run root first, and moves from there.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RawDir};

use crate::error::{Error, Result};
use crate::files;
use crate::id::{ContainerId, Name};
use crate::record::Record;
use crate::store::Store;

impl Store {
    /// Takes `name` for the container `id`, whose lock the caller holds; returns who has it already.
    pub(crate) fn take_name(&self, name: &Name, id: &ContainerId) -> Result<Option<ContainerId>> {
        let [lasting, fleeting] = self.links(name);
        if let Some(owner) = self.claim(name, &fleeting, id)? {
            return Ok(Some(owner));
        }
        let is_fleeting = self.volatile_records(id).exists();
        let owner = if is_fleeting { self.holder(name, &lasting) } else { self.claim(name, &lasting, id) };
        if !is_fleeting || !matches!(owner, Ok(None)) {
            files::remove_file(&fleeting)?;
        }
        owner
    }

    /// Returns who has `name`; a link that a crash has left behind belongs to nobody.
    pub(crate) fn owner_of(&self, name: &Name) -> Option<ContainerId> {
        self.links(name).iter().filter_map(|link| target(link)).find(|id| self.is_complete(id))
    }

    /// Returns the names by the ids of their containers, from the links alone: one that a crash has left behind is among them.
    #[must_use]
    pub fn names(&self) -> HashMap<String, String> {
        let mut names = HashMap::new();
        for directory in self.name_directories() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let Ok(directory) = rustix::fs::open(&directory, flags, Mode::empty()) else { continue };
            let mut memory = Vec::with_capacity(16 << 10);
            let mut entries = RawDir::new(&directory, memory.spare_capacity_mut());
            while let Some(Ok(entry)) = entries.next() {
                // From the directory on: a look at each from the root on takes three times as long.
                let mut target = [MaybeUninit::uninit(); 65];
                if let Ok((id, _)) = rustix::fs::readlinkat_raw(&directory, entry.file_name(), &mut target)
                    && let Some(id) = str::from_utf8(id).ok().and_then(ContainerId::parse)
                    && let Some(Ok(name)) = entry.file_name().to_str().ok().map(Name::parse)
                {
                    names.insert(id.to_string(), name.to_string());
                }
            }
        }
        names
    }

    /// Removes the link of `name` if a rename that was killed has left it to the container of `record`, which is called otherwise.
    /// Returns whether it did.
    pub(crate) fn forget_leftover(&self, name: &Name, record: &Record) -> Result<bool> {
        if record.name == *name || !self.links(name).iter().any(|link| target(link).as_ref() == Some(&record.id)) {
            return Ok(false);
        }
        // Whoever is at it has the lock; it may have become the name while we looked.
        let Ok(Some(_lock)) = self.try_lock(&record.id) else { return Ok(false) };
        match Record::read(&self.records(&record.id))? {
            Some(record) if record.name != *name => self.release_name(name, &record.id).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Removes the link of `name` if it is the container's.
    pub(crate) fn release_name(&self, name: &Name, id: &ContainerId) -> Result<()> {
        self.links(name).iter().filter(|link| target(link).as_ref() == Some(id)).try_for_each(|link| files::remove_file(link))
    }

    /// Removes every name that belongs to `id`.
    pub(crate) fn release_names(&self, id: &ContainerId) -> Result<()> {
        let entries =
            self.name_directories().into_iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
        entries.map(|entry| entry.path()).filter(|link| target(link).as_ref() == Some(id)).try_for_each(|link| files::remove_file(&link))
    }

    /// The links of a name: of a container that outlives a reboot, and of one that does not.
    fn links(&self, name: &Name) -> [PathBuf; 2] {
        self.name_directories().map(|directory| directory.join(name.as_str()))
    }

    /// Makes `link`, unless somebody has it.
    fn claim(&self, name: &Name, link: &Path, id: &ContainerId) -> Result<Option<ContainerId>> {
        for _ in 0..16 {
            match std::os::unix::fs::symlink(id.as_str(), link) {
                Ok(()) => return Ok(None),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                // The first command after a reboot.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.name_directories().iter().try_for_each(|directory| files::make_directories(directory))?;
                }
                Err(source) => return Err(Error::File { action: "create", path: link.to_path_buf(), source }),
            }
            if let Some(owner) = self.holder(name, link)? {
                return Ok(Some(owner));
            }
        }
        Err(Error::Invalid { problem: format!("cannot reserve the name `{name}`: others keep taking it") })
    }

    /// Returns who has the name of `link`; removes the link if a crash has left it behind.
    fn holder(&self, name: &Name, link: &Path) -> Result<Option<ContainerId>> {
        if let Some(owner) = target(link)
            // Somebody who is just creating a container with this name holds its lock; a crash has left neither lock nor record.
            && !self.forget_abandoned(&owner)?
            && (self.is_complete(&owner) || matches!(self.try_lock(&owner), Ok(None)))
        {
            return match Record::read(&self.records(&owner)) {
                Ok(Some(record)) if self.forget_leftover(name, &record)? => Ok(None),
                _ => Ok(Some(owner)),
            };
        }
        files::remove_file(link)?;
        Ok(None)
    }
}

fn target(link: &Path) -> Option<ContainerId> {
    ContainerId::parse(std::fs::read_link(link).ok()?.to_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "web";

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("root"), directory.path().join("run"));
        store.prepare().unwrap();
        (directory, store)
    }

    /// Makes a container with a record, in the run directory if it is `fleeting`.
    fn container(store: &Store, digit: char, fleeting: bool) -> ContainerId {
        let id = ContainerId::parse(&digit.to_string().repeat(64)).unwrap();
        std::fs::create_dir_all(store.container(&id)).unwrap();
        let records = if fleeting { store.volatile_records(&id) } else { store.container(&id) };
        std::fs::create_dir_all(&records).unwrap();
        std::fs::write(records.join("config.json"), "{}").unwrap();
        id
    }

    #[test]
    fn name_is_taken_once_over_both_places() {
        let name = Name::parse(NAME).unwrap();
        for (first, second) in [(false, false), (false, true), (true, false)] {
            let (_directory, store) = store();
            let (a, b) = (container(&store, 'a', first), container(&store, 'b', second));
            assert_eq!(store.take_name(&name, &a).unwrap(), None);
            assert_eq!((store.take_name(&name, &b).unwrap(), store.owner_of(&name)), (Some(a.clone()), Some(a)), "{first} {second}");
        }
    }

    #[test]
    fn released_name_is_free_and_leaves_no_link() {
        let name = Name::parse(NAME).unwrap();
        for fleeting in [false, true] {
            let (_directory, store) = store();
            let id = container(&store, 'a', fleeting);
            store.take_name(&name, &id).unwrap();
            store.release_name(&name, &id).unwrap();
            let left: usize = store.name_directories().iter().map(|directory| std::fs::read_dir(directory).unwrap().count()).sum();
            assert_eq!((store.owner_of(&name), left), (None, 0));
        }
    }

    #[test]
    fn name_of_a_container_without_record_goes_to_the_next() {
        let name = Name::parse(NAME).unwrap();
        for fleeting in [false, true] {
            let (_directory, store) = store();
            let id = container(&store, 'a', fleeting);
            store.take_name(&name, &id).unwrap();
            std::fs::remove_dir_all(store.container(&id)).unwrap();
            std::fs::remove_dir_all(store.running(&id)).unwrap_or_default();
            let next = container(&store, 'b', false);
            assert_eq!((store.take_name(&name, &next).unwrap(), store.owner_of(&name)), (None, Some(next)));
        }
    }

    #[test]
    fn link_that_names_no_id_belongs_to_nobody() {
        let (_directory, store) = store();
        let name = Name::parse(NAME).unwrap();
        store.links(&name).iter().for_each(|link| std::os::unix::fs::symlink("/etc/passwd", link).unwrap());
        let id = container(&store, 'a', false);
        assert_eq!((store.take_name(&name, &id).unwrap(), store.owner_of(&name)), (None, Some(id)));
    }
}
