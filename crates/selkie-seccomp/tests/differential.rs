//! Our filters against libseccomp's: both programs run on every call of every architecture.
//!
//! Needs the C library, and so a feature that nobody else turns on:
//! `LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=/usr/lib/x86_64-linux-gnu cargo test -p selkie-seccomp --features differential`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that panics has failed, which is what it is for")]

mod calls;

use std::io::{Read, Seek};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use selkie_caps::CapSet;
use selkie_seccomp::{
    Action, Applies, Arch, Architectures, Condition, Data, Facts, Flags, Instruction, Operator, Profile, Resolved, ResolvedRule, Rule,
    compile, resolve, simulate, syscall, to_oci,
};

fn scmp_action(action: Action) -> ScmpAction {
    match action {
        Action::KillThread => ScmpAction::KillThread,
        Action::KillProcess => ScmpAction::KillProcess,
        Action::Trap => ScmpAction::Trap,
        Action::Errno(errno) => ScmpAction::Errno(errno.into()),
        Action::Trace(data) => ScmpAction::Trace(data),
        Action::Notify => ScmpAction::Notify,
        Action::Log => ScmpAction::Log,
        Action::Allow => ScmpAction::Allow,
    }
}

fn scmp_arch(arch: Arch) -> ScmpArch {
    match arch {
        Arch::X86_64 => ScmpArch::X8664,
        Arch::X86 => ScmpArch::X86,
        Arch::X32 => ScmpArch::X32,
        Arch::Aarch64 => ScmpArch::Aarch64,
        Arch::Arm => ScmpArch::Arm,
    }
}

fn scmp_condition(condition: &Condition) -> ScmpArgCompare {
    let (operator, datum) = match condition.operator {
        Operator::NotEqual => (ScmpCompareOp::NotEqual, condition.value),
        Operator::Less => (ScmpCompareOp::Less, condition.value),
        Operator::LessOrEqual => (ScmpCompareOp::LessOrEqual, condition.value),
        Operator::Equal => (ScmpCompareOp::Equal, condition.value),
        Operator::GreaterOrEqual => (ScmpCompareOp::GreaterEqual, condition.value),
        Operator::Greater => (ScmpCompareOp::Greater, condition.value),
        Operator::MaskedEqual => (ScmpCompareOp::MaskedEqual(condition.value), condition.value_two),
    };
    ScmpArgCompare::new(condition.index.into(), operator, datum)
}

/// Builds the filter as an OCI runtime does from the rules of a `config.json`.
fn reference(resolved: &Resolved, rules: &[ResolvedRule]) -> Vec<Instruction> {
    let mut context = ScmpFilterContext::new(scmp_action(resolved.default_action)).unwrap();
    context.set_act_badarch(ScmpAction::KillProcess).unwrap();
    for arch in &resolved.arches {
        context.add_arch(scmp_arch(*arch)).unwrap();
    }
    if !resolved.arches.contains(&Arch::X86_64) {
        context.remove_arch(ScmpArch::X8664).unwrap();
    }
    for rule in rules {
        let conditions: Vec<_> = rule.conditions.iter().map(scmp_condition).collect();
        for name in &rule.names {
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            let added = context.add_rule_conditional(scmp_action(rule.action), call, &conditions);
            assert!(added.is_ok(), "{name}: {added:?}");
        }
    }
    let mut file = tempfile::tempfile().unwrap();
    context.export_bpf(&file).unwrap();
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let instruction = |chunk: &[u8]| Instruction {
        code: u16::from_le_bytes([chunk[0], chunk[1]]),
        jt: chunk[2],
        jf: chunk[3],
        k: u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]),
    };
    bytes.chunks_exact(8).map(instruction).collect()
}

/// Whether the installed libseccomp knows the call that has this number; ours may be newer.
fn comparable(arch: Arch, number: u32) -> bool {
    let Some(name) = syscall::name(arch, number) else { return true };
    ScmpSyscall::from_name_by_arch(name, scmp_arch(arch)).is_ok_and(|call| call.as_raw_syscall() != -1)
}

/// The rules of `config.json`, as another OCI runtime would see them.
fn exported(resolved: &Resolved) -> Resolved {
    let profile = Profile::parse(&to_oci(resolved).to_string()).unwrap();
    resolve(&profile, &Facts { capabilities: CapSet::EMPTY, arch: resolved.arches[0], kernel: None })
}

fn compare(resolved: &Resolved, data: impl Fn(Arch, u32) -> Vec<Data>) -> usize {
    let listed: Vec<_> = exported(resolved).rules.into_iter().filter(ResolvedRule::is_from_profile).collect();
    let reference = reference(resolved, &listed);
    let ours = compile(resolved).unwrap();
    let mut compared = 0;
    for arch in &resolved.arches {
        for number in calls::numbers(*arch).filter(|number| comparable(*arch, *number)) {
            for data in data(*arch, number) {
                let wanted = Action::from_return(simulate(&reference, &data).unwrap());
                let found = Action::from_return(simulate(ours.instructions(), &data).unwrap());
                assert_eq!(found, wanted, "{:?} of {arch} with {data:x?}", syscall::name(*arch, number));
                compared += 1;
            }
        }
    }
    for arch in [0, 0x1234, Arch::Aarch64.token(), Arch::X86_64.token()] {
        let data = Data { arch, ..Data::default() };
        assert_eq!(simulate(ours.instructions(), &data), simulate(&reference, &data));
    }
    compared
}

fn profiles(profile: &Profile) {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for capabilities in calls::capability_sets() {
            let resolved = resolve(profile, &Facts { capabilities, arch, kernel: None });
            assert!(compare(&resolved, |arch, number| calls::data(arch, number).collect()) > 1000);
        }
    }
}

#[test]
fn default_profile_equals_libseccomp() {
    profiles(&Profile::default_profile());
}

#[test]
fn installed_profile_equals_libseccomp() {
    profiles(&Profile::parse(include_str!("cases/containers-common-0.50.json")).unwrap());
}

/// One rule for each call, so that nothing depends on libseccomp's order.
const NAMES: [&str; 12] =
    ["read", "write", "chmod", "chown", "mkdir", "rmdir", "clone", "personality", "execve", "socket", "accept4", "shmat"];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just(1), Just(2), Just(0xffff_ffff), Just(0x8000_0000), 0_u64..64, any::<u32>().prop_map(u64::from)]
}

fn wide() -> impl Strategy<Value = u64> {
    prop_oneof![2 => value(), 1 => any::<u64>(), 1 => Just(1 << 32), 1 => Just(u64::MAX)]
}

fn condition(index: u8) -> impl Strategy<Value = Condition> {
    (0_usize..7, wide(), wide()).prop_map(move |(operator, value, value_two)| Condition {
        index,
        operator: Operator::ALL[operator],
        value,
        value_two,
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let action = || {
        prop_oneof![Just(Action::Allow), (1_u16..4).prop_map(Action::Errno), Just(Action::Log), Just(Action::Trace(3)), Just(Action::Trap)]
    };
    let maybe = |index| prop::option::of(condition(index)).boxed();
    let one = (action(), maybe(0), maybe(1), maybe(2));
    prop::collection::vec(one, NAMES.len()).prop_map(|parts| {
        let rule = |(name, (action, a, b, c)): (&&'static str, _)| Rule {
            names: vec![(*name).into()],
            action,
            conditions: [a, b, c].into_iter().flatten().collect(),
            applies: Applies::default(),
            comment: "".into(),
        };
        NAMES.iter().zip(parts).map(rule).collect()
    })
}

#[test]
fn random_profiles_equal_libseccomp() {
    let mut runner = TestRunner::deterministic();
    let strategy = (rules(), prop::collection::vec([wide(), wide(), wide()], 40));
    for round in 0..300 {
        let (rules, arguments) = strategy.new_tree(&mut runner).unwrap().current();
        let subarches = if round % 2 == 0 { vec![Arch::X86, Arch::X32] } else { vec![] };
        let profile = Profile {
            default_action: Action::Errno(38),
            architectures: Architectures::Listed(subarches),
            flags: Flags::default(),
            listener: None,
            rules,
        };
        let resolved = resolve(&profile, &Facts { capabilities: CapSet::EMPTY, arch: Arch::X86_64, kernel: None });
        compare(&resolved, |arch, number| {
            let named = syscall::name(arch, number).is_some_and(|name| NAMES.contains(&name) || name == "socketcall" || name == "ipc");
            let taken = if named { arguments.len() } else { 1 };
            let data = |[a, b, c]: &[u64; 3]| Data { number, arch: arch.token(), arguments: [*a, *b, *c, 0, 0, 0], ..Data::default() };
            let selector = |n: u64| Data { number, arch: arch.token(), arguments: [n, 1, 2, 0, 0, 0], ..Data::default() };
            arguments.iter().take(taken).map(data).chain((0..if named { 25 } else { 0 }).map(selector)).collect()
        });
    }
}
