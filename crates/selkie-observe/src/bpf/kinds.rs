//! What the arguments of each system call point to: the table that `read_detail` of `bpf/observe.bpf.c` goes by.

use selkie_seccomp::{Arch, syscall};

/// `enum kind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nothing that is read.
    #[default]
    Nothing,
    /// Argument 0 is a path.
    Path0,
    /// Argument 1 is.
    Path1,
    /// Argument 4 is.
    Path4,
    /// Arguments 0 and 1 are.
    Paths01,
    /// Likewise, the second one first: of mount(2) the target matters.
    Paths10,
    /// Arguments 0 and 2.
    Paths02,
    /// Arguments 1 and 3.
    Paths13,
    /// Argument 1 is a socket address, of the length in argument 2; argument 0 a socket.
    Address,
    /// As of sendto(2): a buffer, and perhaps an address.
    SendBuffer,
    /// As of sendmsg(2).
    SendMessage,
    /// As of capset(2).
    Sets,
}

/// `EXECVE`: a bit beside the kind.
const EXECVE: u8 = 0x80;

/// The calls of each kind.
const CALLS: [(Kind, &str); 11] = [
    (
        Kind::Path0,
        "open creat execve mknod mkdir rmdir unlink chown lchown chmod truncate chroot chdir access stat lstat readlink statfs utime \
         utimes umount2 swapon swapoff acct setxattr lsetxattr getxattr lgetxattr listxattr llistxattr removexattr lremovexattr mq_open \
         mq_unlink delete_module uselib",
    ),
    (
        Kind::Path1,
        "openat openat2 execveat mknodat mkdirat unlinkat fchownat fchmodat fchmodat2 faccessat faccessat2 newfstatat statx readlinkat \
         utimensat futimesat quotactl name_to_handle_at open_tree fspick mount_setattr inotify_add_watch setxattrat getxattrat listxattrat \
         removexattrat file_getattr file_setattr",
    ),
    (Kind::Path4, "fanotify_mark"),
    (Kind::Paths01, "rename link symlink pivot_root"),
    (Kind::Paths10, "mount"),
    (Kind::Paths02, "symlinkat"),
    (Kind::Paths13, "renameat renameat2 linkat move_mount"),
    (Kind::Address, "bind connect"),
    (Kind::SendBuffer, "sendto"),
    (Kind::SendMessage, "sendmsg sendmmsg"),
    (Kind::Sets, "capset"),
];

/// How many arguments calls have that can be refused; registers beyond them hold whatever was there.
const ARGUMENTS: [(usize, &str); 6] = [
    (0, "vhangup setsid sync"),
    (
        1,
        "chroot chdir fchdir rmdir unlink setuid setgid setfsuid setfsgid unshare acct swapoff iopl brk userfaultfd adjtimex mlockall \
         syncfs mq_unlink uselib",
    ),
    (
        2,
        "sethostname setdomainname setgroups capset setreuid setregid kill tkill umount2 listen chmod fchmod mkdir rename link symlink \
         access creat swapon setns fsopen pivot_root truncate ftruncate setrlimit stat lstat utime utimes statfs clock_settime \
         settimeofday mlock delete_module removexattr lremovexattr fremovexattr sched_setparam setpgid fanotify_init clock_adjtime \
         clone3 io_uring_setup munmap",
    ),
    (
        3,
        "open chown lchown fchown setresuid setresgid mknod mkdirat socket bind connect sendmsg ioctl fcntl setpriority ioprio_set \
         sched_setscheduler sched_setattr sched_setaffinity init_module finit_module readlink execve tgkill unlinkat fchmodat faccessat \
         symlinkat syslog bpf seccomp open_by_handle_at open_tree write read fsmount fspick mlock2 mprotect shmctl msgctl shmget \
         pidfd_getfd listxattr llistxattr inotify_add_watch ioperm futimesat",
    ),
    (
        4,
        "quotactl reboot ptrace request_key renameat mknodat openat openat2 faccessat2 fchmodat2 utimensat newfstatat prlimit64 \
         kexec_load fallocate semctl io_uring_register getxattr lgetxattr pidfd_send_signal sendmmsg readlinkat mq_open",
    ),
    (
        5,
        "prctl perf_event_open keyctl add_key mount setxattr lsetxattr fsetxattr renameat2 linkat fchownat execveat statx setsockopt \
         getsockopt move_mount fsconfig name_to_handle_at fanotify_mark mremap clone mount_setattr kexec_file_load",
    ),
];

/// Returns how many arguments the call `name` has; 6 for one that is not known.
pub(super) fn arguments(name: &str) -> usize {
    ARGUMENTS.into_iter().find(|(_, names)| names.split_whitespace().any(|one| one == name)).map_or(6, |(count, _)| count)
}

/// Entries of the map `kinds`.
const ENTRIES: u32 = 512;

impl Kind {
    /// Returns the kind of the call `name`.
    pub(super) fn of(name: &str) -> Self {
        CALLS.into_iter().find(|(_, names)| names.split_whitespace().any(|one| one == name)).map_or(Self::Nothing, |(kind, _)| kind)
    }

    /// Returns which arguments are addresses of the caller's memory, whose numbers mean nothing to anybody else.
    pub(super) fn pointers(self) -> &'static [usize] {
        match self {
            Self::Nothing => &[],
            Self::Path0 => &[0],
            Self::Path1 | Self::Address | Self::SendMessage => &[1],
            Self::Path4 => &[4],
            Self::Paths01 | Self::Paths10 | Self::Sets => &[0, 1],
            Self::Paths02 => &[0, 2],
            Self::Paths13 => &[1, 3],
            Self::SendBuffer => &[1, 4],
        }
    }
}

/// Returns what the map `kinds` has to hold for this architecture: number of a call and its byte.
pub(super) fn table() -> Vec<(u32, u8)> {
    let Some(arch) = Arch::native() else { return Vec::new() };
    let names = CALLS.into_iter().flat_map(|(kind, names)| names.split_whitespace().map(move |name| (name, kind)));
    names
        .filter_map(|(name, kind)| {
            let execve = if matches!(name, "execve" | "execveat") { EXECVE } else { 0 };
            Some((syscall::number(arch, name).filter(|number| *number < ENTRIES)?, kind as u8 | execve))
        })
        .collect()
}

/// Returns the name of the call `number`, of the 32-bit table if `compat`; `#NUMBER` for one that is not known.
pub(super) fn name(number: u32, compat: bool) -> String {
    let arch = match Arch::native() {
        Some(Arch::X86_64) if compat => Some(Arch::X86),
        Some(Arch::X86_64) if number & 0x4000_0000 != 0 => Some(Arch::X32),
        Some(Arch::Aarch64) if compat => Some(Arch::Arm),
        native => native,
    };
    arch.and_then(|arch| syscall::name(arch, number)).map_or_else(|| format!("#{number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_table_exists() {
        let names = CALLS.into_iter().map(|(_, names)| names).chain(ARGUMENTS.into_iter().map(|(_, names)| names));
        for name in names.flat_map(str::split_whitespace) {
            assert!(syscall::exists(name), "{name}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn table_marks_what_executes() {
        assert!(table().contains(&(59, EXECVE | Kind::Path0 as u8)));
        assert!(table().contains(&(49, Kind::Address as u8)));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn name_of_a_32_bit_call_is_of_its_own_table() {
        assert_eq!((name(1, false), name(1, true), name(9999, false)), ("write".to_owned(), "exit".to_owned(), "#9999".to_owned()));
        assert_eq!(name(0x4000_0001, false), "write");
    }
}
