//! What the kernel does with a system call: seccomp(2), `SECCOMP_RET_`.

use core::fmt;

/// What the kernel does with a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Kills the thread.
    KillThread,
    /// Kills the process.
    KillProcess,
    /// Sends SIGSYS.
    Trap,
    /// Fails the call with this errno.
    Errno(u16),
    /// Asks a tracer, which gets this number; without one the call fails with ENOSYS.
    Trace(u16),
    /// Asks the holder of the filter's listener.
    Notify,
    /// Lets it through and logs it.
    Log,
    /// Lets it through.
    Allow,
}

impl Action {
    /// Returns what a filter returns for it.
    #[must_use]
    pub const fn to_return(self) -> u32 {
        match self {
            Self::KillThread => 0,
            Self::KillProcess => 0x8000_0000,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | errno as u32,
            Self::Notify => 0x7fc0_0000,
            Self::Trace(data) => 0x7ff0_0000 | data as u32,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// Returns the action of a filter's return value; what the kernel does not know kills the process, as it does.
    #[must_use]
    pub const fn from_return(value: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the kernel's SECCOMP_RET_DATA is the low half")]
        let data = value as u16;
        match value & 0xffff_0000 {
            0 => Self::KillThread,
            0x0003_0000 => Self::Trap,
            0x0005_0000 => Self::Errno(data),
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace(data),
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => Self::KillProcess,
        }
    }

    /// Returns the name in profiles, for example `SCMP_ACT_ERRNO`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillThread => "SCMP_ACT_KILL_THREAD",
            Self::KillProcess => "SCMP_ACT_KILL_PROCESS",
            Self::Trap => "SCMP_ACT_TRAP",
            Self::Errno(_) => "SCMP_ACT_ERRNO",
            Self::Trace(_) => "SCMP_ACT_TRACE",
            Self::Notify => "SCMP_ACT_NOTIFY",
            Self::Log => "SCMP_ACT_LOG",
            Self::Allow => "SCMP_ACT_ALLOW",
        }
    }

    /// Returns the action that profiles call `name`, with `data` for those that take an errno or a number.
    pub(crate) fn from_name(name: &str, data: u16) -> Option<Self> {
        Some(match name {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Self::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Self::KillProcess,
            "SCMP_ACT_TRAP" => Self::Trap,
            "SCMP_ACT_ERRNO" => Self::Errno(data),
            "SCMP_ACT_TRACE" => Self::Trace(data),
            "SCMP_ACT_NOTIFY" => Self::Notify,
            "SCMP_ACT_LOG" => Self::Log,
            "SCMP_ACT_ALLOW" => Self::Allow,
            _ => return None,
        })
    }

    /// Returns the errno or number that goes with it.
    #[must_use]
    pub const fn data(self) -> Option<u16> {
        match self {
            Self::Errno(data) | Self::Trace(data) => Some(data),
            _ => None,
        }
    }

    /// Returns whether the call is made.
    #[must_use]
    pub const fn lets_through(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

/// What happens, in words: `allowed`, `fails with EPERM`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillThread => f.write_str("kills the thread"),
            Self::KillProcess => f.write_str("kills the process"),
            Self::Trap => f.write_str("sends SIGSYS"),
            Self::Errno(errno) => match crate::errno::name(*errno) {
                Some(name) => write!(f, "fails with {name}"),
                None => write!(f, "fails with errno {errno}"),
            },
            Self::Trace(_) => f.write_str("asks the tracer"),
            Self::Notify => f.write_str("asks the listener"),
            Self::Log => f.write_str("allowed and logged"),
            Self::Allow => f.write_str("allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_return_reverses_to_return() {
        let actions = [
            Action::KillThread,
            Action::KillProcess,
            Action::Trap,
            Action::Errno(38),
            Action::Trace(7),
            Action::Notify,
            Action::Log,
            Action::Allow,
        ];
        for action in actions {
            assert_eq!(Action::from_return(action.to_return()), action);
            assert_eq!(Action::from_name(action.name(), action.data().unwrap_or(0)), Some(action));
        }
    }
}
