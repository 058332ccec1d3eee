//! A filter that shows a tracer the calls that the kernel may refuse for want of a capability: `SECCOMP_RET_TRACE`.
//!
//! It stands beside a container's own filter, of which the strictest answer counts: a call that fails there with an errno is
//! never seen by the tracer, so whoever reads a trace has to ask that filter too. Without a tracer the calls fail with `ENOSYS`.

use std::borrow::Cow;

use selkie_caps::CapSet;

use crate::{
    Action, Applies, Arch, Architectures, CompileError, Condition, Facts, Flags, Operator, Profile, Program, Rule, compile, resolve,
};

/// The calls that are traced whatever their arguments are, by what the kernel asks for.
pub const TRACED: &[&[&str]] = &[
    // Owners, modes, times and attributes: CHOWN, FOWNER, SETFCAP.
    &["chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32"],
    &["chmod", "fchmod", "fchmodat", "fchmodat2", "futimesat", "utime", "utimensat", "utimensat_time64", "utimes"],
    &["fremovexattr", "fsetxattr", "lremovexattr", "lsetxattr", "removexattr", "removexattrat", "setxattr", "setxattrat"],
    // Paths: DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, MKNOD.
    &["creat", "open", "openat", "openat2", "open_by_handle_at", "truncate", "truncate64"],
    &["link", "linkat", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat", "renameat2", "rmdir", "symlink", "symlinkat"],
    &["unlink", "unlinkat"],
    &["access", "chdir", "faccessat", "faccessat2", "fchdir", "readlink", "readlinkat"],
    &["fstatat64", "lstat", "lstat64", "newfstatat", "stat", "stat64", "statfs", "statfs64", "statx"],
    // Sockets: NET_BIND_SERVICE, NET_RAW, NET_ADMIN, AUDIT_WRITE; the receiving calls for the answers of netlink.
    &["bind", "connect", "getsockopt", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg"],
    &["sendto", "setsockopt", "socket"],
    // Ids: SETUID, SETGID, SETPCAP.
    &["setgid", "setgid32", "setgroups", "setgroups32", "setregid", "setregid32", "setresgid", "setresgid32"],
    &["setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32"],
    &["capset", "prctl", "seccomp"],
    // The system: SYS_ADMIN, SYS_CHROOT and the ones of one purpose.
    &["chroot", "clone", "clone3", "pivot_root", "setns", "unshare"],
    &["fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "umount", "umount2"],
    &["setdomainname", "sethostname", "swapoff", "swapon", "quotactl", "quotactl_fd", "acct", "vhangup", "fanotify_init", "fanotify_mark"],
    &["adjtimex", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "settimeofday", "stime"],
    &["timer_create", "timerfd_create", "syslog", "reboot", "kexec_file_load", "kexec_load"],
    &["delete_module", "finit_module", "init_module", "ioperm", "iopl", "bpf", "perf_event_open", "userfaultfd"],
    &["add_key", "keyctl", "request_key"],
    // Other processes and limits: KILL, SYS_PTRACE, SYS_NICE, SYS_RESOURCE.
    &["kill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "tkill"],
    &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
    &["ioprio_set", "nice", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "setpriority"],
    &["mbind", "migrate_pages", "move_pages", "prlimit64", "setrlimit"],
    // Memory and System V objects: IPC_LOCK, IPC_OWNER.
    &["mlock", "mlock2", "mlockall", "msgctl", "msgget", "semctl", "semget", "shmat", "shmctl", "shmget"],
    // Programs: the file capabilities of what is executed.
    &["execve", "execveat"],
];

/// Requests of ioctl(2) and commands of fcntl(2) that are traced: name, mask of the second argument, its value under the mask.
const TRACED_REQUESTS: [(&str, u64, u64); 9] = [
    // Sockets and network devices (`SIOC`).
    ("ioctl", 0xff00, 0x8900),
    // Consoles and keyboards (`KD`, `VT_`), and input for others' terminals (`TIOCSTI`).
    ("ioctl", 0xff00, 0x4b00),
    ("ioctl", 0xff00, 0x5600),
    ("ioctl", 0xffff_ffff, 0x5412),
    // Block devices (`BLK`), and attributes of files (`FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR`).
    ("ioctl", 0xff00, 0x1200),
    ("ioctl", 0xffff_ffff, 0x4008_6602),
    ("ioctl", 0xffff_ffff, 0x401c_5820),
    // `F_SETLEASE` and `F_SETPIPE_SZ`.
    ("fcntl", 0xffff_ffff, 1024),
    ("fcntl", 0xffff_ffff, 1031),
];

/// Returns whether the tracer is shown the call `name`, at least with some arguments.
#[must_use]
pub fn is_traced(name: &str) -> bool {
    TRACED.iter().any(|group| group.contains(&name)) || TRACED_REQUESTS.iter().any(|(traced, ..)| *traced == name)
}

/// Builds the filter for a machine of native architecture `arch`, with the others that its kernel runs.
///
/// # Errors
/// [`CompileError`], never for the lists above.
pub fn trace_filter(arch: Arch) -> Result<Program, CompileError> {
    let rule = |names: &[&'static str], conditions: Vec<Condition>| Rule {
        names: names.iter().map(|name| Cow::Borrowed(*name)).collect(),
        action: Action::Trace(0),
        conditions,
        applies: Applies::default(),
        comment: Cow::Borrowed(""),
    };
    let masked = |mask, value| vec![Condition { index: 1, operator: Operator::MaskedEqual, value: mask, value_two: value }];
    let mut rules: Vec<Rule> = TRACED.iter().map(|group| rule(group, Vec::new())).collect();
    rules.extend(TRACED_REQUESTS.iter().map(|(name, mask, value)| rule(&[name], masked(*mask, *value))));
    let profile = Profile {
        default_action: Action::Allow,
        architectures: Architectures::Listed(companions(arch).to_vec()),
        flags: Flags::default(),
        listener: None,
        rules,
    };
    compile(&resolve(&profile, &Facts { capabilities: CapSet::EMPTY, arch, kernel: None }))
}

/// The architectures whose programs run on the same kernel: a filter kills what it does not know.
const fn companions(arch: Arch) -> &'static [Arch] {
    match arch {
        Arch::X86_64 | Arch::X32 => &[Arch::X86_64, Arch::X86, Arch::X32],
        Arch::X86 => &[Arch::X86],
        Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
        Arch::Arm => &[Arch::Arm],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, simulate, syscall};

    fn answer(native: Arch, arch: Arch, name: &str, arguments: [u64; 6]) -> Action {
        let number = syscall::number(arch, name).unwrap();
        let data = Data { number, arch: arch.token(), instruction_pointer: 0, arguments };
        Action::from_return(simulate(trace_filter(native).unwrap().instructions(), &data).unwrap())
    }

    #[test]
    fn every_name_is_a_system_call_and_is_listed_once() {
        let names: Vec<&str> = TRACED.iter().flat_map(|group| group.iter().copied()).collect();
        let unknown: Vec<&str> = names.iter().copied().filter(|name| !syscall::exists(name)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
        let once: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn every_name_asks_the_tracer_on_every_architecture_that_has_it() {
        for native in [Arch::X86_64, Arch::Aarch64] {
            let program = trace_filter(native).unwrap();
            for (arch, name) in
                companions(native).iter().flat_map(|arch| TRACED.iter().flat_map(|group| group.iter().map(|name| (*arch, *name))))
            {
                let Some(number) = syscall::number(arch, name) else { continue };
                let data = Data { number, arch: arch.token(), ..Data::default() };
                assert_eq!(simulate(program.instructions(), &data), Ok(Action::Trace(0).to_return()), "{name} on {}", arch.name());
            }
        }
    }

    #[test]
    fn busy_calls_go_on_without_the_tracer() {
        for name in ["read", "write", "close", "mmap", "brk", "futex", "epoll_wait", "writev", "accept4", "fstat", "getppid", "exit_group"]
        {
            assert_eq!(answer(Arch::X86_64, Arch::X86_64, name, [0; 6]), Action::Allow, "{name}");
        }
    }

    #[test]
    fn ioctl_asks_the_tracer_by_its_request() {
        let ioctl = |request| answer(Arch::X86_64, Arch::X86_64, "ioctl", [3, request, 0, 0, 0, 0]);
        assert_eq!([0x8914, 0x5412, 0x4b3a, 0x4008_6602].map(ioctl), [Action::Trace(0); 4]);
        assert_eq!([0x5401, 0x5413, 0x5421].map(ioctl), [Action::Allow; 3]);
    }

    #[test]
    fn fcntl_asks_the_tracer_by_its_command() {
        let fcntl = |command| answer(Arch::X86_64, Arch::X86_64, "fcntl", [3, command, 0, 0, 0, 0]);
        assert_eq!([1024, 1031].map(fcntl), [Action::Trace(0); 2]);
        assert_eq!([1, 2, 4].map(fcntl), [Action::Allow; 3]);
    }

    #[test]
    fn sockets_of_i386_are_seen_behind_their_multiplexer() {
        assert_eq!(answer(Arch::X86_64, Arch::X86, "socketcall", [2, 0, 0, 0, 0, 0]), Action::Trace(0));
        assert_eq!(answer(Arch::X86_64, Arch::X86, "socketcall", [5, 0, 0, 0, 0, 0]), Action::Allow);
    }
}
