//! The compiler against the rules, for random profiles and for those that make jumps long.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is what it is for")]

use proptest::prelude::*;
use selkie_caps::CapSet;
use selkie_seccomp::{
    Action, Applies, Arch, Architectures, CompileError, Condition, Data, Facts, Flags, Operator, Profile, Program, Rule, compile, resolve,
    simulate, verdict,
};

const FACTS: Facts = Facts { capabilities: CapSet::EMPTY, arch: Arch::X86_64, kernel: None };

fn profile(rules: Vec<Rule>) -> Profile {
    Profile {
        default_action: Action::Errno(38),
        architectures: Architectures::Listed(vec![Arch::X86, Arch::X32]),
        flags: Flags::default(),
        listener: None,
        rules,
    }
}

fn rule(names: &[&'static str], action: Action, conditions: Vec<Condition>) -> Rule {
    let names = names.iter().map(|name| (*name).into()).collect();
    Rule { names, action, conditions, applies: Applies::default(), comment: "".into() }
}

const NAMES: [&str; 8] = ["read", "write", "socket", "accept", "semop", "clone", "personality", "execve"];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, Just(0xffff_ffff_u64), Just(1 << 32), Just((1 << 32) + 1), Just(u64::MAX), Just(u64::MAX << 32), any::<u64>()]
}

fn condition() -> impl Strategy<Value = Condition> {
    (0_u8..3, 0_usize..7, value(), value()).prop_map(|(index, operator, value, value_two)| Condition {
        index,
        operator: Operator::ALL[operator],
        value,
        value_two,
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let action = prop_oneof![Just(Action::Allow), (1_u16..4).prop_map(Action::Errno), Just(Action::Notify), Just(Action::KillThread)];
    let names = prop::sample::subsequence(&NAMES[..], 1..4);
    let one =
        (names, action, prop::collection::vec(condition(), 0..4)).prop_map(|(names, action, conditions)| rule(&names, action, conditions));
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn compile_any_profile_equals_rules(rules in rules(), arguments in prop::collection::vec([value(), value(), value()], 8)) {
        let resolved = resolve(&profile(rules), &FACTS);
        let program = compile(&resolved).unwrap();
        for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
            for number in NAMES.iter().filter_map(|name| selkie_seccomp::syscall::number(arch, name)).chain([102, 117, 5]) {
                let number = if arch == Arch::X32 { number | 0x4000_0000 } else { number };
                for [a, b, c] in &arguments {
                    let data = Data { number, arch: arch.token(), arguments: [*a, *b, *c, 0, 0, 0], ..Data::default() };
                    let found = Action::from_return(simulate(program.instructions(), &data).unwrap());
                    prop_assert_eq!(found, verdict(&resolved, arch, number, &data.arguments).action, "{:x?}", data);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Damaged profiles are refused or mean something; what means something can be compiled or is too long.
    #[test]
    fn parse_damaged_profile_does_not_panic(places in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}\",:0-9a-zA-Z_ ]"), 1..4)) {
        let mut text = String::from(include_str!("cases/containers-common-0.50.json"));
        for (place, letter) in places {
            let place = place.index(text.len());
            text.replace_range(place..=place, &letter);
        }
        if let Ok(profile) = Profile::parse(&text) {
            let resolved = resolve(&profile, &FACTS);
            prop_assert!(compile(&resolved).is_ok());
        }
    }
}

/// A rule for `read` with as many alternatives as asked for, so that everything else is far from its returns.
fn long(alternatives: u64) -> Profile {
    let mut rules: Vec<_> = (0..alternatives).map(|n| rule(&["read"], Action::Errno(7), vec![Condition::equal(0, n << 33 | n)])).collect();
    rules.push(rule(&["write", "execve", "getpid"], Action::Allow, vec![]));
    rules.push(rule(&["chmod"], Action::Trap, vec![Condition::not_equal(1, 3)]));
    let mut profile = profile(rules);
    profile.architectures = Architectures::Listed(vec![]);
    profile
}

#[test]
fn compile_far_jumps_land_where_they_should() {
    for alternatives in (0..1000).step_by(7) {
        let resolved = resolve(&long(alternatives), &FACTS);
        let program = compile(&resolved).unwrap();
        let calls =
            [(0, 0), (0, 1 << 33 | 1), (0, 5), (1, 0), (59, 0), (39, 0), (90, 3), (90, 4), (300, 0), (u32::MAX, 0), (0x4000_0000, 0)];
        for (number, argument) in calls {
            let arguments = [argument, argument, 0, 0, 0, 0];
            let data = Data { number, arch: Arch::X86_64.token(), arguments, ..Data::default() };
            let found = Action::from_return(simulate(program.instructions(), &data).unwrap());
            assert_eq!(found, verdict(&resolved, Arch::X86_64, number, &arguments).action, "{alternatives} {data:x?}");
        }
    }
}

#[test]
fn compile_more_than_the_kernel_takes_is_refused() {
    let resolved = resolve(&long(1100), &FACTS);
    assert!(matches!(compile(&resolved), Err(CompileError::TooLong { length }) if length > Program::MAX));
}

#[test]
fn resolve_rule_without_conditions_decides_alone() {
    let conditional = rule(&["chmod"], Action::Errno(1), vec![Condition::equal(0, 1)]);
    let free = rule(&["chmod"], Action::Allow, vec![]);
    for rules in [vec![conditional.clone(), free.clone()], vec![free, conditional]] {
        let resolved = resolve(&profile(rules), &FACTS);
        assert_eq!(verdict(&resolved, Arch::X86_64, 90, &[1, 0, 0, 0, 0, 0]).action, Action::Allow);
    }
}

#[test]
fn resolve_repeated_argument_makes_alternatives() {
    let rules = vec![rule(&["chmod"], Action::Allow, vec![Condition::equal(0, 1), Condition::equal(0, 2)])];
    let resolved = resolve(&profile(rules), &FACTS);
    let action = |first| verdict(&resolved, Arch::X86_64, 90, &[first, 0, 0, 0, 0, 0]).action;
    assert_eq!([action(1), action(2), action(3)], [Action::Allow, Action::Allow, Action::Errno(38)]);
}
