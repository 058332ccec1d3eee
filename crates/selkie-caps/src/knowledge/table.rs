//! The texts of [`Knowledge`], one entry a capability, in the kernel's order.
//!
//! Sources: capabilities(7), the sources of Linux 6.18, and stacks recorded from about thirty real workloads.

use super::{Danger, Knowledge, Operation};
use crate::Capability;

/// Returns the entry of `capability`.
pub(super) const fn of(capability: Capability) -> &'static Knowledge {
    match capability {
        Capability::Chown => &CHOWN,
        Capability::DacOverride => &DAC_OVERRIDE,
        Capability::DacReadSearch => &DAC_READ_SEARCH,
        Capability::Fowner => &FOWNER,
        Capability::Fsetid => &FSETID,
        Capability::Kill => &KILL,
        Capability::Setgid => &SETGID,
        Capability::Setuid => &SETUID,
        Capability::Setpcap => &SETPCAP,
        Capability::LinuxImmutable => &LINUX_IMMUTABLE,
        Capability::NetBindService => &NET_BIND_SERVICE,
        Capability::NetBroadcast => &NET_BROADCAST,
        Capability::NetAdmin => &NET_ADMIN,
        Capability::NetRaw => &NET_RAW,
        Capability::IpcLock => &IPC_LOCK,
        Capability::IpcOwner => &IPC_OWNER,
        Capability::SysModule => &SYS_MODULE,
        Capability::SysRawio => &SYS_RAWIO,
        Capability::SysChroot => &SYS_CHROOT,
        Capability::SysPtrace => &SYS_PTRACE,
        Capability::SysPacct => &SYS_PACCT,
        Capability::SysAdmin => &SYS_ADMIN,
        Capability::SysBoot => &SYS_BOOT,
        Capability::SysNice => &SYS_NICE,
        Capability::SysResource => &SYS_RESOURCE,
        Capability::SysTime => &SYS_TIME,
        Capability::SysTtyConfig => &SYS_TTY_CONFIG,
        Capability::Mknod => &MKNOD,
        Capability::Lease => &LEASE,
        Capability::AuditWrite => &AUDIT_WRITE,
        Capability::AuditControl => &AUDIT_CONTROL,
        Capability::Setfcap => &SETFCAP,
        Capability::MacOverride => &MAC_OVERRIDE,
        Capability::MacAdmin => &MAC_ADMIN,
        Capability::Syslog => &SYSLOG,
        Capability::WakeAlarm => &WAKE_ALARM,
        Capability::BlockSuspend => &BLOCK_SUSPEND,
        Capability::AuditRead => &AUDIT_READ,
        Capability::Perfmon => &PERFMON,
        Capability::Bpf => &BPF,
        Capability::CheckpointRestore => &CHECKPOINT_RESTORE,
    }
}

const CHOWN: Knowledge = Knowledge {
    capability: Capability::Chown,
    summary: "give files to other users and groups",
    allows: "Change the owner and the group of any file that the process can reach, whoever owns it. Without it the owner may \
        change the group only, and only to a group of their own. A change of owner clears set-user-ID, set-group-ID and file \
        capabilities, so that it does not make a privileged program by itself.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[Operation {
        what: "change owner or group of a file",
        syscalls: &["chown", "fchown", "fchownat", "lchown"],
        sites: &["setattr_prepare", "chown_ok", "chgrp_ok"],
    }],
    cheaper: "Set ownership when the image is built (COPY --chown), mount volumes with the right owner (`:U`, idmapped mounts), or \
        run as the owning user from the start.",
};

const DAC_OVERRIDE: Knowledge = Knowledge {
    capability: Capability::DacOverride,
    summary: "read, write and execute files regardless of their permissions",
    allows: "Skip the permission bits and ACLs of every file and directory in reach: read and write all, search all directories, \
        create and delete anywhere, execute what has at least one execute bit. It does not reach files that the mount \
        namespace does not show, and read-only mounts stay read-only. It is what makes uid 0 feel like root on files.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "open, search or change what the permission bits forbid",
            syscalls: &[
                "open",
                "openat",
                "openat2",
                "access",
                "faccessat",
                "faccessat2",
                "unlink",
                "unlinkat",
                "rename",
                "renameat2",
                "mkdir",
                "mkdirat",
            ],
            sites: &["generic_permission", "capable_wrt_inode_uidgid"],
        },
        Operation { what: "connect to a socket file without write permission", syscalls: &["connect"], sites: &["generic_permission"] },
    ],
    cheaper: "Give the files to the user that the program runs as, add that user to the group that may read them (`--group-add`), or \
        use DAC_READ_SEARCH when reading is all it does.",
};

const DAC_READ_SEARCH: Knowledge = Knowledge {
    capability: Capability::DacReadSearch,
    summary: "read every file and search every directory, also by file handle",
    allows: "Skip the permission bits for reading files and searching directories, and open files by handle (open_by_handle_at), \
        which needs no path. It gives no write access. The handle is the dangerous part: a handle names an inode of a whole \
        file system, not of the part that a container sees.",
    danger: Danger::Critical,
    host_root: Some(
        "With open_by_handle_at it opens any file of a file system of which one file or directory is visible, such as a bind- \
        mounted /etc/hosts or a volume: the host's shadow file and ssh keys can be read. The root of a user namespace of its \
        own, to which Linux 6.11 opened the call too, stays below mounts of its own.",
    ),
    operations: &[
        Operation {
            what: "read files or list directories that the permission bits forbid",
            syscalls: &["open", "openat", "openat2", "readlink", "execve"],
            sites: &["generic_permission"],
        },
        Operation {
            what: "open a file by its handle",
            syscalls: &["open_by_handle_at"],
            sites: &["may_decode_fh", "do_handle_open", "handle_to_path"],
        },
        Operation { what: "make a link to an open file without a name", syscalls: &["linkat"], sites: &["do_linkat"] },
    ],
    cheaper: "Read as the owner or through a group. A backup program needs it; then mount only what it backs up, and keep \
        open_by_handle_at out of its seccomp profile.",
};

const FOWNER: Knowledge = Knowledge {
    capability: Capability::Fowner,
    summary: "act as the owner of every file",
    allows: "Do what is otherwise left to a file's owner: change its mode, times, ACLs and attributes, set flags with chattr, and \
        delete or rename the files of others in sticky directories such as /tmp. It gives no access to the content, but the \
        mode can be changed and then the content is open.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "change mode, times or ACLs of a file of another user",
            syscalls: &["chmod", "fchmod", "fchmodat", "fchmodat2", "utimensat", "utimes", "setxattr", "lsetxattr", "fsetxattr"],
            sites: &["setattr_prepare", "inode_owner_or_capable", "posix_acl_xattr_set", "set_posix_acl", "vfs_set_acl"],
        },
        Operation {
            what: "delete or rename in a sticky directory",
            syscalls: &["unlink", "unlinkat", "rename", "renameat2", "rmdir"],
            sites: &["__check_sticky", "may_delete"],
        },
        Operation {
            what: "open with O_NOATIME",
            syscalls: &["open", "openat", "openat2", "fcntl"],
            sites: &["may_open", "inode_owner_or_capable", "setfl", "do_fcntl"],
        },
    ],
    cheaper: "Run as the owner of the files. Package managers and `tar -p` ask for it as root; at run time few services do.",
};

const FSETID: Knowledge = Knowledge {
    capability: Capability::Fsetid,
    summary: "keep set-id bits when a file changes",
    allows: "Keep the set-user-ID and set-group-ID bits of a file when its content or mode is changed, and set set-group-ID on a \
        file whose group is not one's own. Without it the kernel clears the bits, so that nobody can put new content into a \
        privileged program.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "chmod g+s with a foreign group",
            syscalls: &["chmod", "fchmod", "fchmodat", "fchmodat2"],
            sites: &["setattr_prepare", "setattr_copy", "mode_strip_sgid"],
        },
        Operation {
            what: "write to a set-id file without losing the bits",
            syscalls: &["write", "pwrite64", "truncate", "ftruncate", "fallocate"],
            sites: &["setattr_should_drop_suidgid", "setattr_should_drop_sgid"],
        },
        Operation {
            what: "create a set-group-ID file in a set-group-ID directory",
            syscalls: &["open", "openat", "mknod", "mknodat"],
            sites: &["mode_strip_sgid"],
        },
    ],
    cheaper: "Nothing replaces it where set-id programs are installed; do that in the image. A service hardly ever needs it.",
};

const KILL: Knowledge = Knowledge {
    capability: Capability::Kill,
    summary: "signal processes of other users",
    allows: "Send any signal to any process in the process' PID namespace, whatever its user. Without it the real or effective uid \
        must equal the real or saved uid of the target. What is outside the PID namespace stays out of reach.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "signal a process of another user",
            syscalls: &["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"],
            sites: &["check_kill_permission", "kill_ok_by_cred"],
        },
        Operation { what: "take the console's keyboard signals (KDSIGACCEPT)", syscalls: &["ioctl"], sites: &["vt_k_ioctl", "vt_ioctl"] },
    ],
    cheaper: "Let the supervisor run as the same user as its workers, or keep a saved uid of 0 while it is root anyway. An init that \
        only forwards signals to its own children of the same user needs nothing.",
};

const SETGID: Knowledge = Knowledge {
    capability: Capability::Setgid,
    summary: "take any group id",
    allows: "Set real, effective and saved group ids and the supplementary groups to any value, pass any gid in socket credentials, \
        and write gid maps of a child user namespace. It is how a service that starts as root becomes its own group; with it a \
        process can also be in group 0, disk, shadow or docker of its own mount namespace.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "change group ids",
            syscalls: &["setgid", "setregid", "setresgid", "setfsgid"],
            sites: &["__sys_setgid", "__sys_setregid", "__sys_setresgid", "__sys_setfsgid"],
        },
        Operation {
            what: "set supplementary groups",
            syscalls: &["setgroups"],
            sites: &["__do_sys_setgroups", "__x64_sys_setgroups", "may_setgroups"],
        },
        Operation { what: "send a foreign gid in SCM_CREDENTIALS", syscalls: &["sendmsg"], sites: &["scm_check_creds", "__scm_send"] },
        Operation { what: "write gid_map", syscalls: &["write"], sites: &["map_write", "new_idmap_permitted"] },
    ],
    cheaper: "Start as the right user and groups (`--user uid:gid`, `--group-add`), so that nothing has to be changed.",
};

const SETUID: Knowledge = Knowledge {
    capability: Capability::Setuid,
    summary: "take any user id",
    allows: "Set real, effective, saved and file-system user ids to any value, pass any uid in socket credentials, and write uid \
        maps of a child user namespace. It is how a service that starts as root drops to its own user; until it has, it can \
        become any user of its user namespace, root included, and then owns root's files. Becoming uid 0 restores no \
        capabilities by itself: the permitted set stays, and execve gives what the bounding set allows.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "change user ids",
            syscalls: &["setuid", "setreuid", "setresuid", "setfsuid"],
            sites: &["__sys_setuid", "__sys_setreuid", "__sys_setresuid", "__sys_setfsuid"],
        },
        Operation { what: "send a foreign uid in SCM_CREDENTIALS", syscalls: &["sendmsg"], sites: &["scm_check_creds", "__scm_send"] },
        Operation { what: "write uid_map", syscalls: &["write"], sites: &["map_write", "new_idmap_permitted"] },
    ],
    cheaper: "Start as the right user (`--user`); with ambient capabilities that user can still bind low ports or open raw sockets. \
        Servers that switch users themselves (nginx, sshd, postfix) need it.",
};

const SETPCAP: Knowledge = Knowledge {
    capability: Capability::Setpcap,
    summary: "change what later programs may hold",
    allows: "Take capabilities out of the bounding set, make inheritable what is in the bounding set though not permitted, and set \
        the securebits. Each of these can only pass on or reduce what the bounding set holds; nothing enters the permitted set \
        by it. Giving capabilities to other processes, which old texts ascribe to it, left Linux when file capabilities came.",
    danger: Danger::Low,
    host_root: None,
    operations: &[
        Operation { what: "drop from the bounding set", syscalls: &["prctl"], sites: &["cap_task_prctl", "cap_prctl_drop"] },
        Operation { what: "make inheritable what is not permitted", syscalls: &["capset"], sites: &["cap_capset", "cap_inh_is_capped"] },
        Operation { what: "set securebits", syscalls: &["prctl"], sites: &["cap_task_prctl"] },
    ],
    cheaper: "Let the engine set bounding set and securebits before it starts the program. Only programs that drop privileges \
        themselves (systemd, sudo-like tools, capsh) ask for it, and most go on without.",
};

const LINUX_IMMUTABLE: Knowledge = Knowledge {
    capability: Capability::LinuxImmutable,
    summary: "set the immutable and append-only flags of files",
    allows: "Set and clear the inode flags `i` (immutable) and `a` (append-only) that chattr shows. An immutable file can be \
        neither changed nor deleted, not even by root; logs are made append-only with it. Whoever holds it can undo such \
        protection.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "chattr +i, -i, +a, -a",
        syscalls: &["ioctl"],
        sites: &["vfs_fileattr_set", "fileattr_set_prepare", "ioctl_setflags"],
    }],
    cheaper: "Use a read-only mount, which needs no capability inside the container.",
};

const NET_BIND_SERVICE: Knowledge = Knowledge {
    capability: Capability::NetBindService,
    summary: "listen on ports below 1024",
    allows: "Bind a TCP, UDP or SCTP socket to a port below net.ipv4.ip_unprivileged_port_start (1024 unless changed), in the \
        process' own network namespace. It opens nothing else: no raw packets, no ports of the host unless the container \
        shares its network.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "bind a port below 1024",
        syscalls: &["bind"],
        sites: &["__inet_bind", "__inet6_bind", "inet_port_requires_bind_service"],
    }],
    cheaper: "`--sysctl net.ipv4.ip_unprivileged_port_start=80` (it belongs to the network namespace), or listen on 8080 and publish \
        it as 80 (`-p 80:8080`).",
};

const NET_BROADCAST: Knowledge = Knowledge {
    capability: Capability::NetBroadcast,
    summary: "nothing: the kernel never asks for it",
    allows: "The name was set aside for broadcasting and listening to multicast. Today's kernel asks for it nowhere: sending to \
        broadcast addresses takes the SO_BROADCAST socket option, which anyone may set, and joining multicast groups is free.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation { what: "nothing", syscalls: &[], sites: &[] }],
    cheaper: "Drop it: nothing can break.",
};

const NET_ADMIN: Knowledge = Knowledge {
    capability: Capability::NetAdmin,
    summary: "configure the network",
    allows: "Configure interfaces, addresses, routes, firewall (nftables, iptables), traffic control, tunnels and bridges of the \
        process' network namespace; bind to foreign addresses (transparent proxy), set promiscuous mode, privileged socket \
        options (SO_MARK, SO_PRIORITY above 6, SO_RCVBUFFORCE) and namespace sysctls. In a network namespace of its own it \
        ends there. With the host's network it redirects or reads the traffic of the whole machine. It also opens a large part \
        of kernel code (netfilter, qdiscs) that has often held exploitable bugs.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation {
            what: "create or change an interface (`ip link add`)",
            syscalls: &["sendto", "sendmsg", "ioctl"],
            sites: &["rtnetlink_rcv_msg", "rtnl_link_get_net_capable", "netlink_net_capable", "dev_ioctl"],
        },
        Operation {
            what: "change the firewall",
            syscalls: &["sendto", "sendmsg", "setsockopt"],
            sites: &["nfnetlink_rcv", "do_ipt_set_ctl", "do_arpt_set_ctl"],
        },
        Operation {
            what: "privileged socket options",
            syscalls: &["setsockopt"],
            sites: &["sk_setsockopt", "do_ip_setsockopt", "ipv6_setsockopt"],
        },
        Operation {
            what: "create a tun or tap device",
            syscalls: &["ioctl"],
            sites: &["tun_set_iff", "__tun_chr_ioctl", "tun_not_capable"],
        },
        Operation { what: "write /proc/sys/net", syscalls: &["open", "openat", "write"], sites: &["net_ctl_permissions"] },
    ],
    cheaper: "Let the engine set up the network: `--network`, `--sysctl net...`, `-p`. For a VPN give the tun device and this \
        capability to that container only. Reading addresses and routes needs nothing.",
};

const NET_RAW: Knowledge = Knowledge {
    capability: Capability::NetRaw,
    summary: "send and receive raw packets",
    allows: "Open raw and packet sockets: build any packet, with forged addresses, and see what arrives at the namespace's \
        interfaces. On a bridge shared with other containers that allows ARP and DNS spoofing of neighbours. It also binds \
        sockets to foreign addresses (IP_TRANSPARENT) and to devices.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation { what: "open a raw socket (ping, nmap)", syscalls: &["socket"], sites: &["inet_create", "inet6_create"] },
        Operation { what: "open a packet socket (tcpdump, dhclient, arping)", syscalls: &["socket"], sites: &["packet_create"] },
        Operation {
            what: "bind to a device or be a transparent proxy",
            syscalls: &["setsockopt"],
            sites: &["sk_setsockopt", "do_ip_setsockopt", "sock_bindtoindex"],
        },
    ],
    cheaper: "For ping: `--sysctl net.ipv4.ping_group_range=\"0 2147483647\"` opens ICMP echo sockets to everyone. Since Linux 5.7 \
        binding an unbound socket to a device needs nothing.",
};

const IPC_LOCK: Knowledge = Knowledge {
    capability: Capability::IpcLock,
    summary: "lock memory beyond the limit",
    allows: "Lock any amount of memory into RAM, past RLIMIT_MEMLOCK, and use huge pages for shared memory without being in the \
        group that may. Locked memory is never swapped, so that keys do not reach the disk; too much of it starves the \
        machine, as far as the memory cgroup lets it.",
    danger: Danger::Low,
    host_root: None,
    operations: &[
        Operation {
            what: "lock memory past the limit",
            syscalls: &["mlock", "mlock2", "mlockall", "mmap", "mremap"],
            sites: &["can_do_mlock", "user_shm_lock"],
        },
        Operation {
            what: "huge pages for shared memory",
            syscalls: &["shmget", "mmap", "memfd_create"],
            sites: &["can_do_hugetlb_shm", "hugetlb_file_setup"],
        },
        Operation {
            what: "pin memory for io_uring, RDMA, BPF or perf past the limit",
            syscalls: &["io_uring_setup", "perf_event_open", "bpf"],
            sites: &["io_uring_create", "__x64_sys_io_uring_setup", "io_uring_setup", "ib_umem_get", "perf_mmap"],
        },
    ],
    cheaper: "`--ulimit memlock=-1`, which lifts the limit without the capability.",
};

const IPC_OWNER: Knowledge = Knowledge {
    capability: Capability::IpcOwner,
    summary: "use System V IPC objects of others",
    allows: "Skip the permissions of System V shared memory segments, semaphores and message queues in the process' IPC namespace. \
        (POSIX shared memory lives in files, where the DAC capabilities count.) With an IPC namespace of its own there are no \
        others' objects to reach.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "use foreign shared memory, semaphores or queues",
        syscalls: &["shmat", "shmctl", "semop", "semctl", "msgsnd", "msgrcv", "msgctl"],
        sites: &["ipcperms"],
    }],
    cheaper: "Run the partners as the same user or group, or give the objects a wider mode.",
};

const SYS_MODULE: Knowledge = Knowledge {
    capability: Capability::SysModule,
    summary: "load kernel modules",
    allows: "Load and unload kernel modules. A module is kernel code: nothing limits what it does. It counts in the initial user \
        namespace only. What the kernel loads by itself, for a protocol or a file system, is another matter and asks for \
        nothing, or for NET_ADMIN where a network driver is meant.",
    danger: Danger::Critical,
    host_root: Some(
        "Load a module of one's own: it runs in the kernel and starts any program as host root. Only a kernel that insists on \
        signed modules (or /proc/sys/kernel/modules_disabled) is in the way.",
    ),
    operations: &[
        Operation {
            what: "load a module",
            syscalls: &["init_module", "finit_module"],
            sites: &["may_init_module", "__x64_sys_finit_module", "__x64_sys_init_module"],
        },
        Operation { what: "unload a module", syscalls: &["delete_module"], sites: &["__do_sys_delete_module", "__x64_sys_delete_module"] },
        Operation { what: "autoload a network driver by interface name", syscalls: &["ioctl"], sites: &["dev_load"] },
    ],
    cheaper: "Load the modules on the host before the container starts (modules-load.d); `-v /lib/modules:ro` alone does no harm.",
};

const SYS_RAWIO: Knowledge = Knowledge {
    capability: Capability::SysRawio,
    summary: "touch hardware directly",
    allows: "Use I/O ports (iopl, ioperm), open /dev/mem, /dev/port, /proc/kcore and model-specific registers, send raw SCSI \
        commands, and map memory below vm.mmap_min_addr. The device files have to be visible and allowed by the device cgroup; \
        ports need no file.",
    danger: Danger::Critical,
    host_root: Some(
        "Through I/O ports or PCI configuration a device can be told to write anywhere in memory; with /dev/mem, /dev/port, msr \
        or a raw disk visible the way is shorter. Lockdown mode closes most of these.",
    ),
    operations: &[
        Operation { what: "I/O ports", syscalls: &["iopl", "ioperm"], sites: &["ksys_ioperm", "__do_sys_iopl", "__x64_sys_iopl"] },
        Operation {
            what: "open /dev/mem, /dev/port, /proc/kcore or msr",
            syscalls: &["open", "openat"],
            sites: &["open_port", "open_kcore", "msr_open"],
        },
        Operation { what: "raw commands to disks", syscalls: &["ioctl"], sites: &["scsi_cmd_allowed", "sg_ioctl"] },
        Operation { what: "find a file's blocks on the disk (FIBMAP)", syscalls: &["ioctl"], sites: &["ioctl_fibmap", "do_vfs_ioctl"] },
        Operation { what: "map memory at low addresses", syscalls: &["mmap", "mremap", "shmat"], sites: &["cap_mmap_addr"] },
    ],
    cheaper: "Give the one device that is needed (`--device`); most drivers for user programs (GPIO, I2C, VFIO, DRI) ask for no \
        capability.",
};

const SYS_CHROOT: Knowledge = Knowledge {
    capability: Capability::SysChroot,
    summary: "change the root directory, and enter mount namespaces",
    allows: "Call chroot, and enter an existing mount namespace with setns (together with SYS_ADMIN). A process that can chroot can \
        also walk out of an earlier chroot, so a chroot confines only those without this capability; a container's root is a \
        mount namespace with pivot_root and is not left that way.",
    danger: Danger::Low,
    host_root: None,
    operations: &[
        Operation { what: "chroot", syscalls: &["chroot"], sites: &["__x64_sys_chroot", "__arm64_sys_chroot", "ksys_chroot"] },
        Operation { what: "enter a mount namespace", syscalls: &["setns"], sites: &["mntns_install"] },
    ],
    cheaper: "A daemon that confines itself by chroot (sshd, postfix, named) needs it, and in a container gains little: turn its own \
        chroot off where that can be done.",
};

const SYS_PTRACE: Knowledge = Knowledge {
    capability: Capability::SysPtrace,
    summary: "trace and read every process",
    allows: "Attach to, read and write any process of the PID namespace whose capabilities are in reach, whatever its user: ptrace, \
        process_vm_readv and writev, /proc/PID/mem, environ, fd and maps, pidfd_getfd, kcmp. Tracing one's own children or \
        same-user processes needs nothing (Yama permitting).",
    danger: Danger::Critical,
    host_root: Some(
        "With the host's PID namespace (`--pid host`) it injects code into any root process of the host. In a PID namespace of \
        its own it reaches the processes there only, such as those that another exec put in.",
    ),
    operations: &[
        Operation {
            what: "trace a process of another user",
            syscalls: &["ptrace"],
            sites: &["ptrace_may_access", "__ptrace_may_access", "ptrace_has_cap"],
        },
        Operation {
            what: "read or write another process' memory",
            syscalls: &["process_vm_readv", "process_vm_writev", "process_madvise"],
            sites: &["mm_access", "__ptrace_may_access"],
        },
        Operation {
            what: "look into /proc/PID of others",
            syscalls: &["open", "openat", "readlink", "readlinkat"],
            sites: &["ptrace_may_access", "proc_pid_get_link", "proc_fd_access_allowed", "ptrace_has_cap"],
        },
        Operation {
            what: "take a descriptor of another process",
            syscalls: &["pidfd_getfd"],
            sites: &["__pidfd_fget", "__x64_sys_pidfd_getfd", "__ptrace_may_access"],
        },
        Operation {
            what: "handle faults of the kernel itself with userfaultfd",
            syscalls: &["userfaultfd"],
            sites: &["userfaultfd_syscall_allowed", "__x64_sys_userfaultfd"],
        },
    ],
    cheaper: "Debug as the same user: gdb and strace need nothing for processes that hold no more than they do (a strict Yama, \
        ptrace_scope 2 and above, aside). /proc readers (top, ps) go on with less detail.",
};

const SYS_PACCT: Knowledge = Knowledge {
    capability: Capability::SysPacct,
    summary: "switch process accounting",
    allows: "Start and stop BSD process accounting (acct), which writes one record into a file of the caller's choice for each \
        process that ends in the caller's PID namespace and below: its name, user, times and exit code. It counts in the \
        initial user namespace only.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation { what: "turn accounting on or off", syscalls: &["acct"], sites: &["__do_sys_acct", "__x64_sys_acct"] }],
    cheaper: "Accounting belongs on the host, or use the cgroup's counters, taskstats through the engine, or eBPF.",
};

const SYS_ADMIN: Knowledge = Knowledge {
    capability: Capability::SysAdmin,
    summary: "administer the system: mounts, namespaces and much else",
    allows: "The catch-all: mount and unmount, new namespaces other than user namespaces, enter namespaces, set host and domain \
        name, quotas, swap, loop and device-mapper devices, privileged ioctls of most drivers, trusted xattrs, fanotify, perf \
        and BPF beyond what PERFMON and BPF cover, load seccomp filters without no_new_privs, cgroup administration. No other \
        capability is asked for in so many places of the kernel. In the initial user namespace it is root in all but name.",
    danger: Danger::Critical,
    host_root: Some(
        "Mount the host's disk (if its device is visible), write a cgroup v1 release_agent or /proc/sys/kernel/core_pattern \
        after remounting it writable: each runs a program of the caller as host root outside the container.",
    ),
    operations: &[
        Operation {
            what: "mount, unmount, remount, bind",
            syscalls: &["mount", "umount2", "move_mount", "fsopen", "fsmount", "fspick", "open_tree", "mount_setattr", "pivot_root"],
            sites: &["path_mount", "path_umount", "may_mount", "mount_capable", "ns_capable_mount"],
        },
        Operation {
            what: "new namespaces",
            syscalls: &["unshare", "clone", "clone3"],
            sites: &["unshare_nsproxy_namespaces", "copy_namespaces"],
        },
        Operation {
            what: "enter namespaces",
            syscalls: &["setns"],
            sites: &["mntns_install", "netns_install", "utsns_install", "ipcns_install", "pidns_install", "cgroupns_install"],
        },
        Operation {
            what: "host or domain name",
            syscalls: &["sethostname", "setdomainname"],
            sites: &["__x64_sys_sethostname", "__do_sys_sethostname", "__x64_sys_setdomainname"],
        },
        Operation {
            what: "swap, quotas",
            syscalls: &["swapon", "swapoff", "quotactl", "quotactl_fd"],
            sites: &["__do_sys_swapon", "__do_sys_swapoff", "check_quotactl_permission", "__x64_sys_quotactl", "do_quotactl"],
        },
        Operation {
            what: "seccomp without no_new_privs",
            syscalls: &["seccomp", "prctl"],
            sites: &["seccomp_prepare_filter", "do_seccomp"],
        },
        Operation {
            what: "trusted and foreign security xattrs",
            syscalls: &["setxattr", "getxattr", "listxattr", "removexattr"],
            sites: &["xattr_permission", "simple_xattr_list", "cap_inode_setxattr"],
        },
        Operation {
            what: "BPF and perf beyond BPF and PERFMON",
            syscalls: &["bpf", "perf_event_open"],
            sites: &["bpf_prog_load", "bpf_token_capable"],
        },
        Operation {
            what: "ioctls of disks, terminals and file systems",
            syscalls: &["ioctl"],
            sites: &["blkdev_ioctl", "blkpg_do_ioctl", "tiocsti", "tty_ioctl", "ext4_ioctl", "btrfs_ioctl"],
        },
    ],
    cheaper: "Look at what is refused: host name `--hostname`; mounts `-v`, `--tmpfs`, `--mount`; FUSE `--device /dev/fuse` in a \
        user namespace; containers inside: run rootless with nested user namespaces; BPF and perf: BPF, PERFMON; checkpoint: \
        CHECKPOINT_RESTORE.",
};

const SYS_BOOT: Knowledge = Knowledge {
    capability: Capability::SysBoot,
    summary: "reboot the machine, and load a new kernel",
    allows: "Reboot, halt or power off, switch Ctrl-Alt-Del, and load another kernel with kexec. In a PID namespace other than the \
        first, reboot only ends that namespace: its init is killed, and its parent sees SIGHUP or SIGINT. kexec knows no such \
        limit and asks in the initial user namespace.",
    danger: Danger::Critical,
    host_root: Some(
        "kexec_load starts a kernel of the caller's choice, which owns the machine. Signed kernels under lockdown are in the \
        way, as is /proc/sys/kernel/kexec_load_disabled; the default seccomp profile refuses the call.",
    ),
    operations: &[
        Operation { what: "reboot, halt, power off", syscalls: &["reboot"], sites: &["__do_sys_reboot", "__x64_sys_reboot"] },
        Operation {
            what: "load another kernel",
            syscalls: &["kexec_load", "kexec_file_load"],
            sites: &["kexec_load_check", "__x64_sys_kexec_file_load", "__x64_sys_kexec_load", "kexec_load_permitted"],
        },
    ],
    cheaper: "A container ends when its first process ends: nothing in it has to call reboot.",
};

const SYS_NICE: Knowledge = Knowledge {
    capability: Capability::SysNice,
    summary: "raise priorities and place processes",
    allows: "Raise the nice value of any process, choose real-time policies and I/O classes, set CPU affinity and NUMA placement of \
        processes of others, and move their pages. A real-time process can starve everything else on its CPUs, within the CPU \
        cgroup if there is one for real time.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "negative nice, priorities of others",
            syscalls: &["nice", "setpriority", "sched_setattr"],
            sites: &["can_nice", "set_one_prio", "set_one_prio_perm"],
        },
        Operation {
            what: "real-time and deadline scheduling",
            syscalls: &["sched_setscheduler", "sched_setparam", "sched_setattr"],
            sites: &["user_check_sched_setscheduler", "__sched_setscheduler"],
        },
        Operation {
            what: "affinity of others",
            syscalls: &["sched_setaffinity"],
            sites: &["sched_setaffinity", "__sched_setaffinity", "check_same_owner"],
        },
        Operation { what: "I/O priority of real-time class", syscalls: &["ioprio_set"], sites: &["ioprio_check_cap"] },
        Operation {
            what: "move or bind pages shared by others",
            syscalls: &["mbind", "migrate_pages", "move_pages"],
            sites: &["do_mbind", "kernel_migrate_pages", "kernel_move_pages"],
        },
        Operation { what: "give memory advice for another process", syscalls: &["process_madvise"], sites: &["__do_sys_process_madvise"] },
    ],
    cheaper: "`--ulimit nice=...` and `--ulimit rtprio=...` give a bounded amount; `--cpuset-cpus` and `--cpu-shares` place the \
        container from outside.",
};

const SYS_RESOURCE: Knowledge = Knowledge {
    capability: Capability::SysResource,
    summary: "exceed limits and reserved space",
    allows: "Raise hard resource limits, go past quotas and the space that file systems keep for root, past the limits on \
        processes, message queues and pipes, and lower oom_score_adj. It takes away the brakes; what a cgroup limits stays \
        limited.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation { what: "raise a hard limit", syscalls: &["setrlimit", "prlimit64"], sites: &["do_prlimit"] },
        Operation { what: "start processes past RLIMIT_NPROC", syscalls: &["clone", "clone3", "fork", "vfork"], sites: &["copy_process"] },
        Operation { what: "lower oom_score_adj", syscalls: &["write"], sites: &["__set_oom_adj"] },
        Operation {
            what: "use reserved blocks, exceed quota",
            syscalls: &["write", "fallocate", "mkdir"],
            sites: &["ext4_has_free_clusters", "ignore_hardlimit", "dquot_add_space", "__dquot_alloc_space"],
        },
        Operation {
            what: "bigger pipes and queues",
            syscalls: &["fcntl", "mq_open", "msgctl"],
            sites: &["pipe_set_size", "pipe_fcntl", "mq_attr_ok", "mqueue_get_inode", "ksys_msgctl", "msgctl_down"],
        },
        Operation {
            what: "change the layout that the kernel notes for one's own memory (PR_SET_MM)",
            syscalls: &["prctl"],
            sites: &["prctl_set_mm"],
        },
    ],
    cheaper: "`--ulimit` sets limits from outside before the program starts; `--oom-score-adj` likewise.",
};

const SYS_TIME: Knowledge = Knowledge {
    capability: Capability::SysTime,
    summary: "set the clocks",
    allows: "Set the system clock and the hardware clock, and steer them (adjtimex, NTP). There is one such clock for the whole \
        machine, whatever the namespace: certificates, logs, timers and tickets of everyone depend on it.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation {
            what: "set the time",
            syscalls: &["settimeofday", "clock_settime", "clock_settime64", "stime"],
            sites: &["cap_settime", "security_settime64"],
        },
        Operation {
            what: "steer the clock",
            syscalls: &["adjtimex", "clock_adjtime"],
            sites: &["ntp_validate_timex", "timekeeping_validate_timex", "do_adjtimex"],
        },
        Operation { what: "set the hardware clock", syscalls: &["ioctl"], sites: &["rtc_dev_ioctl"] },
    ],
    cheaper: "Keep time on the host (chronyd there). For another time in one container use a time namespace for the monotonic \
        clocks, or libfaketime.",
};

const SYS_TTY_CONFIG: Knowledge = Knowledge {
    capability: Capability::SysTtyConfig,
    summary: "configure virtual consoles",
    allows: "Call vhangup and change virtual consoles: keyboard tables, fonts, switching, and the modes of terminals of others. \
        Containers have pseudo-terminals of their own, for which none of this is needed; with /dev/tty0 visible it watches and \
        steers the machine's console.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation { what: "hang up the terminal", syscalls: &["vhangup"], sites: &["__do_sys_vhangup", "__x64_sys_vhangup"] },
        Operation {
            what: "change console keyboard, font, mode",
            syscalls: &["ioctl"],
            sites: &["vt_ioctl", "vt_do_kdsk_ioctl", "con_font_op", "vt_k_ioctl"],
        },
    ],
    cheaper: "A login program (getty, login) calls vhangup and goes on without. Give a console to a container only for a display \
        server.",
};

const MKNOD: Knowledge = Knowledge {
    capability: Capability::Mknod,
    summary: "create device files",
    allows: "Create character and block device files (named pipes, sockets and regular files need nothing, and since Linux 5.8 nor \
        does the overlay whiteout 0/0). A device file alone opens nothing: the device cgroup decides who may open the device, \
        and mounts with nodev and user namespaces make such files inert.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[Operation {
        what: "create a device file",
        syscalls: &["mknod", "mknodat"],
        sites: &["vfs_mknod", "security_inode_mknod"],
    }],
    cheaper: "`--device` makes the file and the cgroup rule for exactly one device. Image builders extract whiteouts without it.",
};

const LEASE: Knowledge = Knowledge {
    capability: Capability::Lease,
    summary: "take leases on files of others",
    allows: "Set a lease (F_SETLEASE) on a file that another user owns: the holder is told, and may delay for a while \
        (/proc/sys/fs/lease-break-time), when someone else opens it. On one's own files it needs nothing. File servers such as \
        Samba use it.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "set a lease on a foreign file",
        syscalls: &["fcntl"],
        sites: &["generic_setlease", "vfs_setlease", "kernel_setlease"],
    }],
    cheaper: "Run the server as the owner of the files, or turn kernel oplocks off.",
};

const AUDIT_WRITE: Knowledge = Knowledge {
    capability: Capability::AuditWrite,
    summary: "write records into the audit log",
    allows: "Send user messages to the kernel's audit log. Login programs (sshd, su, sudo, cron through PAM) report with it who \
        logs in. It can forge such records and flood the log, but neither reads nor configures it.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "send an audit message",
        syscalls: &["sendto", "sendmsg"],
        sites: &["audit_receive_msg", "audit_netlink_ok", "audit_receive"],
    }],
    cheaper: "Most programs that report logins go on when it is refused; some PAM stacks insist, so test the login. In a user \
        namespace of its own the kernel answers ECONNREFUSED in any case, which they take for a kernel without auditing.",
};

const AUDIT_CONTROL: Knowledge = Knowledge {
    capability: Capability::AuditControl,
    summary: "configure auditing",
    allows: "Switch auditing on and off, change its rules, read its status, and set the login uid of processes. Whoever holds it \
        hides from the audit log. It counts in the initial user namespace and PID namespace only.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation {
            what: "change rules or status",
            syscalls: &["sendto", "sendmsg"],
            sites: &["audit_netlink_ok", "audit_receive", "audit_receive_msg"],
        },
        Operation {
            what: "set the login uid",
            syscalls: &["write"],
            sites: &["audit_set_loginuid_perm", "audit_set_loginuid", "proc_loginuid_write"],
        },
    ],
    cheaper: "Configure auditing on the host. pam_loginuid in a container: make it optional.",
};

const SETFCAP: Knowledge = Knowledge {
    capability: Capability::Setfcap,
    summary: "give programs capabilities",
    allows: "Write the `security.capability` attribute of a file in reach, so that whoever executes it gains what the file says, as \
        far as the bounding set of the executing process allows. Since Linux 5.12 it is also needed to map uid 0 of the parent \
        into a new user namespace. In a container it gives nothing that the bounding set does not hold; it lets unprivileged \
        processes there gain it.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "setcap",
            syscalls: &["setxattr", "fsetxattr", "lsetxattr", "removexattr", "setxattrat"],
            sites: &["cap_convert_nscap", "cap_inode_setxattr", "cap_inode_removexattr"],
        },
        Operation { what: "map the parent's uid 0 into a user namespace", syscalls: &["write"], sites: &["map_write", "verify_root_map"] },
    ],
    cheaper: "Set file capabilities when the image is built. Package managers that install ping or similar at run time need it. With \
        no_new_privs file capabilities give nothing at all.",
};

const MAC_OVERRIDE: Knowledge = Knowledge {
    capability: Capability::MacOverride,
    summary: "ignore the Smack policy",
    allows: "Skip the mandatory access control of Smack, the only security module that asks for it. On a kernel with SELinux or \
        AppArmor it does nothing.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "access against the Smack policy",
        syscalls: &["open", "openat", "connect", "kill"],
        sites: &["smack_privileged", "smack_privileged_cred"],
    }],
    cheaper: "Drop it where Smack is not in use; give the program a label of its own where it is.",
};

const MAC_ADMIN: Knowledge = Knowledge {
    capability: Capability::MacAdmin,
    summary: "change the policy of security modules",
    allows: "Load and change the policy of AppArmor and Smack, and set SELinux labels that the loaded policy does not know. With it \
        a process can replace the profile that confines it. AppArmor lets it count inside a policy namespace of its own.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation { what: "load AppArmor profiles", syscalls: &["write"], sites: &["aa_may_manage_policy", "aa_policy_admin_capable"] },
        Operation {
            what: "change Smack rules and labels",
            syscalls: &["write", "setxattr"],
            sites: &["smack_privileged", "smack_inode_setxattr"],
        },
        Operation {
            what: "set a label that the policy does not know",
            syscalls: &["setxattr", "getxattr"],
            sites: &["has_cap_mac_admin", "selinux_inode_setxattr"],
        },
    ],
    cheaper: "Load profiles on the host and name them with `--security-opt apparmor=NAME` or `label=...`.",
};

const SYSLOG: Knowledge = Knowledge {
    capability: Capability::Syslog,
    summary: "read the kernel log and kernel addresses",
    allows: "Read, clear and configure the kernel's log (where kernel.dmesg_restrict closes it to others) and see kernel addresses \
        in /proc/kallsyms and elsewhere (kernel.kptr_restrict). Addresses defeat the kernel's address randomisation, the first \
        step of most kernel exploits; the log shows what other users' programs do.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation { what: "read or clear the log (dmesg)", syscalls: &["syslog"], sites: &["check_syslog_permissions"] },
        Operation {
            what: "see kernel addresses",
            syscalls: &["open", "openat", "read"],
            sites: &["kallsyms_show_value", "restricted_pointer"],
        },
        Operation { what: "open /dev/kmsg", syscalls: &["open", "openat"], sites: &["check_syslog_permissions", "devkmsg_open"] },
    ],
    cheaper: "Read the log on the host; a log collector takes it from the journal. Nothing in an ordinary container needs it.",
};

const WAKE_ALARM: Knowledge = Knowledge {
    capability: Capability::WakeAlarm,
    summary: "wake the machine from suspend",
    allows: "Set timers that wake the machine from suspend: CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM with timer_create and \
        timerfd_create. On a server that never sleeps it does nothing.",
    danger: Danger::Low,
    host_root: None,
    operations: &[Operation {
        what: "create a timer that wakes the machine",
        syscalls: &["timer_create", "timerfd_create", "timerfd_settime"],
        sites: &["alarm_timer_create", "__do_sys_timerfd_create", "__x64_sys_timerfd_create", "do_timerfd_settime"],
    }],
    cheaper: "Use the clocks without `_ALARM`.",
};

const BLOCK_SUSPEND: Knowledge = Knowledge {
    capability: Capability::BlockSuspend,
    summary: "keep the machine from suspending",
    allows: "Keep the machine awake while events wait: EPOLLWAKEUP on epoll descriptors, and /sys/power/wake_lock. Without it the \
        flag is ignored silently, so programs hardly notice.",
    danger: Danger::Low,
    host_root: None,
    operations: &[
        Operation { what: "epoll with EPOLLWAKEUP", syscalls: &["epoll_ctl"], sites: &["do_epoll_ctl", "ep_take_care_of_epollwakeup"] },
        Operation { what: "hold a wake lock", syscalls: &["write"], sites: &["pm_wake_lock", "pm_wake_unlock"] },
    ],
    cheaper: "Take an inhibitor lock from the host's logind, if sleep matters at all.",
};

const AUDIT_READ: Knowledge = Knowledge {
    capability: Capability::AuditRead,
    summary: "read the audit log by multicast",
    allows: "Join the multicast group of the audit netlink socket and read records as they come, beside auditd. The records show \
        programs, arguments and files of every user of the machine.",
    danger: Danger::High,
    host_root: None,
    operations: &[Operation {
        what: "join the audit multicast group",
        syscalls: &["bind", "setsockopt"],
        sites: &["audit_multicast_bind", "audit_bind"],
    }],
    cheaper: "Let the host's journal or auditd forward the records.",
};

const PERFMON: Knowledge = Knowledge {
    capability: Capability::Perfmon,
    summary: "observe the whole machine with perf and BPF",
    allows: "Use performance counters and tracing without the limits of kernel.perf_event_paranoid: sample all processes and the \
        kernel, attach probes to kernel and user functions, and let BPF programs read kernel memory (with BPF). It observes \
        only, but what it observes includes keys and passwords in memory and in function arguments.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation {
            what: "open counters or probes of other processes or the kernel",
            syscalls: &["perf_event_open"],
            sites: &[
                "perf_allow_kernel",
                "__x64_sys_perf_event_open",
                "perf_allow_cpu",
                "perf_allow_tracepoint",
                "perfmon_capable",
                "__do_sys_perf_event_open",
            ],
        },
        Operation { what: "load tracing BPF programs", syscalls: &["bpf"], sites: &["bpf_prog_load", "bpf_check"] },
        Operation {
            what: "CPU and GPU counters by drivers",
            syscalls: &["ioctl"],
            sites: &["i915_perf_open_ioctl", "xe_observation_ioctl"],
        },
    ],
    cheaper: "Profile one's own processes: it needs nothing at perf_event_paranoid 2. Profile the container from the host with \
        perf's cgroup filter.",
};

const BPF: Knowledge = Knowledge {
    capability: Capability::Bpf,
    summary: "load BPF programs and make maps",
    allows: "Create all kinds of BPF maps and load all kinds of BPF programs that are not bound to another capability: network \
        programs need NET_ADMIN too, tracing programs PERFMON too, and reaching the programs and maps of others by id needs \
        SYS_ADMIN. The verifier checks programs; bugs in it have given full control of the kernel again and again.",
    danger: Danger::High,
    host_root: None,
    operations: &[
        Operation {
            what: "load a program or create a map",
            syscalls: &["bpf"],
            sites: &["bpf_prog_load", "map_create", "bpf_token_capable", "__sys_bpf", "bpf_capable"],
        },
        Operation { what: "load type information", syscalls: &["bpf"], sites: &["bpf_btf_load", "btf_new_fd"] },
    ],
    cheaper: "Load programs on the host and pass them as pinned files or descriptors, or delegate a bpffs with a BPF token (since \
        Linux 6.9) to a user namespace.",
};

const CHECKPOINT_RESTORE: Knowledge = Knowledge {
    capability: Capability::CheckpointRestore,
    summary: "checkpoint and restore processes",
    allows: "What CRIU needs without being root: choose the PID of a new process (clone3 set_tid, ns_last_pid), read other \
        processes' /proc/PID/map_files, and set the exe link of oneself. It grew out of SYS_ADMIN to be given alone.",
    danger: Danger::Moderate,
    host_root: None,
    operations: &[
        Operation {
            what: "choose the PID of a new process",
            syscalls: &["clone3", "clone", "write"],
            sites: &["alloc_pid", "pid_ns_ctl_handler", "checkpoint_restore_ns_capable"],
        },
        Operation {
            what: "read map_files of processes",
            syscalls: &["readlink", "readlinkat", "openat"],
            sites: &["proc_map_files_get_link", "proc_map_files_lookup"],
        },
        Operation {
            what: "replace the exe link (prctl PR_SET_MM_MAP)",
            syscalls: &["prctl"],
            sites: &["prctl_set_mm_map", "validate_prctl_map_addr"],
        },
    ],
    cheaper: "Checkpoint from the host. In a user namespace of its own a process holds it for the PID namespaces that belong there, \
        which suffices to choose PIDs.",
};
