//! The rules: stable ids, and what a person should know of each.
//!
//! The texts are `rules.txt`; docs/findings.md is made of it. The order is that of the page.

use std::fmt;

use crate::Severity;

const TEXT: &str = include_str!("rules.txt");

/// Declares the rules once: the enum and their ids.
macro_rules! rules {
    ($($variant:ident $id:literal;)*) => {
        /// A rule that a container can break. [`Rule::about`] says of each what, why and how to fix it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "rules.txt has the documentation, and a test holds that none is missing")]
        pub enum Rule { $($variant,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the stable id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

rules! {
    Privileged "privileged";
    CapabilityAll "capability-all";
    CapabilityHostRoot "capability-host-root";
    CapabilityOutside "capability-outside";
    CapabilityAdded "capability-added";
    CapabilitiesNotDropped "capabilities-not-dropped";
    NetRaw "net-raw";
    CapabilityUnknown "capability-unknown";
    CapabilityNoEffect "capability-no-effect";
    CapabilityRedundant "capability-redundant";
    DropAfterAll "drop-after-all";
    CapabilityAddedAndDropped "capability-added-and-dropped";
    LearnedNeedsFewer "learned-needs-fewer";
    LearnedNeedsMore "learned-needs-more";
    DefaultCapabilities "default-capabilities";
    RunsAsRoot "runs-as-root";
    MayRunAsRoot "may-run-as-root";
    PrivilegeEscalation "privilege-escalation";
    SeccompUnconfined "seccomp-unconfined";
    SeccompNotSet "seccomp-not-set";
    ApparmorUnconfined "apparmor-unconfined";
    SelinuxOptions "selinux-options";
    ProcUnmasked "proc-unmasked";
    RootWritable "root-writable";
    HostPid "host-pid";
    HostNetwork "host-network";
    HostIpc "host-ipc";
    HostUts "host-uts";
    HostUsers "host-users";
    HostCgroup "host-cgroup";
    NoUserNamespace "no-user-namespace";
    EngineSocket "engine-socket";
    HostRoot "host-root";
    HostDirectory "host-directory";
    HostPath "host-path";
    VolumeType "volume-type";
    MountPropagation "mount-propagation";
    HostDevice "host-device";
    DeviceRuleAll "device-rule-all";
    HostPort "host-port";
    UnsafeSysctl "unsafe-sysctl";
    ProbeHost "probe-host";
    HostProcess "host-process";
    EscapeSysAdmin "escape-sys-admin";
    EscapePtrace "escape-ptrace";
    EscapeFileHandle "escape-file-handle";
    EscapeProcfs "escape-procfs";
    EscapeNetwork "escape-network";
    BoundsTheEngine "bounds-the-engine";
    WrongType "wrong-type";
    DuplicateKey "duplicate-key";
    KnownOnlyLater "known-only-later";
}

/// What a person should know of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// How bad it is where the finding does not say otherwise.
    pub severity: Severity,
    /// What is wrong.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// The controls of others that it covers; `own` if none.
    pub controls: Vec<&'static str>,
}

impl About {
    /// Returns the controls of others that it covers, as one line.
    #[must_use]
    pub fn covers(&self) -> String {
        if self.controls == ["own"] { "no control of others".to_owned() } else { self.controls.join(", ") }
    }
}

impl Rule {
    /// Returns the rule of this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }

    /// Returns what a person should know of it.
    #[must_use]
    pub fn about(self) -> About {
        let mut about = About { severity: Severity::Medium, what: "", why: "", fix: "", controls: Vec::new() };
        let lines = TEXT.lines().skip_while(|line| *line != self.id()).skip(1).take_while(|line| !line.is_empty());
        for (key, text) in lines.filter_map(|line| line.split_once(": ")) {
            match key {
                "severity" => about.severity = Severity::parse(text).unwrap_or(Severity::Medium),
                "what" => about.what = text,
                "why" => about.why = text,
                "fix" => about.fix = text,
                "controls" => about.controls = text.split("; ").collect(),
                _ => {}
            }
        }
        about
    }

    /// Returns how bad it is where the finding does not say otherwise; the texts are read once, since files can have many findings.
    #[must_use]
    pub fn severity(self) -> Severity {
        static ALL: std::sync::OnceLock<Vec<Severity>> = std::sync::OnceLock::new();
        let all = ALL.get_or_init(|| Self::ALL.iter().map(|rule| rule.about().severity).collect());
        all.get(self as usize).copied().unwrap_or(Severity::Medium)
    }

    /// Tells whether it is about a combination that opens the host.
    #[must_use]
    pub const fn is_escape(self) -> bool {
        matches!(
            self,
            Self::EscapeSysAdmin
                | Self::EscapePtrace
                | Self::EscapeFileHandle
                | Self::EscapeProcfs
                | Self::EscapeNetwork
                | Self::EngineSocket
        ) || matches!(self, Self::HostRoot | Self::Privileged | Self::CapabilityAll | Self::HostProcess)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Returns docs/findings.md: one section a rule.
#[must_use]
pub fn page() -> String {
    let mut page = include_str!("findings-head.md").to_owned();
    for rule in Rule::ALL {
        let about = rule.about();
        page.push_str(&format!(
            "\n## {rule}\n\n{}\n\n- **Severity**: {}\n- **Why**: {}\n- **Fix**: {}\n- **Allow**: `{{\"rule\": \"{rule}\", \"subject\": \"NAME\", \"reason\": \"...\"}}` in the baseline.\n- **Covers**: {}.\n",
            about.what,
            about.severity.word(),
            about.why,
            about.fix,
            about.covers(),
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_their_texts_are_the_same_in_the_same_order() {
        let titles: Vec<&str> = TEXT.lines().filter(|line| !line.contains(": ") && !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(titles, Rule::ALL.iter().map(|rule| rule.id()).collect::<Vec<_>>());
    }

    #[test]
    fn every_rule_says_what_why_and_how_to_fix_it() {
        for rule in Rule::ALL {
            let about = rule.about();
            assert!([about.what, about.why, about.fix].iter().all(|text| text.len() > 8 && text.ends_with('.')), "{rule}");
            assert!(!about.controls.is_empty(), "{rule}");
        }
        for line in TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")) {
            assert!(["severity", "what", "why", "fix", "controls"].contains(&line.0), "{}", line.0);
            assert!(line.0 != "severity" || Severity::parse(line.1).is_some(), "{}", line.1);
        }
    }
}
