//! The built-in profile against the one that containers-common installs, and the compiler against the rules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is what it is for")]

mod calls;

use std::collections::BTreeSet;

use selkie_caps::{CapSet, Capability};
use selkie_seccomp::{
    Action, Arch, DIFFERENCES, Data, DefaultOptions, Facts, Profile, Resolved, compile, resolve, simulate, syscall, to_oci, verdict,
};

const INSTALLED: &str = include_str!("cases/containers-common-0.50.json");

fn facts(arch: Arch, capabilities: CapSet) -> Facts {
    Facts { capabilities, arch, kernel: None }
}

fn action(resolved: &Resolved, data: &Data) -> Action {
    resolved.action(Arch::of_call(data.arch, data.number).unwrap(), data.number, &data.arguments)
}

/// Every call of every architecture covered on `native`.
fn every_call(native: Arch, mut check: impl FnMut(&Data)) {
    let arches: &[Arch] = if native == Arch::X86_64 { &[Arch::X86_64, Arch::X86, Arch::X32] } else { &[Arch::Aarch64, Arch::Arm] };
    for arch in arches {
        for number in calls::numbers(*arch) {
            calls::data(*arch, number).for_each(|data| check(&data));
        }
    }
}

#[test]
fn default_profile_differs_from_installed_only_as_declared() {
    let installed = Profile::parse(INSTALLED).unwrap();
    let declared: BTreeSet<_> = DIFFERENCES.iter().flat_map(|difference| difference.syscalls).copied().collect();
    let mut found = BTreeSet::new();
    for native in [Arch::X86_64, Arch::Aarch64] {
        for set in calls::capability_sets() {
            let ours = resolve(&Profile::default_profile(), &facts(native, set));
            let theirs = resolve(&installed, &facts(native, set));
            assert_eq!(ours.arches, theirs.arches);
            every_call(native, |data| {
                let (ours, theirs) = (action(&ours, data), action(&theirs, data));
                if ours != theirs {
                    let arch = Arch::of_call(data.arch, data.number).unwrap();
                    let name = syscall::name(arch, data.number).unwrap();
                    assert!(declared.contains(name), "`{name}` with {set}: {ours}, installed: {theirs}");
                    assert!(!ours.lets_through() || name == "socket", "`{name}` with {set} is open here only");
                    found.insert(name);
                }
            });
        }
    }
    assert_eq!(found, declared, "every declared difference exists");
}

#[test]
fn compile_default_profile_equals_rules() {
    for native in [Arch::X86_64, Arch::Aarch64] {
        for set in calls::capability_sets() {
            let resolved = resolve(&Profile::default_profile(), &facts(native, set));
            let program = compile(&resolved).unwrap();
            every_call(native, |data| {
                let found = Action::from_return(simulate(program.instructions(), data).unwrap());
                assert_eq!(found, action(&resolved, data), "{data:x?} with {set}");
            });
        }
    }
}

#[test]
fn compile_installed_profile_equals_rules() {
    let installed = Profile::parse(INSTALLED).unwrap();
    for native in [Arch::X86_64, Arch::Aarch64] {
        let resolved = resolve(&installed, &facts(native, CapSet::EMPTY));
        let program = compile(&resolved).unwrap();
        every_call(native, |data| {
            assert_eq!(Action::from_return(simulate(program.instructions(), data).unwrap()), action(&resolved, data), "{data:x?}");
        });
    }
}

#[test]
fn compile_foreign_architecture_kills_the_process() {
    let program = compile(&resolve(&Profile::default_profile(), &facts(Arch::X86_64, CapSet::KNOWN))).unwrap();
    for arch in [Arch::Aarch64.token(), Arch::Arm.token(), 0, u32::MAX] {
        assert_eq!(simulate(program.instructions(), &Data { arch, ..Data::default() }), Ok(Action::KillProcess.to_return()));
    }
}

#[test]
fn compile_default_profile_is_short() {
    let length = |set| compile(&resolve(&Profile::default_profile(), &facts(Arch::X86_64, set))).unwrap().instructions().len();
    assert!(length(CapSet::EMPTY) < 600, "{}", length(CapSet::EMPTY));
    assert!(length(CapSet::KNOWN) < 600, "{}", length(CapSet::KNOWN));
}

#[test]
fn to_oci_default_profile_reads_back_to_the_same_verdicts() {
    for set in [CapSet::EMPTY, CapSet::from_bits(0x8004_05fb), CapSet::KNOWN] {
        let resolved = resolve(&Profile::default_profile(), &facts(Arch::X86_64, set));
        let oci = Profile::parse(&to_oci(&resolved).to_string()).unwrap();
        let again = resolve(&oci, &facts(Arch::X86_64, CapSet::EMPTY));
        every_call(Arch::X86_64, |data| assert_eq!(action(&again, data), action(&resolved, data), "{data:x?}"));
    }
}

fn explained(resolved: &Resolved, name: &str, first: u64) -> String {
    let number = syscall::number(Arch::X86_64, name).unwrap();
    verdict(resolved, Arch::X86_64, number, &[first, 0, 0, 0, 0, 0]).to_string()
}

#[test]
fn verdict_says_why() {
    let resolved = resolve(&Profile::default_profile(), &facts(Arch::X86_64, CapSet::EMPTY));
    assert_eq!(explained(&resolved, "read", 0), "`read` allowed");
    assert_eq!(explained(&resolved, "sethostname", 0), "`sethostname` fails with EPERM: allowed only with CAP_SYS_ADMIN");
    assert_eq!(
        explained(&resolved, "unshare", 0x1000_0000),
        "`unshare` fails with EPERM: a new user namespace would give every capability back: allowed only with CAP_SYS_ADMIN"
    );
    assert_eq!(
        explained(&resolved, "clone3", 0),
        "`clone3` fails with ENOSYS: a filter cannot see its flags; clone does the same: allowed only with CAP_SYS_ADMIN"
    );
    assert_eq!(explained(&resolved, "socket", 38), "`socket` fails with EPERM: AF_ALG has had exploitable bugs");
    assert_eq!(
        explained(&resolved, "io_uring_setup", 0),
        "`io_uring_setup` fails with ENOSYS: the profile does not name it, or not with these arguments"
    );
}

#[test]
fn default_profile_socket_upper_half_does_not_matter() {
    let resolved = resolve(&Profile::default_profile(), &facts(Arch::X86_64, CapSet::KNOWN));
    for upper in [0, 1 << 32, 0xffff_ffff_0000_0000] {
        assert_eq!(verdict(&resolved, Arch::X86_64, 41, &[upper | 40, 0, 0, 0, 0, 0]).action, Action::Errno(1));
        assert_eq!(verdict(&resolved, Arch::X86_64, 41, &[upper | 2, 0, 0, 0, 0, 0]).action, Action::Allow);
    }
}

#[test]
fn default_profile_nested_userns_opens_the_four_calls() {
    let profile = Profile::default_profile_with(DefaultOptions { nested_userns: true, ..DefaultOptions::default() });
    let resolved = resolve(&profile, &facts(Arch::X86_64, CapSet::EMPTY));
    for name in ["clone", "clone3", "setns", "unshare"] {
        assert_eq!(explained(&resolved, name, 0x1000_0000), format!("`{name}` allowed"));
    }
}

#[test]
fn default_profile_mentions_only_calls_that_exist() {
    // Names of other architectures and times, kept as containers-common lists them.
    let foreign = ["swapcontext", "syscall", "timerfd", "sync_file_range2", "pciconfig_iobase", "pciconfig_read", "pciconfig_write"];
    let unknown: Vec<_> = Profile::default_profile()
        .rules
        .iter()
        .flat_map(|rule| rule.names.clone())
        .filter(|name| !syscall::exists(name) && !foreign.contains(&name.as_ref()))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn gate_capability_opens_its_calls() {
    let with = resolve(&Profile::default_profile(), &facts(Arch::X86_64, CapSet::EMPTY.with(Capability::SysChroot)));
    assert_eq!(explained(&with, "chroot", 0), "`chroot` allowed");
}
