//! On which mount something lies, asked of the kernel alone: who serves a file system may never answer. statx(2), mountinfo of proc(5).

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, StatxFlags};
use selkie_host::{Buffer, Procfs};
use selkie_sys::Context;

/// File systems that somebody answers for, when and as he likes: a program, or another machine.
const OF_SOMEBODY: [&str; 15] =
    ["9p", "afs", "autofs", "ceph", "cifs", "coda", "fuse", "fuseblk", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "orangefs", "smb3"];
/// Returns the type of what is at `place` and the number of its mount, without asking anybody but the kernel.
pub(super) fn kind_of(place: impl AsFd) -> selkie_sys::Result<(FileType, Option<u64>)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(place, c"", flags, StatxFlags::TYPE | StatxFlags::MNT_ID).call(|| "statx()")?;
    // Linux before 5.8 has no numbers of mounts here.
    let mount = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID).then_some(stat.stx_mnt_id);
    Ok((FileType::from_raw_mode(u32::from(stat.stx_mode)), mount))
}

/// Which mounts may be looked into.
pub(super) struct Mounts {
    procfs: Option<Procfs>,
    pid: u32,
    /// Types by numbers.
    kinds: HashMap<u64, String>,
    /// The mount of the root: whoever names it wants it looked at.
    root: Option<u64>,
}

impl Mounts {
    pub(super) fn of(pid: u32, root: &OwnedFd) -> Self {
        let root = kind_of(root).ok().and_then(|(_, mount)| mount);
        Self { procfs: Procfs::open(Path::new("/proc")).ok(), pid, kinds: HashMap::new(), root }
    }

    /// Returns why this mount is not looked into, if it is not.
    pub(super) fn closed(&mut self, mount: Option<u64>) -> Option<String> {
        let mount = mount.filter(|mount| Some(*mount) != self.root)?;
        if !self.kinds.contains_key(&mount) {
            let mounts = self.procfs.as_ref().and_then(|procfs| procfs.mounts(self.pid, &mut Buffer::new()).ok().flatten());
            self.kinds.extend(mounts.into_iter().flatten().map(|mount| (u64::from(mount.id), mount.kind)));
        }
        let Some(kind) = self.kinds.get(&mount) else { return Some("it is a mount that came or went meanwhile".to_owned()) };
        let of = kind.split('.').next().unwrap_or_default();
        OF_SOMEBODY.contains(&of).then(|| format!("it is a mount of {kind}, which is not looked into"))
    }
}
