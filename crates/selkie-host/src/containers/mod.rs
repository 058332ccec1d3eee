//! The containers of every engine on a host, from the files that engines keep: no daemon is asked unless somebody wants it
//! ([`ask`]), and nothing is changed.
//!
//! ```text
//! files of engines --parse--> HostContainer ----+
//! cgroup tree ------engine_of-> Placements -----+--> Census: who is which container, what its engine says of it
//! procfs ----------namespaces-> sandboxes ------+
//! ```
//! A *parser* is a pure function over the bytes of one file. Whatever a file says may be a lie of the user who owns it: ids are
//! checked, texts are cut, a file is read beneath its owner's directory and never through a link that leaves it, and what a user
//! says of containers counts only for that user's processes.

mod api;
mod bare;
mod census;
mod containerd;
mod docker;
mod find;
mod json;
mod machine;
mod metadata;
mod platform;
mod record;
mod spec;
mod storage;
mod tree;

pub use api::{Answers, Problem, ask};
pub use census::{Census, Known};
pub use find::{Found, Running, Scope, find};
pub use metadata::{Index, Recorded, parse as parse_metadata};
pub use record::{Configuration, HostContainer};
pub use spec::{Filter, WATCHED};
