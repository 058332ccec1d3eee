//! Rules that never count because libseccomp, and so every runtime, lets a rule without conditions decide alone.
//!
//! Whoever writes "refuse `socket` for AF_ALG" and "allow `socket`" means the first; what happens is the second. A profile from
//! elsewhere is used as it is, but its user should hear of it.

use std::{borrow::Cow, fmt};

use crate::{Action, Resolved, ResolvedRule, syscall};

/// A rule that another one leaves without effect for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The call.
    pub name: Cow<'static, str>,
    /// The rule without effect, counted from 0.
    pub rule: usize,
    /// What it would do.
    pub action: Action,
    /// The rule that decides, counted from 0.
    pub by: usize,
    /// What that does.
    pub decided: Action,
}

impl Resolved {
    /// Returns the rules that never count although they say something else than the rule that does, in the order of the profile.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let rules = || self.rules.iter().filter(|rule| rule.is_from_profile());
        let decider = |name: &str| rules().find(|rule| rule.conditions.is_empty() && rule.names.iter().any(|known| known == name));
        let calls = rules().flat_map(|rule| rule.names.iter().filter(|name| syscall::exists(name)).map(move |name| (rule, name)));
        calls.filter_map(|(rule, name)| shadow(rule, name, decider(name)?)).collect()
    }
}

fn shadow(rule: &ResolvedRule, name: &Cow<'static, str>, decider: &ResolvedRule) -> Option<Shadowed> {
    let differs = rule.origin != decider.origin && rule.action != decider.action;
    differs.then(|| Shadowed { name: name.clone(), rule: rule.origin, action: rule.action, by: decider.origin, decided: decider.action })
}

/// "syscalls[4] has no effect on `socket`: syscalls[1] decides alone (allowed)".
impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rule, by, decided, .. } = self;
        write!(f, "syscalls[{rule}] has no effect on `{name}`: syscalls[{by}] decides alone ({decided})")
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::CapSet;

    use crate::{Arch, Facts, Profile, resolve};

    fn shadowed(profile: &Profile) -> Vec<String> {
        let facts = Facts { capabilities: CapSet::EMPTY, arch: Arch::X86_64, kernel: None };
        resolve(profile, &facts).shadowed().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn shadowed_installed_profile_says_that_setns_is_open() {
        let installed = Profile::parse(include_str!("../tests/cases/containers-common-0.50.json")).unwrap();
        assert_eq!(shadowed(&installed), ["syscalls[15] has no effect on `setns`: syscalls[1] decides alone (allowed)"]);
    }

    #[test]
    fn shadowed_default_profile_has_none() {
        assert_eq!(shadowed(&Profile::default_profile()), Vec::<String>::new());
    }

    #[test]
    fn shadowed_refusal_under_conditions_is_named() {
        let profile = Profile::parse(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
                {"names":["socket"],"action":"SCMP_ACT_ERRNO","errnoRet":97,"args":[{"index":0,"value":38,"op":"SCMP_CMP_EQ"}]},
                {"names":["read","socket"],"action":"SCMP_ACT_ALLOW"}]}"#,
        )
        .unwrap();
        assert_eq!(shadowed(&profile), ["syscalls[0] has no effect on `socket`: syscalls[1] decides alone (allowed)"]);
    }
}
