//! Links of BPF programs by their number: bpf(2), `BPF_LINK_GET_FD_BY_ID`, `BPF_OBJ_GET_INFO_BY_FD`.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Context, Result, check};

const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_GET_FD_BY_ID: libc::c_int = 30;

/// The first fields of `union bpf_attr` for `BPF_LINK_GET_FD_BY_ID`.
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct Info {
    fd: u32,
    length: u32,
    info: u64,
}

/// The first fields of `struct bpf_link_info`.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    unused: u32,
}

/// Opens the link `id`, which is attached for as long as anybody has it open.
///
/// # Errors
/// `ENOENT` when it is gone, `EPERM` without `CAP_SYS_ADMIN`.
pub fn open(id: u32) -> Result<OwnedFd> {
    let attribute = ById { id, next: 0, flags: 0 };
    // SAFETY: the kernel reads exactly `size_of::<ById>()` bytes of the attribute.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_GET_FD_BY_ID, &raw const attribute, size_of::<ById>()) };
    let fd = check(fd).call(|| format!("bpf(BPF_LINK_GET_FD_BY_ID, {id})"))?;
    // SAFETY: the kernel has just returned this descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// Returns the number of the program that a link attaches.
///
/// # Errors
/// `EINVAL` for a descriptor of something else.
pub fn program(link: impl AsFd) -> Result<u32> {
    let mut info = LinkInfo::default();
    let attribute = Info {
        fd: u32::try_from(link.as_fd().as_raw_fd()).unwrap_or(u32::MAX),
        length: u32::try_from(size_of::<LinkInfo>()).unwrap_or(0),
        info: &raw mut info as u64,
    };
    // SAFETY: the kernel reads the attribute and writes at most `length` bytes of `info`, which lives in this frame.
    let value = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const attribute, size_of::<Info>()) };
    check(value).call(|| "bpf(BPF_OBJ_GET_INFO_BY_FD)")?;
    Ok(info.program)
}
