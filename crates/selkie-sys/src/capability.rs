//! The five sets of the calling thread: capget(2), capset(2), prctl(2) `PR_CAPBSET_*` and `PR_CAP_AMBIENT_*`.

use selkie_caps::{CapSet, Capability, FiveSets};

use crate::error::{Context, Errno, Result, check, last};

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`: two 32-bit words a set.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Returns the highest capability number that the running kernel has.
#[must_use]
pub fn last_capability() -> u8 {
    // All up to the last one are there: the middle of what is left tells in which half that is.
    let (mut known, mut unknown) = (0, 64);
    while unknown - known > 1 {
        let middle = known + (unknown - known) / 2;
        *(if in_bounding(middle).is_ok() { &mut known } else { &mut unknown }) = middle;
    }
    known
}

/// The sets of capget(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What counts at this moment.
    pub effective: CapSet,
    /// What may become effective.
    pub permitted: CapSet,
    /// What stays over an execve(2) of a file that asks for it.
    pub inheritable: CapSet,
}

/// Reads three of the five sets of the calling thread, in one call.
///
/// # Errors
/// None on a kernel that has capabilities.
pub fn held() -> Result<Held> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the kernel reads one header and writes exactly two `Data` for version 3, both of which live in this frame.
    let value = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    check(value).call(|| "capget(0)")?;
    let [low, high] = data;
    let join = |low: u32, high: u32| CapSet::from_bits(u64::from(low) | u64::from(high) << 32);
    Ok(Held {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Reads the five sets of the calling thread.
///
/// # Errors
/// The call that failed; none of them fails on a sane kernel.
pub fn read() -> Result<FiveSets> {
    let Held { effective, permitted, inheritable } = held()?;
    let mut bounding = 0;
    let mut ambient = 0;
    for number in 0..=63 {
        match in_bounding(number) {
            Ok(true) => bounding |= 1 << number,
            Ok(false) => {}
            Err(_) => break,
        }
        // The kernel keeps the ambient set within the two: `cap_ambient_invariant_ok`. Before Linux 4.3 the call is EINVAL: none.
        let possible = permitted.intersection(inheritable).bits() & (1 << number) != 0;
        if possible && prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as u64, u64::from(number)) == Ok(1) {
            ambient |= 1 << number;
        }
    }
    Ok(FiveSets { inheritable, permitted, effective, bounding: CapSet::from_bits(bounding), ambient: CapSet::from_bits(ambient) })
}

/// Sets the effective, permitted and inheritable sets in one call, so that no state between is ever visible.
///
/// # Errors
/// `EPERM` when permitted would grow, effective would exceed permitted, or inheritable breaks the rule of capset(2).
pub fn set(effective: CapSet, permitted: CapSet, inheritable: CapSet) -> Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    #[expect(clippy::cast_possible_truncation, reason = "the two words of a 64-bit set")]
    let word = |shift: u32| Data {
        effective: (effective.bits() >> shift) as u32,
        permitted: (permitted.bits() >> shift) as u32,
        inheritable: (inheritable.bits() >> shift) as u32,
    };
    let data = [word(0), word(32)];
    // SAFETY: the kernel reads one header and exactly two `Data` for version 3, both of which live in this frame.
    let value = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check(value).call(|| format!("capset(effective={effective:x}, permitted={permitted:x}, inheritable={inheritable:x})")).map(drop)
}

/// Takes `unwanted` out of the bounding set.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a capability that the kernel does not have.
pub fn drop_bounding(unwanted: CapSet) -> Result<()> {
    for number in (0..=63).filter(|number| unwanted.bits() & (1 << number) != 0) {
        prctl(libc::PR_CAPBSET_DROP, u64::from(number), 0).call(|| format!("prctl(PR_CAPBSET_DROP, {})", name(number)))?;
    }
    Ok(())
}

/// Makes the ambient set exactly `wanted`; what is in it has to be permitted and inheritable.
///
/// # Errors
/// `EPERM` for a capability that is not permitted and inheritable; `EINVAL` before Linux 4.3 unless `wanted` is empty.
pub fn set_ambient(wanted: CapSet) -> Result<()> {
    match prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0) {
        Err(Errno::INVAL) if wanted.is_empty() => return Ok(()),
        cleared => cleared.call(|| "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)")?,
    };
    for number in (0..=63).filter(|number| wanted.bits() & (1 << number) != 0) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, u64::from(number))
            .call(|| format!("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {})", name(number)))?;
    }
    Ok(())
}

/// Sets or clears `SECBIT_KEEP_CAPS`: whether the permitted set survives leaving uid 0.
///
/// # Errors
/// `EPERM` when the bit is locked.
pub fn set_keep_caps(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, u64::from(keep), 0).call(|| format!("prctl(PR_SET_KEEPCAPS, {})", u8::from(keep))).map(drop)
}

/// Sets the securebits of the calling thread.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP` or when a lock forbids the change.
pub fn set_securebits(bits: u32) -> Result<()> {
    prctl(libc::PR_SET_SECUREBITS, u64::from(bits), 0).call(|| format!("prctl(PR_SET_SECUREBITS, {bits:#x})")).map(drop)
}

/// Returns the securebits of the calling thread.
///
/// # Errors
/// None on a kernel that has capabilities.
pub fn securebits() -> Result<u32> {
    let bits = prctl(libc::PR_GET_SECUREBITS, 0, 0).call(|| "prctl(PR_GET_SECUREBITS)")?;
    Ok(u32::try_from(bits).unwrap_or(0))
}

/// Sets no_new_privs, which nothing can take back.
///
/// # Errors
/// `EINVAL` before Linux 3.5.
pub fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).call(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)").map(drop)
}

fn in_bounding(number: u8) -> core::result::Result<bool, Errno> {
    prctl(libc::PR_CAPBSET_READ, u64::from(number), 0).map(|value| value == 1)
}

fn prctl(option: libc::c_int, first: u64, second: u64) -> core::result::Result<libc::c_int, Errno> {
    // SAFETY: the options used in this module take integers only and write no memory.
    let value = unsafe { libc::prctl(option, first, second, 0_u64, 0_u64) };
    if value >= 0 { Ok(value) } else { Err(last()) }
}

fn name(number: u8) -> String {
    Capability::from_number(number).map_or_else(|| number.to_string(), |capability| capability.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_capability_is_the_kernels() {
        let Ok(text) = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap") else { return };
        assert_eq!(last_capability().to_string(), text.trim());
    }
}
