//! A system call as a person would write it: `bind(0.0.0.0:80)`, `socket(AF_INET, SOCK_RAW, ICMP)`, `chown("/srv", 33, 33)`.

use std::fmt::Write;

use selkie_caps::CapSet;

use crate::trace::{Call, Detail};

/// Returns the call with the arguments that matter. Text of the workload is made safe for a terminal.
#[must_use]
pub fn operation(call: &Call) -> String {
    let name = call.syscall.as_str();
    format!("{name}({})", arguments(name, call).join(", "))
}

/// Returns the result of a call: the name of the errno, or the number.
#[must_use]
pub fn result(call: &Call) -> String {
    let errno = u16::try_from(-call.result).ok().filter(|errno| *errno > 0);
    errno.and_then(selkie_seccomp::errno_name).map_or_else(|| call.result.to_string(), str::to_owned)
}

fn arguments(name: &str, call: &Call) -> Vec<String> {
    let [a, b, c, d, ..] = call.arguments;
    let id = |value: u64| signed(value).to_string();
    match (&call.detail, name) {
        (Detail::Address { address }, _) => vec![safe(address)],
        (Detail::Path { path, .. }, "chown" | "lchown") => vec![quoted(path), id(b), id(c)],
        (Detail::Path { path, .. }, "fchownat") => vec![quoted(path), id(c), id(d)],
        (Detail::Path { path, .. }, "chmod") => vec![quoted(path), format!("{b:04o}")],
        (Detail::Path { path, .. }, "fchmodat" | "fchmodat2") => vec![quoted(path), format!("{c:04o}")],
        (Detail::Path { path, .. }, "open" | "openat") => {
            vec![quoted(path), open_flags(if name == "open" { b } else { c })]
        }
        (Detail::Path { path, other: Some(other) }, _) => vec![quoted(path), quoted(other)],
        (Detail::Path { path, .. } | Detail::Program { path, .. }, _) => vec![quoted(path)],
        (Detail::Netlink { message, protocol, .. }, _) => vec![netlink(*protocol, *message)],
        (Detail::Sets { effective, permitted, inheritable }, _) => {
            vec![
                format!("effective {}", set(*effective)),
                format!("permitted {}", set(*permitted)),
                format!("inheritable {}", set(*inheritable)),
            ]
        }
        (Detail::None, "socket") => vec![family(a), kind(b), protocol(a, c)],
        (Detail::None, "kill" | "tkill") => vec![id(a), signal(b)],
        (Detail::None, "tgkill") => vec![id(a), id(b), signal(c)],
        (Detail::None, "setuid" | "setgid" | "setfsuid" | "setfsgid") => vec![id(a)],
        (Detail::None, "setreuid" | "setregid") => vec![id(a), id(b)],
        (Detail::None, "setresuid" | "setresgid") => vec![id(a), id(b), id(c)],
        (Detail::None, "setgroups") => vec![format!("{a} groups")],
        (Detail::None, "fchown") => vec![format!("fd {a}"), id(b), id(c)],
        (Detail::None, "fchmod") => vec![format!("fd {a}"), format!("{b:04o}")],
        (Detail::None, "setpriority") => vec![which(a), id(b), id(c)],
        (Detail::None, "prctl") => vec![prctl(a), format!("{b}")],
        (Detail::None, "setsockopt") => vec![format!("fd {a}"), option(b, c)],
        (Detail::None, "unshare" | "clone") => vec![namespaces(a)],
        (Detail::None, "ioctl") => vec![format!("fd {a}"), request(b)],
        (Detail::None, "setns") => vec![format!("fd {a}"), namespaces(b)],
        (Detail::None, "prlimit64") => vec![id(a), limit(b)],
        (Detail::None, "setrlimit") => vec![limit(a)],
        (Detail::None, _) => Vec::new(),
    }
}

fn set(set: CapSet) -> String {
    if set.is_empty() { "none".to_owned() } else { set.lower_names().to_string() }
}

/// Returns the name of a request of ioctl(2) that asks for a capability, else its number: `asm-generic/ioctls.h`, `linux/fs.h`,
/// `linux/if_tun.h`, `linux/sockios.h`.
fn request(number: u64) -> String {
    const NAMES: [(u64, &str); 14] = [
        (0x4004_54ca, "TUNSETIFF"),
        (0x4004_54cb, "TUNSETPERSIST"),
        (0x4004_54cc, "TUNSETOWNER"),
        (0x4004_54ce, "TUNSETGROUP"),
        (0x4008_6602, "FS_IOC_SETFLAGS"),
        (0x4020_5820, "FS_IOC_FSSETXATTR"),
        (0x5412, "TIOCSTI"),
        (0x541d, "TIOCCONS"),
        (0x4c00, "LOOP_SET_FD"),
        (0x890b, "SIOCADDRT"),
        (0x8914, "SIOCSIFFLAGS"),
        (0x8916, "SIOCSIFADDR"),
        (0x8922, "SIOCSIFMTU"),
        (0x8946, "SIOCETHTOOL"),
    ];
    // The kernel reads the lower half.
    let number = number & 0xffff_ffff;
    NAMES.iter().find(|(known, _)| *known == number).map_or_else(|| format!("request {number:#x}"), |(_, name)| (*name).to_owned())
}

/// Returns the name of a resource of setrlimit(2), by `asm-generic/resource.h`.
fn limit(resource: u64) -> String {
    const NAMES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let name = usize::try_from(resource).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| format!("resource {resource}"), |name| format!("RLIMIT_{name}"))
}

/// Returns a name that a workload gave, for a terminal.
#[must_use]
pub fn safe(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", safe(text))
}

/// An id or a small number that the kernel reads as 32 bits, -1 for "leave it".
#[expect(clippy::cast_possible_truncation, reason = "the kernel reads the lower half")]
const fn signed(value: u64) -> i32 {
    (value as u32).cast_signed()
}

fn open_flags(flags: u64) -> String {
    const CREATE: u64 = 0o100;
    let access = match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    if flags & CREATE == 0 { access.to_owned() } else { format!("{access}|O_CREAT") }
}

fn family(number: u64) -> String {
    named(
        number,
        "AF ",
        &[
            (1, "AF_UNIX"),
            (2, "AF_INET"),
            (10, "AF_INET6"),
            (16, "AF_NETLINK"),
            (17, "AF_PACKET"),
            (38, "AF_ALG"),
            (40, "AF_VSOCK"),
            (44, "AF_XDP"),
        ],
    )
}

fn kind(number: u64) -> String {
    named(number & 0xf, "type ", &[(1, "SOCK_STREAM"), (2, "SOCK_DGRAM"), (3, "SOCK_RAW"), (5, "SOCK_SEQPACKET")])
}

fn protocol(family: u64, number: u64) -> String {
    if !matches!(family, 2 | 10) {
        return number.to_string();
    }
    named(number, "", &[(0, "0"), (1, "ICMP"), (6, "TCP"), (17, "UDP"), (58, "ICMPV6"), (255, "RAW")])
}

fn signal(number: u64) -> String {
    named(
        number,
        "signal ",
        &[
            (0, "0"),
            (1, "SIGHUP"),
            (2, "SIGINT"),
            (3, "SIGQUIT"),
            (9, "SIGKILL"),
            (10, "SIGUSR1"),
            (12, "SIGUSR2"),
            (15, "SIGTERM"),
            (17, "SIGCHLD"),
            (18, "SIGCONT"),
            (19, "SIGSTOP"),
        ],
    )
}

fn which(number: u64) -> String {
    named(number, "", &[(0, "PRIO_PROCESS"), (1, "PRIO_PGRP"), (2, "PRIO_USER")])
}

fn prctl(number: u64) -> String {
    named(
        number,
        "option ",
        &[
            (8, "PR_SET_KEEPCAPS"),
            (23, "PR_CAPBSET_READ"),
            (24, "PR_CAPBSET_DROP"),
            (28, "PR_SET_SECUREBITS"),
            (35, "PR_SET_MM"),
            (47, "PR_CAP_AMBIENT"),
        ],
    )
}

fn option(level: u64, name: u64) -> String {
    match (level, name) {
        (1, 25) => "SO_BINDTODEVICE".to_owned(),
        (1, 32) => "SO_SNDBUFFORCE".to_owned(),
        (1, 33) => "SO_RCVBUFFORCE".to_owned(),
        (1, 36) => "SO_MARK".to_owned(),
        (1, 12) => "SO_PRIORITY".to_owned(),
        (0, 19) => "IP_TRANSPARENT".to_owned(),
        (41, 75) => "IPV6_TRANSPARENT".to_owned(),
        (0, 64) => "IPT_SO_SET_REPLACE".to_owned(),
        _ => format!("level {level}, option {name}"),
    }
}

fn netlink(protocol: Option<i32>, message: u16) -> String {
    let name = match message {
        16 => "RTM_NEWLINK",
        17 => "RTM_DELLINK",
        19 => "RTM_SETLINK",
        20 => "RTM_NEWADDR",
        21 => "RTM_DELADDR",
        24 => "RTM_NEWROUTE",
        25 => "RTM_DELROUTE",
        28 => "RTM_NEWNEIGH",
        32 => "RTM_NEWRULE",
        36 => "RTM_NEWQDISC",
        _ => "",
    };
    let family = protocol.map_or_else(String::new, |number| {
        format!(
            "{}, ",
            named(
                u64::try_from(number).unwrap_or_default(),
                "netlink ",
                &[
                    (0, "NETLINK_ROUTE"),
                    (9, "NETLINK_AUDIT"),
                    (12, "NETLINK_NETFILTER"),
                    (16, "NETLINK_GENERIC"),
                    (4, "NETLINK_SOCK_DIAG"),
                    (6, "NETLINK_XFRM")
                ]
            )
        )
    });
    match (name, protocol) {
        ("", _) | (_, Some(1..)) => format!("{family}message {message}"),
        (name, _) => format!("{family}{name}"),
    }
}

fn namespaces(flags: u64) -> String {
    const NAMES: [(u64, &str); 8] = [
        (0x0002_0000, "CLONE_NEWNS"),
        (0x0200_0000, "CLONE_NEWCGROUP"),
        (0x0400_0000, "CLONE_NEWUTS"),
        (0x0800_0000, "CLONE_NEWIPC"),
        (0x1000_0000, "CLONE_NEWUSER"),
        (0x2000_0000, "CLONE_NEWPID"),
        (0x4000_0000, "CLONE_NEWNET"),
        (0x0000_0080, "CLONE_NEWTIME"),
    ];
    let names: Vec<&str> = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { format!("{flags:#x}") } else { names.join("|") }
}

fn named(number: u64, otherwise: &str, names: &[(u64, &str)]) -> String {
    let known = names.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("{otherwise}{number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_read_as_a_person_would_write_them() {
        let call =
            |syscall: &str, arguments: [u64; 6], detail: Detail| Call { syscall: syscall.to_owned(), arguments, detail, ..Call::default() };
        let path = |path: &str| Detail::Path { path: path.to_owned(), other: None };
        let table = [
            (call("bind", [3, 0, 16, 0, 0, 0], Detail::Address { address: "0.0.0.0:80".to_owned() }), "bind(0.0.0.0:80)"),
            (call("socket", [2, 3, 1, 0, 0, 0], Detail::None), "socket(AF_INET, SOCK_RAW, ICMP)"),
            (call("socket", [17, 0x80003, 768, 0, 0, 0], Detail::None), "socket(AF_PACKET, SOCK_RAW, 768)"),
            (call("chown", [0, 33, 0xffff_ffff, 0, 0, 0], path("/srv")), "chown(\"/srv\", 33, -1)"),
            (call("setresuid", [33, 33, 33, 0, 0, 0], Detail::None), "setresuid(33, 33, 33)"),
            (call("openat", [0, 0, 0x441, 0, 0, 0], path("/var/log/x")), "openat(\"/var/log/x\", O_WRONLY|O_CREAT)"),
            (
                call("sendto", [3, 0, 0, 0, 0, 0], Detail::Netlink { message: 16, protocol: Some(0), payload: Vec::new() }),
                "sendto(NETLINK_ROUTE, RTM_NEWLINK)",
            ),
            (call("kill", [7, 15, 0, 0, 0, 0], Detail::None), "kill(7, SIGTERM)"),
            (call("unshare", [0x1002_0000, 0, 0, 0, 0, 0], Detail::None), "unshare(CLONE_NEWNS|CLONE_NEWUSER)"),
            (call("prlimit64", [0, 7, 0, 0, 0, 0], Detail::None), "prlimit64(0, RLIMIT_NOFILE)"),
        ];
        for (call, expected) in table {
            assert_eq!(operation(&call), expected);
        }
    }

    #[test]
    fn hostile_path_cannot_write_to_the_terminal() {
        let detail = Detail::Path { path: "/\u{1b}[2J\u{202e}x".to_owned(), other: None };
        let call = Call { syscall: "mkdir".to_owned(), detail, ..Call::default() };
        assert_eq!(operation(&call), "mkdir(\"/\\u{1b}[2J\\u{202e}x\")");
    }
}
