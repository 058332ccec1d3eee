//! Whether a container is privileged: not a bit, but reasons.
//!
//! The OCI specification has no such flag; engines keep one each, and what it changes is spread over a dozen kernel settings. So the
//! *facts* are read from the kernel, from outside or from inside, and the *verdict* is a pure function over them: a list of
//! *findings*, each of which says how much it weighs. `yes` needs one decisive finding; a full set of capabilities in a user
//! namespace of its own is not one, and a container without any capability that holds the engine's socket is.

mod escape;
mod facts;
mod read;
mod verdict;

pub use escape::{escapes, walls};
pub use facts::{Devices, Facts, View};
pub use read::{Configured, Subject, read};
pub use selkie_caps::escape::{Escape, HostMount};
pub use verdict::{Finding, Verdict, Weight, verdict};
