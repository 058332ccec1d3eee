//! Repairs what a crash has left: any of our processes may have been killed at any moment.

use crate::engine::Engine;
use crate::error::Result;
use crate::files;
use crate::id::ContainerId;

/// Removed containers are renamed first, with this in front of their ids, and deleted then.
pub(crate) const REMOVED: &str = ".removed-";

impl Engine {
    /// Deletes half-made and half-removed containers whose owner is gone. Cheap when there is nothing to do.
    ///
    /// # Errors
    /// When the directory of records cannot be read.
    pub fn heal(&self) -> Result<()> {
        let directory = self.store.containers();
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(REMOVED) {
                // Whoever began the removal may still be at it; both get the same result.
                let _ = files::remove_tree(&entry.path());
            } else if let Some(id) = ContainerId::parse(name)
                && !self.store.is_complete(&id)
                && let Some(_lock) = self.store.try_lock(&id)?
            {
                // Complete by now: its maker has just finished.
                if !self.store.is_complete(&id) {
                    self.store.release_names(&id)?;
                    files::remove_tree(&entry.path())?;
                    files::remove_tree(&self.store.running(&id))?;
                }
            }
        }
        Ok(())
    }
}
