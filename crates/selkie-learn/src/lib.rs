//! Learning: from recorded capability checks to a proven set of capabilities. Pure: no I/O.
//!
//! A *check* is the kernel asking whether a task has a capability; a *trace* is what an observer recorded of one run;
//! a *run* is a container started with a *set*, judged by an *oracle* from outside. A set is *proven* when it passes and each
//! capability of it has a run without it that was seen failing (*1-minimal*).
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

pub mod classify;
pub mod denial;
mod evidence;
mod explain;
pub mod guess;
pub mod operation;
pub mod posture;
pub mod refusal;
pub mod report;
pub mod search;
pub mod trace;

pub use classify::{Class, class};
pub use evidence::{Evidence, evidence, explained};
pub use explain::{Explanation, explain};
pub use posture::Standing;
pub use refusal::{Cause, Surroundings, cause, causes};
pub use report::Report;
pub use trace::{Call, Check, Count, Credentials, Detail, Ending, Flags, Lost, Rung, Trace, TraceError};
