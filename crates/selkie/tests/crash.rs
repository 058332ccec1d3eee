//! SIGKILL at any moment, a full disk, damaged records, too few of everything: whatever has happened, the next command
//! repairs it, and a removal leaves nothing on the host.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

#[path = "crash/damage.rs"]
mod damage;
#[path = "crash/killed.rs"]
mod killed;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/race.rs"]
mod race;
#[path = "crash/scarce.rs"]
mod scarce;
