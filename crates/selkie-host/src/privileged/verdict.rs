//! From facts to a verdict. Pure.

use selkie_caps::escape::Sureness;
use selkie_caps::{CapSet, Capability};

use super::escape::{escapes, is_unconfined};
use super::{Devices, Facts, View};
use crate::Namespace;
use crate::containers::Filter;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Alone it makes the answer yes.
    Decisive,
    /// A wall that other containers have and this one has not.
    Weakens,
    /// A wall that stands.
    Protects,
    /// What could not be seen.
    Unknown,
}

impl Weight {
    /// Returns one sign for it.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Decisive => '!',
            Self::Weakens => '-',
            Self::Protects => '+',
            Self::Unknown => '?',
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Decisive => "decisive",
            Self::Weakens => "weakens",
            Self::Protects => "protects",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `capabilities`, `seccomp`, `devices` and so on.
    pub about: &'static str,
    /// How much it weighs.
    pub weight: Weight,
    /// What was found, a lowercase fragment.
    pub text: String,
}

/// The answer and its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is privileged.
    pub privileged: bool,
    /// Why, the heaviest first.
    pub findings: Vec<Finding>,
    /// A few words for one line.
    pub summary: Vec<String>,
}

/// Judges `facts`.
#[must_use]
pub fn verdict(facts: &Facts) -> Verdict {
    let mut findings = Vec::new();
    let parts = [flag, capabilities, privileges, users, seccomp, masks, devices, label, namespaces, mounts, sockets];
    for part in parts {
        part(facts, &mut |about, weight, text| findings.push(Finding { about, weight, text }));
    }
    if !findings.iter().any(|finding: &Finding| finding.weight == Weight::Decisive) {
        ways_out(facts, &mut |about, weight, text| findings.push(Finding { about, weight, text }));
    }
    findings.sort_by_key(|finding: &Finding| finding.weight);
    let privileged = findings.iter().any(|finding| finding.weight == Weight::Decisive);
    let summary = if privileged {
        findings.iter().filter(|finding| finding.weight == Weight::Decisive).map(|finding| finding.text.clone()).collect()
    } else {
        summary(facts)
    };
    Verdict { privileged, findings, summary }
}

type Add<'a> = &'a mut dyn FnMut(&'static str, Weight, String);

/// The few words of a `no`.
fn summary(facts: &Facts) -> Vec<String> {
    let users = match (facts.initial_user_namespace, facts.root_is) {
        (Some(true), _) => "rootful".to_owned(),
        (Some(false), Some(uid)) => format!("user namespace (root is user {uid} outside)"),
        (Some(false), None) => "user namespace".to_owned(),
        (None, _) => "user namespace unknown".to_owned(),
    };
    let seccomp = match facts.seccomp {
        Some(2) => "seccomp filter",
        Some(1) => "strict seccomp",
        Some(_) => "no seccomp filter",
        None => "seccomp unknown",
    };
    let mut words = vec![users, seccomp.to_owned(), counted(facts)];
    if facts.no_new_privileges == Some(true) {
        words.push("no new privileges".to_owned());
    }
    words
}

fn counted(facts: &Facts) -> String {
    // In a user namespace of its own a container may hold what the host's root has given up.
    let ceiling = if counts(facts) { facts.ceiling.unwrap_or(facts.kernel) } else { facts.kernel };
    format!("{} of {} capabilities", facts.sets.bounding.len(), ceiling.len())
}

/// Capabilities count for the host only in its own user namespace; where that is not known, they might.
fn counts(facts: &Facts) -> bool {
    facts.initial_user_namespace != Some(false)
}

/// Whether it is the user whose files the host's are: user 0 of the host's users, or of a user namespace where it is user 0 outside too.
/// From inside, what is outside may be a user namespace itself.
fn is_hosts_root(facts: &Facts) -> bool {
    facts.uid == Some(0) && (counts(facts) || facts.view == View::Outside && facts.root_is == Some(0))
}

/// Parts that each leave a wall may leave none together: whatever is certain to lead to the host's root makes the answer yes.
fn ways_out(facts: &Facts, add: Add<'_>) {
    let certain = escapes(facts).into_iter().filter(|escape| escape.sureness == Sureness::Certain);
    let certain: Vec<String> = certain.map(|escape| escape.combination).collect();
    if !certain.is_empty() {
        add("ways out", Weight::Decisive, format!("certain to lead to the host's root: {}", certain.join("; ")));
    }
}

fn flag(facts: &Facts, add: Add<'_>) {
    match facts.flag {
        // Its capabilities are real only in the first user namespace.
        Some(true) if counts(facts) => add("engine", Weight::Decisive, "started with --privileged".to_owned()),
        Some(true) => add("engine", Weight::Weakens, "started with --privileged, within a user namespace of its own".to_owned()),
        Some(false) => add("engine", Weight::Protects, "started without --privileged".to_owned()),
        None => {}
    }
}

fn capabilities(facts: &Facts, add: Add<'_>) {
    let bounding = facts.sets.bounding;
    let ceiling = facts.ceiling.unwrap_or(facts.kernel);
    let known = if facts.ceiling.is_some() { "that this host can give" } else { "that the kernel has" };
    let full = !ceiling.is_empty() && ceiling.is_subset(bounding);
    let held = if facts.sets.permitted.is_empty() { "; held now: none, a set-user-ID program gets them" } else { "" };
    let critical = critical(bounding);
    match (full, counts(facts)) {
        (true, true) if ceiling.contains(Capability::SysAdmin) => {
            add("capabilities", Weight::Decisive, format!("all {} capabilities {known}{held}", ceiling.len()));
        }
        (_, false) if !bounding.is_empty() => {
            add("capabilities", Weight::Protects, format!("{}, which count only in its own user namespace", counted(facts)));
        }
        (_, true) if !critical.is_empty() => {
            // One wall behind the capability still stands when there is a filter; without it there is none.
            let module = bounding.contains(Capability::SysModule);
            let open = facts.seccomp == Some(0) && (bounding.contains(Capability::SysAdmin) || module);
            // Profiles of engines let through what goes with a capability: this one needs nothing else.
            let loads = |filter: &Filter| ["init_module", "finit_module"].iter().any(|call| filter.allowed.contains(call));
            let let_through = module && facts.filter.as_ref().is_some_and(loads);
            let weight = if open || let_through { Weight::Decisive } else { Weight::Weakens };
            let filter = match (open, let_through) {
                (true, _) => ", and no seccomp filter",
                (_, true) => ", and the seccomp filter lets modules be loaded",
                _ => "",
            };
            add("capabilities", weight, format!("{} {} root on the host{filter}{held}", list(critical), becomes(critical)));
            add("capabilities", Weight::Protects, format!("withheld: {} of {}", ceiling.difference(bounding).len(), ceiling.len()));
        }
        _ => add("capabilities", Weight::Protects, format!("{}, none of which is root on the host by itself", counted(facts))),
    }
    if facts.ceiling.is_none() && facts.view == View::Inside {
        add("capabilities", Weight::Unknown, "what the host itself can give cannot be seen from inside".to_owned());
    }
}

fn becomes(set: CapSet) -> &'static str {
    if set.len() == 1 { "becomes" } else { "become" }
}

/// Those that become host root by themselves.
fn critical(set: CapSet) -> CapSet {
    set.iter().filter(|capability| capability.knowledge().host_root.is_some()).collect()
}

fn list(set: CapSet) -> String {
    set.iter().map(Capability::short_name).collect::<Vec<_>>().join(", ")
}

fn privileges(facts: &Facts, add: Add<'_>) {
    match facts.no_new_privileges {
        Some(true) => add("no_new_privs", Weight::Protects, "set: set-user-ID programs and file capabilities give nothing".to_owned()),
        Some(false) => add("no_new_privs", Weight::Weakens, "not set: set-user-ID programs and file capabilities work".to_owned()),
        None => {}
    }
}

fn users(facts: &Facts, add: Add<'_>) {
    match (facts.initial_user_namespace, facts.root_is) {
        (Some(true), _) => add("user namespace", Weight::Weakens, "the host's own: user 0 is the host's root".to_owned()),
        (Some(false), Some(0)) => add("user namespace", Weight::Weakens, "its own, but its user 0 is user 0 outside".to_owned()),
        (Some(false), Some(uid)) => add("user namespace", Weight::Protects, format!("its own: its user 0 is user {uid} outside")),
        (Some(false), None) => add("user namespace", Weight::Protects, "its own, without a user 0".to_owned()),
        (None, _) => add("user namespace", Weight::Unknown, "may not be looked at".to_owned()),
    }
}

fn seccomp(facts: &Facts, add: Add<'_>) {
    match facts.seccomp {
        Some(0) => add("seccomp", Weight::Weakens, "no filter: every system call is open".to_owned()),
        Some(1) => add("seccomp", Weight::Protects, "strict: only read, write and exit".to_owned()),
        Some(_) => add("seccomp", Weight::Protects, "a filter on system calls".to_owned()),
        None => add("seccomp", Weight::Weakens, "this kernel has none".to_owned()),
    }
}

fn masks(facts: &Facts, add: Add<'_>) {
    match facts.unmasked.as_deref() {
        Some([]) => add("masked paths", Weight::Protects, "the usual files of /proc and /sys are masked".to_owned()),
        Some(open) => add("masked paths", Weight::Weakens, format!("not masked: {}", open.join(" "))),
        None => add("masked paths", Weight::Unknown, "its mounts may not be looked at".to_owned()),
    }
    for (about, path, writable) in [("sysfs", "/sys", facts.sys_writable), ("procfs", "/proc/sys", facts.proc_sys_writable)] {
        match writable {
            Some(true) => add(about, Weight::Weakens, format!("{path} is writable")),
            Some(false) => add(about, Weight::Protects, format!("{path} is read-only")),
            None => {}
        }
    }
}

fn devices(facts: &Facts, add: Add<'_>) {
    match facts.devices {
        Devices::All => add("devices", Weight::Weakens, "the device cgroup allows every device".to_owned()),
        Devices::Listed => add("devices", Weight::Protects, "the device cgroup allows a list".to_owned()),
        Devices::Unknown => add("devices", Weight::Unknown, "the device rules cannot be seen".to_owned()),
    }
    if !facts.host_nodes.is_empty() {
        // A disk of the host is the host's files, for whoever may open it.
        let open = facts.devices == Devices::All && is_hosts_root(facts);
        let weight = if open && !facts.host_process { Weight::Decisive } else { Weight::Weakens };
        add("devices", weight, format!("nodes of the host's disks or memory: {}", facts.host_nodes.join(" ")));
    }
}

fn label(facts: &Facts, add: Add<'_>) {
    match facts.label.as_deref() {
        Some(label) if is_unconfined(label) => {
            add("security module", Weight::Weakens, format!("unconfined: `{label}`"));
        }
        Some(label) => add("security module", Weight::Protects, format!("confined as `{label}`")),
        None => add("security module", Weight::Weakens, "none that confines processes is active".to_owned()),
    }
}

fn namespaces(facts: &Facts, add: Add<'_>) {
    let of = |wanted: Option<bool>| -> Vec<Namespace> {
        facts.shared.iter().filter(|(kind, shared)| *shared == wanted && *kind != Namespace::User).map(|(kind, _)| *kind).collect()
    };
    let words = |kinds: &[Namespace]| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
    let (shared, own, unknown) = (of(Some(true)), of(Some(false)), of(None));
    if facts.host_process {
        add("namespaces", Weight::Weakens, "a process of the host, in no container".to_owned());
    }
    if !shared.is_empty() {
        // Whoever may trace the host's processes is any of them.
        let traces = shared.contains(&Namespace::Pid) && facts.sets.bounding.contains(Capability::SysPtrace) && counts(facts);
        let weight = if traces && facts.sets.effective.contains(Capability::SysPtrace) { Weight::Decisive } else { Weight::Weakens };
        let why = if traces { ", where SYS_PTRACE reaches the host's processes" } else { "" };
        add("namespaces", weight, format!("shared with the host: {}{why}", words(&shared)));
    }
    if !own.is_empty() {
        add("namespaces", Weight::Protects, format!("its own: {}", words(&own)));
    }
    if !unknown.is_empty() {
        add("namespaces", Weight::Unknown, format!("cannot be told from here: {}", words(&unknown)));
    }
}

fn mounts(facts: &Facts, add: Add<'_>) {
    for mount in &facts.host_mounts {
        let how = if mount.read_only { "read-only" } else { "writable" };
        // The host's root user writes the host's system directories; anybody else is stopped by their permissions.
        let takes_over = !mount.read_only && is_hosts_root(facts);
        let weight = if takes_over { Weight::Decisive } else { Weight::Weakens };
        add("mounts", weight, format!("the host's {} is at {}, {how}", mount.source, mount.point));
    }
}

fn sockets(facts: &Facts, add: Add<'_>) {
    // Whoever reaches it asks the engine for whatever container they like; a read-only mount does not stop a connection.
    for socket in &facts.sockets {
        let weight = if is_hosts_root(facts) { Weight::Decisive } else { Weight::Weakens };
        add("mounts", weight, format!("the socket of an engine or service manager is at {socket}"));
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::FiveSets;

    use super::super::HostMount;
    use super::*;

    const HOST: CapSet = CapSet::KNOWN.without(Capability::SysResource);

    fn sets(set: CapSet) -> FiveSets {
        FiveSets { permitted: set, effective: set, bounding: set, ..FiveSets::NONE }
    }

    /// A container as it is without any flag.
    fn plain() -> Facts {
        Facts {
            flag: Some(false),
            ceiling: Some(HOST),
            shared: vec![(Namespace::Pid, Some(false)), (Namespace::Network, Some(false))],
            ..Facts::contained(CapSet::from_bits(0x8004_05fb))
        }
    }

    fn decisive(facts: &Facts) -> Vec<String> {
        let found = verdict(facts).findings;
        found.into_iter().filter(|finding| finding.weight == Weight::Decisive).map(|finding| finding.text).collect()
    }

    #[test]
    fn plain_container_is_no_with_its_summary() {
        let verdict = verdict(&plain());
        assert_eq!((verdict.privileged, verdict.summary.join(", ").as_str()), (false, "rootful, seccomp filter, 11 of 40 capabilities"));
    }

    #[test]
    fn privileged_container_is_yes_for_the_flag_and_the_set() {
        let facts = Facts {
            flag: Some(true),
            sets: sets(HOST),
            seccomp: Some(0),
            devices: Devices::All,
            host_nodes: vec!["/dev/vda".to_owned()],
            ..plain()
        };
        assert_eq!(
            decisive(&facts),
            ["started with --privileged", "all 40 capabilities that this host can give", "nodes of the host's disks or memory: /dev/vda"]
        );
    }

    #[test]
    fn certain_way_out_is_yes_and_a_likely_one_is_not() {
        let admin = Facts { sets: sets(CapSet::parse("sys_admin").unwrap()), ..plain() };
        assert_eq!(decisive(&admin), Vec::<String>::new());
        let mounts = Filter { allowed: ["mount"].into_iter().collect(), ..Filter::default() };
        let open = Facts { filter: Some(mounts), ..admin };
        assert_eq!(decisive(&open), ["certain to lead to the host's root: SYS_ADMIN and mount(2)"]);
        let confined = Facts { label: Some("docker-default (enforce)".to_owned()), ..open.clone() };
        assert_eq!(decisive(&confined), Vec::<String>::new());
        assert_eq!(decisive(&Facts { host_process: true, ..open }), Vec::<String>::new());
        let pattern = Facts { core_pattern_writable: Some(true), proc_sys_writable: Some(true), ..plain() };
        assert_eq!(decisive(&pattern), ["certain to lead to the host's root: /proc/sys/kernel/core_pattern writable for user 0"]);
    }

    #[test]
    fn root_of_a_user_namespace_who_is_root_outside_owns_the_hosts_files() {
        let etc = HostMount { source: "/etc".to_owned(), point: "/x".to_owned(), read_only: false };
        let facts = Facts { initial_user_namespace: Some(false), root_is: Some(0), host_mounts: vec![etc], ..plain() };
        assert_eq!(decisive(&facts), ["the host's /etc is at /x, writable"]);
        assert_eq!(decisive(&Facts { root_is: Some(100_000), ..facts.clone() }), Vec::<String>::new());
        assert_eq!(decisive(&Facts { view: View::Inside, ..facts }), Vec::<String>::new());
    }

    #[test]
    fn full_set_in_its_own_user_namespace_is_no() {
        let facts =
            Facts { flag: Some(true), sets: sets(CapSet::KNOWN), initial_user_namespace: Some(false), root_is: Some(1000), ..plain() };
        assert_eq!(decisive(&facts), Vec::<String>::new());
        assert_eq!(verdict(&facts).summary[0], "user namespace (root is user 1000 outside)");
    }

    #[test]
    fn capabilities_of_a_user_namespace_are_counted_by_what_the_kernel_has() {
        let facts = Facts { initial_user_namespace: Some(false), root_is: Some(1000), sets: sets(CapSet::KNOWN), ..plain() };
        assert_eq!(verdict(&facts).summary[2], format!("{0} of {0} capabilities", CapSet::KNOWN.len()));
    }

    #[test]
    fn cap_add_all_with_a_filter_is_yes() {
        assert_eq!(decisive(&Facts { sets: sets(HOST), ..plain() }), ["all 40 capabilities that this host can give"]);
    }

    #[test]
    fn user_without_capabilities_below_a_full_bounding_set_is_yes_and_says_so() {
        let facts = Facts { sets: FiveSets { bounding: HOST, ..FiveSets::NONE }, uid: Some(1000), ..plain() };
        assert_eq!(decisive(&facts), ["all 40 capabilities that this host can give; held now: none, a set-user-ID program gets them"]);
    }

    #[test]
    fn sys_admin_behind_a_filter_is_no() {
        let set = plain().sets.bounding.with(Capability::SysAdmin);
        assert_eq!(decisive(&Facts { sets: sets(set), ..plain() }), Vec::<String>::new());
    }

    #[test]
    fn sys_module_behind_a_filter_is_yes_only_where_that_lets_modules_be_loaded() {
        let facts = |filter| Facts { sets: sets(plain().sets.bounding.with(Capability::SysModule)), filter, ..plain() };
        let filter = |calls: &[&'static str]| Some(Filter { allowed: calls.iter().copied().collect(), ..Filter::default() });
        assert_eq!(decisive(&facts(None)), Vec::<String>::new());
        assert_eq!(decisive(&facts(filter(&["mount"]))), Vec::<String>::new());
        assert_eq!(
            decisive(&facts(filter(&["finit_module"]))),
            ["SYS_MODULE becomes root on the host, and the seccomp filter lets modules be loaded"]
        );
        let admin = Facts { sets: sets(plain().sets.bounding.with(Capability::SysAdmin)), ..facts(filter(&["finit_module"])) };
        assert_eq!(decisive(&admin), Vec::<String>::new());
    }

    #[test]
    fn sys_admin_without_a_filter_is_yes() {
        let set = plain().sets.bounding.with(Capability::SysAdmin);
        assert_eq!(
            decisive(&Facts { sets: sets(set), seccomp: Some(0), ..plain() }),
            ["SYS_ADMIN becomes root on the host, and no seccomp filter"]
        );
    }

    #[test]
    fn nothing_but_an_engines_socket_is_yes() {
        let facts = Facts { sets: FiveSets::NONE, sockets: vec!["/run/docker.sock".to_owned()], ..plain() };
        assert_eq!(decisive(&facts), ["the socket of an engine or service manager is at /run/docker.sock"]);
    }

    #[test]
    fn hosts_root_is_decisive_only_when_root_can_write_it() {
        let mount = HostMount { source: "/".to_owned(), point: "/host".to_owned(), read_only: false };
        let facts = Facts { host_mounts: vec![mount.clone()], ..plain() };
        assert_eq!(decisive(&facts), ["the host's / is at /host, writable"]);
        assert!(!verdict(&Facts { host_mounts: vec![HostMount { read_only: true, ..mount }], ..facts.clone() }).privileged);
        assert!(!verdict(&Facts { uid: Some(1000), ..facts }).privileged);
    }

    #[test]
    fn hosts_processes_are_decisive_with_ptrace() {
        let shared = vec![(Namespace::Pid, Some(true))];
        let set = plain().sets.bounding.with(Capability::SysPtrace);
        assert!(!verdict(&Facts { shared: shared.clone(), ..plain() }).privileged);
        assert!(verdict(&Facts { shared, sets: sets(set), ..plain() }).privileged);
    }

    #[test]
    fn inside_the_kernels_own_list_is_the_ceiling_and_said_so() {
        let facts = Facts { view: View::Inside, flag: None, ceiling: None, seccomp: Some(0), sets: sets(HOST), ..plain() };
        let found = verdict(&facts);
        assert!(found.privileged, "40 of 41 with SYS_ADMIN and no filter");
        assert!(found.findings.iter().any(|finding| finding.weight == Weight::Unknown && finding.about == "capabilities"));
    }

    #[test]
    fn nothing_held_and_everything_walled_is_no() {
        let facts = Facts { sets: FiveSets::NONE, no_new_privileges: Some(true), ..plain() };
        assert_eq!(verdict(&facts).summary.join(", "), "rootful, seccomp filter, 0 of 40 capabilities, no new privileges");
    }
}
