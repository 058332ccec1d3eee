//! Linux capabilities as values: names, sets, the kernel's rules and their text forms. Pure: no I/O, `no_std`.
//!
//! A *capability* is one of the kernel's 41 privileges; a *set* is 64 bits of them; a thread has *five sets*;
//! a *file capability* is what an executable's `security.capability` attribute adds at execve(2).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod capability;
mod five;
mod set;

pub use capability::Capability;
pub use five::FiveSets;
pub use set::CapSet;
