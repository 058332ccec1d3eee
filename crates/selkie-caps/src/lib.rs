//! Linux capabilities as values: names, sets, the kernel's rules and their text forms. Pure: no I/O, `no_std`.
//!
//! A *capability* is one of the kernel's 41 privileges; a *set* is 64 bits of them; a thread has *five sets*;
//! a *file capability* is what an executable's `security.capability` attribute adds at execve(2).
//! *Credentials* are what the kernel's rules read and write: ids, five sets, *securebits* and `no_new_privs`.
//! A *transition* is one system call as a function from credentials to credentials; *steps* are the transitions
//! that lead from one state to another, in the only order in which the kernel lets them all through.
//!
//! | question | answer |
//! |---|---|
//! | what does this text or mask mean? | [`Capability::parse_name`], [`CapSet::parse`], [`CapState::parse`], [`Iab::parse`], [`FileCaps::parse`] |
//! | what will this process hold after execve(2)? | [`Exec::apply`] |
//! | what does this program give to whoever executes it? | [`Exec::gain`] |
//! | what does this system call do to its sets? | the methods of [`Credentials`] |
//! | how does a process get from here to there? | [`steps`](fn@steps) |
//! | what is this capability good for, and how dangerous? | [`Capability::knowledge`] |
//! | which ways out of a container does a combination open? | [`escape::escapes`] |
#![no_std]
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

extern crate alloc;

mod capability;
mod credentials;
mod defaults;
pub mod escape;
mod exec;
mod file;
mod five;
mod gain;
mod iab;
mod knowledge;
mod libcap_text;
mod names;
mod securebits;
mod set;
mod steps;
mod transition;

pub use capability::Capability;
pub use credentials::{Credentials, Ids};
pub use defaults::{DOCKER_DEFAULTS, PODMAN_DEFAULTS};
pub use exec::{Exec, ExecError, File, IdRule};
pub use file::{FileCaps, FileCapsError, Revision};
pub use five::FiveSets;
pub use gain::{Gain, Ignored};
pub use iab::{Iab, IabError};
pub use knowledge::{Danger, Knowledge, Operation};
pub use libcap_text::{CapState, CapTextError};
pub use names::{NamesError, UnknownCapability};
pub use securebits::Securebits;
pub use set::CapSet;
pub use steps::{Groups, Step, StepsError, Target, steps};
pub use transition::TransitionError;
