//! The file that is executed: the test binary itself, on a tmpfs of this thread's own mount namespace.

use std::{
    ffi::CString,
    io,
    os::fd::{FromRawFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use selkie_caps::FileCaps;

/// The probe on a tmpfs of our own: once as usual, once through a mount with nosuid.
pub(crate) struct Stage {
    base: PathBuf,
    path: CString,
    pub(crate) plain: OwnedFd,
    pub(crate) nosuid: OwnedFd,
}

/// Stops the test when a system call of the parent fails.
pub(crate) fn check(what: &str, result: i64) {
    assert!(result >= 0, "{what}: {}", io::Error::last_os_error());
}

impl Stage {
    /// Mounts the tmpfs below the new directory `base` and copies the probe there.
    pub(crate) fn build(base: PathBuf) -> Self {
        let [plain, nosuid] = ["plain", "nosuid"].map(|name| base.join(name));
        std::fs::create_dir_all(&plain).unwrap();
        std::fs::create_dir_all(&nosuid).unwrap();
        let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
        let (plain_dir, nosuid_dir) = (path(&plain), path(&nosuid));
        let none = std::ptr::null();
        // SAFETY: all strings end in NUL and outlive the calls. The namespace is this thread's only, and goes with it.
        unsafe {
            check("unshare", libc::unshare(libc::CLONE_NEWNS).into());
            check("private", libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()).into());
            check("tmpfs", libc::mount(c"tmpfs".as_ptr(), plain_dir.as_ptr(), c"tmpfs".as_ptr(), 0, none.cast()).into());
            check("bind", libc::mount(plain_dir.as_ptr(), nosuid_dir.as_ptr(), none, libc::MS_BIND, none.cast()).into());
            let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_NOSUID;
            check("nosuid", libc::mount(none, nosuid_dir.as_ptr(), none, flags, none.cast()).into());
        }
        let probe = plain.join("probe");
        std::fs::copy("/proc/self/exe", &probe).unwrap();
        let open = |path: CString| {
            // SAFETY: the path ends in NUL; the descriptor is new and ours.
            unsafe {
                let fd = libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
                check("open", fd.into());
                OwnedFd::from_raw_fd(fd)
            }
        };
        Self { plain: open(path(&probe)), nosuid: open(path(&nosuid.join("probe"))), path: path(&probe), base }
    }

    /// Gives the probe owner, mode and attribute; the owner first, because a new owner clears the others.
    pub(crate) fn dress(&self, file: &selkie_caps::File) {
        let mode = 0o755 | if file.set_user_id { 0o4000 } else { 0 } | if file.set_group_id { 0o2000 } else { 0 };
        // SAFETY: strings end in NUL, the value is valid for its length.
        unsafe {
            check("chown", libc::chown(self.path.as_ptr(), file.owner, file.group).into());
            check("chmod", libc::chmod(self.path.as_ptr(), mode).into());
            let name = c"security.capability".as_ptr();
            match file.capabilities.map(FileCaps::to_bytes) {
                Some(bytes) => {
                    check("setxattr", libc::setxattr(self.path.as_ptr(), name, bytes.as_ptr().cast(), bytes.len(), 0).into());
                }
                None => _ = libc::removexattr(self.path.as_ptr(), name),
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for name in ["nosuid", "plain"] {
            let path = CString::new(self.base.join(name).as_os_str().as_bytes()).unwrap();
            // SAFETY: the path ends in NUL.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        _ = std::fs::remove_dir_all(&self.base);
    }
}
