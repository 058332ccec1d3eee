//! Combinations that open the host although each part alone might not.

use selkie_caps::Capability;

use super::Findings;
use super::mounts::clean;
use crate::subject::{Confinement, Engine, Namespace, capability};
use crate::{Fix, Place, Rule, Severity};

pub(super) fn check(findings: &mut Findings) {
    let subject = findings.subject;
    if subject.is_privileged() {
        return;
    }
    let has = |capability| subject.capabilities().contains(capability);
    let place = |wanted: Capability| -> Option<Place> {
        subject.added.iter().find(|name| capability(&name.value) == Some(wanted)).and_then(|name| name.place)
    };
    let unconfined = subject.apparmor.as_ref().is_some_and(|profile| profile.value == Confinement::Unconfined);
    let mut escapes = Vec::new();
    if has(Capability::SysAdmin) && (subject.is_seccomp_off() || unconfined) && subject.engine != Engine::Lxc {
        let off = if subject.is_seccomp_off() { "no system call filter" } else { "AppArmor off" };
        let text = format!("SYS_ADMIN with {off}: mount the host's disk, or let release_agent run a program on the host");
        escapes.push((Rule::EscapeSysAdmin, Severity::Critical, text, Capability::SysAdmin));
    }
    if has(Capability::SysPtrace) && subject.shares(Namespace::Pid) {
        let text = "SYS_PTRACE with the host's processes: any of them can be made to run other code".to_owned();
        escapes.push((Rule::EscapePtrace, Severity::Critical, text, Capability::SysPtrace));
    }
    let host_mount = subject.mounts.iter().find(|mount| mount.value.of_host);
    if has(Capability::DacReadSearch)
        && !matches!(subject.engine, Engine::Nspawn | Engine::Lxc)
        && let Some(mount) = host_mount
    {
        let text = format!("DAC_READ_SEARCH with {} mounted: open_by_handle_at opens every file of that file system", mount.value.source);
        escapes.push((Rule::EscapeFileHandle, Severity::Critical, text, Capability::DacReadSearch));
    }
    if has(Capability::NetAdmin) && subject.shares(Namespace::Network) {
        let text = "NET_ADMIN in the host's network: reroutes, filters and mirrors its traffic".to_owned();
        escapes.push((Rule::EscapeNetwork, Severity::High, text, Capability::NetAdmin));
    }
    for (rule, severity, text, capability) in escapes {
        let severity = findings.by_users(severity);
        let at = place(capability);
        let fix = Fix::remove(format!("take `{}` away", capability.short_name()), at);
        findings.add(rule, text, at, fix).with(severity).of(capability);
    }
    procfs(findings);
}

fn procfs(findings: &mut Findings) {
    for mount in findings.subject.mounts.iter().filter(|mount| mount.value.of_host && !mount.value.read_only) {
        let path = clean(&mount.value.source);
        if !["/proc", "/sys"].iter().any(|root| path == *root || path.starts_with(&format!("{root}/"))) {
            continue;
        }
        let text = format!("{path} of the host can be written: the kernel runs the programs that are named there");
        let severity = findings.by_users(Severity::Critical);
        findings.add(Rule::EscapeProcfs, text, mount.place, Fix::words("mount it read-only, or not at all")).with(severity);
    }
}
