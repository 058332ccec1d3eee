//! A recorded trace: what an observer saw of one container, as a value and as a file (`docs/trace.md`).
//!
//! Not for: what it means, which is [`crate::classify`] and [`crate::refusal`].
//!
//! ```text
//! Trace
//!   checks    counted: (capability, system call, verdict, flags, stack) -> how often, first, last
//!   calls     one each: system calls that were refused, or in which a check was denied, with arguments and result
//!   endings   counted: with which ids and sets processes ended
//!   lost      what the observer could not keep; not zero makes the trace incomplete
//! ```

use std::collections::BTreeMap;

use selkie_caps::{CapSet, Capability};
use serde::{Deserialize, Serialize};

/// Results of calls that were refused: negative values of `asm-generic/errno-base.h`.
pub(crate) const EPERM: i64 = -1;
/// Permission denied.
pub(crate) const EACCES: i64 = -13;
/// No memory, or none that may be locked.
pub(crate) const ENOMEM: i64 = -12;
/// What mmap(2) returns for memory that may not be locked.
pub(crate) const EAGAIN: i64 = -11;
/// Read-only file system.
pub(crate) const EROFS: i64 = -30;

/// The version that this program writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// What was seen of one container between its first execve(2) and the end of the observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// [`VERSION`].
    pub version: u32,
    /// How it was seen.
    pub rung: Rung,
    /// `uname -r`.
    pub kernel: String,
    /// Architecture of the system call numbers, as `uname -m` says it.
    pub machine: String,
    /// What was not kept.
    #[serde(default)]
    pub lost: Lost,
    /// Whether the names of kernel functions could be read: without them [`Check::stack`] is empty.
    #[serde(default)]
    pub has_stacks: bool,
    /// Nobody watched: [`Self::checks`] has the denied ones, and there is nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_denials: bool,
    /// Counted checks. The ptrace rung has none.
    #[serde(default)]
    pub checks: Vec<Count>,
    /// Refused calls, in the order in which they returned.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// With which ids and sets processes ended.
    #[serde(default)]
    pub endings: Vec<Ending>,
}

/// How the observer sees checks, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// BPF on the tracepoint `capability:cap_capable` (Linux 6.14).
    TpBtf,
    /// BPF behind `cap_capable` (Linux 5.5); sees the audit flag too.
    Fexit,
    /// BPF on a pair of kprobes.
    Kprobe,
    /// ptrace(2) of the calls that can be refused; sees results, no checks.
    #[default]
    Ptrace,
}

impl Rung {
    /// Returns its name in files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp-btf",
            Self::Fexit => "fexit",
            Self::Kprobe => "kprobe",
            Self::Ptrace => "ptrace",
        }
    }

    /// Returns whether it sees the checks themselves.
    #[must_use]
    pub const fn sees_checks(self) -> bool {
        !matches!(self, Self::Ptrace)
    }
}

/// What an observer could not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Checks that found no room to be counted.
    pub checks: u64,
    /// Refused calls that found no room.
    pub calls: u64,
    /// Stacks that found no room; their checks are of unknown origin.
    pub stacks: u64,
    /// Processes that the tracer could not follow.
    pub processes: u64,
}

impl Lost {
    /// Returns whether nothing was lost.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// One check of a capability by the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Check {
    /// Which one the kernel asked for.
    pub capability: Capability,
    /// Whether it said no.
    pub denied: bool,
    /// The circumstances.
    #[serde(default)]
    pub flags: Flags,
    /// Kernel functions from `cap_capable` outwards, suffixes such as `.isra.0` cut off; empty if not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<String>,
}

/// Circumstances of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// The checked credentials hold the capability in their effective set.
    pub held: bool,
    /// They are not the credentials of the calling task, neither its own nor borrowed ones.
    pub foreign: bool,
    /// The task acts with borrowed credentials (`cred != real_cred`), as overlayfs does with its mounter's.
    pub borrowed: bool,
    /// The kernel asks about the initial user namespace.
    pub target_initial: bool,
    /// The checked credentials belong to the initial user namespace.
    pub owner_initial: bool,
    /// The kernel asks about the namespace that the credentials belong to.
    pub target_own: bool,
    /// Their effective user id is 0 in their namespace's parent, which for the initial one is uid 0.
    pub uid_zero: bool,
    /// The checked credentials have an empty effective set.
    pub powerless: bool,
    /// A kernel thread, or a worker of io_uring, asks; it makes no system call.
    pub worker: bool,
    /// The check asks for no audit record, as checks do whose refusal is of no consequence; `None` if the rung cannot see it.
    pub silent: Option<bool>,
}

/// How often one kind of check was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The check.
    #[serde(flatten)]
    pub check: Check,
    /// The system call in which it was made: its name, or `#NUMBER`; `None` for workers.
    pub syscall: Option<String>,
    /// How often.
    pub count: u64,
    /// Nanoseconds from the first execve(2) to the first time.
    pub first: u64,
    /// To the last time.
    pub last: u64,
    /// Name of the thread that was first.
    #[serde(default)]
    pub comm: String,
    /// Whether no stack was taken for some of these (see [`Trace::has_stacks`]): they share their key with the ones that have one.
    #[serde(default)]
    pub sampled: bool,
}

/// A system call that was refused, or in which a check was denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Nanoseconds from the first execve(2) of the container.
    pub at: u64,
    /// Process, in the container's PID namespace.
    pub pid: u32,
    /// Name of the thread.
    pub comm: String,
    /// Path of its program in the container, if it could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Name of the call, or `#NUMBER`.
    pub syscall: String,
    /// Its arguments as numbers.
    pub arguments: [u64; 6],
    /// What the arguments point to.
    #[serde(default)]
    pub detail: Detail,
    /// What it returned: 0 or more, or a negative errno.
    pub result: i64,
    /// Checks that were denied in it, in the order in which they were made.
    #[serde(default)]
    pub denied: Vec<Check>,
    /// Ids and sets of the thread.
    #[serde(default)]
    pub credentials: Credentials,
    /// How many calls alike this stands for, at least 1.
    #[serde(default = "one")]
    pub count: u64,
}

const fn one() -> u64 {
    1
}

/// What the arguments of a call point to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Detail {
    /// Nothing, or it could not be read.
    #[default]
    None,
    /// A path, as the program gave it.
    Path {
        /// The path.
        path: String,
        /// The second path, of rename(2) and the like; of setxattr(2) the name of the attribute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<String>,
    },
    /// An address of a socket.
    Address {
        /// For example `0.0.0.0:80`, `[::]:53`, `unix:/run/x`, `netlink`, `packet`.
        address: String,
    },
    /// A netlink request.
    Netlink {
        /// `nlmsg_type` of its first message.
        message: u16,
        /// The protocol of the socket (`NETLINK_ROUTE` is 0), if it could be had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol: Option<i32>,
        /// Bytes of the payload behind the first header, up to 48.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payload: Vec<u8>,
    },
    /// The sets of a capset(2).
    Sets {
        /// Effective.
        effective: CapSet,
        /// Permitted.
        permitted: CapSet,
        /// Inheritable.
        inheritable: CapSet,
    },
    /// A program with a file capability, or set-user-ID, that was to be executed.
    Program {
        /// The path, as the caller gave it.
        path: String,
        /// Its file capabilities, in the text of getcap(8); `None` if it has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<String>,
        /// What the file can give: its permitted set.
        #[serde(default)]
        permitted: CapSet,
        /// Whether the program relies on them (the effective bit).
        #[serde(default)]
        effective: bool,
    },
}

/// Ids and sets of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// Effective user id, as the initial user namespace sees it.
    pub uid: u32,
    /// Effective group id, likewise.
    pub gid: u32,
    /// Effective set.
    pub effective: CapSet,
    /// Permitted set.
    pub permitted: CapSet,
    /// Bounding set.
    pub bounding: CapSet,
}

/// With which ids and sets processes of one name ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ending {
    /// Name of the process.
    pub comm: String,
    /// Its ids and sets.
    pub credentials: Credentials,
    /// `no_new_privs`.
    pub no_new_privileges: bool,
    /// How many processes.
    pub count: u64,
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Not JSON, or not of this form.
    #[error("trace is damaged at line {line}, column {column}")]
    Damaged {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Of another version.
    #[error("trace has version {found}, expected {VERSION}")]
    Version {
        /// Which.
        found: u32,
    },
    /// Something in it that no observer writes.
    #[error("trace says {what} in call {number}")]
    Forged {
        /// Index of the call, from 0.
        number: usize,
        /// What.
        what: String,
    },
}

impl Trace {
    /// Reads a trace file.
    ///
    /// # Errors
    /// [`TraceError`] with the place.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let damaged = |source: serde_json::Error| TraceError::Damaged { line: source.line(), column: source.column(), source };
        let version: OnlyVersion = serde_json::from_str(text).map_err(damaged)?;
        if version.version != VERSION {
            return Err(TraceError::Version { found: version.version });
        }
        let trace: Self = serde_json::from_str(text).map_err(damaged)?;
        for (number, call) in trace.calls.iter().enumerate() {
            let forged = |what: &str| Err(TraceError::Forged { number, what: what.to_owned() });
            if call.count == 0 {
                return forged("`count` 0");
            }
            if call.result < -4095 {
                return forged(&format!("`result` {}, below every errno", call.result));
            }
            if call.denied.iter().any(|check| !check.denied) {
                return forged("a granted check among the denied ones");
            }
        }
        Ok(trace)
    }

    /// Writes a trace file: the same trace is always the same bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns how many checks were counted for each capability, granted and denied.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<Capability, (u64, u64)> {
        let mut asked = BTreeMap::new();
        for count in &self.checks {
            let entry: &mut (u64, u64) = asked.entry(count.check.capability).or_default();
            let side = if count.check.denied { &mut entry.1 } else { &mut entry.0 };
            *side = side.saturating_add(count.count);
        }
        asked
    }
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_survives_its_file() {
        let trace = Trace {
            version: VERSION,
            rung: Rung::TpBtf,
            kernel: "6.18.0".to_owned(),
            machine: "x86_64".to_owned(),
            has_stacks: true,
            calls: vec![Call {
                syscall: "bind".to_owned(),
                comm: "nginx".to_owned(),
                detail: Detail::Address { address: "0.0.0.0:80".to_owned() },
                result: -13,
                count: 1,
                denied: vec![Check {
                    capability: Capability::NetBindService,
                    denied: true,
                    flags: Flags::default(),
                    stack: vec!["__inet_bind".to_owned()],
                }],
                ..Call::default()
            }],
            ..Trace::default()
        };
        assert_eq!(Trace::parse(&trace.to_text()).unwrap(), trace);
    }

    #[test]
    fn trace_of_another_version_is_refused() {
        assert!(matches!(Trace::parse(r#"{"version": 9}"#), Err(TraceError::Version { found: 9 })));
    }

    #[test]
    fn trace_that_was_cut_names_the_place() {
        assert!(matches!(Trace::parse("{\"version\": 1,\n \"rung\": \"tp"), Err(TraceError::Damaged { line: 2, .. })));
    }
}
