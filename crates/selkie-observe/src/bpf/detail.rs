//! What the arguments of a kept call pointed to, from the bytes that the kernel side read.
//!
//! All of it was written by the container: nothing is believed, and what makes no sense is [`Detail::None`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use selkie_caps::CapSet;
use selkie_learn::Detail;

use super::kinds::Kind;
use super::layout::Call;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;
const AF_PACKET: u16 = 17;
/// Bytes of a `struct nlmsghdr`.
const NETLINK_HEADER: usize = 16;
/// Bytes of a netlink payload that are kept.
const NETLINK_PAYLOAD: usize = 48;

/// Returns what the arguments of `call` pointed to.
pub(super) fn of(call: &Call, kind: Kind) -> Detail {
    let [first, second] = &call.texts;
    match kind {
        Kind::Nothing => Detail::None,
        Kind::Path0 | Kind::Path1 | Kind::Path4 => path(first).map_or(Detail::None, |path| Detail::Path { path, other: None }),
        Kind::Paths01 | Kind::Paths10 | Kind::Paths02 | Kind::Paths13 => {
            path(first).map_or(Detail::None, |path_| Detail::Path { path: path_, other: path(second) })
        }
        Kind::Address => address(first),
        Kind::SendBuffer | Kind::SendMessage if call.family == AF_NETLINK => netlink(first, call.protocol),
        Kind::SendBuffer | Kind::SendMessage => address(second),
        Kind::Sets => sets(second),
    }
}

fn path(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn address(bytes: &[u8]) -> Detail {
    let text = || {
        let port = array(bytes, 2).map(u16::from_be_bytes);
        match u16::from_le_bytes(array(bytes, 0)?) {
            AF_INET => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(array::<4>(bytes, 4)?)), port?).to_string()),
            AF_INET6 => Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(array::<16>(bytes, 8)?)), port?).to_string()),
            AF_UNIX => {
                let name = bytes.get(2..)?;
                let (mark, name) =
                    name.split_first().map_or(("", name), |(first, rest)| if *first == 0 { ("@", rest) } else { ("", name) });
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                Some(format!("unix:{mark}{}", String::from_utf8_lossy(name.get(..end)?)))
            }
            AF_NETLINK => Some("netlink".to_owned()),
            AF_PACKET => Some("packet".to_owned()),
            family => Some(format!("family {family}")),
        }
    };
    text().map_or(Detail::None, |address| Detail::Address { address })
}

fn netlink(bytes: &[u8], protocol: u16) -> Detail {
    let Some(message) = array(bytes, 4).map(u16::from_le_bytes) else { return Detail::None };
    let payload = bytes.get(NETLINK_HEADER..).unwrap_or(&[]);
    let payload = payload.get(..NETLINK_PAYLOAD).unwrap_or(payload).to_vec();
    Detail::Netlink { message, protocol: Some(i32::from(protocol)), payload }
}

/// Reads the two `struct __user_cap_data_struct`; the second is zeros for version 1.
fn sets(bytes: &[u8]) -> Detail {
    let set = |word: usize| {
        let half = |at: usize| array(bytes, at * 4).map(u32::from_le_bytes).map(u64::from);
        Some(CapSet::from_bits(half(word)? | half(word + 3)? << 32))
    };
    let all = || Some(Detail::Sets { effective: set(0)?, permitted: set(1)?, inheritable: set(2)? });
    all().unwrap_or(Detail::None)
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
    fn addresses_that_were_cut_are_nothing() {
        assert_eq!(address(&[2, 0, 0]), Detail::None);
        assert_eq!(address(&[]), Detail::None);
        assert_eq!(sets(&[1, 2, 3]), Detail::None);
        assert_eq!(netlink(&[1, 2, 3], 0), Detail::None);
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
