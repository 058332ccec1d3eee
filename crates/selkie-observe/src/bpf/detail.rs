//! What the arguments of a kept call pointed to, from the bytes that the kernel side read.
//!
//! All of it was written by the container: nothing is believed, and what makes no sense is [`Detail::None`].

use selkie_learn::Detail;

use super::kinds::Kind;
use super::layout::Call;
use crate::argument::{AF_NETLINK, address, array, sets};

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

fn netlink(bytes: &[u8], protocol: u16) -> Detail {
    let Some(message) = array(bytes, 4).map(u16::from_le_bytes) else { return Detail::None };
    let payload = bytes.get(NETLINK_HEADER..).unwrap_or(&[]);
    let payload = payload.get(..NETLINK_PAYLOAD).unwrap_or(payload).to_vec();
    Detail::Netlink { message, protocol: Some(i32::from(protocol)), payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netlink_that_was_cut_is_nothing() {
        assert_eq!(netlink(&[1, 2, 3], 0), Detail::None);
    }
}
