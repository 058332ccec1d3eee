//! Memory and procfs of a tracee. Everything read here may be a lie of a hostile program; nothing of it is trusted or unbounded.

use std::fs::File;
use std::path::{Path, PathBuf};

use selkie_caps::{CapSet, FileCaps};
use selkie_host::Status;
use selkie_learn::{Credentials, Detail, Ending};
use selkie_sys::process::Pid;
use selkie_sys::ptrace;

/// The longest path that the kernel takes.
const PATH_LENGTH: usize = 4096;
/// The least size of a page: reads do not cross one, so that the end of a mapping costs nothing.
const PAGE: u64 = 4096;

/// A stopped thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracee(pub(super) Pid);

/// Who a thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) comm: String,
    /// Its process, as the observer numbers it.
    pub(super) process: i32,
    /// Its process, in its own PID namespace.
    pub(super) inner: u32,
    pub(super) credentials: Credentials,
    pub(super) no_new_privileges: bool,
}

impl Tracee {
    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// Reads up to `length` bytes at `address`; what is not there is left out.
    pub(super) fn bytes(self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = ptrace::read_memory(self.0, address, &mut bytes).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// Reads exactly `N` bytes at `address`.
    pub(super) fn array<const N: usize>(self, address: u64) -> Option<[u8; N]> {
        self.bytes(address, N).try_into().ok()
    }

    /// Reads a string that ends with a NUL; what is not UTF-8 is replaced.
    pub(super) fn text(self, address: u64) -> Option<String> {
        if address == 0 {
            return None;
        }
        let mut text = Vec::new();
        let mut next = address;
        while text.len() < PATH_LENGTH {
            let length = usize::try_from(PAGE - next % PAGE).unwrap_or(1);
            let chunk = self.bytes(next, length);
            if let Some(end) = chunk.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(chunk.get(..end).unwrap_or_default());
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            if chunk.len() < length {
                return None;
            }
            text.extend_from_slice(&chunk);
            next = next.checked_add(PAGE - next % PAGE)?;
        }
        None
    }

    /// Returns who it is; `None` when it is gone.
    pub(super) fn identity(self) -> Option<Identity> {
        let file = std::fs::read(self.file("status")).ok()?;
        let status = Status::parse(&file)?;
        Some(Identity {
            comm: status.name.to_text(),
            process: field(&file, b"Tgid:")?,
            inner: field(&file, b"NStgid:").or(status.inner_pid)?,
            credentials: Credentials {
                uid: status.uids[1],
                gid: status.gids[1],
                effective: status.sets.effective,
                permitted: status.sets.permitted,
                bounding: status.sets.bounding,
            },
            no_new_privileges: status.no_new_privileges.unwrap_or(false),
        })
    }

    /// Returns whether it is in the initial user namespace.
    pub(super) fn is_in_initial_namespace(self) -> bool {
        // `PROC_USER_INIT_INO` of the kernel: the same on every machine.
        self.link("ns/user").is_some_and(|link| link == Path::new("user:[4026531837]"))
    }

    /// Returns the path of its program, as its mount namespace has it.
    pub(super) fn program(self) -> Option<String> {
        self.link("exe").map(|path| path.to_string_lossy().into_owned())
    }

    /// Returns the path of its descriptor.
    pub(super) fn descriptor(self, descriptor: u64) -> Option<String> {
        self.link(&format!("fd/{}", low(descriptor))).map(|path| path.to_string_lossy().into_owned())
    }

    /// Returns which socket its descriptor is.
    pub(super) fn socket(self, descriptor: u64) -> Option<u64> {
        let link = self.link(&format!("fd/{}", low(descriptor)))?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    }

    /// Returns the netlink protocol of the socket `inode` of its network namespace.
    pub(super) fn netlink_protocol(self, inode: u64) -> Option<i32> {
        // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
        let table = std::fs::read_to_string(self.file("net/netlink")).ok()?;
        let line = table.lines().skip(1).find(|line| line.split_ascii_whitespace().last().is_some_and(|last| last.parse() == Ok(inode)))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Returns what the file that it was to execute would have given, looked up as the caller sees it.
    pub(super) fn executable(self, base: Base, path: String) -> Detail {
        let capabilities = self.file_capabilities(base, Path::new(&path));
        Detail::Program {
            path,
            capabilities: capabilities.map(|capabilities| capabilities.to_string()),
            permitted: capabilities.map_or(CapSet::EMPTY, FileCaps::permitted),
            effective: capabilities.is_some_and(FileCaps::effective),
        }
    }

    fn file_capabilities(self, base: Base, path: &Path) -> Option<FileCaps> {
        let base = match base {
            Base::Directory => self.link("cwd")?,
            Base::Descriptor(number) => self.link(&format!("fd/{}", low(number)))?,
        };
        let path = if path.as_os_str().is_empty() { base } else { base.join(path) };
        let tree = File::open(self.file("root")).ok()?;
        crate::argument::file_capabilities(&tree, &path)
    }

    fn link(self, name: &str) -> Option<PathBuf> {
        std::fs::read_link(self.file(name)).ok()
    }
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// At the working directory.
    Directory,
    /// At a descriptor, or it is the descriptor itself.
    Descriptor(u64),
}

impl Base {
    /// Reads the first argument of the `at` calls.
    pub(super) fn of(argument: u64) -> Self {
        // AT_FDCWD is -100, of which the upper half may be anything.
        if low(argument) == (-100_i32).cast_unsigned() { Self::Directory } else { Self::Descriptor(argument) }
    }
}

impl Identity {
    /// Returns what is counted when its process ends.
    pub(super) fn ending(self) -> Ending {
        Ending { comm: self.comm, credentials: self.credentials, no_new_privileges: self.no_new_privileges, count: 1 }
    }
}

/// Returns the lower half, which is all that the kernel takes of an `int`.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) const fn low(argument: u64) -> u32 {
    argument as u32
}

/// Returns the last number of a line of `/proc/PID/status`.
fn field<T: std::str::FromStr>(file: &[u8], name: &[u8]) -> Option<T> {
    let line = file.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] = b"Name:\tx\nTgid:\t421\nNStgid:\t421\t7\nNSpid:\t430\t9\n";

    #[test]
    fn field_is_the_innermost_number() {
        assert_eq!((field(STATUS, b"Tgid:"), field(STATUS, b"NStgid:"), field::<u32>(STATUS, b"Uid:")), (Some(421), Some(7), None));
    }

    #[test]
    fn base_is_the_working_directory_whatever_the_upper_half_is() {
        assert_eq!([Base::of(0xffff_ffff_ffff_ff9c), Base::of(0xffff_ff9c)], [Base::Directory; 2]);
        assert_eq!(Base::of(5), Base::Descriptor(5));
    }

    #[test]
    fn text_ends_at_its_nul_and_not_at_the_end_of_a_page() {
        let mut memory = vec![b'x'; 9000];
        memory.push(0);
        let own = Tracee(rustix::process::getpid());
        assert_eq!(own.text(memory.as_ptr() as u64), None);
        assert_eq!(own.text(memory[6000..].as_ptr() as u64), Some("x".repeat(3000)));
        assert_eq!((own.text(0), own.text(8)), (None, None));
    }
}
