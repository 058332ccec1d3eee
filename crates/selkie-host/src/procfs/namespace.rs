//! `/proc/PID/ns/*`: which namespaces a process is in. namespaces(7).

use super::number;

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Root of the cgroup tree.
    Cgroup,
    /// System V IPC and message queues.
    Ipc,
    /// Mounts.
    Mount,
    /// Network.
    Network,
    /// Process ids.
    Pid,
    /// Users and capabilities.
    User,
    /// Host name.
    Uts,
}

impl Namespace {
    /// Every kind, in alphabetical order of [`Self::file`].
    pub const ALL: [Self; 7] = [Self::Cgroup, Self::Ipc, Self::Mount, Self::Network, Self::Pid, Self::User, Self::Uts];

    /// Returns the file in `/proc/PID/ns`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mount => "mnt",
            Self::Network => "net",
            Self::Pid => "pid",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }

    /// Returns what a person calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Network => "network",
            other => other.file(),
        }
    }

    /// Returns the number that the kernel always gives the first namespace of this kind; `None` for kinds without one.
    #[must_use]
    pub const fn initial(self) -> Option<u64> {
        // include/uapi/linux/nsfs.h, unchanged since Linux 3.8.
        match self {
            Self::Ipc => Some(0xefff_ffff),
            Self::Uts => Some(0xefff_fffe),
            Self::User => Some(0xefff_fffd),
            Self::Pid => Some(0xefff_fffc),
            Self::Cgroup => Some(0xefff_fffb),
            Self::Mount | Self::Network => None,
        }
    }
}

/// Reads the target of a link in `/proc/PID/ns`, for example `mnt:[4026531841]`; `None` when it is none of this kind.
#[must_use]
pub fn namespace_inode(kind: Namespace, link: &[u8]) -> Option<u64> {
    let rest = link.strip_prefix(kind.file().as_bytes())?;
    number(rest.strip_prefix(b":[")?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_of_a_link() {
        assert_eq!(namespace_inode(Namespace::Mount, b"mnt:[4026531841]"), Some(4_026_531_841));
    }

    #[test]
    fn inode_of_another_kind_is_none() {
        assert_eq!(namespace_inode(Namespace::Mount, b"net:[4026531841]"), None);
        assert_eq!(namespace_inode(Namespace::Mount, b"mnt:[]"), None);
        assert_eq!(namespace_inode(Namespace::Mount, b"mnt:[1] (deleted)"), None);
    }
}
