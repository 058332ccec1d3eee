//! Walls that are down: flag, user, filter, labels, masks, namespaces, kernel settings. Pod Security Standards, CIS Docker 5.

use selkie_caps::Capability;

use super::{Findings, Wish, is_conf, wish};
use crate::subject::{Basis, Confinement, Engine, KubernetesExtra, Namespace, Selinux, uid_of};
use crate::{Change, Fix, Located, Rule, Setting, Severity, Subject};

pub(super) fn check(findings: &mut Findings) {
    user(findings);
    hooks(findings);
    gaining(findings);
    filter(findings);
    labels(findings);
    masks(findings);
    namespaces(findings);
    sysctls(findings);
    kubernetes(findings);
}

/// The flag of its engine; of what runs, the verdict.
pub(super) fn flag(findings: &mut Findings) {
    let subject = findings.subject;
    if let Basis::Running(seen) = &subject.basis {
        if seen.privileged {
            let text = format!("it is privileged: {}", seen.reasons.join("; "));
            let how = if subject.has_flag() { "without --privileged, with what `selkie learn` proves" } else { "without what decides it" };
            findings.add(Rule::Privileged, text, None, Fix::words(format!("start it {how}")));
        } else if subject.has_flag() {
            let text = format!("it was started with --privileged, and is not: {}", seen.reasons.join(", "));
            let fix = Fix::words("start it with what `selkie learn` proves");
            findings.add(Rule::Privileged, text, None, fix).with(Severity::Critical.less());
        }
        return;
    }
    let Some(flag) = subject.privileged.as_ref().filter(|flag| flag.value) else { return };
    let severity = findings.by_users(Severity::Critical);
    let what = if is_conf(subject) { "every container is privileged" } else { "it is privileged" };
    let text = format!("{what}: every capability, every device, no system call filter");
    let fix = match subject.engine {
        Engine::Oci => Fix::words("name the capabilities that are needed"),
        Engine::Podman if !is_conf(subject) => Fix::remove("take `--privileged` away", flag.place),
        Engine::Kubernetes if subject.kubernetes.iter().any(is_bidirectional) => {
            let text = "privileged: false and mountPropagation: HostToContainer, since Bidirectional is for privileged containers alone; \
                        then add what `selkie learn` proves";
            let mut fix = Fix::truth(text, flag.place, false);
            let places = subject.kubernetes.iter().filter(|extra| is_bidirectional(extra)).filter_map(|extra| extra.place);
            let value = || Setting::Text("HostToContainer".to_owned());
            fix.changes.extend(places.map(|place| Change::Replace { place, value: value() }));
            fix
        }
        _ => Fix::truth("privileged: false; then add what `selkie learn` proves", flag.place, false),
    };
    findings.add(Rule::Privileged, text, flag.place, fix).with(severity);
}

/// Of a container that is not privileged the API server refuses it.
fn is_bidirectional(extra: &Located<KubernetesExtra>) -> bool {
    matches!(extra.value, KubernetesExtra::Bidirectional(_))
}

fn user(findings: &mut Findings) {
    let subject = findings.subject;
    if matches!(subject.engine, Engine::Lxc | Engine::Nspawn) || is_conf(subject) || subject.is_non_root() {
        return;
    }
    if subject.uid() == Some(0) {
        let place = subject.user.as_ref().and_then(|user| user.place);
        let severity = findings.by_users(Severity::Medium);
        let refused = subject.non_root.as_ref().is_some_and(|flag| flag.value);
        let text = if refused { "it is told to run as root, and by `runAsNonRoot: true` refused for it" } else { "it runs as root" };
        // `runAsNonRoot` would only keep it from starting.
        let fix = if subject.engine == Engine::Kubernetes { Fix::words("runAsUser: 1000") } else { wish(subject, Wish::NonRoot) };
        findings.add(Rule::RunsAsRoot, text, place, fix).with(severity).fix.changes.clear();
    } else {
        let flag = subject.non_root.as_ref();
        let text = if flag.is_some() { "`runAsNonRoot: false` lets it run as root" } else { "nothing keeps it from running as root" };
        // An image that needs root would not start any more: words, and no patch.
        let fix = wish(subject, Wish::NonRoot);
        findings.add(Rule::MayRunAsRoot, text, flag.and_then(|flag| flag.place), fix).fix.changes.clear();
    }
}

/// What the engine runs within it with more than it has itself.
fn hooks(findings: &mut Findings) {
    let subject = findings.subject;
    for hook in &subject.hooks {
        let name = &hook.name;
        if let Some(flag) = hook.privileged.as_ref().filter(|flag| flag.value && !subject.has_flag()) {
            let severity = findings.by_users(Severity::Critical);
            let text = format!("its `{name}` hook is privileged: every capability, no system call filter");
            findings.add(Rule::Privileged, text, flag.place, Fix::truth("privileged: false", flag.place, false)).with(severity);
        }
        let root = hook.user.as_ref().filter(|user| uid_of(&user.value) == Some(0) && subject.uid() != Some(0));
        if let Some(user) = root {
            let severity = findings.by_users(Severity::Medium);
            let fix = Fix::words("name a user other than root");
            findings.add(Rule::RunsAsRoot, format!("its `{name}` hook runs as root"), user.place, fix).with(severity);
        }
    }
}

/// `allowPrivilegeEscalation: false` is refused by the API server beside `privileged: true` and beside this name of SYS_ADMIN.
fn no_gaining(subject: &Subject) -> Fix {
    let mut fix = wish(subject, Wish::NoNewPrivileges);
    if subject.engine == Engine::Kubernetes {
        fix.needs.push((Rule::Privileged, None));
        if subject.added.iter().any(|name| name.value == "CAP_SYS_ADMIN") {
            fix.needs.push((Rule::CapabilityHostRoot, Some(Capability::SysAdmin)));
        }
    }
    fix
}

fn gaining(findings: &mut Findings) {
    let subject = findings.subject;
    match &subject.no_new_privileges {
        Some(flag) if flag.value => {}
        Some(flag) => {
            let text = "programs of it may gain privileges (set-user-ID, file capabilities)";
            findings.add(Rule::PrivilegeEscalation, text, flag.place, no_gaining(subject));
        }
        None if matches!(subject.engine, Engine::Lxc | Engine::Nspawn) || is_conf(subject) => {}
        None => {
            let severity = if subject.engine == Engine::Kubernetes { Severity::Medium } else { Severity::Low };
            let text = "nothing keeps its programs from gaining privileges (set-user-ID, file capabilities)";
            findings.add(Rule::PrivilegeEscalation, text, None, no_gaining(subject)).with(severity);
        }
    }
    match &subject.read_only_root {
        Some(flag) if flag.value => {}
        _ if matches!(subject.engine, Engine::Lxc | Engine::Nspawn) || is_conf(subject) => {}
        flag => {
            let place = flag.as_ref().and_then(|flag| flag.place);
            // What a program writes where is not known: no change is right for sure.
            findings
                .add(Rule::RootWritable, "its root file system can be written", place, wish(subject, Wish::ReadOnlyRoot))
                .fix
                .changes
                .clear();
        }
    }
}

fn filter(findings: &mut Findings) {
    let subject = findings.subject;
    match &subject.seccomp {
        Some(seccomp) if seccomp.value == Confinement::Unconfined => {
            let fix = match subject.engine {
                Engine::Kubernetes => Fix::word("seccompProfile: {type: RuntimeDefault}", seccomp.place, "RuntimeDefault"),
                Engine::Docker | Engine::Podman if !is_conf(subject) => {
                    Fix::remove("leave the filter to the engine's own profile", seccomp.place)
                }
                _ => wish(subject, Wish::DefaultFilter),
            };
            findings.add(Rule::SeccompUnconfined, "there is no system call filter", seccomp.place, fix);
        }
        None if subject.engine == Engine::Kubernetes && !subject.has_flag() => {
            let text = "no system call filter is named, and Kubernetes has none unless the kubelet is told to";
            findings.add(Rule::SeccompNotSet, text, None, wish(subject, Wish::DefaultFilter));
        }
        _ => {}
    }
}

/// Types that Pod Security Standards allow.
const TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn labels(findings: &mut Findings) {
    let subject = findings.subject;
    if let Some(apparmor) = subject.apparmor.as_ref().filter(|profile| profile.value == Confinement::Unconfined) {
        let fix = match subject.engine {
            Engine::Docker | Engine::Podman if !is_conf(subject) => Fix::remove("leave the profile to the engine", apparmor.place),
            _ => Fix::words("name the engine's own profile"),
        };
        findings.add(Rule::ApparmorUnconfined, "AppArmor is off", apparmor.place, fix);
    }
    for part in &subject.selinux {
        let text = match &part.value {
            Selinux::Disabled => "SELinux is off".to_owned(),
            Selinux::Type(name) if !TYPES.contains(&name.as_str()) => format!("SELinux type `{name}` is none of containers"),
            Selinux::User(name) if !name.is_empty() => format!("SELinux user `{name}` is set by hand"),
            Selinux::Role(name) if !name.is_empty() => format!("SELinux role `{name}` is set by hand"),
            _ => continue,
        };
        findings.add(Rule::SelinuxOptions, text, part.place, Fix::words("take the option away"));
    }
}

fn masks(findings: &mut Findings) {
    let subject = findings.subject;
    for path in &subject.unmasked {
        let all = path.value.eq_ignore_ascii_case("all");
        let text = if all { "the masks over /proc and /sys are off".to_owned() } else { format!("`{}` is not masked", path.value) };
        let fix = match subject.engine {
            Engine::Kubernetes => Fix::word("procMount: Default", path.place, "Default"),
            Engine::Docker => Fix::remove("take the option away", path.place),
            Engine::Podman => Fix::words("take `Unmask=` away"),
            _ => Fix::words("name the paths that engines mask"),
        };
        let severity = findings.by_users(Severity::High);
        findings.add(Rule::ProcUnmasked, text, path.place, fix).with(severity);
    }
}

fn namespaces(findings: &mut Findings) {
    let subject = findings.subject;
    for shared in &subject.host_namespaces {
        let (rule, text) = match shared.value {
            Namespace::Pid => (Rule::HostPid, "it sees the host's processes"),
            Namespace::Network => (Rule::HostNetwork, "it is in the host's network"),
            Namespace::Ipc => (Rule::HostIpc, "it shares the host's shared memory and queues"),
            Namespace::Uts => (Rule::HostUts, "it shares the host's name"),
            Namespace::User => (Rule::HostUsers, "it is taken out of the engine's user namespace"),
            Namespace::Cgroup => (Rule::HostCgroup, "it sees the host's cgroups"),
        };
        // Taking a namespace away changes what a program reaches: words, and no patch.
        // Of what runs there is no line to leave out.
        let private = match shared.value {
            _ if subject.engine == Engine::Oci => "name it in linux.namespaces, without a path",
            _ if !matches!(subject.basis, Basis::Running(_)) => "leave it out",
            Namespace::Pid => "start it without --pid host",
            Namespace::Network => "start it without --network host",
            Namespace::Ipc => "start it without --ipc host",
            Namespace::Uts => "start it without --uts host",
            Namespace::User => "start it without --userns host",
            Namespace::Cgroup => "start it with --cgroupns private",
        };
        findings.add(rule, text, shared.place, Fix::words(private));
    }
    if matches!(subject.engine, Engine::Lxc | Engine::Nspawn)
        && let Some(own) = subject.own_users.as_ref().filter(|own| !own.value)
    {
        let line = if subject.engine == Engine::Lxc {
            "lxc.idmap = u 0 100000 65536 and lxc.idmap = g 0 100000 65536"
        } else {
            "PrivateUsers=pick"
        };
        findings.add(Rule::NoUserNamespace, "root within is root of the host: there is no user namespace", own.place, Fix::words(line));
    }
}

/// What Kubernetes calls safe: Pod Security Standards, "Sysctls" (v1.32).
const SAFE: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
];

fn sysctls(findings: &mut Findings) {
    let subject = findings.subject;
    for sysctl in &subject.sysctls {
        let name = sysctl.value.0.replace('/', ".");
        if SAFE.contains(&name.as_str()) || name == "net.ipv4.tcp_wmem" {
            continue;
        }
        // Where the namespace is the container's own, what is of its network or IPC namespace stays there.
        let is_namespaced = name.starts_with("net.") && !subject.shares(Namespace::Network)
            || ["kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix));
        if subject.engine != Engine::Kubernetes && is_namespaced {
            continue;
        }
        findings.add(
            Rule::UnsafeSysctl,
            format!("sysctl `{name}` is not known to be kept within"),
            sysctl.place,
            Fix::words("take it away"),
        );
    }
}

fn kubernetes(findings: &mut Findings) {
    let subject = findings.subject;
    for port in &subject.host_ports {
        findings.add(Rule::HostPort, format!("port {} of the node is taken", port.value), port.place, Fix::words("use a Service"));
    }
    for extra in &subject.kubernetes {
        match &extra.value {
            KubernetesExtra::ProbeHost(host) => {
                let text = format!("the kubelet asks `{host}` in the name of the pod");
                findings.add(Rule::ProbeHost, text, extra.place, Fix::words("leave `host` out"));
            }
            KubernetesExtra::HostProcess => {
                let fix = Fix::truth("hostProcess: false", extra.place, false);
                findings.add(Rule::HostProcess, "it runs on its Windows node, not in a container", extra.place, fix);
            }
            KubernetesExtra::Bidirectional(target) => {
                let text = format!("mounts below {target} show on the node");
                // A driver that mounts for others needs it: no change is right for sure.
                findings.add(Rule::MountPropagation, text, extra.place, Fix::words("mountPropagation: HostToContainer"));
            }
        }
    }
}
