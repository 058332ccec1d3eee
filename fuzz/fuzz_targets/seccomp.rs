//! Profiles of seccomp: what is compiled decides every call as the rules do. Behind the profile, after a NUL: the number of a call
//! and its arguments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_caps::CapSet;
use selkie_seccomp::{Arch, Data, Facts, Profile, compile, resolve, simulate, verdict};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(text), call) = (parts.next(), parts.next().unwrap_or_default()) else { return };
    let Ok(profile) = str::from_utf8(text).map_err(drop).and_then(|text| Profile::parse(text).map_err(drop)) else { return };
    let resolved = resolve(&profile, &Facts { capabilities: CapSet::EMPTY, arch: Arch::X86_64, kernel: None });
    let Ok(program) = compile(&resolved) else { return };
    let mut words = call.chunks(8).map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    let mut word = || words.next().unwrap_or(0);
    let number = u32::try_from(word() & 0xfff).unwrap_or(0);
    let arguments = std::array::from_fn(|_| word());
    let data = Data { number, arch: Arch::X86_64.token(), instruction_pointer: 0, arguments };
    let expected = verdict(&resolved, Arch::X86_64, number, &arguments).action.to_return();
    assert_eq!(simulate(program.instructions(), &data), Ok(expected));
});
