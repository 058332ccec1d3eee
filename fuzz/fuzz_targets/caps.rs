//! Text forms of capabilities: what can be read is printed so that it reads as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_caps::{CapSet, CapState, Capability, FileCaps, Iab};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = FileCaps::parse(bytes) {
        assert_eq!(FileCaps::parse(&file.to_bytes()), Ok(file));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = Capability::parse_name(text);
    if let Ok(set) = CapSet::parse(text) {
        assert_eq!(CapSet::parse(&set.to_string()).ok(), Some(set), "{set}");
    }
    if let Ok(state) = CapState::parse(text) {
        assert_eq!(CapState::parse(&state.to_string()).ok(), Some(state), "{state}");
    }
    if let Ok(iab) = Iab::parse(text) {
        assert_eq!(Iab::parse(&iab.to_string()).ok(), Some(iab), "{iab}");
    }
});
