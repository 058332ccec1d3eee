//! What each capability is good for, and how dangerous it is, for people without `man capabilities` at hand.
//!
//! Follows capabilities(7) and the check sites of Linux 6.18. Not a verdict on a container: what a capability reaches there also
//! depends on its namespaces, devices and mounts, which selkie-host and selkie-plan look at.
//!
//! *Host root* in these texts means every power of uid 0 in the initial user namespace. A capability that a process holds only in
//! a user namespace of its own counts for what belongs to that namespace, and none of the ways to host root is open to it.
//!
//! The texts are `knowledge.txt`, and not a table of constants: each of some thousand pointers in such a table would be written at
//! every start of the program, and the pages that hold them would be every monitor's own.

use alloc::vec::Vec;

use crate::Capability;

const TEXT: &str = include_str!("knowledge.txt");

/// What an operator should know of one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// Which one.
    pub capability: Capability,
    /// One line: what it is for.
    pub summary: &'static str,
    /// One paragraph: what it allows, and what it does not.
    pub allows: &'static str,
    /// How much is lost when a process that holds it is taken over.
    pub danger: Danger,
    /// How it becomes host root; `None` if by itself it does not.
    pub host_root: Option<&'static str>,
    /// What asks for it.
    pub operations: Vec<Operation>,
    /// How to do without it.
    pub cheaper: &'static str,
}

/// How much is lost when a process that holds the capability is taken over, in the initial user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// Little: one protection is weaker, or a resource can be held.
    Low,
    /// Something inside the container: files, ids or processes that it shares with other programs there.
    Moderate,
    /// Something outside: the network, the clock, the memory or the logs of the machine.
    High,
    /// Everything: it becomes host root under conditions that are common.
    Critical,
}

impl Danger {
    /// Returns the word for it, in lower case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One thing to do that asks for the capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What a person would say is done.
    pub what: &'static str,
    /// The system calls that do it.
    pub syscalls: Vec<&'static str>,
    /// The kernel functions that ask, as they stand in a stack trace below `capable`; compiler suffixes such as `.isra.0` cut off.
    pub sites: Vec<&'static str>,
}

impl Danger {
    fn parse(word: &str) -> Option<Self> {
        [Self::Low, Self::Moderate, Self::High, Self::Critical].into_iter().find(|danger| danger.word() == word)
    }
}

impl Capability {
    /// Returns what an operator should know of it.
    #[must_use]
    pub fn knowledge(self) -> Knowledge {
        let mut lines = TEXT.lines().skip_while(|line| *line != self.short_name()).skip(1).take_while(|line| !line.is_empty());
        Knowledge::parse(self, &mut lines)
    }
}

impl Knowledge {
    /// Reads the lines of one entry. A test sees to it that none is missing or unknown.
    fn parse(capability: Capability, lines: &mut dyn Iterator<Item = &'static str>) -> Self {
        let mut entry =
            Self { capability, summary: "", allows: "", danger: Danger::Critical, host_root: None, operations: Vec::new(), cheaper: "" };
        for (key, text) in lines.filter_map(|line| line.split_once(':')) {
            let text = text.trim_start();
            let words = || text.split(' ').filter(|word| !word.is_empty()).collect();
            match (key, entry.operations.last_mut()) {
                ("summary", _) => entry.summary = text,
                ("allows", _) => entry.allows = text,
                ("danger", _) => entry.danger = Danger::parse(text).unwrap_or(Danger::Critical),
                ("root", _) => entry.host_root = Some(text),
                ("operation", _) => entry.operations.push(Operation { what: text, syscalls: Vec::new(), sites: Vec::new() }),
                ("  syscalls", Some(operation)) => operation.syscalls = words(),
                ("  kernel", Some(operation)) => operation.sites = words(),
                ("cheaper", _) => entry.cheaper = text,
                _ => {}
            }
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knowledge_entries_are_the_capabilities_in_their_order() {
        let titles: Vec<&str> = TEXT.lines().filter(|line| !line.contains(':') && !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(titles, Capability::ALL.map(Capability::short_name));
    }

    #[test]
    fn knowledge_every_line_is_a_known_field() {
        let keys = ["summary", "allows", "danger", "root", "operation", "  syscalls", "  kernel", "cheaper"];
        for (key, text) in TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':')) {
            assert!(keys.contains(&key), "{key}");
            assert!(key != "danger" || Danger::parse(text.trim()).is_some(), "{text}");
        }
    }

    #[test]
    fn knowledge_every_entry_is_complete() {
        for knowledge in Capability::ALL.map(Capability::knowledge) {
            let name = knowledge.capability.name();
            assert!(!knowledge.summary.is_empty() && !knowledge.summary.ends_with('.'), "{name}");
            assert!(knowledge.allows.len() > 120 && knowledge.allows.ends_with('.'), "{name}");
            assert!(knowledge.cheaper.ends_with('.'), "{name}");
            assert!(!knowledge.operations.is_empty(), "{name}");
            assert!(knowledge.host_root.is_none_or(|text| text.ends_with('.')), "{name}");
            assert_eq!(knowledge.danger == Danger::Critical, knowledge.host_root.is_some(), "{name}");
        }
    }

    #[test]
    fn knowledge_sites_are_bare_function_names() {
        for operation in Capability::ALL.iter().flat_map(|capability| capability.knowledge().operations) {
            for site in operation.sites.iter().chain(&operation.syscalls) {
                assert!(site.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{site}");
            }
        }
    }
}
