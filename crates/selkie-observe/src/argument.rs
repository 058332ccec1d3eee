//! What the arguments of a call point to, from bytes that were read out of the caller's memory: for every rung.
//!
//! All of it was written by the container: nothing is believed, and what makes no sense is [`Detail::None`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use selkie_caps::{CapSet, FileCaps};
use selkie_learn::Detail;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Sockets to the kernel.
pub(crate) const AF_NETLINK: u16 = 16;
const AF_PACKET: u16 = 17;
/// Bytes of the longest `security.capability`.
const LONGEST_CAPABILITY: usize = 24;

/// Reads a `struct sockaddr`.
pub(crate) fn address(bytes: &[u8]) -> Detail {
    let text = || {
        let port = array(bytes, 2).map(u16::from_be_bytes);
        match u16::from_ne_bytes(array(bytes, 0)?) {
            AF_INET => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(array::<4>(bytes, 4)?)), port?).to_string()),
            AF_INET6 => Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(array::<16>(bytes, 8)?)), port?).to_string()),
            AF_UNIX => bytes.get(2..).map(unix),
            AF_NETLINK => Some("netlink".to_owned()),
            AF_PACKET => Some("packet".to_owned()),
            family => Some(format!("family {family}")),
        }
    };
    text().map_or(Detail::None, |address| Detail::Address { address })
}

/// An abstract name begins with a NUL, which is shown as `@`; either ends before the next one.
fn unix(name: &[u8]) -> String {
    let (mark, name) = name.strip_prefix(b"\0").map_or(("", name), |rest| ("@", rest));
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    format!("unix:{mark}{}", String::from_utf8_lossy(name.get(..end).unwrap_or_default()))
}

/// Reads the `struct __user_cap_data_struct` of capset(2): one for version 1, whose upper halves are zeros, otherwise two.
pub(crate) fn sets(bytes: &[u8]) -> Detail {
    if !matches!(bytes.len(), 12 | 24..) {
        return Detail::None;
    }
    let half = |at: usize| array(bytes, at * 4).map(u32::from_ne_bytes).map(u64::from);
    let set = |word: usize| Some(CapSet::from_bits(half(word)? | half(word + 3).unwrap_or(0) << 32));
    let all = || Some(Detail::Sets { effective: set(0)?, permitted: set(1)?, inheritable: set(2)? });
    all().unwrap_or(Detail::None)
}

/// Reads the file capabilities of a program beneath a container's root, without opening it: whatever the container puts there is
/// neither read nor waited for.
pub(crate) fn file_capabilities(root: impl AsFd, path: &Path) -> Option<FileCaps> {
    let place = selkie_sys::root::place(root, path).ok()?;
    let mut bytes = [0; LONGEST_CAPABILITY];
    // A descriptor of a place has no attributes of its own, its path in procfs has.
    let name = format!("/proc/self/fd/{}", place.as_raw_fd());
    let length = rustix::fs::getxattr(name, "security.capability", &mut bytes).ok()?;
    FileCaps::parse(bytes.get(..length)?).ok()
}

/// Returns `N` bytes from `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(bytes: &[u8]) -> String {
        match address(bytes) {
            Detail::Address { address } => address,
            other => format!("{other:?}"),
        }
    }

    fn with_family(family: u16, rest: &[u8]) -> Vec<u8> {
        [&family.to_ne_bytes(), rest].concat()
    }

    #[test]
    fn addresses_are_written_as_people_write_them() {
        assert_eq!(address_of(&[2, 0, 0, 80, 127, 0, 0, 1]), "127.0.0.1:80");
        let mut six = vec![10, 0, 0, 53, 0, 0, 0, 0];
        six.extend([0; 16]);
        assert_eq!(address_of(&six), "[::]:53");
        assert_eq!(address_of(b"\x01\0/run/x\0"), "unix:/run/x");
        assert_eq!(address_of(b"\x01\0\0hidden"), "unix:@hidden");
        assert_eq!(address_of(&[16, 0]), "netlink");
    }

    #[test]
    fn addresses_of_each_family() {
        assert_eq!(address_of(&with_family(AF_INET, &[0, 80, 127, 0, 0, 1])), "127.0.0.1:80");
        assert_eq!(address_of(&with_family(AF_INET6, &[&[1, 187, 0, 0, 0, 0][..], &[0; 16]].concat())), "[::]:443");
        assert_eq!(address_of(&with_family(AF_UNIX, b"/run/x\0rest")), "unix:/run/x");
        assert_eq!(address_of(&with_family(AF_UNIX, b"\0name")), "unix:@name");
        assert_eq!(address_of(&with_family(AF_NETLINK, &[0; 10])), "netlink");
        assert_eq!(address_of(&with_family(38, &[0; 10])), "family 38");
        assert_eq!(address_of(&with_family(AF_INET, &[0, 80])), "None");
        assert_eq!(address_of(&[1]), "None");
    }

    #[test]
    fn what_was_cut_is_nothing() {
        assert_eq!(address(&[2, 0, 0]), Detail::None);
        assert_eq!(address(&[]), Detail::None);
        assert_eq!(sets(&[1, 2, 3]), Detail::None);
    }

    #[test]
    fn sets_are_joined_of_two_words() {
        let mut bytes = [0; 24];
        bytes[1] = 4;
        bytes[16] = 1;
        let wanted =
            Detail::Sets { effective: CapSet::from_bits(0x400), permitted: CapSet::from_bits(1 << 32), inheritable: CapSet::EMPTY };
        assert_eq!(sets(&bytes), wanted);
    }
}
