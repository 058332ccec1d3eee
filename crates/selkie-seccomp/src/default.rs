//! The built-in profile: that of containers-common, except where [`DIFFERENCES`] says why not.
//!
//! A table in the program and not JSON, because it is built at every start of a container. Held to the installed
//! `/usr/share/containers/seccomp.json` by a test, call by call.

use std::borrow::Cow;

use selkie_caps::{CapSet, Capability};

use crate::{Action, Applies, Arch, Architectures, Condition, Flags, Profile, Rule};

/// What the built-in profile leaves open on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct DefaultOptions {
    /// New user namespaces, for sandboxes and containers inside.
    pub nested_userns: bool,
    /// `socketcall` of i386, for 32-bit programs that know no other way to a socket.
    pub socketcall: bool,
}

/// One way in which the built-in profile is stricter than that of containers-common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The system calls that it is about.
    pub syscalls: &'static [&'static str],
    /// What is different.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
}

/// All ways in which the built-in profile differs from that of containers-common.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        syscalls: &["clone", "unshare"],
        what: "a new user namespace (`CLONE_NEWUSER`) fails with EPERM without CAP_SYS_ADMIN",
        why: "in it a process holds every capability again, whatever `--cap-drop` took: it mounts, and reaches kernel code that only root should",
    },
    Difference {
        syscalls: &["clone3"],
        what: "clone3 fails with ENOSYS without CAP_SYS_ADMIN",
        why: "its flags are in memory, where a filter cannot see them; C libraries then fall back to clone",
    },
    Difference {
        syscalls: &["setns"],
        what: "setns fails with EPERM without CAP_SYS_ADMIN",
        why: "containers-common says so too, but its general list comes first and allows it; entering a user namespace gives its capabilities",
    },
    Difference {
        syscalls: &["socket"],
        what: "AF_ALG and AF_VSOCK sockets fail with EPERM, families above 63 with ENOSYS, and the upper half of the family does not count",
        why: "AF_VSOCK reaches the hypervisor past the network namespace, AF_ALG has had exploitable bugs; the kernel itself reads the lower half only",
    },
    Difference {
        syscalls: &["socketcall"],
        what: "socketcall of i386 fails with EPERM",
        why: "it opens any socket with arguments that a filter cannot see; i386 has had direct calls since Linux 4.3",
    },
    Difference {
        syscalls: &["add_key", "keyctl", "request_key"],
        what: "the calls of kernel keyrings fail with EPERM",
        why: "keyrings belong to users and not to containers, so that containers of one user would share keys",
    },
];

impl Profile {
    /// Returns the built-in profile.
    #[must_use]
    pub fn default_profile() -> Self {
        Self::default_profile_with(DefaultOptions::default())
    }

    /// Returns the built-in profile with `options`.
    #[must_use]
    pub fn default_profile_with(options: DefaultOptions) -> Self {
        let mut rules = vec![rule(EPERM, REFUSE), rule(ALLOWED, Action::Allow)];
        rules.extend(PERSONALITIES.map(|persona| rule("personality", Action::Allow).when(&[Condition::equal(0, persona)])));
        rules.extend([
            rule("arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2", Action::Allow)
                .on(&["arm", "arm64"]),
            rule("arch_prctl", Action::Allow).on(&["amd64", "x32"]),
            rule("modify_ldt", Action::Allow).on(&["amd64", "x32", "x86"]),
        ]);
        rules.extend(GATED.iter().flat_map(|(capability, names)| gate(names, *capability)));
        rules.extend(user_namespaces(options.nested_userns));
        // Before the rules of `socket`: libseccomp makes those count for `socketcall` too, unless that is settled already.
        rules.push(if options.socketcall {
            rule("socketcall", Action::Allow)
        } else {
            rule("socketcall", REFUSE).saying("it hides which socket is opened")
        });
        rules.extend(sockets());
        rules.push(rule("add_key keyctl request_key", REFUSE).saying("keyrings are shared by all containers of a user"));
        Self {
            default_action: Action::Errno(ENOSYS),
            architectures: Architectures::Map(vec![(Arch::X86_64, vec![Arch::X86, Arch::X32]), (Arch::Aarch64, vec![Arch::Arm])]),
            flags: Flags::default(),
            listener: None,
            rules,
        }
    }
}

const EPERM_ERRNO: u16 = 1;
const EINVAL: u16 = 22;
const ENOSYS: u16 = 38;
const REFUSE: Action = Action::Errno(EPERM_ERRNO);
const CLONE_NEWUSER: u64 = 0x1000_0000;
const INT: u64 = 0xffff_ffff;
const AF_NETLINK: u64 = 16;
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
const NETLINK_AUDIT: u64 = 9;

/// `PER_LINUX`, `PER_LINUX32`, `UNAME26` with each, and the question which one it is.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, INT];

/// Allowed with the capability, otherwise EPERM.
const GATED: &[(Capability, &str)] = &[
    (Capability::DacReadSearch, "open_by_handle_at"),
    (Capability::SysAdmin, "bpf fanotify_init lookup_dcookie perf_event_open quotactl setdomainname sethostname"),
    (Capability::SysChroot, "chroot"),
    (Capability::SysModule, "delete_module finit_module init_module query_module"),
    (Capability::SysPacct, "acct"),
    (Capability::SysPtrace, "kcmp process_madvise"),
    (Capability::SysRawio, "ioperm iopl"),
    (Capability::SysTime, "clock_settime clock_settime64 settimeofday stime"),
    (Capability::SysTtyConfig, "vhangup"),
];

fn user_namespaces(nested: bool) -> Vec<Rule> {
    if nested {
        return vec![rule("clone clone3 setns unshare", Action::Allow)];
    }
    let creators = "clone unshare";
    let admin = CapSet::EMPTY.with(Capability::SysAdmin);
    let refused = "a new user namespace would give every capability back";
    let mut rules = vec![
        rule("clone clone3 unshare", Action::Allow).with(admin),
        rule(creators, Action::Allow).when(&[Condition::masked(0, CLONE_NEWUSER, 0)]).without(admin),
        rule(creators, REFUSE).when(&[Condition::masked(0, CLONE_NEWUSER, CLONE_NEWUSER)]).without(admin).saying(refused),
        rule("clone3", Action::Errno(ENOSYS)).without(admin).saying("a filter cannot see its flags; clone does the same"),
    ];
    rules.extend(gate("setns", Capability::SysAdmin));
    rules
}

/// Compares the lower half only, as the kernel does: otherwise a set upper half would get any family past the filter.
fn sockets() -> Vec<Rule> {
    let audit = CapSet::EMPTY.with(Capability::AuditWrite);
    let family = |family| Condition::masked(0, INT, family);
    let socket = |action, conditions: &[Condition]| rule("socket", action).when(conditions);
    let mut rules = vec![
        socket(Action::Allow, &[family(AF_NETLINK)]).with(audit),
        socket(Action::Errno(EINVAL), &[family(AF_NETLINK), Condition::equal(2, NETLINK_AUDIT)]).without(audit),
        socket(Action::Allow, &[family(AF_NETLINK), Condition::not_equal(2, NETLINK_AUDIT)]).without(audit),
        socket(REFUSE, &[family(AF_ALG)]).saying("AF_ALG has had exploitable bugs"),
        socket(REFUSE, &[family(AF_VSOCK)]).saying("AF_VSOCK reaches past the network namespace"),
    ];
    let other = |family: u64| ![AF_NETLINK, AF_ALG, AF_VSOCK].contains(&family);
    rules.extend(
        blocks(0, 64, &other).into_iter().map(|(first, size)| socket(Action::Allow, &[Condition::masked(0, INT & !(size - 1), first)])),
    );
    rules
}

/// Returns the largest aligned blocks (first, size) of the numbers in `first..first + size` that are all `wanted`: one masked comparison each.
fn blocks(first: u64, size: u64, wanted: &dyn Fn(u64) -> bool) -> Vec<(u64, u64)> {
    if (first..first + size).all(wanted) {
        return vec![(first, size)];
    }
    if size == 1 {
        return Vec::new();
    }
    let half = size / 2;
    let mut found = blocks(first, half, wanted);
    found.extend(blocks(first + half, half, wanted));
    found
}

fn gate(names: &'static str, capability: Capability) -> [Rule; 2] {
    let set = CapSet::EMPTY.with(capability);
    [rule(names, Action::Allow).with(set), rule(names, REFUSE).without(set)]
}

/// A rule about the calls `names`, which stand between blanks: a list of strings would hold pointers, see the table of system calls.
fn rule(names: &'static str, action: Action) -> Rule {
    let names = names.split_ascii_whitespace().map(Cow::Borrowed).collect();
    Rule { names, action, conditions: Vec::new(), applies: Applies::default(), comment: Cow::Borrowed("") }
}

impl Rule {
    fn when(mut self, conditions: &[Condition]) -> Self {
        self.conditions = conditions.to_vec();
        self
    }

    fn with(mut self, capabilities: CapSet) -> Self {
        self.applies.with = capabilities;
        self
    }

    fn without(mut self, capabilities: CapSet) -> Self {
        self.applies.without = capabilities;
        self
    }

    fn on(mut self, arches: &[&'static str]) -> Self {
        self.applies.arches = arches.iter().map(|arch| Cow::Borrowed(*arch)).collect();
        self
    }

    fn saying(mut self, comment: &'static str) -> Self {
        self.comment = Cow::Borrowed(comment);
        self
    }
}

/// Refused so that programs see a refusal and not an old kernel.
#[rustfmt::skip]
const EPERM: &str = "\
    bdflush io_pgetevents kexec_file_load kexec_load migrate_pages move_pages nfsservctl nice oldfstat oldlstat \
    oldolduname oldstat olduname pciconfig_iobase pciconfig_read pciconfig_write sgetmask ssetmask swapcontext swapoff \
    swapon sysfs uselib userfaultfd ustat vm86 vm86old vmsplice";

/// Allowed with any arguments and capabilities.
#[rustfmt::skip]
const ALLOWED: &str = "\
    _llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown chown32 clock_adjtime \
    clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 \
    close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old \
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat \
    faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat fcntl \
    fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat fstat64 \
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_time64 futimesat get_mempolicy get_robust_list \
    get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups \
    getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid \
    getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr \
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit \
    ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 \
    lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise mbind membarrier \
    memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mount mount_setattr \
    move_mount mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
    mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at \
    nanosleep newfstatat open open_tree openat openat2 pause pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 \
    pivot_root pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 \
    process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read \
    readahead readdir readlink readlinkat readv reboot recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages \
    removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask \
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo \
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler \
    sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg \
    sendto set_mempolicy set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid \
    setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid \
    setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget \
    shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketpair splice \
    stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs syscall sysinfo syslog tee tgkill time \
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd \
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 \
    ugetrlimit umask umount umount2 uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork wait4 waitid \
    waitpid write writev";
