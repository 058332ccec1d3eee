//! The rules of selkie-caps against the running kernel: ten thousand random states, each set up in a child that executes a probe
//! (the exec rule) or makes one call (the transitions).
//!
//! The probe is this test binary itself, which notices before `main` that it is one. Needs root (it sets ids, capabilities, file
//! capabilities and mounts a tmpfs in a mount namespace of its own); elsewhere it says so and skips. `EXEC_RULE_SEED` repeats a run.
#![allow(unsafe_code, reason = "the states are set up with raw system calls between clone and exec, where nothing may allocate")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod child;
mod probe;
mod random;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod stage;

use std::{
    fs::File,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use selkie_caps::{CapSet, Credentials, Exec, ExecError, IdRule, TransitionError};

use crate::{
    child::{Case, Change, Then, run},
    probe::{RAN, REFUSED, Report, credentials, own_state},
    random::Random,
    skip::skip,
    stage::{Stage, check},
};

const STATES: u32 = 10_000;

/// What a run needs: the pipe, the seed, and the capabilities there are.
struct Setting {
    input: File,
    output: OwnedFd,
    seed: u64,
    all: CapSet,
    _alone: MutexGuard<'static, ()>,
}

/// One test at a time: a child of one holds what the other has open, and a file that is open for writing cannot be executed.
static ALONE: Mutex<()> = Mutex::new(());

impl Setting {
    /// Returns nothing, and says so, where the states cannot be set up.
    fn new() -> Option<Self> {
        // SAFETY: takes and changes nothing.
        let root = unsafe { libc::geteuid() } == 0;
        let sets = credentials(&own_state(RAN)).sets;
        let all = sets.permitted.intersection(sets.bounding);
        if !root || !CapSet::parse("setuid,setgid,setpcap,setfcap,sys_admin,chown,fowner,fsetid").unwrap().is_subset(all) {
            skip("it needs root with its usual capabilities");
            return None;
        }
        let (input, output) = pipe();
        let seed = std::env::var("EXEC_RULE_SEED").map_or(0x5e1c1e, |seed| seed.parse().unwrap());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self { input, output, seed, all, _alone: alone })
    }

    /// Returns the state afterwards, or nothing if the kernel refused.
    fn outcome(&mut self, case: &Case) -> (Option<Credentials>, Report) {
        let report = run(case, &mut self.input);
        match report[0] {
            RAN => (Some(credentials(&report)), report),
            REFUSED => (None, report),
            _ => panic!("seed {}: step {} failed with errno {}", self.seed, report[1], report[2]),
        }
    }
}

fn pipe() -> (File, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors, which are new and ours.
    unsafe {
        check("pipe2", libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC).into());
        (File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

fn id_rule() -> IdRule {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 16) { IdRule::Changed } else { IdRule::DiffersFromReal }
}

#[test]
fn exec_rule_random_states_equal_the_running_kernel() {
    let Some(mut setting) = Setting::new() else { return };
    let stage = Stage::build(std::env::temp_dir().join(format!("selkie-exec-rule-{}", std::process::id())));
    let (mut random, id_rule, all, seed) = (Random(setting.seed), id_rule(), setting.all, setting.seed);
    let mut refused = 0;
    for round in 0..STATES {
        let old = random.credentials(all);
        let file = random.file(&old, all);
        let groups: Vec<u32> = [27, 1000].into_iter().filter(|_| random.one_in(3)).collect();
        let shares_directories = random.one_in(8);
        stage.dress(&file);
        let executable = if file.nosuid { &stage.nosuid } else { &stage.plain }.as_raw_fd();
        let then = Then::Execute { executable, shares_directories };
        let case = Case { old, groups, all, out: setting.output.as_raw_fd(), then };
        let (found, _) = setting.outcome(&case);
        refused += u32::from(found.is_none());
        let exec = Exec { file, groups: &case.groups, shares_directories, id_rule, ..Exec::default() };
        match (exec.apply(&old), found) {
            (Ok(wanted), Some(found)) => assert_eq!(found, wanted, "round {round}, seed {seed}: {exec:?} of {old:?}"),
            (Err(ExecError::Incapable { .. }), None) => {}
            (wanted, found) => panic!("round {round}, seed {seed}: {exec:?} of {old:?}: kernel {found:?}, rule {wanted:?}"),
        }
    }
    assert!((STATES / 200..STATES / 4).contains(&refused), "refused {refused} of {STATES}: the states are not various enough");
}

fn predicted(old: Credentials, change: Change) -> Result<Credentials, TransitionError> {
    let one = |number| CapSet::EMPTY.with_number(number);
    match change {
        Change::SetResUid([real, effective, saved]) => old.setresuid(real, effective, saved),
        Change::SetGid(gid) => old.set_gid(gid),
        Change::SetFsUid(uid) => Ok(old.set_fsuid(uid)),
        Change::CapSet(sets) => old.capset(sets),
        Change::DropBounding(number) => old.drop_bounding(one(number)),
        Change::RaiseAmbient(number) => old.raise_ambient(one(number)),
        Change::LowerAmbient(number) => Ok(old.lower_ambient(one(number))),
        Change::KeepCaps(keep) => old.set_keep_caps(keep),
        Change::Securebits(bits) => old.set_securebits(bits),
    }
}

#[test]
fn transitions_random_calls_equal_the_running_kernel() {
    let Some(mut setting) = Setting::new() else { return };
    let (mut random, all, seed) = (Random(setting.seed), setting.all, setting.seed);
    let mut refused = 0;
    for round in 0..STATES {
        let old = random.credentials(all);
        let change = random.change(&old, all);
        let case = Case { old, groups: Vec::new(), all, out: setting.output.as_raw_fd(), then: Then::Call(change) };
        let (found, report) = setting.outcome(&case);
        refused += u32::from(found.is_none());
        match (predicted(old, change), found) {
            (Ok(wanted), Some(found)) => assert_eq!(found, wanted, "round {round}, seed {seed}: {change:?} of {old:?}"),
            (Err(_), None) => assert_eq!(credentials(&report), old, "round {round}, seed {seed}: a refused {change:?} changes nothing"),
            (wanted, found) => panic!("round {round}, seed {seed}: {change:?} of {old:?}: kernel {found:?}, rule {wanted:?}"),
        }
    }
    assert!((STATES / 10..STATES - STATES / 10).contains(&refused), "refused {refused} of {STATES}: the calls are not various enough");
}
