//! Why a system call is allowed or refused: the rules read directly, without the compiled program.

use std::{borrow::Cow, fmt};

use selkie_caps::CapSet;

use crate::{
    Action, Arch, Resolved, ResolvedRule,
    resolve::{Closed, all_hold},
    syscall,
};

/// What happens to one call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the kernel does.
    pub action: Action,
    /// The call's name on its architecture.
    pub name: Option<&'static str>,
    /// What decided.
    pub reason: Reason,
    /// Capabilities with which the profile would let it through, when it does not.
    pub allowed_with: CapSet,
    /// What the profile says about it.
    pub comment: String,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This rule of the profile, counted from 0.
    Rule(usize),
    /// No rule matches.
    Default,
    /// The profile does not cover the architecture.
    Architecture,
}

/// Returns what happens to a call. An x32 call may be given as [`Arch::X86_64`]: the bit in its number tells.
#[must_use]
pub fn verdict(resolved: &Resolved, arch: Arch, number: u32, arguments: &[u64; 6]) -> Verdict {
    let arch = Arch::of_call(arch.token(), number).unwrap_or(arch);
    let name = syscall::name(arch, number);
    if !resolved.arches.contains(&arch) {
        let action = Action::KillProcess;
        return Verdict { action, name, reason: Reason::Architecture, allowed_with: CapSet::EMPTY, comment: String::new() };
    }
    let named = |names: &[Cow<'_, str>]| name.is_some_and(|name| names.iter().any(|known| known == name));
    let rule = resolved.deciding(arch, number, arguments);
    let repeats = |rule: &&ResolvedRule| named(&rule.names) && all_hold(&rule.conditions, arch, arguments);
    let said = rule.or_else(|| resolved.redundant.iter().find(repeats));
    let action = rule.map_or(resolved.default_action, |rule| rule.action);
    let opens = |closed: &&Closed| !action.lets_through() && named(&closed.names) && all_hold(&closed.conditions, arch, arguments);
    let closed = resolved.closed.iter().find(opens);
    Verdict {
        action,
        name,
        reason: said.map_or(Reason::Default, |rule| Reason::Rule(rule.origin)),
        allowed_with: closed.map_or(CapSet::EMPTY, |closed| closed.missing),
        comment: said.map_or_else(String::new, |rule| rule.comment.to_string()),
    }
}

/// One sentence: "`setns` fails with EPERM: allowed only with CAP_SYS_ADMIN".
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "`{name}` {}", self.action)?,
            None => write!(f, "this call {}", self.action)?,
        }
        if !self.comment.is_empty() {
            write!(f, ": {}", self.comment)?;
        }
        if !self.allowed_with.is_empty() {
            write!(f, ": allowed only with {}", self.allowed_with)?;
        }
        match self.reason {
            Reason::Architecture => f.write_str(": the profile does not cover its architecture"),
            Reason::Default if self.allowed_with.is_empty() => f.write_str(": the profile does not name it, or not with these arguments"),
            Reason::Default | Reason::Rule(_) => Ok(()),
        }
    }
}
