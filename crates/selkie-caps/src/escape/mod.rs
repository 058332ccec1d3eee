//! Ways out of a container that a combination of rights opens: one table, for whatever describes a container.
//!
//! *Walls* are what stands between a process and the host, as far as it is known: read from the kernel of a process that runs, or
//! from the file that configures one. A *way* is a row of the table: what has to be open, why it works, what closes it. An *escape*
//! is a way that is open, with how sure that is:
//!
//! | sureness | when |
//! |---|---|
//! | certain | everything that it needs is known to be there, and nothing that could be in between |
//! | likely | it works on common kernels and configurations; what decides it is not known |
//! | possible | one thing that it needs is not known, or takes somebody else's doing |
//!
//! Rules: capabilities(7), user_namespaces(7), proc(5), cgroups(7), Documentation/admin-guide/cgroup-v1/cgroups.rst.

mod reach;
mod walls;
mod ways;

pub use walls::{Calls, HostMount, SYSTEM_DIRECTORIES, Walls, engine_socket_in, is_engine_socket};
pub use ways::{Escape, Way, escapes};

/// How sure it is that a way works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// Everything that it needs is there.
    Certain,
    /// It works on common kernels and configurations.
    Likely,
    /// Something that it needs is not known.
    Possible,
}

impl Sureness {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }

    /// Returns one step less.
    const fn less(self) -> Self {
        match self {
            Self::Certain => Self::Likely,
            Self::Likely | Self::Possible => Self::Possible,
        }
    }
}
