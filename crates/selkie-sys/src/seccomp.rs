//! Installs a seccomp filter: seccomp(2), `SECCOMP_SET_MODE_FILTER`.

use crate::error::{Context, Result, check};

/// One instruction of classic BPF: `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Installs `program` for the calling thread and everything that it becomes.
///
/// # Errors
/// `EACCES` without `CAP_SYS_ADMIN` in the thread's user namespace and without no_new_privs; `EINVAL` for a program
/// that the kernel's checker refuses.
pub fn install(program: &[Instruction]) -> Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| crate::Errno::INVAL).call(|| format!("seccomp({} instructions)", program.len()))?;
    let header = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `struct sock_filter`; the kernel only reads `length` of them.
    let value = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const header) };
    check(value).call(|| format!("seccomp(SECCOMP_SET_MODE_FILTER, {length} instructions)")).map(drop)
}
