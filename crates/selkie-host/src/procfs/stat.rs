//! `/proc/PID/stat`: times, terminal and sizes of a process. proc_pid_stat(5).
//!
//! The name in the second field is raw: it may hold blanks, parentheses and newlines. Fields are counted from its last `)`.

use super::number;

/// What `/proc/PID/stat` says. Times are clock ticks of [`TICKS_A_SECOND`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number in the reader's PID namespace.
    pub pid: u32,
    /// Its name, any bytes.
    pub name: Vec<u8>,
    /// One letter: `R`, `S`, `Z` and others.
    pub state: u8,
    /// Its parent.
    pub parent: u32,
    /// Its process group; 0 when that is outside of the reader's PID namespace.
    pub group: u32,
    /// Its session; 0 likewise.
    pub session: u32,
    /// Its controlling terminal as a device number, 0 without one.
    pub terminal: u32,
    /// Time that it ran itself.
    pub user_time: u64,
    /// Time that the kernel ran for it.
    pub system_time: u64,
    /// -20 to 19.
    pub nice: i32,
    /// When it was started, since boot.
    pub start_time: u64,
    /// Virtual size in bytes.
    pub virtual_size: u64,
    /// Resident pages.
    pub resident_pages: u64,
}

/// `USER_HZ`: what the kernel's interfaces count in, on every architecture that selkie runs on.
pub const TICKS_A_SECOND: u64 = 100;

impl Stat {
    /// Reads the file; `None` when it is none.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        let open = file.iter().position(|byte| *byte == b'(')?;
        let close = file.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
        let pid = number(file.get(..open)?.strip_suffix(b" ")?)?;
        let fields: Vec<&[u8]> = file.get(close + 1..)?.trim_ascii().split(|byte| *byte == b' ').collect();
        // Fields 1 and 2 are before the parenthesis; proc(5) counts from 1.
        let field = |number: usize| fields.get(number - 3).copied();
        let count = |at: usize| number::<u64>(field(at)?);
        let id = |at: usize| signed(field(at)?).map(|value| u32::try_from(value).unwrap_or(0));
        Some(Self {
            pid,
            name: file.get(open + 1..close)?.to_vec(),
            state: field(3).filter(|state| state.len() == 1)?.first().copied()?,
            parent: id(4)?,
            group: id(5)?,
            session: id(6)?,
            terminal: id(7)?,
            user_time: count(14)?,
            system_time: count(15)?,
            nice: i32::try_from(signed(field(19)?)?).ok()?,
            start_time: count(22)?,
            virtual_size: count(23)?,
            resident_pages: count(24)?,
        })
    }
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => number::<u32>(digits).map(|value| -i64::from(value)),
        None => number::<u32>(text).map(i64::from),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: &str = "S 7 8 9 34816 8 4194560 1 2 3 4 11 12 0 0 20 -5 1 0 777 4096 33 18446744073709551615 1 1";

    #[test]
    fn parse_whole_line_returns_every_field() {
        let wanted = Stat {
            pid: 42,
            name: b"sleep".to_vec(),
            state: b'S',
            parent: 7,
            group: 8,
            session: 9,
            terminal: 34816,
            user_time: 11,
            system_time: 12,
            nice: -5,
            start_time: 777,
            virtual_size: 4096,
            resident_pages: 33,
        };
        assert_eq!(Stat::parse(format!("42 (sleep) {REST}\n").as_bytes()), Some(wanted));
    }

    #[test]
    fn parse_hostile_name_counts_from_the_last_parenthesis() {
        let stat = Stat::parse(format!("42 (a) R 1\nCapEff:) {REST}\n").as_bytes()).unwrap();
        assert_eq!((stat.name.as_slice(), stat.state, stat.parent), (&b"a) R 1\nCapEff:"[..], b'S', 7));
    }

    #[test]
    fn parse_line_cut_short_is_none() {
        assert_eq!(Stat::parse(b"42 (sleep) S 7 8 9"), None);
        assert_eq!(Stat::parse(b"42 )sleep( S 7"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn parse_session_of_minus_one_is_zero() {
        let rest = REST.replace("S 7 8 9 34816 8", "S 0 -1 -1 0 -1");
        let stat = Stat::parse(format!("1 (x) {rest}").as_bytes()).unwrap();
        assert_eq!((stat.group, stat.session), (0, 0));
    }

    proptest! {
        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Stat::parse(&bytes);
        }

        #[test]
        fn parse_any_name_keeps_the_fields(name in proptest::collection::vec(1_u8.., 0..16)) {
            let mut bytes = b"42 (".to_vec();
            bytes.extend(&name);
            bytes.extend(format!(") {REST}").bytes());
            let stat = Stat::parse(&bytes).unwrap();
            prop_assert_eq!((stat.name, stat.start_time), (name, 777));
        }
    }
}
