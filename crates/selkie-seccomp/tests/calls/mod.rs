//! The calls and capability sets with which filters are compared: every number of every architecture, with arguments at which some rule turns.

use selkie_caps::{CapSet, Capability};
use selkie_seccomp::{Arch, Data, syscall};

/// Values at which the rules of the profiles turn, and their neighbours, with and without an upper half.
pub(crate) const VALUES: &[u64] = &[
    0,
    1,
    2,
    8,
    9,
    15,
    16,
    17,
    38,
    39,
    40,
    41,
    63,
    0x1000_0000,
    0x1000_0011,
    0x2_0000,
    0x2_0008,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0008,
    0x1_0000_0010,
    u64::MAX,
];

/// Every number up to past the last known call, of both x86 tables, and the odd ones.
pub(crate) fn numbers(arch: Arch) -> impl Iterator<Item = u32> {
    let base = if arch == Arch::X32 { 0x4000_0000 } else { 0 };
    let odd = [0x0f_0000, 0x0f_0001, 0x0f_0002, 0x0f_0005, 0x0f_0006, 0x3fff_ffff].into_iter().filter(move |_| arch != Arch::X32);
    (base..base + 700).chain(odd)
}

/// Calls whose arguments some rule compares, `socketcall` and `ipc` for the rules of what they hide.
const COMPARED: &[&str] = &["clone", "ipc", "personality", "socket", "socketcall", "unshare"];

/// Values in the first and the third argument of one call: all pairs where some rule compares them, otherwise one pair.
pub(crate) fn data(arch: Arch, number: u32) -> impl Iterator<Item = Data> {
    let compared = syscall::name(arch, number).is_some_and(|name| COMPARED.contains(&name));
    VALUES.iter().rev().take(if compared { VALUES.len() } else { 1 }).flat_map(move |first| {
        [0, 8, 9, 10, 0x1_0000_0009].into_iter().take(if compared { 5 } else { 1 }).map(move |third| Data {
            number,
            arch: arch.token(),
            arguments: [*first, 0, third, 0, 0, 0],
            ..Data::default()
        })
    })
}

/// None, the default eleven, all, and each alone.
pub(crate) fn capability_sets() -> Vec<CapSet> {
    let mut sets = vec![CapSet::EMPTY, CapSet::from_bits(0x8004_05fb), CapSet::KNOWN];
    sets.extend(Capability::ALL.map(|capability| CapSet::EMPTY.with(capability)));
    sets
}
