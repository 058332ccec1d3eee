//! The probe: reads the state of its own thread and writes it to the pipe. Runs before `main` when this binary is executed as the probe.

use std::ffi::CStr;

use selkie_caps::{CapSet, Credentials, FiveSets, Ids, Securebits};

/// The name by which the probe knows that it is one.
pub(crate) const NAME: &CStr = c"selkie-exec-rule-probe";
/// Where the pipe's end to write to is.
pub(crate) const OUT: i32 = 200;

/// What stands before the state: it was read as asked, the kernel refused the call before, or the setup failed.
pub(crate) const RAN: u64 = 0x5e1c1e;
pub(crate) const REFUSED: u64 = 0x2ef05ed;
pub(crate) const BROKEN: u64 = 0xb20ce;

/// Mark and state, or mark and what failed.
pub(crate) type Report = [u64; 16];

/// Runs before `main`: as the probe it reports and ends, otherwise it does nothing.
// SAFETY: glibc calls the functions of `.init_array` once, with these three arguments, before any other code of this program.
#[used]
#[unsafe(link_section = ".init_array")]
static PROBE_FIRST: extern "C" fn(libc::c_int, *const *const libc::c_char, *const *const libc::c_char) = probe_first;

extern "C" fn probe_first(count: libc::c_int, arguments: *const *const libc::c_char, _: *const *const libc::c_char) {
    if count != 1 || arguments.is_null() {
        return;
    }
    // SAFETY: the kernel passes `count` (so at least one) pointers to strings that end in NUL and live as long as the process.
    let name = unsafe { CStr::from_ptr(*arguments) };
    if name == NAME {
        report(&own_state(RAN));
        // SAFETY: ends the process; nothing of it is needed any more.
        unsafe { libc::_exit(0) };
    }
}

pub(crate) fn report(words: &Report) {
    // SAFETY: the buffer is valid for its whole length.
    unsafe { libc::write(OUT, words.as_ptr().cast(), size_of::<Report>()) };
}

#[repr(C)]
pub(crate) struct CapHeader {
    version: u32,
    pid: i32,
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread.
pub(crate) const HEADER: CapHeader = CapHeader { version: 0x2008_0522, pid: 0 };

/// Low and high half of effective, permitted, inheritable.
pub(crate) type CapData = [[u32; 3]; 2];

/// prctl(2) without pointers.
pub(crate) fn prctl(option: libc::c_int, a: u64, b: u64) -> i64 {
    // SAFETY: none of the options used here takes a pointer.
    unsafe { libc::syscall(libc::SYS_prctl, libc::c_long::from(option), a, b, 0_u64, 0_u64) }
}

/// Returns the state of the calling thread behind `mark`. Does not allocate.
pub(crate) fn own_state(mark: u64) -> Report {
    let mut data: CapData = [[0; 3]; 2];
    let mut ids = [0_u32; 6];
    let [ruid, euid, suid, rgid, egid, sgid] = &mut ids;
    // SAFETY: all pointers are to live variables of the types that the calls write.
    unsafe {
        libc::syscall(libc::SYS_capget, &HEADER, data.as_mut_ptr());
        libc::getresuid(ruid, euid, suid);
        libc::getresgid(rgid, egid, sgid);
    }
    // SAFETY: an invalid id changes nothing and returns the present one.
    let (fsuid, fsgid) = unsafe { (libc::syscall(libc::SYS_setfsuid, -1), libc::syscall(libc::SYS_setfsgid, -1)) };
    let half = |set: usize| u64::from(data[0][set]) | u64::from(data[1][set]) << 32;
    let gather = |has: &dyn Fn(u8) -> bool| (0..=63_u8).filter(|number| has(*number)).fold(0_u64, |bits, number| bits | 1 << number);
    let bounding = gather(&|number| prctl(libc::PR_CAPBSET_READ, number.into(), 0) == 1);
    let ambient = gather(&|number| prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_IS_SET.unsigned_abs()), number.into()) == 1);
    let [ruid, euid, suid, rgid, egid, sgid] = ids.map(u64::from);
    let flags = [prctl(libc::PR_GET_SECUREBITS, 0, 0), prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0)].map(i64::cast_unsigned);
    let (fsuid, fsgid) = (fsuid.cast_unsigned(), fsgid.cast_unsigned());
    [mark, half(0), half(1), half(2), bounding, ambient, ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid, flags[0], flags[1]]
}

/// Returns the state of a report.
pub(crate) fn credentials(report: &Report) -> Credentials {
    let set = |index: usize| CapSet::from_bits(report[index]);
    let ids = |index: usize| {
        let id = |offset: usize| u32::try_from(report[index + offset]).unwrap();
        Ids { real: id(0), effective: id(1), saved: id(2), filesystem: id(3) }
    };
    Credentials {
        user: ids(6),
        group: ids(10),
        sets: FiveSets { effective: set(1), permitted: set(2), inheritable: set(3), bounding: set(4), ambient: set(5) },
        securebits: Securebits::from_bits(u32::try_from(report[14]).unwrap()),
        no_new_privs: report[15] == 1,
    }
}
