//! The capabilities of the kernel as one table.
//!
//! Follows `include/uapi/linux/capability.h` of Linux 6.18 and capabilities(7).

use core::fmt;

/// Declares the enum and its table from one list, so that number and name cannot drift apart.
macro_rules! capabilities {
    ($($number:literal $variant:ident $name:literal $since:literal;)*) => {
        /// A Linux capability, by the kernel's number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Capability {
            $(#[doc = concat!("`", $name, "`, since Linux ", $since, ".")] $variant = $number,)*
        }

        impl Capability {
            /// Every capability that this version knows, in the kernel's order.
            pub const ALL: [Self; 41] = [$(Self::$variant),*];

            /// Returns the name as the kernel's header writes it, for example `CAP_NET_ADMIN`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the first kernel version that has it, for example `5.8`.
            #[must_use]
            pub const fn since(self) -> &'static str {
                match self { $(Self::$variant => $since,)* }
            }

            /// Returns the capability with the kernel's `number`.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

capabilities! {
    0 Chown "CAP_CHOWN" "2.2";
    1 DacOverride "CAP_DAC_OVERRIDE" "2.2";
    2 DacReadSearch "CAP_DAC_READ_SEARCH" "2.2";
    3 Fowner "CAP_FOWNER" "2.2";
    4 Fsetid "CAP_FSETID" "2.2";
    5 Kill "CAP_KILL" "2.2";
    6 Setgid "CAP_SETGID" "2.2";
    7 Setuid "CAP_SETUID" "2.2";
    8 Setpcap "CAP_SETPCAP" "2.2";
    9 LinuxImmutable "CAP_LINUX_IMMUTABLE" "2.2";
    10 NetBindService "CAP_NET_BIND_SERVICE" "2.2";
    11 NetBroadcast "CAP_NET_BROADCAST" "2.2";
    12 NetAdmin "CAP_NET_ADMIN" "2.2";
    13 NetRaw "CAP_NET_RAW" "2.2";
    14 IpcLock "CAP_IPC_LOCK" "2.2";
    15 IpcOwner "CAP_IPC_OWNER" "2.2";
    16 SysModule "CAP_SYS_MODULE" "2.2";
    17 SysRawio "CAP_SYS_RAWIO" "2.2";
    18 SysChroot "CAP_SYS_CHROOT" "2.2";
    19 SysPtrace "CAP_SYS_PTRACE" "2.2";
    20 SysPacct "CAP_SYS_PACCT" "2.2";
    21 SysAdmin "CAP_SYS_ADMIN" "2.2";
    22 SysBoot "CAP_SYS_BOOT" "2.2";
    23 SysNice "CAP_SYS_NICE" "2.2";
    24 SysResource "CAP_SYS_RESOURCE" "2.2";
    25 SysTime "CAP_SYS_TIME" "2.2";
    26 SysTtyConfig "CAP_SYS_TTY_CONFIG" "2.2";
    27 Mknod "CAP_MKNOD" "2.4";
    28 Lease "CAP_LEASE" "2.4";
    29 AuditWrite "CAP_AUDIT_WRITE" "2.6.11";
    30 AuditControl "CAP_AUDIT_CONTROL" "2.6.11";
    31 Setfcap "CAP_SETFCAP" "2.6.24";
    32 MacOverride "CAP_MAC_OVERRIDE" "2.6.25";
    33 MacAdmin "CAP_MAC_ADMIN" "2.6.25";
    34 Syslog "CAP_SYSLOG" "2.6.37";
    35 WakeAlarm "CAP_WAKE_ALARM" "3.0";
    36 BlockSuspend "CAP_BLOCK_SUSPEND" "3.5";
    37 AuditRead "CAP_AUDIT_READ" "3.16";
    38 Perfmon "CAP_PERFMON" "5.8";
    39 Bpf "CAP_BPF" "5.8";
    40 CheckpointRestore "CAP_CHECKPOINT_RESTORE" "5.9";
}

impl Capability {
    /// Returns the kernel's number, 0 for `CAP_CHOWN`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name without its prefix, for example `NET_ADMIN`.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        let name = self.name();
        name.strip_prefix("CAP_").unwrap_or(name)
    }

    /// Returns the capability with exactly this `name` (`CAP_NET_ADMIN`: upper case, with its prefix).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
