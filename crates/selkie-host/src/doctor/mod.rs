//! What an engine can do on this machine, and what it cannot: facts read from the kernel, and checks that are pure over them.
//!
//! Each check says what it found, what that means for containers, and what to do about it. Only what makes every container
//! impossible fails; everything else that is less than it could be is a warning.

mod checks;
mod facts;

pub use checks::{Check, Level, checks};
pub use facts::{Cgroups, Facts, Overlay, read};
