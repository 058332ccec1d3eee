//! What the kernel of this machine says of its processes and containers. Never prints, never changes anything.
//!
//! A *parser* is a pure function over the bytes of one file of procfs; a *reader* fetches those bytes and nothing more.
//! Everything in these files may be chosen by a hostile process: its name, its cgroup's name, its mounts. Parsers are total:
//! bytes that are no such file are `None`, never a guess. A process that ends while it is looked at is *gone*: a reader
//! returns `None` for it, never half a record.
//!
//! | question | answer |
//! |---|---|
//! | what does this file of procfs say? | [`Status`], [`Stat`], [`Mount`], [`IdMap`], [`CgroupLine`], [`namespace_inode`] |
//! | what is process 42? | [`Procfs`] |
//! | who holds capabilities on this host? | [`scan`](fn@scan) |
//! | which container is a process in? | [`engine_of`], [`Placements`] |
//! | which containers are there, of every engine? | [`containers`] |
//! | what is in a database of a program in Go? | [`bolt`] |
//! | is this privileged, and why? | [`privileged`] |
//! | what can an engine do on this host? | [`doctor`] |
//! | what does `top` show? | [`top`] |
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

mod accounts;
pub mod bolt;
pub mod containers;
pub mod doctor;
mod engines;
mod placement;
pub mod privileged;
mod procfs;
mod scan;
pub mod top;

pub use accounts::Accounts;
pub use engines::{Engine, Owner, engine_of};
pub use placement::{Cgroups, Group, Member, Members, Placed, Placements, hierarchies};
pub use procfs::cgroup::{self, CgroupLine};
pub use procfs::idmap::{self, IdMap};
pub use procfs::mountinfo::{self, Mount};
pub use procfs::namespace::{Namespace, namespace_inode};
pub use procfs::reader::{Buffer, Procfs};
pub use procfs::stat::{Stat, TICKS_A_SECOND};
pub use procfs::status::{self, CommandName, Status};
pub use scan::{Row, order, scan};
