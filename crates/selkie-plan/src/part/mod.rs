//! One file for each topic of a plan: each is a pure function from the inputs to its part.

pub(crate) mod auto;
pub(crate) mod capabilities;
pub(crate) mod devices;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod security;
pub(crate) mod sysctls;
pub(crate) mod user;

use crate::{HostFacts, ImageConfig, Reason, Request, Warning};

/// What every part is computed from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// What the user asks.
    pub(crate) request: &'a Request,
    /// What the image says.
    pub(crate) image: &'a ImageConfig,
    /// What the host is.
    pub(crate) facts: &'a HostFacts,
}

impl Inputs<'_> {
    /// Returns whether the container is privileged: the flag, or else containers.conf.
    pub(crate) fn privileged(&self) -> bool {
        self.request.security.privileged.unwrap_or(self.facts.conf.privileged)
    }

    /// Returns the user as configured: the flag, or else the image's.
    pub(crate) fn user(&self) -> &str {
        self.request.process.user.as_deref().unwrap_or(&self.image.user)
    }

    /// Returns whether the root file system is read-only.
    pub(crate) fn read_only(&self) -> bool {
        self.request.mounts.read_only.unwrap_or(self.facts.conf.read_only)
    }
}

/// Why a part is as it is, and what the user ought to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Provenance.
    pub(crate) reasons: Vec<Reason>,
    /// Warnings.
    pub(crate) warnings: Vec<Warning>,
}

impl Notes {
    /// Adds a reason.
    pub(crate) fn because(&mut self, subject: impl Into<String>, decision: impl Into<String>, because: impl Into<String>) {
        self.reasons.push(Reason { subject: subject.into(), decision: decision.into(), because: because.into() });
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, message: impl Into<String>, hint: Option<&str>) {
        self.warnings.push(Warning { message: message.into(), hint: hint.map(str::to_owned) });
    }
}
