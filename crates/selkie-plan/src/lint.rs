//! What is dangerous in a plan although it works.

use selkie_caps::{CapSet, Capability};

use crate::{MountSource, Namespace, Plan, Seccomp, UserNamespace};

/// One thing that a reviewer would ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name of the rule, for example `sys-admin`.
    pub rule: &'static str,
    /// One sentence without a full stop.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It weakens the container.
    Warning,
    /// It is as good as root on the host.
    Critical,
}

/// Lists what is dangerous in `plan`, worst first.
#[must_use]
pub fn lint(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |severity, rule, message: &str| findings.push(Finding { severity, rule, message: message.to_owned() });
    let on_host = plan.namespaces.user == UserNamespace::Host;
    let has = |capability| plan.process.sets.bounding.contains(capability);
    let severity = if on_host { Severity::Critical } else { Severity::Warning };
    if plan.privileged {
        find(severity, "privileged", "--privileged gives every capability, every device and no filter");
    } else if has(Capability::SysAdmin) {
        find(severity, "sys-admin", "SYS_ADMIN is as good as root: it mounts, and it makes user namespaces with every capability");
    }
    if has(Capability::SysModule) && on_host {
        find(Severity::Critical, "sys-module", "SYS_MODULE loads code into the host's kernel");
    }
    if has(Capability::SysRawio) && on_host {
        find(Severity::Critical, "sys-rawio", "SYS_RAWIO reads and writes the host's ports and memory");
    }
    if has(Capability::SysPtrace) && plan.namespaces.pid == Namespace::Host {
        find(severity, "host-pid-ptrace", "SYS_PTRACE in the host's PID namespace takes over every process of the host");
    }
    if has(Capability::DacReadSearch) && on_host {
        find(Severity::Warning, "dac-read-search", "DAC_READ_SEARCH reads every file of a mounted file system by its handle");
    }
    if has(Capability::NetAdmin) && plan.namespaces.network == Namespace::Host {
        find(severity, "host-net-admin", "NET_ADMIN in the host's network namespace changes the host's network");
    }
    if !plan.privileged && plan.seccomp == Seccomp::Unconfined {
        find(Severity::Warning, "seccomp", "without a system call filter every call of the kernel can be attacked");
    }
    if plan.seccomp == (Seccomp::Default { nested_userns: true }) {
        find(Severity::Warning, "nested-userns", "processes may make user namespaces, in which they have every capability");
    }
    if plan.process.sets.ambient != CapSet::EMPTY && !plan.process.no_new_privileges {
        find(Severity::Warning, "ambient", "every program that this user runs has the ambient capabilities");
    }
    for mount in &plan.mounts {
        let MountSource::Bind { path, .. } = &mount.source else { continue };
        if path.ends_with(".sock") {
            find(Severity::Warning, "socket", &format!("{path}: a socket of an engine or of a service manager is as good as root"));
        } else if !mount.readonly && matches!(path.as_str(), "/" | "/etc" | "/root" | "/boot" | "/usr" | "/var") {
            find(severity, "host-directory", &format!("{path} of the host can be written"));
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}
