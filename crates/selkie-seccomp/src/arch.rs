//! Architectures: what the kernel writes into `seccomp_data.arch`, and how profiles call them.
//!
//! x32 has no token of its own: its calls come as x86_64 with `__X32_SYSCALL_BIT` in the number.

use core::fmt;

/// An architecture that filters can be built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86 (i386), also on a 64-bit kernel.
    X86,
    /// 64-bit x86 with 32-bit pointers.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI), also on a 64-bit kernel.
    Arm,
}

/// How wide the arguments of a system call are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Width {
    Bits32,
    Bits64,
}

/// The bit that marks an x32 call.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// All of them, in the order of the columns of the system call table.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm];

    /// Returns the architecture of this build, if filters can be built for it.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else {
            None
        }
    }

    /// Returns the kernel's `AUDIT_ARCH_` token, `seccomp_data.arch`.
    #[must_use]
    pub const fn token(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Returns the architecture of a call from `seccomp_data`.
    #[must_use]
    pub const fn of_call(token: u32, number: u32) -> Option<Self> {
        match token {
            0xc000_003e if number >= X32_BIT && number != u32::MAX => Some(Self::X32),
            0xc000_003e => Some(Self::X86_64),
            0x4000_0003 => Some(Self::X86),
            0xc000_00b7 => Some(Self::Aarch64),
            0x4000_0028 => Some(Self::Arm),
            _ => None,
        }
    }

    /// Returns the name in profiles, for example `SCMP_ARCH_X86_64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// Returns the name in the `arches` of a rule, which is Go's.
    #[must_use]
    pub const fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "386",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// Returns the architecture that profiles call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Libseccomp compares 32 bits on x32 as well: its registers are wider, its arguments are not.
    pub(crate) const fn width(self) -> Width {
        match self {
            Self::X86_64 | Self::Aarch64 => Width::Bits64,
            Self::X86 | Self::X32 | Self::Arm => Width::Bits32,
        }
    }

    pub(crate) const fn column(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names that profiles may hold and that never occur on a machine of ours.
pub(crate) const FOREIGN: &[&str] = &[
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];
