//! A traced call at its entry: its name, and what its arguments point to.
//!
//! Memory is read while the caller is stopped. Other threads of it may change that memory before the kernel reads it, so a hostile
//! program can make its own trace wrong; it can only harm what is learned about itself.

use selkie_learn::{Call, Detail};
use selkie_seccomp::{Arch, syscall};
use selkie_sys::ptrace::Entry;

use super::netlink::{Request, Sockets};
use super::tracee::{Base, Tracee, low};
use crate::argument::{self, AF_NETLINK, address};

/// `CLONE_UNTRACED`.
const UNTRACED: u64 = 0x0080_0000;
/// `MSG_PEEK`: the same bytes are received again.
const PEEK: u64 = 2;

/// The most that is looked at of what is received.
const RECEIVED: usize = 65_536;
/// As much of a request as the trace keeps: its header, and 48 bytes.
const REQUESTED: usize = 64;
/// The most buffers of one message, and messages of one call: the kernel's `UIO_MAXIOV`.
const VECTORS: u64 = 1024;

/// A call that is being made.
#[derive(Debug)]
pub(super) struct Pending {
    /// Name, arguments and detail.
    pub(super) call: Call,
    /// What it means beyond that.
    pub(super) meaning: Meaning,
    width: Width,
}

/// What a call means for the tracer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    Plain,
    /// It executes a program, looked up from here.
    Execute(Base),
    /// It makes a socket of netlink with this protocol.
    Socket(i32),
    /// It sends a request through the socket with this inode.
    Request(u64, Request),
    /// It may receive answers through the socket with this inode.
    Receive(u64),
    /// It makes a process that cannot be followed.
    Untraced,
}

/// How wide pointers in memory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Four,
    Eight,
}

/// Where a call has its paths.
enum Paths {
    None,
    One(usize),
    Two(usize, usize),
    /// A descriptor in place of a path.
    Descriptor,
    /// The same, and the name of an attribute.
    DescriptorAndName,
}

impl Pending {
    /// Looks at a call that `tracee` enters.
    pub(super) fn enter(tracee: Tracee, entry: &Entry, sockets: &Sockets) -> Self {
        let number = low(entry.number);
        let arch = Arch::of_call(entry.arch, number);
        let name = arch.and_then(|arch| syscall::name(arch, number));
        let width = if matches!(arch, Some(Arch::X86 | Arch::X32 | Arch::Arm)) { Width::Four } else { Width::Eight };
        let (name, arguments) = match name {
            Some("socketcall") => multiplexed(tracee, &entry.arguments),
            name => (name.map_or_else(|| format!("#{}", entry.number), str::to_owned), entry.arguments),
        };
        let call = Call { syscall: name, arguments, count: 1, ..Call::default() };
        let mut pending = Self { call, meaning: Meaning::Plain, width };
        pending.look(tracee, sockets);
        pending
    }

    fn look(&mut self, tracee: Tracee, sockets: &Sockets) {
        let [first, second, third, _, fifth, sixth] = self.call.arguments;
        let path = |pointer| tracee.text(pointer).map_or(Detail::None, |path| Detail::Path { path, other: None });
        match self.call.syscall.as_str() {
            "execve" => (self.call.detail, self.meaning) = (path(first), Meaning::Execute(Base::Directory)),
            "execveat" => (self.call.detail, self.meaning) = (path(second), Meaning::Execute(Base::of(first))),
            "clone" if first & UNTRACED != 0 => self.meaning = Meaning::Untraced,
            "clone3" => {
                if tracee.array(first).is_some_and(|flags| u64::from_ne_bytes(flags) & UNTRACED != 0) {
                    self.meaning = Meaning::Untraced;
                }
            }
            "capset" => self.call.detail = sets(tracee, first, second),
            "socket" if low(first) == u32::from(AF_NETLINK) => self.meaning = Meaning::Socket(low(third).cast_signed()),
            "bind" | "connect" => self.call.detail = address(&tracee.bytes(second, address_length(third))),
            "send" | "sendto" => {
                let name = if self.call.syscall == "sendto" { tracee.bytes(fifth, address_length(sixth)) } else { Vec::new() };
                let length = usize::try_from(third).unwrap_or(REQUESTED).min(REQUESTED);
                self.send((tracee, sockets), &name, |_| tracee.bytes(second, length));
            }
            "sendmsg" | "sendmmsg" => {
                // Of several messages the first: the others have the same socket.
                let Some(header) = MessageHeader::read(tracee, second, self.width) else { return };
                let name = tracee.bytes(header.name, address_length(header.name_length));
                self.send((tracee, sockets), &name, |width| header.gather(tracee, REQUESTED, width));
            }
            "recv" | "recvfrom" => self.receive(tracee, sockets, self.call.arguments[3]),
            "recvmsg" => self.receive(tracee, sockets, third),
            "recvmmsg" | "recvmmsg_time64" => self.receive(tracee, sockets, self.call.arguments[3]),
            name => self.call.detail = at_paths(tracee, &paths(name), &self.call.arguments),
        }
    }

    fn send(&mut self, (tracee, sockets): (Tracee, &Sockets), name: &[u8], bytes: impl FnOnce(Width) -> Vec<u8>) {
        self.call.detail = address(name);
        let to_kernel = family(name) == Some(AF_NETLINK);
        if name.is_empty() || to_kernel {
            let Some(inode) = tracee.socket(self.call.arguments[0]) else { return };
            let protocol = sockets.protocol(inode).or_else(|| if to_kernel { tracee.netlink_protocol(inode) } else { None });
            if protocol.is_none() && !to_kernel {
                return;
            }
            if let Some(request) = Request::parse(&bytes(self.width)) {
                self.call.detail = request.detail(protocol);
                self.meaning = Meaning::Request(inode, request);
            }
        }
    }

    fn receive(&mut self, tracee: Tracee, sockets: &Sockets, flags: u64) {
        if flags & PEEK == 0
            && let Some(inode) = tracee.socket(self.call.arguments[0])
            && sockets.is_waiting(inode)
        {
            self.meaning = Meaning::Receive(inode);
        }
    }

    /// Returns what the call has received, once it has returned `result`.
    pub(super) fn received(&self, tracee: Tracee, result: usize) -> Vec<u8> {
        let [_, second, third, ..] = self.call.arguments;
        match self.call.syscall.as_str() {
            "recv" | "recvfrom" => tracee.bytes(second, result.min(usize::try_from(third).unwrap_or(0)).min(RECEIVED)),
            "recvmsg" => {
                let header = MessageHeader::read(tracee, second, self.width);
                header.map(|header| header.gather(tracee, result.min(RECEIVED), self.width)).unwrap_or_default()
            }
            _ => self.received_many(tracee, second, result),
        }
    }

    /// Of recvmmsg(2), whose result is how many; each header is followed by the length of its message.
    fn received_many(&self, tracee: Tracee, headers: u64, count: usize) -> Vec<u8> {
        let (stride, length_at) = if self.width == Width::Eight { (64, 56) } else { (32, 28) };
        let mut bytes = Vec::new();
        for index in 0..u64::try_from(count).unwrap_or(0).min(VECTORS) {
            let at = headers.saturating_add(index * stride);
            let length = tracee.array(at.saturating_add(length_at)).map_or(0, u32::from_ne_bytes);
            let Some(header) = MessageHeader::read(tracee, at, self.width) else { break };
            bytes.extend(header.gather(tracee, usize::try_from(length).unwrap_or(0).min(RECEIVED), self.width));
            if bytes.len() >= RECEIVED {
                break;
            }
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// Returns the call behind `socketcall` of i386, whose arguments are in memory.
fn multiplexed(tracee: Tracee, arguments: &[u64; 6]) -> (String, [u64; 6]) {
    const CALLS: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    let index = usize::try_from(arguments[0]).ok().and_then(|number| number.checked_sub(1));
    let Some(name) = index.and_then(|index| CALLS.get(index)) else { return ("socketcall".to_owned(), *arguments) };
    let mut wide = [0; 6];
    for (slot, word) in wide.iter_mut().zip(tracee.bytes(arguments[1], 24).as_chunks::<4>().0) {
        *slot = u32::from_ne_bytes(*word).into();
    }
    ((*name).to_owned(), wide)
}

fn paths(name: &str) -> Paths {
    match name {
        "access" | "acct" | "chdir" | "chmod" | "chown" | "chown32" | "chroot" | "creat" | "lchown" | "lchown32" | "lstat" | "lstat64"
        | "mkdir" | "mknod" | "open" | "readlink" | "rmdir" | "stat" | "stat64" | "statfs" | "statfs64" | "swapoff" | "swapon"
        | "truncate" | "truncate64" | "umount" | "umount2" | "unlink" | "utime" | "utimes" => Paths::One(0),
        "faccessat" | "faccessat2" | "fchmodat" | "fchmodat2" | "fchownat" | "fspick" | "fstatat64" | "futimesat" | "mkdirat"
        | "mknodat" | "mount_setattr" | "newfstatat" | "open_tree" | "openat" | "openat2" | "readlinkat" | "statx" | "unlinkat"
        | "utimensat" | "utimensat_time64" => Paths::One(1),
        "link" | "lremovexattr" | "lsetxattr" | "mount" | "pivot_root" | "removexattr" | "rename" | "setxattr" | "symlink" => {
            Paths::Two(0, 1)
        }
        "symlinkat" => Paths::Two(0, 2),
        "linkat" | "move_mount" | "renameat" | "renameat2" | "removexattrat" | "setxattrat" => Paths::Two(1, 3),
        "fchdir" | "fchmod" | "fchown" | "fchown32" => Paths::Descriptor,
        "fremovexattr" | "fsetxattr" => Paths::DescriptorAndName,
        _ => Paths::None,
    }
}

fn at_paths(tracee: Tracee, paths: &Paths, arguments: &[u64; 6]) -> Detail {
    let text = |index: usize| arguments.get(index).and_then(|pointer| tracee.text(*pointer));
    let found = match *paths {
        Paths::None => None,
        Paths::One(index) => text(index).map(|path| (path, None)),
        Paths::Two(first, second) => text(first).map(|path| (path, text(second))),
        Paths::Descriptor => tracee.descriptor(arguments[0]).map(|path| (path, None)),
        Paths::DescriptorAndName => tracee.descriptor(arguments[0]).map(|path| (path, text(1))),
    };
    found.map_or(Detail::None, |(path, other)| Detail::Path { path, other })
}

fn sets(tracee: Tracee, header: u64, data: u64) -> Detail {
    /// `_LINUX_CAPABILITY_VERSION_1`: sets of 32 bits.
    const VERSION_1: u32 = 0x1998_0330;
    let Some(version) = tracee.array(header).map(u32::from_ne_bytes) else { return Detail::None };
    let length = if version == VERSION_1 { 12 } else { 24 };
    let bytes = tracee.bytes(data, length);
    if bytes.len() < length { Detail::None } else { argument::sets(&bytes) }
}

/// Returns how much of an address is read: `struct sockaddr_storage` is the longest.
fn address_length(argument: u64) -> usize {
    usize::try_from(low(argument)).unwrap_or(0).min(128)
}

fn family(address: &[u8]) -> Option<u16> {
    address.first_chunk::<2>().map(|family| u16::from_ne_bytes(*family))
}

/// What is wanted of a `struct msghdr`.
struct MessageHeader {
    name: u64,
    name_length: u64,
    vectors: u64,
    count: u64,
}

impl MessageHeader {
    fn read(tracee: Tracee, at: u64, width: Width) -> Option<Self> {
        let word = |index: u64| read_pointer(tracee, at.checked_add(index * width.bytes())?, width);
        Some(Self { name: word(0)?, name_length: word(1)? & 0xffff_ffff, vectors: word(2)?, count: word(3)? })
    }

    /// Reads the first `limit` bytes of its buffers.
    fn gather(&self, tracee: Tracee, limit: usize, width: Width) -> Vec<u8> {
        let mut bytes = Vec::new();
        for index in 0..self.count.min(VECTORS) {
            let left = limit - bytes.len();
            let at = self.vectors.saturating_add(index * 2 * width.bytes());
            let vector = (read_pointer(tracee, at, width), read_pointer(tracee, at.saturating_add(width.bytes()), width));
            let (Some(base), Some(length)) = vector else { break };
            let wanted = usize::try_from(length).unwrap_or(left).min(left);
            let read = tracee.bytes(base, wanted);
            bytes.extend_from_slice(&read);
            if read.len() < wanted || bytes.len() == limit {
                break;
            }
        }
        bytes
    }
}

impl Width {
    const fn bytes(self) -> u64 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

fn read_pointer(tracee: Tracee, at: u64, width: Width) -> Option<u64> {
    match width {
        Width::Four => tracee.array(at).map(|word| u32::from_ne_bytes(word).into()),
        Width::Eight => tracee.array(at).map(u64::from_ne_bytes),
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::CapSet;

    use super::*;

    #[test]
    fn every_name_with_a_path_is_shown_by_the_filter() {
        let unseen: Vec<&str> = selkie_seccomp::TRACED
            .iter()
            .flat_map(|group| group.iter().copied())
            .filter(|name| name.ends_with("at") && !matches!(paths(name), Paths::One(_) | Paths::Two(..)))
            .collect();
        assert_eq!(unseen, ["open_by_handle_at", "shmat", "execveat"]);
    }

    #[test]
    fn sets_of_both_versions() {
        let own = Tracee(rustix::process::getpid());
        let at = |memory: &[u32]| memory.as_ptr() as u64;
        let data = [1_u32, 2, 4, 1 << 8, 0, 0];
        let long =
            Detail::Sets { effective: CapSet::from_bits(1 | 1 << 40), permitted: CapSet::from_bits(2), inheritable: CapSet::from_bits(4) };
        let short = Detail::Sets { effective: CapSet::from_bits(1), permitted: CapSet::from_bits(2), inheritable: CapSet::from_bits(4) };
        assert_eq!(sets(own, at(&[0x2008_0522, 0]), at(&data)), long);
        assert_eq!(sets(own, at(&[0x1998_0330, 0]), at(&data)), short);
        assert_eq!(sets(own, 8, at(&data)), Detail::None);
    }

    #[test]
    fn message_is_gathered_over_its_buffers_up_to_the_limit() {
        let own = Tracee(rustix::process::getpid());
        let (one, two) = ([1_u8; 3], [2_u8; 5]);
        let vectors = [one.as_ptr() as u64, 3, two.as_ptr() as u64, 5];
        let header = [0_u64, 0, vectors.as_ptr() as u64, 2];
        let header = MessageHeader::read(own, header.as_ptr() as u64, Width::Eight).unwrap();
        assert_eq!(header.gather(own, 6, Width::Eight), [1, 1, 1, 2, 2, 2]);
        assert_eq!(header.gather(own, 100, Width::Eight), [1, 1, 1, 2, 2, 2, 2, 2]);
    }
}
