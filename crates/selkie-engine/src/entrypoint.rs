//! Looks at the program of a container before its start: whether its file capabilities will keep it from being executed.
//!
//! One openat2(2) a candidate and one getxattr(2), nothing more while there is nothing to warn of. What is not known, such as what
//! lies in a volume, is no reason for a warning.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{FileType, StatVfsMountFlags};
use selkie_caps::FileCaps;
use selkie_plan::{Plan, Warning};
use selkie_sys::{Errno, root};

/// Returns a warning when the kernel will refuse to execute the program of `planned` beneath `container_root`.
pub(crate) fn refused_program(planned: &Plan, container_root: impl AsFd) -> Option<Warning> {
    for path in planned.programs() {
        let place = match root::place(&container_root, Path::new(&path)) {
            Ok(place) => place,
            // execvp(3) goes on with the next directory.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => continue,
            Err(_) => return None,
        };
        let attribute = root::file_capabilities(&place).ok()??;
        let warning = planned.refused_program(&path, FileCaps::parse(&attribute).ok()?)?;
        return counts(planned, &place).then_some(warning);
    }
    None
}

/// Returns whether the file at `place` is one that would be executed, with what it says about capabilities.
fn counts(planned: &Plan, place: impl AsFd) -> bool {
    let is_program = rustix::fs::fstat(&place)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0);
    let is_suid = rustix::fs::fstatvfs(&place).is_ok_and(|file_system| !file_system.f_flag.contains(StatVfsMountFlags::NOSUID));
    // Through links it may lie where a mount will be; the path is one beneath the root, which is mounted nowhere.
    let link = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    let is_covered = std::fs::read_link(link).is_ok_and(|path| planned.is_covered(&path.to_string_lossy()));
    is_program && is_suid && !is_covered
}
