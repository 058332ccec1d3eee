//! The engine: container records, monitors, logs, exec sessions. A silent library: it never prints, never ends the
//! process, and reads no environment; whoever uses it hands over what the user said and decides what to show.
//!
//! A *record* is what was asked for; a *plan* is what follows from it on this host; a *monitor* is the small process
//! that is a container's parent; a *client* is whoever is attached to one.
#![forbid(unsafe_code)]

mod client;
mod conf;
mod create;
mod engine;
mod entrypoint;
mod error;
mod exec;
mod facts;
mod files;
mod filter;
mod heal;
mod id;
mod ids;
pub mod learn;
mod lifecycle;
mod logs;
pub mod monitor;
mod names;
mod ownership;
mod process;
pub mod profile;
pub mod programs;
mod record;
mod recording;
mod rootfs;
mod start;
mod store;
pub mod trial;
pub mod watch;

pub use client::{Attached, Event};
pub use conf::ConfFiles;
pub use create::Created;
pub use engine::Engine;
pub use error::{Error, Result, short_list};
pub use exec::SessionInfo;
pub use filter::resolved as resolved_filter;
pub use id::{ContainerId, Name};
pub use lifecycle::{StopOptions, Stopped};
pub use logs::{LogEntry, read_log};
pub use process::Identity;
pub use record::{Container, Exit, LOST, Live, Record, RecordImage, RootSource, Status, now};
pub use start::{Hold, StartOptions, Warn};
pub use store::Store;
