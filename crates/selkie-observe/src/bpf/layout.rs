//! The structures of `bpf/observe.bpf.c`, as bytes.
//!
//! Keys and values of the maps go to and from the kernel as byte arrays, so that no unsafe code is needed. Every structure is made of
//! little-endian words without holes; a map whose sizes are not these is refused when it is opened.

use selkie_caps::{CapSet, Capability};
use selkie_learn::{Credentials, Flags};

/// Bytes of `struct context`.
pub(super) const CONTEXT: usize = 88;
/// Bytes of `struct kind_of_check`.
pub(super) const CHECK: usize = 16;
/// Bytes of `struct site`.
pub(super) const SITE: usize = 24;
/// Bytes of `struct counted`.
pub(super) const COUNTED: usize = 40;
/// Bytes of `struct call_key`.
pub(super) const CALL_KEY: usize = 16;
/// Bytes of `struct call`.
pub(super) const CALL: usize = 1024;
/// Bytes of `struct alike`.
pub(super) const ALIKE: usize = 32;
/// Bytes of `struct repeated`.
pub(super) const REPEATED: usize = 16;
/// Bytes of `struct ending`.
pub(super) const ENDING: usize = 64;
/// Bytes of `struct stack`.
pub(super) const STACK: usize = 320;
/// Bytes of `struct tally`.
pub(super) const TALLY: usize = 16 + KINDS * (8 + COUNTED) + HITS * 24;

/// `NO_CALL`: a worker asks.
pub(super) const NO_CALL: u32 = u32::MAX;
/// `COMPAT`: the number is of the 32-bit table.
pub(super) const COMPAT: u32 = 0x8000_0000;
/// `DENIALS`.
const DENIALS: usize = 6;
/// `TEXT`.
const TEXT: usize = 200;
/// `PARTS`.
const PARTS: usize = 8;
/// `PART`.
const PART: usize = 48;
/// `KINDS`.
const KINDS: usize = 64;
/// `HITS`.
const HITS: usize = 128;
/// `ALIKE_REFUSED`.
const ALIKE_REFUSED: u64 = 256;
/// `ALIKE_OTHER`.
const ALIKE_OTHER: u64 = 4;

/// Takes values off the front of a structure. Beyond its end everything is 0: the lengths are fixed, so that does not happen.
pub(super) struct Words<'a>(pub(super) &'a [u8]);

impl<'a> Words<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap_or([0; N])
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    fn comm(&mut self) -> String {
        text(self.bytes(16))
    }

    fn credentials(&mut self) -> Credentials {
        let mut set = || CapSet::from_bits(self.u64());
        let (effective, permitted, bounding) = (set(), set(), set());
        Credentials { uid: self.u32(), gid: self.u32(), effective, permitted, bounding }
    }
}

/// Returns a string that ends at the first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
}

/// `struct context`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) start: u64,
    pub(super) ended: u64,
    pub(super) calls: u64,
    pub(super) lost_checks: u64,
    pub(super) lost_calls: u64,
    pub(super) lost_stacks: u64,
    pub(super) cgroup: u64,
    pub(super) mounts: u32,
    pub(super) init: u32,
    pub(super) observer: u32,
    pub(super) pid_namespace: u32,
    pub(super) owner_start: u64,
    pub(super) owner: u32,
    /// Nobody watches; [`Self::owner_start`] is the store that it belongs to.
    pub(super) aggregate: bool,
}

impl Context {
    pub(super) fn parse(bytes: &[u8; CONTEXT]) -> Self {
        let mut words = Words(bytes);
        Self {
            start: words.u64(),
            ended: words.u64(),
            calls: words.u64(),
            lost_checks: words.u64(),
            lost_calls: words.u64(),
            lost_stacks: words.u64(),
            cgroup: words.u64(),
            mounts: words.u32(),
            init: words.u32(),
            observer: words.u32(),
            pid_namespace: words.u32(),
            owner_start: words.u64(),
            owner: words.u32(),
            aggregate: words.u32() != 0,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; CONTEXT] {
        let mut bytes = Vec::with_capacity(CONTEXT);
        for word in [self.start, self.ended, self.calls, self.lost_checks, self.lost_calls, self.lost_stacks, self.cgroup] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [self.mounts, self.init, self.observer, self.pid_namespace] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.owner_start.to_le_bytes());
        bytes.extend(self.owner.to_le_bytes());
        bytes.extend(u32::from(self.aggregate).to_le_bytes());
        bytes.try_into().unwrap_or([0; CONTEXT])
    }
}

/// `struct kind_of_check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Check {
    pub(super) context: u64,
    pub(super) nr: u32,
    pub(super) flags: u16,
    pub(super) capability: u8,
    pub(super) denied: bool,
}

impl Check {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut words = Words(bytes);
        Self { context: words.u64(), nr: words.u32(), flags: words.u16(), capability: words.u8(), denied: words.u8() != 0 }
    }
}

impl Check {
    /// Reads what `tally_key` made; `None` of a place that is empty.
    fn of_key(context: u64, key: u64) -> Option<Self> {
        let [_, capability, low, high, nr @ ..] = key.to_le_bytes();
        let (nr, flags) = (u32::from_le_bytes(nr), u16::from_le_bytes([low, high]));
        (key != 0).then_some(Self { context, nr, flags, capability, denied: true })
    }
}

/// Reads a `struct site`: the check and the hash of its stack, 0 if that was lost.
pub(super) fn site(bytes: &[u8; SITE]) -> (Check, u64) {
    let (check, stack) = bytes.split_at(CHECK);
    (Check::parse(check), Words(stack).u64())
}

/// `struct counted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) comm: String,
}

impl Counted {
    pub(super) fn parse(bytes: &[u8; COUNTED]) -> Self {
        let mut words = Words(bytes);
        Self { count: words.u64(), first: words.u64(), last: words.u64(), comm: words.comm() }
    }
}

/// Reads the flags of a check; `known` is whether it was seen at all whether an audit record was wanted.
pub(super) fn flags(bits: u16) -> Flags {
    let bit = |place: u32| bits >> place & 1 != 0;
    Flags {
        held: bit(0),
        foreign: bit(1),
        borrowed: bit(2),
        target_initial: bit(3),
        owner_initial: bit(4),
        target_own: bit(5),
        uid_zero: bit(6),
        powerless: bit(7),
        worker: bit(8),
        silent: bit(9).then(|| bit(10)),
    }
}

/// `struct tally`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Checks that found no room.
    pub(super) lost: u64,
    pub(super) kinds: Vec<(Check, Counted)>,
    /// With the hash of a stack, and how often it was taken.
    pub(super) hits: Vec<(Check, u64, u64)>,
}

impl Tally {
    /// Reads the value of the context `id`. What another processor is just writing down has no key yet and is left out.
    pub(super) fn parse(id: u64, bytes: &[u8; TALLY]) -> Self {
        let mut words = Words(bytes);
        let lost = words.u64();
        words.bytes(8);
        let keys: Vec<u64> = (0..KINDS).map(|_| words.u64()).collect();
        let kinds = keys.into_iter().map(|key| (key, Counted::parse(&words.array()))).collect::<Vec<_>>();
        let hits: Vec<[u64; 3]> = (0..HITS).map(|_| std::array::from_fn(|_| words.u64())).collect();
        Self {
            lost,
            kinds: kinds.into_iter().filter_map(|(key, counted)| Some((Check::of_key(id, key)?, counted))).collect(),
            hits: hits.into_iter().filter_map(|[key, stack, count]| Some((Check::of_key(id, key)?, stack, count))).collect(),
        }
    }
}

/// `struct denial`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) stack: u64,
    pub(super) flags: u16,
    /// As a number: the kernel may know more than we do.
    pub(super) capability: u8,
}

impl Denial {
    pub(super) fn capability(self) -> Option<Capability> {
        Capability::from_number(self.capability)
    }
}

/// `struct call`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) at: u64,
    pub(super) result: i64,
    pub(super) arguments: [u64; 6],
    pub(super) credentials: Credentials,
    pub(super) denied: Vec<Denial>,
    pub(super) nr: u32,
    pub(super) pid: u32,
    pub(super) tgid: u32,
    pub(super) comm: String,
    pub(super) family: u16,
    pub(super) protocol: u16,
    pub(super) texts: [Vec<u8>; 2],
    /// Path of the program beneath the root directory of the process.
    pub(super) program: Option<String>,
}

impl Call {
    pub(super) fn parse(bytes: &[u8; CALL]) -> Self {
        let mut words = Words(bytes);
        let (at, result) = (words.u64(), words.u64().cast_signed());
        let arguments = std::array::from_fn(|_| words.u64());
        let credentials = words.credentials();
        let mut denied: Vec<Denial> = Vec::with_capacity(DENIALS);
        for _ in 0..DENIALS {
            denied.push(Denial { stack: words.u64(), flags: words.u16(), capability: words.u8() });
            words.bytes(5);
        }
        let (nr, count, pid, tgid) = (words.u32(), words.u32(), words.u32(), words.u32());
        denied.truncate(usize::try_from(count).unwrap_or(0));
        let (comm, family, protocol) = (words.comm(), words.u16(), words.u16());
        let lengths = [words.u16(), words.u16()];
        let texts = lengths.map(|length| {
            let text = words.bytes(TEXT);
            text.get(..usize::from(length)).unwrap_or(text).to_vec()
        });
        let program = program(&mut words);
        Self { at, result, arguments, credentials, denied, nr, pid, tgid, comm, family, protocol, texts, program }
    }
}

/// Puts a path together, whose last part comes first; `None` if there is none, or if a part was cut.
fn program(words: &mut Words<'_>) -> Option<String> {
    let count = usize::try_from(words.u64()).ok().filter(|count| (1..=PARTS).contains(count))?;
    let parts: Vec<String> = (0..count).map(|_| text(words.bytes(PART))).collect();
    let cut = parts.iter().any(|part| part.len() + 1 >= PART);
    (!cut).then(|| parts.iter().rev().map(|part| format!("/{part}")).collect())
}

/// Returns the key of the record `number` of a context.
pub(super) fn call_key(context: u64, number: u64) -> [u8; CALL_KEY] {
    let mut key = [0; CALL_KEY];
    for (place, byte) in key.iter_mut().zip(context.to_le_bytes().into_iter().chain(number.to_le_bytes())) {
        *place = byte;
    }
    key
}

/// Returns the context that a key of any map but `mounts` and `cgroups` begins with.
pub(super) fn context_of(key: &[u8]) -> u64 {
    Words(key).u64()
}

/// Calls that are alike in all but their arguments, of which only the first were kept.
pub(super) struct Repeated {
    /// Number of the last one that was kept.
    pub(super) last: u64,
    /// How many were not.
    pub(super) surplus: u64,
}

impl Repeated {
    pub(super) fn parse(key: &[u8; ALIKE], value: &[u8; REPEATED]) -> Self {
        let mut key = Words(key);
        key.bytes(20);
        let refused = key.u32().cast_signed() < 0;
        let mut value = Words(value);
        let (count, last) = (value.u64(), value.u64());
        Self { last, surplus: count.saturating_sub(if refused { ALIKE_REFUSED } else { ALIKE_OTHER }) }
    }
}

/// Reads a `struct ending`, whose value is the count.
pub(super) fn ending(key: &[u8; ENDING], count: u64) -> selkie_learn::Ending {
    let mut words = Words(key);
    words.u64();
    let (credentials, comm) = (words.credentials(), words.comm());
    selkie_learn::Ending { comm, credentials, no_new_privileges: words.u64() != 0, count }
}

/// Reads a `struct stack`: return addresses, innermost first.
pub(super) fn stack(bytes: &[u8; STACK]) -> Vec<u64> {
    let mut words = Words(bytes);
    std::iter::from_fn(|| Some(words.u64()).filter(|address| *address != 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_survives_its_bytes() {
        let context = Context {
            start: 1,
            calls: 3,
            cgroup: 7,
            mounts: 8,
            init: 9,
            observer: 10,
            pid_namespace: 11,
            owner: 13,
            aggregate: true,
            ..Context::default()
        };
        assert_eq!(Context::parse(&context.to_bytes()), context);
    }

    #[test]
    fn tally_has_the_kinds_whose_places_are_taken() {
        let mut bytes = [0; TALLY];
        bytes[0] = 3;
        let key = 49_u64 << 32 | 0x40 << 16 | 10 << 8 | 1;
        bytes[16..24].copy_from_slice(&key.to_le_bytes());
        bytes[16 + KINDS * 8] = 7;
        let hit = 16 + KINDS * (8 + COUNTED);
        for (place, value) in [key, 99, 2].into_iter().enumerate() {
            bytes[hit + place * 8..hit + place * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
        let check = Check { context: 5, nr: 49, flags: 0x40, capability: 10, denied: true };
        let counted = Counted { count: 7, first: 0, last: 0, comm: String::new() };
        assert_eq!(Tally::parse(5, &bytes), Tally { lost: 3, kinds: vec![(check, counted)], hits: vec![(check, 99, 2)] });
    }

    #[test]
    fn flags_without_the_audit_bit_do_not_say_whether_the_check_was_silent() {
        assert_eq!(flags(0b1), Flags { held: true, ..Flags::default() });
        assert_eq!(flags(0b10_0000_0000).silent, Some(false));
        assert_eq!(flags(0b110_0000_0000).silent, Some(true));
    }

    #[test]
    fn repeated_calls_have_as_many_too_many_as_were_not_kept() {
        let mut key = [0; ALIKE];
        let mut value = [0; REPEATED];
        value[0] = 6;
        value[8] = 3;
        let repeated = Repeated::parse(&key, &value);
        assert_eq!((repeated.last, repeated.surplus), (3, 2));
        key[20..24].copy_from_slice(&(-13_i32).to_le_bytes());
        assert_eq!(Repeated::parse(&key, &value).surplus, 0);
    }
}
