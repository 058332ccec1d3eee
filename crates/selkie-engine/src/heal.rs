//! Repairs what a crash has left: any of our processes may have been killed at any moment.

use std::path::{Path, PathBuf};

use selkie_plan::Plan;
use selkie_runtime::cgroup::{Cgroup, Layout};

use crate::error::{Error, Result};
use crate::facts::CGROUP_PARENT;
use crate::files;
use crate::id::ContainerId;
use crate::record::{Container, Record, STARTING, STATE};
use crate::recording;
use crate::rootfs;
use crate::store::Store;

/// Removed containers are renamed first, with this in front of their ids, and deleted then.
pub(crate) const REMOVED: &str = ".removed-";

impl Store {
    /// Deletes half-made and half-removed containers whose owner is gone. Cheap when there is nothing to do.
    ///
    /// # Errors
    /// When the directory of records cannot be read.
    pub fn heal(&self) -> Result<()> {
        let directory = self.containers();
        let mut half_made = Vec::new();
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(REMOVED) {
                // Whoever began the removal may still be at it; both get the same result.
                if let Some(id) = name.strip_prefix(REMOVED).and_then(ContainerId::parse) {
                    // Its monitor may have been killed together with the client.
                    let _ = self.release(&id);
                    let _ = self.release_names_of_hidden(&id, &entry.path());
                    recording::forget(&id);
                    let _ = self.delete_hidden(&id, &entry.path());
                } else {
                    let _ = files::remove_tree(&entry.path());
                }
            } else if let Some(id) = ContainerId::parse(name)
                && !self.is_complete(&id)
            {
                half_made.push(id);
            }
        }
        if half_made.is_empty() {
            return Ok(());
        }
        let Some(_repair) = self.repair()? else { return Ok(()) };
        half_made.iter().try_for_each(|id| self.forget_half_made(id))
    }

    fn forget_half_made(&self, id: &ContainerId) -> Result<()> {
        if !self.container(id).exists() {
            return Ok(());
        }
        // Its maker holds the lock as long as it lives.
        let Ok(Some(_lock)) = self.try_lock(id) else { return Ok(()) };
        // Complete by now: its maker has just finished.
        if self.is_complete(id) {
            return Ok(());
        }
        if self.running(id).exists()
            && let Some(cgroup) = self.cgroup_of(id)
        {
            // Somebody has deleted the records of a container that may even run.
            cgroup.remove()?;
        }
        // Its monitor may have outlived it, and would write down how it ended into a directory that is being removed.
        self.delete(id, None)
    }

    /// Removes the names of a container that a crash has left hidden. Without a record they are gone already.
    fn release_names_of_hidden(&self, id: &ContainerId, hidden: &Path) -> Result<()> {
        let directories = [hidden.to_path_buf(), self.volatile_records(id)];
        let records = directories.iter().map(|directory| Record::read(directory));
        records.flatten().flatten().try_for_each(|record| self.release_names_of(&record))
    }

    /// Removes the names that a container has by its record.
    pub(crate) fn release_names_of(&self, record: &Record) -> Result<()> {
        std::iter::once(&record.name).chain(&record.second_name).try_for_each(|name| self.release_name(name, &record.id))
    }

    /// Removes a container with `--rm` that has ended, or was never started, if whoever had to remove it is gone.
    /// Returns whether it is removed.
    pub(crate) fn forget_abandoned(&self, id: &ContainerId) -> Result<bool> {
        // Only such a container has its records in the run directory.
        if !self.volatile_records(id).exists() {
            return Ok(false);
        }
        let Ok(Some(_lock)) = self.try_lock(id) else { return Ok(false) };
        let container = match Container::load(self, id) {
            Ok(container) if container.is_abandoned() => container,
            _ => return Ok(false),
        };
        self.erase(&container.record)?;
        Ok(true)
    }

    /// Returns the container's cgroups; `None` when it has none. Without a readable plan they are where they usually are.
    pub(crate) fn cgroup_of(&self, id: &ContainerId) -> Option<Cgroup> {
        let usual = || {
            let record = Record::read(&self.records(id)).ok().flatten();
            let parent = record.and_then(|record| record.request.limits.cgroup_parent).unwrap_or_else(|| CGROUP_PARENT.to_owned());
            Some(format!("/{}/{id}", parent.trim_matches('/')))
        };
        let planned: Result<Option<Plan>> = files::read_json(&self.records(id).join("plan.json"));
        let path = planned.map_or_else(|_| usual(), |plan| plan.map_or_else(usual, |plan| plan.cgroup.path));
        path.map(|path| Cgroup::at(Layout::of_host(), &path))
    }

    /// Removes what a container that does not run may have left in the kernel and in the run directory.
    pub(crate) fn release(&self, id: &ContainerId) -> Result<()> {
        let running = self.running(id);
        if !running.join(STATE).exists() && !running.join(STARTING).exists() {
            return Ok(());
        }
        if let Some(cgroup) = self.cgroup_of(id) {
            cgroup.remove()?;
        }
        self.clear_running(id)
    }

    /// Removes all that there is of a container that does not run and whose lock the caller holds.
    pub(crate) fn erase(&self, record: &Record) -> Result<()> {
        self.release(&record.id)?;
        record.remove_cidfile()?;
        self.delete(&record.id, Some(record))
    }

    /// Deletes the directories of a container and its names, without a record all that there are. In one step it is gone for everybody;
    /// deleting takes as long as it takes, and what a crash leaves of it the next command removes.
    pub(crate) fn delete(&self, id: &ContainerId, record: Option<&Record>) -> Result<()> {
        let hidden = self.hide(id, record)?;
        self.delete_hidden(id, &hidden)
    }

    /// Deletes what is left of a container that [`Self::hide`] has hidden at `hidden`.
    pub(crate) fn delete_hidden(&self, id: &ContainerId, hidden: &Path) -> Result<()> {
        files::remove_tree(&self.running(id))?;
        files::remove_file(&self.lock_file(id))?;
        files::remove_tree(hidden)
    }

    /// Makes a container be gone for everybody, and deletes its names, what was counted of it, and its writable layer. Returns what
    /// stays, by which the next command finds what is still to be deleted.
    pub(crate) fn hide(&self, id: &ContainerId, record: Option<&Record>) -> Result<PathBuf> {
        let hidden = self.containers().join(format!("{REMOVED}{id}"));
        let directory = self.container(id);
        match std::fs::rename(&directory, &hidden) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { action: "remove", path: directory, source });
            }
            _ => {}
        }
        // Not before: a container without a name would be listed, and nobody could name it.
        match record {
            Some(record) => self.release_names_of(record)?,
            None => self.release_names(id)?,
        }
        recording::forget(id);
        rootfs::remove_writable(&hidden)?;
        Ok(hidden)
    }
}
