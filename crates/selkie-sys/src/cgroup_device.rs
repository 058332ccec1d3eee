//! The device program of cgroup v2: bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Context, Result, check};

/// One instruction of eBPF: `struct bpf_insn` of `linux/bpf.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Source register in the high four bits, destination in the low four.
    pub registers: u8,
    /// Offset of a jump or a memory access.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes the rest as zero.
#[repr(C)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads `program` and attaches it to the cgroup v2 directory `cgroup`; it goes away with the cgroup.
///
/// # Errors
/// `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`); `EINVAL` for a program that the verifier refuses.
pub fn attach(cgroup: impl AsFd, program: &[Instruction]) -> Result<()> {
    let load = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the attribute points at `count` instructions and a NUL-terminated licence, which outlive the call; the kernel only reads.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    let fd = check(fd).call(|| format!("bpf(BPF_PROG_LOAD, CGROUP_DEVICE, {} instructions)", program.len()))?;
    // SAFETY: the kernel has just returned this descriptor, which nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) };
    let attach = Attach {
        target: u32::try_from(cgroup.as_fd().as_raw_fd()).unwrap_or(u32::MAX),
        program: u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads exactly `size_of::<Attach>()` bytes of the attribute.
    let value = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    check(value).call(|| "bpf(BPF_PROG_ATTACH, CGROUP_DEVICE)").map(drop)
}
