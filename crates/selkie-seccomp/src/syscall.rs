//! System calls by name and number, and the calls that i386 hides behind `socketcall` and `ipc`.

use crate::Arch;
use crate::syscall_table::{Numbers, TABLE};

/// Returns the number of the call `name` on `arch`; `None` where it does not exist, or only behind a multiplexer.
#[must_use]
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    numbers(name).and_then(|numbers| on(numbers, arch))
}

/// Returns the name of call `number` on `arch`.
#[must_use]
pub fn name(arch: Arch, number: u32) -> Option<&'static str> {
    TABLE.rows().find(|(_, numbers)| on(numbers, arch) == Some(number)).map(|(name, _)| name)
}

/// Returns whether any architecture has a call of this `name`.
#[must_use]
pub fn exists(name: &str) -> bool {
    numbers(name).is_some()
}

/// Returns the row of the table, so that one look-up serves all architectures.
pub(crate) fn numbers(name: &str) -> Option<&'static Numbers> {
    TABLE.find(name)
}

pub(crate) fn on(numbers: &Numbers, arch: Arch) -> Option<u32> {
    numbers.get(arch.column()).and_then(|number| u32::try_from(*number).ok())
}

/// A call of i386 as the first argument of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Multiplexed {
    /// The number of `socketcall` or `ipc`.
    pub(crate) number: u32,
    /// The first argument that selects the call.
    pub(crate) selector: u64,
}

/// Returns how i386 reaches the call `name` by way of `socketcall` or `ipc`.
pub(crate) fn multiplexed(name: &str) -> Option<Multiplexed> {
    let select = |calls: &[(&str, u64)], number| {
        calls.iter().find(|(call, _)| *call == name).map(|(_, selector)| Multiplexed { number, selector: *selector })
    };
    select(SOCKET_CALLS, 102).or_else(|| select(IPC_CALLS, 117))
}

/// `include/uapi/linux/net.h`
const SOCKET_CALLS: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// `include/uapi/linux/ipc.h`
const IPC_CALLS: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_by_name() {
        let names: Vec<&str> = TABLE.rows().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|left, right| left < right));
        assert_eq!((names.len(), names.first().copied(), names.last().copied()), (483, Some("_llseek"), Some("writev")));
    }

    #[test]
    fn number_known_calls_match_the_kernel() {
        let numbers = |name| Arch::ALL.map(|arch| number(arch, name));
        assert_eq!(numbers("execve"), [Some(59), Some(11), Some(0x4000_0208), Some(221), Some(11)]);
        assert_eq!(numbers("socket"), [Some(41), Some(359), Some(0x4000_0029), Some(198), Some(281)]);
        assert_eq!(numbers("clone3"), [Some(435), Some(435), Some(0x4000_01b3), Some(435), Some(435)]);
        assert_eq!(numbers("socketcall"), [None, Some(102), None, None, None]);
        assert_eq!(numbers("nosuchcall"), [None; 5]);
    }

    #[test]
    fn name_every_number_returns_a_name_of_that_number() {
        for arch in Arch::ALL {
            for (_, numbers) in TABLE.rows() {
                let Some(wanted) = on(numbers, arch) else { continue };
                assert_eq!(name(arch, wanted).and_then(|name| number(arch, name)), Some(wanted));
            }
        }
    }
}
