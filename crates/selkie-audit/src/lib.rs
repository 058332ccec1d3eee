//! From files that configure containers, and facts of running ones, to findings. Pure: no I/O.
//!
//! A *subject* is one container, as a file configures it or as it runs; a *rule* is something that no container should break without
//! a reason; a *finding* is one subject breaking one rule at one place; a *change* is what of a file would mend it. A *baseline* is
//! the list of findings that somebody accepts, each with the reason.
//!
//! ```text
//! bytes, name --read()--> File{subjects, findings} --check()--> findings --Baseline--> Report --> json() | sarif() | html()
//!                                                                  |        |
//!                                             older JSON --Older--> Trend (what is new, fixed, gone)
//!                                                        mend() --> text with the changes made
//! ```
//!
//! All formats are read into the same [`Subject`], so that each rule is written once and holds for running containers too. Not for
//! deciding what a container gets: that is selkie-plan.
#![forbid(unsafe_code)]

mod baseline;
mod check;
mod drop_in;
mod error;
mod finding;
mod fix;
mod kind;
mod place;
mod read;
mod report;
mod rule;
mod subject;
mod tree;
mod trend;
mod unit;

pub use baseline::{Baseline, BaselineError, Exception};
pub use check::{Learned, check};
pub use drop_in::{DropIn, drop_in_directories};
pub use error::ReadError;
pub use finding::{Change, Finding, Fix, Setting, Severity};
pub use fix::{FixError, Mended, diff, mend};
pub use kind::FileType;
pub use place::{Located, Place};
pub use read::{FILE_LIMIT, File, SUBJECT_LIMIT, docker, read, read_unit};
pub use report::{Entry, Problem, Report, Verdict, html, json, sarif};
pub use rule::{About, Rule, page};
pub use subject::{Basis, Confinement, Engine, Hook, KubernetesExtra, Mount, Namespace, Seen, Selinux, Subject, UNKNOWN_OF_STOPPED};
pub use trend::{Changed, Key, Named, Older, OlderError, Past, Point, Trend};
