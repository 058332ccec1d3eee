//! Repairs what a crash has left: any of our processes may have been killed at any moment.

use crate::error::Result;
use crate::files;
use crate::id::ContainerId;
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
                let _ = files::remove_tree(&entry.path());
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
        let Some(_lock) = self.try_lock(id)? else { return Ok(()) };
        // Complete by now: its maker has just finished.
        if self.is_complete(id) {
            return Ok(());
        }
        self.release_names(id)?;
        files::remove_tree(&self.container(id))?;
        files::remove_tree(&self.running(id))
    }
}
