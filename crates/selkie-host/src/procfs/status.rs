//! `/proc/PID/status`: who a process is and what it may do. proc_pid_status(5).
//!
//! The kernel escapes a newline in the name as `\n` and a backslash as `\\`, so that a name cannot forge a line; everything else
//! in the file is the kernel's own. A field that occurs twice is no file of the kernel's.
//!
//! ```text
//! Name:   a) R 1\nCapEff:
//! PPid:   1
//! Uid:    0  0  0  0          real, effective, saved, file system
//! NSpid:  421  7              in each PID namespace from the reader's inwards
//! CapEff: 00000000800405fb
//! ```

use std::fmt;

use selkie_caps::{CapSet, FiveSets};

use super::{lines, number, words};

/// The name of a process as the kernel has it: at most 15 bytes of anything. Those of the kernel's own threads, which may be longer,
/// are cut. Small, since of every process there is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandName {
    length: u8,
    bytes: [u8; 15],
}

impl CommandName {
    /// Builds it from what the kernel has, which ends at the first NUL; what is beyond 15 bytes is left out.
    #[must_use]
    pub fn new(raw: &[u8]) -> Self {
        let mut name = Self { length: 0, bytes: [0; 15] };
        let length = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len()).min(name.bytes.len());
        if let (Some(to), Some(from)) = (name.bytes.get_mut(..length), raw.get(..length)) {
            to.copy_from_slice(from);
            name.length = u8::try_from(length).unwrap_or(0);
        }
        name
    }

    /// Builds it from the kernel's escaped form; what is beyond 15 bytes is left out.
    #[must_use]
    pub fn unescape(text: &[u8]) -> Self {
        let mut name = Self { length: 0, bytes: [0; 15] };
        let mut rest = text.iter().copied();
        for slot in &mut name.bytes {
            *slot = match rest.next() {
                None => break,
                Some(b'\\') => match rest.clone().next() {
                    Some(b'n') => {
                        rest.next();
                        b'\n'
                    }
                    Some(b'\\') => {
                        rest.next();
                        b'\\'
                    }
                    _ => b'\\',
                },
                Some(byte) => byte,
            };
            name.length += 1;
        }
        name
    }

    /// Returns the bytes, which may be anything but NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Returns the name as text; bytes that are not UTF-8 are replaced. It can still hold control characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }
}

impl fmt::Debug for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

/// What `/proc/PID/status` says, in a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: CommandName,
    /// One letter of proc(5): `R`, `S`, `Z` and others.
    pub state: u8,
    /// Its parent; 0 when that is outside of the reader's PID namespace.
    pub parent: u32,
    /// Real, effective, saved and file-system user id, as the reader's user namespace numbers them.
    pub uids: [u32; 4],
    /// The same of the group ids.
    pub gids: [u32; 4],
    /// Its number in its own PID namespace; `None` before Linux 4.1.
    pub inner_pid: Option<u32>,
    /// How many PID namespaces it is in, counted from the reader's: 1 is the reader's own. 0 before Linux 4.1.
    pub pid_levels: u8,
    /// The five sets; the ambient set is empty before Linux 4.3.
    pub sets: FiveSets,
    /// Whether execve(2) can still give privileges; `None` before Linux 4.10.
    pub no_new_privileges: Option<bool>,
    /// 0 none, 1 strict, 2 filters; `None` on a kernel without seccomp.
    pub seccomp: Option<u8>,
    /// How many filters; `None` before Linux 5.9.
    pub seccomp_filters: Option<u32>,
    /// Whether it is a thread of the kernel; `None` before Linux 6.8.
    pub kernel_thread: Option<bool>,
}

impl Status {
    /// Reads the file; `None` when it is none.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        let mut fields = Fields::default();
        let mut rest = file.strip_prefix(b"Name:\t")?;
        let name = CommandName::unescape(next_line(&mut rest)?);
        while let Some(line) = next_line(&mut rest) {
            // The long lines behind the last wanted one are not looked at.
            if line.starts_with(b"Cpus_allowed:") {
                break;
            }
            fields.line(line)?;
        }
        fields.finish(name)
    }

    /// Returns whether it is a thread of the kernel.
    #[must_use]
    pub fn is_kernel_thread(&self, pid: u32) -> bool {
        // Before Linux 6.8 the file does not say so; then kthreadd and its children are meant, as pscap(8) does.
        self.kernel_thread.unwrap_or(pid == 2 || self.parent == 2)
    }
}

/// Takes the next whole line. Of these files there are thousands.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
    *rest = after.get(1..)?;
    Some(line)
}

/// Returns the supplementary groups in the file.
#[must_use]
pub fn groups(file: &[u8]) -> Vec<u32> {
    let line = lines(file).find_map(|line| line.strip_prefix(b"Groups:"));
    line.map(|line| words(line).filter_map(number).collect()).unwrap_or_default()
}

#[derive(Default)]
struct Fields {
    state: Option<u8>,
    parent: Option<u32>,
    uids: Option<[u32; 4]>,
    gids: Option<[u32; 4]>,
    levels: Option<(u8, u32)>,
    sets: [Option<CapSet>; 5],
    no_new_privileges: Option<bool>,
    seccomp: Option<u8>,
    filters: Option<u32>,
    kernel_thread: Option<bool>,
}

impl Fields {
    /// Takes one line; `None` when it is malformed or occurs twice.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        // One comparison for most of the sixty lines.
        match line {
            [b'S', b't', ..] => once(&mut self.state, line, b"State:", |text| words(text).next()?.first().copied()),
            [b'P', b'P', ..] => once(&mut self.parent, line, b"PPid:", single),
            [b'U', b'i', ..] => once(&mut self.uids, line, b"Uid:", four),
            [b'G', b'i', ..] => once(&mut self.gids, line, b"Gid:", four),
            [b'N', b'S', ..] => once(&mut self.levels, line, b"NSpid:", levels),
            [b'K', b't', ..] => once(&mut self.kernel_thread, line, b"Kthread:", |text| Some(single::<u8>(text)? != 0)),
            [b'N', b'o', ..] => once(&mut self.no_new_privileges, line, b"NoNewPrivs:", |text| Some(single::<u8>(text)? != 0)),
            [b'S', b'e', ..] => {
                once(&mut self.seccomp, line, b"Seccomp:", single)?;
                once(&mut self.filters, line, b"Seccomp_filters:", single)
            }
            [b'C', b'a', b'p', first, ..] => {
                let [inheritable, permitted, effective, bounding, ambient] = &mut self.sets;
                match first {
                    b'I' => once(inheritable, line, b"CapInh:", mask),
                    b'P' => once(permitted, line, b"CapPrm:", mask),
                    b'E' => once(effective, line, b"CapEff:", mask),
                    b'B' => once(bounding, line, b"CapBnd:", mask),
                    b'A' => once(ambient, line, b"CapAmb:", mask),
                    _ => Some(()),
                }
            }
            _ => Some(()),
        }
    }

    fn finish(self, name: CommandName) -> Option<Status> {
        let [inheritable, permitted, effective, bounding, ambient] = self.sets;
        let sets = FiveSets {
            inheritable: inheritable?,
            permitted: permitted?,
            effective: effective?,
            bounding: bounding?,
            ambient: ambient.unwrap_or(CapSet::EMPTY),
        };
        Some(Status {
            name,
            state: self.state?,
            parent: self.parent?,
            uids: self.uids?,
            gids: self.gids?,
            inner_pid: self.levels.map(|(_, pid)| pid),
            pid_levels: self.levels.map_or(0, |(levels, _)| levels),
            sets,
            no_new_privileges: self.no_new_privileges,
            seccomp: self.seccomp,
            seccomp_filters: self.filters,
            kernel_thread: self.kernel_thread,
        })
    }
}

fn once<T>(slot: &mut Option<T>, line: &[u8], name: &[u8], parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<()> {
    let Some(value) = line.strip_prefix(name) else { return Some(()) };
    if slot.is_some() {
        return None;
    }
    *slot = Some(parse(value)?);
    Some(())
}

fn single<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let mut words = words(text);
    let value = number(words.next()?)?;
    words.next().is_none().then_some(value)
}

fn four(text: &[u8]) -> Option<[u32; 4]> {
    let mut words = words(text);
    let mut next = || number(words.next()?);
    let four = [next()?, next()?, next()?, next()?];
    words.next().is_none().then_some(four)
}

fn levels(text: &[u8]) -> Option<(u8, u32)> {
    // At most 32 levels: MAX_PID_NS_LEVEL.
    words(text).try_fold((0, 0), |(levels, _), word| Some((u8::checked_add(levels, 1)?, number(word)?))).filter(|(levels, _)| *levels > 0)
}

fn mask(text: &[u8]) -> Option<CapSet> {
    let digits = words(text).next().filter(|digits| digits.len() == 16)?;
    digits.iter().try_fold(0_u64, |value, byte| Some(value << 4 | u64::from(char::from(*byte).to_digit(16)?))).map(CapSet::from_bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAIL: &str = "Umask:\t0022\nState:\tS (sleeping)\nTgid:\t421\nPid:\t421\nPPid:\t7\nUid:\t0\t1000\t2\t3\nGid:\t4\t5\t6\t7\n\
        Groups:\t4 24 \nNSpid:\t421\t7\nKthread:\t0\nCapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000000000c0\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\nCpus_allowed:\tff\n";

    fn file(name: &str) -> Vec<u8> {
        format!("Name:\t{name}\n{TAIL}").into_bytes()
    }

    #[test]
    fn parse_whole_file_returns_every_field() {
        let wanted = Status {
            name: CommandName::unescape(b"web"),
            state: b'S',
            parent: 7,
            uids: [0, 1000, 2, 3],
            gids: [4, 5, 6, 7],
            inner_pid: Some(7),
            pid_levels: 2,
            sets: FiveSets {
                inheritable: CapSet::EMPTY,
                permitted: CapSet::from_bits(0x8004_05fb),
                effective: CapSet::from_bits(0xc0),
                bounding: CapSet::from_bits(0x1ff_ffff_ffff),
                ambient: CapSet::EMPTY,
            },
            no_new_privileges: Some(true),
            seccomp: Some(2),
            seccomp_filters: Some(3),
            kernel_thread: Some(false),
        };
        assert_eq!(Status::parse(&file("web")), Some(wanted));
        assert_eq!(groups(&file("web")), [4, 24]);
    }

    #[test]
    fn parse_hostile_name_is_only_a_name() {
        let status = Status::parse(&file("a) R 1\\nCapEff:")).unwrap();
        assert_eq!(status.name.as_bytes(), b"a) R 1\nCapEff:");
        assert_eq!(status.sets.effective.bits(), 0xc0);
    }

    #[test]
    fn parse_escaped_backslash_is_one_backslash() {
        assert_eq!(CommandName::unescape(br"a\\n\x\").as_bytes(), br"a\n\x\");
    }

    #[test]
    fn parse_name_of_a_kernel_thread_is_cut_like_any_other() {
        let status = Status::parse(&file("kworker/u8:2-events_unbound")).unwrap();
        assert_eq!(status.name.as_bytes(), b"kworker/u8:2-ev");
        assert_eq!(status.name, CommandName::new(b"kworker/u8:2-events_unbound"));
    }

    #[test]
    fn parse_name_that_is_not_text_keeps_its_bytes() {
        let mut bytes = b"Name:\t\xff\xfe\x1b[31m\n".to_vec();
        bytes.extend(TAIL.as_bytes());
        assert_eq!(Status::parse(&bytes).unwrap().name.as_bytes(), b"\xff\xfe\x1b[31m");
    }

    #[test]
    fn parse_field_twice_is_none() {
        let forged = format!("Name:\ta\nCapEff:\t000001ffffffffff\n{TAIL}");
        assert_eq!(Status::parse(forged.as_bytes()), None);
    }

    #[test]
    fn parse_file_cut_anywhere_before_the_sets_end_is_none() {
        let file = file("web");
        let end = file.windows(7).position(|window| window == b"CapBnd:").unwrap() + 20;
        for length in 0..end {
            assert_eq!(Status::parse(&file[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn parse_old_kernel_has_no_newer_fields() {
        let old = "Name:\tinit\nState:\tS\nPPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n\
            CapPrm:\t0000001fffffffff\nCapEff:\t0000001fffffffff\nCapBnd:\t0000001fffffffff\n";
        let status = Status::parse(old.as_bytes()).unwrap();
        assert_eq!((status.seccomp, status.no_new_privileges, status.inner_pid, status.pid_levels), (None, None, None, 0));
    }

    #[test]
    fn parse_mask_with_a_sign_is_none() {
        let text = TAIL.replace("CapEff:\t00000000000000c0", "CapEff:\t+0000000000000c0");
        assert_eq!(Status::parse(format!("Name:\ta\n{text}").as_bytes()), None);
    }

    proptest! {
        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (Status::parse(&bytes), groups(&bytes));
        }

        #[test]
        fn parse_any_name_leaves_the_sets_alone(name in proptest::collection::vec(1_u8.., 0..16)) {
            let escaped: Vec<u8> = name.iter().flat_map(|byte| match byte {
                b'\n' => b"\\n".to_vec(),
                b'\\' => b"\\\\".to_vec(),
                other => vec![*other],
            }).collect();
            let mut bytes = b"Name:\t".to_vec();
            bytes.extend(escaped);
            bytes.extend(b"\n".iter().chain(TAIL.as_bytes()));
            let status = Status::parse(&bytes).unwrap();
            prop_assert_eq!(status.name.as_bytes(), &name[..]);
            prop_assert_eq!(status.sets.effective.bits(), 0xc0);
        }

        #[test]
        fn parse_damaged_file_does_not_panic(at in 0_usize..500, byte: u8) {
            let mut bytes = file("web");
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
            let _ = Status::parse(&bytes);
        }
    }
}
