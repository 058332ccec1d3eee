//! Seccomp: a profile, a capability set and an architecture in, a filter for the kernel out. Pure: no I/O.
//!
//! ```text
//! Profile --resolve(Facts)--> Resolved --compile--> Program
//!  JSON or built-in            rules that count      classic BPF for seccomp(2)
//!                              here and now     \--> to_oci: for another OCI runtime
//!                                               \--> verdict: why is this call refused?
//! ```
//! A *profile* is what people write; a *rule* says what happens to some calls under some *conditions* on their arguments; what a
//! rule means depends on capabilities, architecture and kernel (*facts*), and is settled by *resolving*; a *program* is the result.
//!
//! Where several rules match one call the meaning is libseccomp's, because profiles are written against it: the first rule without
//! conditions decides alone; otherwise the first whose conditions hold; otherwise the default. (Two rules with conditions that both
//! hold and differ are refused or reordered by libseccomp; here the first counts.)
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

mod action;
mod arch;
mod compile;
mod condition;
mod default;
mod errno;
mod oci;
mod profile;
mod program;
mod resolve;
mod shadow;
pub mod syscall;
mod syscall_table;
mod traced;
mod verdict;

pub use action::Action;
pub use arch::Arch;
pub use compile::{CompileError, compile};
pub use condition::{Condition, Operator};
pub use default::{DIFFERENCES, DefaultOptions, Difference};
pub use errno::name as errno_name;
pub use oci::to_oci;
pub use profile::{Applies, Architectures, Flags, KernelVersion, Listener, Profile, ProfileError, Rule};
pub use program::{Data, Instruction, Program, SimulateError, simulate};
pub use resolve::{Facts, Resolved, ResolvedRule, resolve};
pub use shadow::Shadowed;
pub use traced::{TRACED, is_traced, trace_filter};
pub use verdict::{Reason, Verdict, verdict};
