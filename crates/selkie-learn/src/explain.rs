//! A refusal in one sentence, with its fix: what `selkie why` and the hint after a failed `run` say.

use selkie_caps::{CapSet, Capability};
use serde::Serialize;

use crate::classify::asked;
use crate::denial::Denial;
use crate::operation::{operation, result, safe};
use crate::refusal::Cause;
use crate::trace::{Call, Detail};

/// A refusal, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who was refused what, and why.
    pub sentence: String,
    /// Flags that make it work; `None` if no flag does.
    pub fix: Option<String>,
    /// How to do without a capability; `None` if no way is known.
    pub without: Option<String>,
    /// Whether a capability is missing that can be given.
    pub is_missing_capability: bool,
    /// The capabilities that it is about.
    pub capabilities: Vec<Capability>,
    /// The process.
    pub process: String,
    /// The call.
    pub operation: String,
    /// What it returned; `unknown` for a denied check of a call that was not recorded.
    pub result: String,
    /// The kernel function that asked, if it is known.
    pub site: Option<String>,
    /// How often.
    pub count: u64,
}

/// Explains a refused call.
#[must_use]
pub fn explain(call: &Call, cause: &Cause) -> Explanation {
    let what = operation(call);
    let result = result(call);
    let process = format!("{}({})", safe(&call.comm), call.pid);
    let asked = asked(&call.denied).map(str::to_owned);
    let by = asked.as_ref().map_or_else(String::new, |site| format!(", asked by {site}"));
    let capabilities = cause.capabilities();
    let names = listed(capabilities, "and");
    let begin = if call.result < 0 { format!("{process}: {what} = {result}") } else { format!("{process}: {what} was refused") };
    let (rest, fix, without) = match cause {
        Cause::Capability { .. } => (format!("needs {names}{by}"), add(capabilities), without(call, capabilities)),
        Cause::OneOf { .. } => {
            let least = capabilities.iter().min_by_key(|capability| capability.knowledge().danger);
            let least = least.map_or(CapSet::EMPTY, |one| CapSet::EMPTY.with(one));
            let either = listed(capabilities, "or");
            (format!("needs {either}{by}"), add(least), without(call, least))
        }
        Cause::Lost { what, .. } => (format!("{what} without {names}"), add(capabilities), None),
        Cause::FileCapability { .. } => (
            format!("the file has {names} as file capability, which the bounding set does not: the program cannot be executed, whatever it does"),
            add(capabilities),
            Some("remove the file capability in the image (`setcap -r`), if the program can do without".to_owned()),
        ),
        Cause::Capset { .. } => (format!("the process asks for {names}, which it is not permitted"), add(capabilities), None),
        Cause::InitialNamespace { .. } => (
            format!("{names} is held, but the kernel wants it in the initial user namespace: this is not a missing capability, and no --cap-add helps"),
            None,
            Some("run the container without a user namespace of its own, or hand in what it makes (`--device`, a volume)".to_owned()),
        ),
        Cause::Seccomp { allowed_with } if allowed_with.is_empty() => (
            "the system call filter refuses it: this is not a missing capability".to_owned(),
            Some("--security-opt seccomp=PROFILE with this call".to_owned()),
            None,
        ),
        Cause::Seccomp { .. } => (
            format!("the system call filter refuses it before any capability is asked for; the profile lets it through with {names}"),
            add(capabilities),
            Some("--security-opt seccomp=PROFILE with this call, if it needs no capability".to_owned()),
        ),
        Cause::ReadOnly => (
            "the file system is read-only: this is not a missing capability".to_owned(),
            writable(call),
            None,
        ),
        Cause::Other if is_above_nr_open(call) => (
            "no capability was refused: the number of files is above the host's fs.nr_open: this is not a missing capability".to_owned(),
            None,
            None,
        ),
        Cause::Other if is_ping(call) => (
            "no capability was refused: the group is not in net.ipv4.ping_group_range: this is not a missing capability".to_owned(),
            Some("--sysctl net.ipv4.ping_group_range=\"0 2147483647\"".to_owned()),
            None,
        ),
        Cause::Other => (
            "no capability was refused: this is not a missing capability, but the ids, a security module, the rules of devices, a noexec mount or an immutable file".to_owned(),
            None,
            None,
        ),
    };
    Explanation {
        sentence: format!("{begin}: {rest}"),
        fix,
        without,
        is_missing_capability: cause.is_missing_capability(),
        capabilities: capabilities.iter().collect(),
        process,
        operation: what,
        result,
        site: asked,
        count: call.count,
    }
}

/// Explains a denied check that may have had consequences or none.
pub(crate) fn explain_denial(denial: &Denial) -> Explanation {
    let Denial { capabilities, .. } = *denial;
    let process = safe(&denial.comm);
    let what = denial.syscall.clone().unwrap_or_else(|| "no system call".to_owned());
    let by = denial.site.as_ref().map_or_else(String::new, |site| format!(", by {site},"));
    let word = if capabilities.len() > 1 { "or" } else { "and" };
    let names = listed(capabilities, word);
    let unknown = "what became of the call was not recorded: `run --why` records that";
    let (sentence, fix) = if denial.is_initial {
        let held = "is held, but the kernel wanted it in the initial user namespace";
        (format!("{process}: {names} {held} in {what}{by} and denied it: this is not a missing capability; {unknown}"), None)
    } else {
        let least = capabilities.iter().min_by_key(|capability| capability.knowledge().danger);
        let sentence = format!("{process}: {names} was asked for in {what}{by} and denied; {unknown}");
        (sentence, least.and_then(|one| add(CapSet::EMPTY.with(one))))
    };
    Explanation {
        sentence,
        fix,
        without: None,
        is_missing_capability: false,
        capabilities: capabilities.iter().collect(),
        process,
        operation: what,
        result: UNKNOWN.to_owned(),
        site: denial.site.clone(),
        count: denial.count,
    }
}

impl Explanation {
    /// Returns whether it is known what became of the call.
    #[must_use]
    pub fn is_result_known(&self) -> bool {
        self.result != UNKNOWN
    }
}

/// The result of a call that was not recorded.
const UNKNOWN: &str = "unknown";

/// Names of capabilities, short, with a word before the last.
fn listed(capabilities: CapSet, word: &str) -> String {
    let names: Vec<&str> = capabilities.iter().map(Capability::short_name).collect();
    match names.as_slice() {
        [] => "no capability".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} {word} {last}", most.join(", ")),
    }
}

fn add(capabilities: CapSet) -> Option<String> {
    let flags: Vec<String> = capabilities.iter().map(|capability| format!("--cap-add {}", capability.short_name())).collect();
    (!flags.is_empty()).then(|| flags.join(" "))
}

/// How what is read-only is changed all the same: settings of the kernel by flags, files of its own not at all.
fn writable(call: &Call) -> Option<String> {
    let path = match &call.detail {
        Detail::Path { path, .. } => safe(path),
        _ => String::new(),
    };
    match path.strip_prefix("/proc/sys/") {
        Some(key) => Some(format!("--sysctl {}=VALUE, if the container has the namespace that it is of to itself", key.replace('/', "."))),
        None if path.starts_with("/proc/") || path.starts_with("/sys/") => None,
        None => Some("--tmpfs DIRECTORY, or a volume that is writable".to_owned()),
    }
}

/// setrlimit(2): nobody may have more open files than `fs.nr_open`.
fn is_above_nr_open(call: &Call) -> bool {
    const RLIMIT_NOFILE: u64 = 7;
    match (call.syscall.as_str(), call.arguments) {
        ("prlimit64", [_, resource, ..]) | ("setrlimit", [resource, ..]) => resource == RLIMIT_NOFILE,
        _ => false,
    }
}

/// A datagram socket for ICMP, of which inet_create() asks no capability, and ping_init_sock() the group: ip-sysctl.rst.
fn is_ping(call: &Call) -> bool {
    const DATAGRAM: u64 = 2;
    call.syscall == "socket" && matches!(call.arguments, [2 | 10, kind, 1 | 58, ..] if kind & 0xf == DATAGRAM)
}

/// Whether the call changes a directory, and what it names in it is not what has to be owned.
fn changes_directory(call: &Call) -> bool {
    const O_CREAT: u64 = 0o100;
    let [_, second, third, ..] = call.arguments;
    match call.syscall.as_str() {
        "unlink" | "unlinkat" | "rmdir" | "mkdir" | "mkdirat" | "symlink" | "symlinkat" | "mknod" | "mknodat" => true,
        "rename" | "renameat" | "renameat2" | "creat" => true,
        "open" => second & O_CREAT != 0,
        "openat" => third & O_CREAT != 0,
        _ => false,
    }
}

/// How to do without the capability, for this very call where something is known.
fn without(call: &Call, capabilities: CapSet) -> Option<String> {
    let path = match &call.detail {
        Detail::Path { path, .. } | Detail::Program { path, .. } => safe(path),
        _ => String::new(),
    };
    let first = capabilities.iter().next()?;
    let said = match (first, &call.detail) {
        (Capability::NetBindService, Detail::Address { address }) => {
            let port = address.rsplit(':').next().unwrap_or("80");
            format!("--sysctl net.ipv4.ip_unprivileged_port_start={port}, or a port from 1024 on")
        }
        (Capability::NetRaw, _) if call.syscall == "socket" && call.arguments.get(2).is_some_and(|protocol| matches!(protocol, 1 | 58)) => {
            "--sysctl net.ipv4.ping_group_range=\"0 2147483647\", if the program can use datagram sockets for ping".to_owned()
        }
        (Capability::Chown, _) if !path.is_empty() => {
            format!("give {path} its owner when the image is built, or run as that user (--user)")
        }
        (Capability::DacOverride | Capability::Fowner, _) if changes_directory(call) && path.trim_end_matches('/').contains('/') => {
            let (directory, _) = path.trim_end_matches('/').rsplit_once('/')?;
            let directory = if directory.is_empty() { "/" } else { directory };
            format!(
                "let the user that the program runs as own the directory {directory}, or mount one that it may write to there (--tmpfs, a volume)"
            )
        }
        (Capability::DacOverride | Capability::DacReadSearch | Capability::Fowner, _) if !path.is_empty() => {
            format!("let the user that the program runs as own {path}, or be in its group (--group-add)")
        }
        (Capability::Setuid | Capability::Setgid, _) => "start as the user that it becomes (--user)".to_owned(),
        _ => first.knowledge().cheaper.to_owned(),
    };
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Check, Flags};

    #[test]
    fn port_of_a_web_server() {
        let call = Call {
            pid: 7,
            comm: "nginx".to_owned(),
            syscall: "bind".to_owned(),
            result: -13,
            detail: Detail::Address { address: "0.0.0.0:80".to_owned() },
            denied: vec![Check {
                capability: Capability::NetBindService,
                denied: true,
                flags: Flags::default(),
                stack: vec!["cap_capable".to_owned(), "ns_capable".to_owned(), "__inet_bind".to_owned()],
            }],
            count: 1,
            ..Call::default()
        };
        let cause = Cause::Capability { capabilities: CapSet::EMPTY.with(Capability::NetBindService) };
        let explained = explain(&call, &cause);
        assert_eq!(explained.sentence, "nginx(7): bind(0.0.0.0:80) = EACCES: needs NET_BIND_SERVICE, asked by __inet_bind");
        assert_eq!(explained.fix.as_deref(), Some("--cap-add NET_BIND_SERVICE"));
        assert_eq!(explained.without.as_deref(), Some("--sysctl net.ipv4.ip_unprivileged_port_start=80, or a port from 1024 on"));
    }

    #[test]
    fn memory_of_a_new_process_is_not_what_asked() {
        let asked = |frame: &str| Check {
            capability: Capability::SysAdmin,
            denied: true,
            flags: Flags::default(),
            stack: vec!["cap_capable".to_owned(), frame.to_owned()],
        };
        let denied = vec![asked("security_vm_enough_memory_mm"), asked("copy_namespaces")];
        let call = Call { syscall: "clone".to_owned(), result: -1, denied, ..Call::default() };
        let cause = Cause::Capability { capabilities: CapSet::EMPTY.with(Capability::SysAdmin) };
        assert_eq!(explain(&call, &cause).site.as_deref(), Some("copy_namespaces"));
    }

    #[test]
    fn of_two_the_advice_is_about_the_less_dangerous_one() {
        let call = Call { syscall: "ioprio_set".to_owned(), result: -1, ..Call::default() };
        let capabilities = CapSet::EMPTY.with(Capability::SysAdmin).with(Capability::SysNice);
        let explained = explain(&call, &Cause::OneOf { capabilities });
        assert_eq!(explained.fix.as_deref(), Some("--cap-add SYS_NICE"));
        assert_eq!(explained.without.as_deref(), Some(Capability::SysNice.knowledge().cheaper));
    }

    #[test]
    fn what_changes_a_directory_is_about_the_directory() {
        let without = |syscall: &str, arguments: [u64; 6], path: &str| {
            let detail = Detail::Path { path: path.to_owned(), other: None };
            let call = Call { syscall: syscall.to_owned(), arguments, result: -13, detail, ..Call::default() };
            let cause = Cause::Capability { capabilities: CapSet::EMPTY.with(Capability::DacOverride) };
            explain(&call, &cause).without.unwrap_or_default()
        };
        assert!(without("unlinkat", [0; 6], "/tmp/d/f").starts_with("let the user that the program runs as own the directory /tmp/d,"));
        assert!(without("openat", [0, 0, 0o101, 0, 0, 0], "/x").contains("own the directory /,"));
        assert!(without("openat", [0; 6], "/etc/shadow").contains("own /etc/shadow,"));
    }

    #[test]
    fn ping_that_its_group_may_not_send_is_told() {
        let arguments = [2, 2 | 0o2_000_000, 1, 0, 0, 0];
        let explained = explain(&Call { syscall: "socket".to_owned(), result: -13, arguments, ..Call::default() }, &Cause::Other);
        assert!(explained.sentence.contains("ping_group_range: this is not a missing capability"), "{explained:?}");
        assert_eq!(explained.fix.as_deref(), Some("--sysctl net.ipv4.ping_group_range=\"0 2147483647\""));
    }

    #[test]
    fn read_only_settings_of_the_kernel_have_flags() {
        let fix = |path: &str| {
            let detail = Detail::Path { path: path.to_owned(), other: None };
            explain(&Call { syscall: "openat".to_owned(), result: -30, detail, ..Call::default() }, &Cause::ReadOnly).fix
        };
        let by_flag = "--sysctl net.ipv4.ip_forward=VALUE, if the container has the namespace that it is of to itself";
        assert_eq!(fix("/proc/sys/net/ipv4/ip_forward").as_deref(), Some(by_flag));
        assert_eq!(fix("/sys/x"), None);
        assert_eq!(fix("/x").as_deref(), Some("--tmpfs DIRECTORY, or a volume that is writable"));
    }

    #[test]
    fn limit_above_what_the_kernel_has_is_told() {
        let arguments = [0, 7, 0, 0, 0, 0];
        let explained = explain(&Call { syscall: "prlimit64".to_owned(), result: -1, arguments, ..Call::default() }, &Cause::Other);
        assert!(explained.sentence.ends_with("above the host's fs.nr_open: this is not a missing capability"), "{explained:?}");
    }

    #[test]
    fn what_is_no_missing_capability_says_so() {
        let call = Call { comm: "x".to_owned(), syscall: "mount".to_owned(), result: -1, ..Call::default() };
        for cause in [
            Cause::Seccomp { allowed_with: CapSet::EMPTY },
            Cause::ReadOnly,
            Cause::Other,
            Cause::InitialNamespace { capabilities: CapSet::EMPTY.with(Capability::Mknod) },
        ] {
            let explained = explain(&call, &cause);
            assert!(explained.sentence.contains("not a missing capability") && !explained.is_missing_capability, "{explained:?}");
        }
    }
}
