//! The child: brings itself from full root to a state, and there executes the probe or makes one call. Raw system calls only.

use std::{
    fs::File,
    io::{self, Read},
};

use selkie_caps::{CapSet, CapState, Credentials, Securebits};

use crate::probe::{BROKEN, CapData, HEADER, NAME, OUT, RAN, REFUSED, Report, own_state, prctl, report};

/// Everything that the child needs, made before it exists.
pub(crate) struct Case {
    pub(crate) old: Credentials,
    pub(crate) groups: Vec<u32>,
    pub(crate) all: CapSet,
    pub(crate) out: i32,
    pub(crate) then: Then,
}

/// What the child does in the state.
pub(crate) enum Then {
    /// Executes the probe.
    Execute {
        /// An `O_PATH` descriptor of it.
        executable: i32,
        /// Whether the child shares root and working directory with its parent.
        shares_directories: bool,
    },
    /// Makes one call and reports what it led to.
    Call(Change),
}

/// One call that changes credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    SetResUid([u32; 3]),
    SetGid(u32),
    SetFsUid(u32),
    CapSet(CapState),
    DropBounding(u8),
    RaiseAmbient(u8),
    LowerAmbient(u8),
    KeepCaps(bool),
    Securebits(Securebits),
}

/// Stops the child with the number of the step that failed, so that a broken setup is not taken for the kernel's rule.
fn must(step: u64, result: i64) {
    if result < 0 {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        report(&[BROKEN, step, u64::from(errno.unsigned_abs()), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // SAFETY: ends the child.
        unsafe { libc::_exit(1) };
    }
}

fn capset(sets: CapState) -> i64 {
    let halves = |set: CapSet| [set.bits() & 0xffff_ffff, set.bits() >> 32].map(|half| u32::try_from(half).unwrap_or(0));
    let (effective, permitted, inheritable) = (halves(sets.effective), halves(sets.permitted), halves(sets.inheritable));
    let data: CapData = [0, 1].map(|half| [effective[half], permitted[half], inheritable[half]]);
    // SAFETY: header and data are of the layout that version 3 prescribes.
    unsafe { libc::syscall(libc::SYS_capset, &HEADER, data.as_ptr()) }
}

/// Brings the child from full root to the state of the case.
fn arrive(case: &Case) {
    let (old, sets) = (&case.old, &case.old.sets);
    let [user, group] = [old.user, old.group].map(|ids| [ids.real, ids.effective, ids.saved].map(i64::from));
    // SAFETY: OUT is a free descriptor; the groups live in the case, which the parent keeps.
    unsafe {
        must(1, libc::syscall(libc::SYS_dup2, case.out, OUT));
        must(2, libc::syscall(libc::SYS_setgroups, case.groups.len(), case.groups.as_ptr()));
        must(3, libc::syscall(libc::SYS_setresgid, group[0], group[1], group[2]));
    }
    // The kernel's own juggling of the sets is another rule: here the state is put together by hand.
    must(4, prctl(libc::PR_SET_SECUREBITS, Securebits::NO_SETUID_FIXUP.bits().into(), 0));
    // SAFETY: takes numbers only.
    must(5, unsafe { libc::syscall(libc::SYS_setresuid, user[0], user[1], user[2]) });
    must(6, capset(CapState { effective: case.all, permitted: case.all, inheritable: sets.inheritable }));
    for number in sets.ambient.numbers() {
        must(7, ambient(libc::PR_CAP_AMBIENT_RAISE, number));
    }
    for number in case.all.difference(sets.bounding).numbers() {
        must(8, prctl(libc::PR_CAPBSET_DROP, number.into(), 0));
    }
    must(9, prctl(libc::PR_SET_SECUREBITS, old.securebits.bits().into(), 0));
    if old.no_new_privs {
        must(10, prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0));
    }
    must(11, capset(CapState { effective: sets.effective, permitted: sets.permitted, inheritable: sets.inheritable }));
}

/// Executes the probe, or reports that it was refused.
fn execute(executable: i32) {
    let arguments = [NAME.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: both arrays end in NULL, the path is empty and ends in NUL.
    unsafe { libc::syscall(libc::SYS_execveat, executable, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), flags) };
    refused(0);
}

/// Reports that a call was refused with EPERM; any other errno means that the test is wrong.
fn refused(step: u64) {
    if io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) {
        report(&own_state(REFUSED));
    } else {
        must(step, -1);
    }
}

fn ambient(operation: libc::c_int, number: u8) -> i64 {
    prctl(libc::PR_CAP_AMBIENT, u64::from(operation.unsigned_abs()), number.into())
}

fn call(change: Change) {
    let result = match change {
        // SAFETY: takes numbers only.
        Change::SetResUid([real, effective, saved]) => unsafe { libc::syscall(libc::SYS_setresuid, real, effective, saved) },
        // SAFETY: takes numbers only.
        Change::SetGid(gid) => unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) },
        // SAFETY: takes a number only.
        Change::SetFsUid(uid) => unsafe { libc::syscall(libc::SYS_setfsuid, uid) },
        Change::CapSet(sets) => capset(sets),
        Change::DropBounding(number) => prctl(libc::PR_CAPBSET_DROP, number.into(), 0),
        Change::RaiseAmbient(number) => ambient(libc::PR_CAP_AMBIENT_RAISE, number),
        Change::LowerAmbient(number) => ambient(libc::PR_CAP_AMBIENT_LOWER, number),
        Change::KeepCaps(keep) => prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0),
        Change::Securebits(bits) => prctl(libc::PR_SET_SECUREBITS, bits.bits().into(), 0),
    };
    if result < 0 { refused(20) } else { report(&own_state(RAN)) }
}

/// Runs the case in a child and returns what the probe, or the child, reports.
pub(crate) fn run(case: &Case, input: &mut File) -> Report {
    let shares = matches!(case.then, Then::Execute { shares_directories: true, .. });
    let flags = libc::SIGCHLD | if shares { libc::CLONE_FS } else { 0 };
    // SAFETY: without CLONE_VM the child has its own memory; it makes system calls only and never returns.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    assert!(child >= 0, "clone: {}", io::Error::last_os_error());
    if child == 0 {
        arrive(case);
        match case.then {
            Then::Execute { executable, .. } => execute(executable),
            Then::Call(change) => call(change),
        }
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut bytes = [0; size_of::<Report>()];
    input.read_exact(&mut bytes).unwrap();
    let mut status = 0;
    // SAFETY: the child is ours and `status` is a live variable.
    unsafe { libc::waitpid(i32::try_from(child).unwrap(), &raw mut status, 0) };
    let mut words = [0; 16];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().unwrap());
    }
    words
}
