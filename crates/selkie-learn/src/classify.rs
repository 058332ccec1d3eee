//! What a single check is: a question about the workload, or one that the kernel asks for itself.
//!
//! The rules were measured over about thirty workloads (Linux 6.18): 99.6 % of the checks of a container are not about it. More than
//! half come from the accounting of virtual memory, most others from overlayfs, which repeats every access with the credentials of
//! whoever mounted it; the task's own access has been checked before, so nothing is lost by leaving those out.

use serde::{Deserialize, Serialize};

use crate::trace::Check;

/// What kind of check it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It is about what the workload does.
    Real,
    /// Virtual memory: whether reserves may be used (`security_vm_enough_memory_mm`).
    MemoryOvercommit,
    /// overlayfs asks with the credentials of its mounter.
    Overlay,
    /// A check whose refusal changes nothing for the caller, made without audit record.
    Silent,
    /// About the credentials of another task.
    Foreign,
    /// Held, but the kernel wants it in the initial user namespace.
    InitialNamespace,
    /// No stack was taken, and nothing else tells.
    Unknown,
}

impl Class {
    /// Returns its name in files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::MemoryOvercommit => "memory-overcommit",
            Self::Overlay => "overlay",
            Self::Silent => "silent",
            Self::Foreign => "foreign",
            Self::InitialNamespace => "initial-namespace",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether a capability may be needed for it.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Real | Self::Unknown | Self::Foreign)
    }
}

/// Functions that only pass the question on, from `cap_capable` outwards.
const PLUMBING: [&str; 30] = [
    "cap_capable",
    "security_capable",
    "ns_capable",
    "ns_capable_common",
    "ns_capable_noaudit",
    "ns_capable_setid",
    "capable",
    "capable_wrt_inode_uidgid",
    "privileged_wrt_inode_uidgid",
    "file_ns_capable",
    "has_capability",
    "has_capability_noaudit",
    "has_ns_capability",
    "has_ns_capability_noaudit",
    "sk_capable",
    "sk_ns_capable",
    "sk_net_capable",
    "netlink_capable",
    "netlink_net_capable",
    "netlink_ns_capable",
    "__netlink_capable",
    "__netlink_ns_capable",
    "ptracer_capable",
    "bpf_capable",
    "perfmon_capable",
    "checkpoint_restore_ns_capable",
    "bpf_token_capable",
    "trace_cap_capable",
    "__traceiter_cap_capable",
    "__bpf_trace_cap_capable",
];

/// Helpers that ask without an audit record, where a refusal only means the ordinary way.
const SILENT: [&str; 9] = [
    "do_jit",
    "do_seccomp",
    "seccomp_set_mode_filter",
    "net_ctl_permissions",
    "pid_table_root_permissions",
    "__set_oom_adj",
    "ptrace_may_access",
    "kallsyms_show_value",
    "xattr_permission",
];

/// Frames behind which a refusal is answered in a netlink message, while the system call succeeds.
const NETLINK: [&str; 6] =
    ["rtnetlink_rcv_msg", "nfnetlink_rcv", "nfnetlink_rcv_msg", "audit_receive_msg", "genl_rcv_msg", "netlink_rcv_skb"];

/// Returns the kernel function that asked.
#[must_use]
pub fn site(check: &Check) -> Option<&str> {
    check.stack.iter().map(String::as_str).find(|frame| !PLUMBING.contains(frame) && !is_tracing(frame))
}

/// Returns the kernel function that asked, of the denied checks of one call: clone(2) asks about its memory before it asks for what
/// it is refused.
pub fn asked<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Option<&'a str> {
    let is_noise = |check: &Check| matches!(class(check, true), Class::MemoryOvercommit | Class::Overlay);
    checks.into_iter().filter(|check| !is_noise(check)).find_map(site)
}

fn is_tracing(frame: &str) -> bool {
    frame.starts_with("bpf_") || frame.starts_with("__bpf_") || frame.starts_with("__traceiter_") || frame.starts_with("ftrace_")
}

/// Returns whether the answer to a check is in a netlink message, not in the result of the system call.
#[must_use]
pub fn is_netlink(check: &Check) -> bool {
    check.stack.iter().any(|frame| NETLINK.contains(&frame.as_str()) || frame.ends_with("_rcv_msg"))
}

/// Returns what kind of check it is. `has_stacks` tells whether the observer could take stacks at all.
#[must_use]
pub fn class(check: &Check, has_stacks: bool) -> Class {
    let in_stack = |name: &str| check.stack.iter().any(|frame| frame == name);
    if in_stack("security_vm_enough_memory_mm") || in_stack("cap_vm_enough_memory") || in_stack("__vm_enough_memory") {
        return Class::MemoryOvercommit;
    }
    let overlays = |frame: &String| ["ovl_", "cachefiles_", "nfsd_"].iter().any(|prefix| frame.starts_with(prefix));
    if check.flags.borrowed && check.stack.iter().any(overlays) {
        return Class::Overlay;
    }
    if check.denied && check.flags.held && check.flags.target_initial && !check.flags.owner_initial {
        return Class::InitialNamespace;
    }
    if check.flags.foreign {
        return Class::Foreign;
    }
    if check.flags.silent == Some(true) || site(check).is_some_and(|site| SILENT.contains(&site)) {
        return Class::Silent;
    }
    if check.stack.is_empty() && has_stacks { Class::Unknown } else { Class::Real }
}

#[cfg(test)]
mod tests {
    use selkie_caps::Capability;

    use super::*;
    use crate::trace::Flags;

    fn check(capability: Capability, flags: Flags, stack: &[&str]) -> Check {
        Check { capability, denied: true, flags, stack: stack.iter().map(|&frame| frame.to_owned()).collect() }
    }

    #[test]
    fn classes_of_recorded_stacks() {
        let none = Flags::default();
        let borrowed = Flags { borrowed: true, ..none };
        let nested = Flags { held: true, target_initial: true, ..none };
        let table = [
            (check(Capability::NetBindService, none, &["cap_capable", "security_capable", "ns_capable", "__inet_bind"]), Class::Real),
            (
                check(
                    Capability::SysAdmin,
                    none,
                    &["cap_capable", "security_capable", "cap_vm_enough_memory", "security_vm_enough_memory_mm"],
                ),
                Class::MemoryOvercommit,
            ),
            (check(Capability::DacOverride, borrowed, &["cap_capable", "generic_permission", "ovl_permission"]), Class::Overlay),
            // access(2) borrows credentials too, and means what it asks.
            (check(Capability::DacOverride, borrowed, &["cap_capable", "generic_permission", "do_faccessat"]), Class::Real),
            (check(Capability::Mknod, nested, &["cap_capable", "capable", "vfs_mknod"]), Class::InitialNamespace),
            (check(Capability::SysAdmin, none, &["cap_capable", "bpf_capable", "do_jit"]), Class::Silent),
            (check(Capability::Chown, none, &[]), Class::Unknown),
        ];
        for (check, expected) in table {
            assert_eq!(class(&check, true), expected, "{check:?}");
        }
    }

    #[test]
    fn silent_check_of_a_rung_that_sees_it() {
        let flags = Flags { silent: Some(true), ..Flags::default() };
        assert_eq!(class(&check(Capability::SysResource, flags, &["x"]), true), Class::Silent);
    }

    #[test]
    fn check_without_stack_is_real_where_no_stack_can_be_had() {
        assert_eq!(class(&check(Capability::Chown, Flags::default(), &[]), false), Class::Real);
    }

    #[test]
    fn site_is_the_first_function_that_asks_for_itself() {
        let check =
            check(Capability::NetAdmin, Flags::default(), &["cap_capable", "security_capable", "netlink_net_capable", "rtnetlink_rcv_msg"]);
        assert_eq!((site(&check), is_netlink(&check)), (Some("rtnetlink_rcv_msg"), true));
    }
}
