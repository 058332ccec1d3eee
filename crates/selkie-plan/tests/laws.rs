//! Laws that hold for every request: no combination of flags grants more than it may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use selkie_caps::{CapSet, Capability, FiveSets};
use selkie_plan::value::SecurityOpt;
use selkie_plan::{
    DEFAULT_CAPABILITIES, ExecRequest, HostFacts, ImageConfig, Plan, Request, Running, Seccomp, merge, plan, plan_exec, usual_devices,
    usual_mounts,
};

const LABEL: &str = "io.containers.capabilities";

fn capability() -> impl Strategy<Value = Capability> {
    (0..Capability::ALL.len()).prop_map(|index| Capability::ALL[index])
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof![9 => capability().prop_map(|capability| capability.short_name().to_lowercase()), 1 => Just(String::from("all"))];
    prop::collection::vec(name, 0..5)
}

fn set() -> impl Strategy<Value = CapSet> {
    (0..=CapSet::KNOWN.bits()).prop_map(CapSet::from_bits)
}

/// A request about privileges, with an image that may propose less.
fn request() -> impl Strategy<Value = (Request, ImageConfig)> {
    let user = prop_oneof![Just(None), Just(Some(String::from("0"))), Just(Some(String::from("1000:1000")))];
    let label = prop_oneof![2 => Just(None), 1 => names().prop_map(|names| Some(names.join(",")))];
    (names(), names(), any::<bool>(), user, label).prop_map(|(adds, drops, privileged, user, label)| {
        let mut request = Request { image: Some(String::from("img")), command: vec![String::from("true")], ..Request::default() };
        request.security.cap_add = adds;
        request.security.cap_drop = drops;
        request.security.privileged = Some(privileged);
        request.process.user = user;
        let mut image = ImageConfig::default();
        image.labels.extend(label.map(|label| (String::from(LABEL), label)));
        (request, image)
    })
}

fn facts(bounding: CapSet, permitted: CapSet) -> HostFacts {
    let mut facts = HostFacts::default();
    facts.own.bounding = bounding;
    facts.own.permitted = permitted;
    facts
}

/// The five sets are ones that the kernel accepts: capabilities(7).
fn assert_possible(sets: &FiveSets) {
    assert!(sets.permitted.is_subset(sets.bounding), "{sets:?}");
    assert!(sets.effective.is_subset(sets.permitted), "{sets:?}");
    assert!(sets.inheritable.is_subset(sets.bounding), "{sets:?}");
    assert!(sets.ambient.is_subset(sets.permitted.intersection(sets.inheritable)), "{sets:?}");
}

fn granted(plan: &Plan) -> CapSet {
    plan.process.sets.bounding
}

#[test]
fn plain_container_has_all_usual_mounts_and_devices() {
    let request = Request { command: vec![String::from("true")], ..Request::default() };
    let plan = plan(&request, &ImageConfig::default(), &HostFacts::default()).unwrap();
    for usual in usual_mounts() {
        assert!(plan.mounts.contains(&usual), "{usual:?}");
    }
    assert_eq!(plan.devices, usual_devices());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plan_never_grants_more_than_the_engine_has((request, image) in request(), bounding in set(), permitted in set()) {
        if let Ok(plan) = plan(&request, &image, &facts(bounding, permitted)) {
            prop_assert!(granted(&plan).is_subset(bounding.intersection(permitted)));
            assert_possible(&plan.process.sets);
        }
    }

    #[test]
    fn plan_inheritable_is_empty_unless_a_user_is_given_capabilities((request, image) in request(), bounding in set()) {
        if let Ok(plan) = plan(&request, &image, &facts(bounding, CapSet::KNOWN))
            && (plan.process.user.uid == 0 || request.security.cap_add.is_empty())
        {
            prop_assert_eq!(plan.process.sets.inheritable, CapSet::EMPTY);
            prop_assert_eq!(plan.process.sets.ambient, CapSet::EMPTY);
        }
    }

    #[test]
    fn plan_label_only_reduces((request, image) in request(), bounding in set()) {
        let facts = facts(bounding, CapSet::KNOWN);
        if let (Ok(with), Ok(without)) = (plan(&request, &image, &facts), plan(&request, &ImageConfig::default(), &facts)) {
            let (with, without) = (with.process.sets, without.process.sets);
            prop_assert!(with.bounding.is_subset(without.bounding));
            prop_assert!(with.effective.is_subset(without.effective));
            prop_assert!(with.ambient.is_subset(without.ambient));
        }
    }

    #[test]
    fn plan_drop_all_alone_is_five_empty_sets((mut request, image) in request(), bounding in set()) {
        request.security.cap_add.clear();
        request.security.cap_drop = vec![String::from("ALL")];
        request.security.privileged = Some(false);
        let image = ImageConfig { labels: Default::default(), ..image };
        prop_assert_eq!(plan(&request, &image, &facts(bounding, CapSet::KNOWN)).unwrap().process.sets, FiveSets::NONE);
    }

    #[test]
    fn plan_dropped_capability_is_in_no_set((request, image) in request(), bounding in set()) {
        if let Ok(plan) = plan(&request, &image, &facts(bounding, CapSet::KNOWN)) {
            let drops = request.security.cap_drop.iter().filter_map(|name| Capability::from_name(&format!("CAP_{}", name.to_uppercase())));
            let all = request.security.cap_drop.iter().any(|name| name == "all");
            for capability in drops.filter(|_| !plan.privileged && !all) {
                prop_assert!(!granted(&plan).contains(capability));
            }
        }
    }

    #[test]
    fn plan_only_privilege_takes_the_filter_away((request, image) in request()) {
        if let Ok(plan) = plan(&request, &image, &HostFacts::default()) {
            let expected = if plan.privileged { Seccomp::Unconfined } else { Seccomp::Default { nested_userns: false } };
            prop_assert_eq!(plan.seccomp, expected);
        }
    }

    #[test]
    fn plan_is_a_function_and_survives_a_record((request, image) in request(), bounding in set()) {
        let facts = facts(bounding, CapSet::KNOWN);
        let record: Request = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        prop_assert_eq!(&record, &request);
        let first = plan(&request, &image, &facts);
        if let Ok(plan) = &first {
            let record: Plan = serde_json::from_str(&serde_json::to_string(plan).unwrap()).unwrap();
            prop_assert_eq!(record.render(), plan.render());
        }
        prop_assert_eq!(plan(&record, &image, &facts), first);
    }

    #[test]
    fn merge_order_does_not_matter(adds in names(), drops in names(), bounding in set()) {
        let reversed = |names: &[String]| names.iter().rev().cloned().collect::<Vec<_>>();
        let one = merge(DEFAULT_CAPABILITIES, &adds, &drops, bounding, 40);
        let other = merge(DEFAULT_CAPABILITIES, &reversed(&adds), &reversed(&drops), bounding, 40);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn exec_never_exceeds_the_container((request, image) in request(), adds in names(), drops in names(), other in any::<bool>()) {
        let facts = HostFacts::default();
        let Ok(container) = plan(&request, &image, &facts) else { return Ok(()) };
        let user = other.then(|| String::from("2000"));
        let exec = ExecRequest { command: vec![String::from("id")], user, cap_add: adds, cap_drop: drops, ..ExecRequest::default() };
        if let Ok(process) = plan_exec(&exec, &Running { request: &request, image: &image, plan: &container }, &facts) {
            prop_assert!(process.sets.bounding.is_subset(granted(&container)));
            assert_possible(&process.sets);
        }
    }

    #[test]
    fn exec_never_lifts_no_new_privileges((mut request, image) in request(), privileged in any::<bool>()) {
        request.security.options.push(SecurityOpt::NoNewPrivileges(true));
        let facts = HostFacts::default();
        let Ok(container) = plan(&request, &image, &facts) else { return Ok(()) };
        let exec = ExecRequest { command: vec![String::from("id")], privileged: Some(privileged), ..ExecRequest::default() };
        let process = plan_exec(&exec, &Running { request: &request, image: &image, plan: &container }, &facts).unwrap();
        prop_assert!(process.no_new_privileges);
    }

    #[test]
    fn parsers_never_panic(text in ".{0,40}") {
        use selkie_plan::value::*;
        let _ = (parse_size("x", &text), Ulimit::parse(&text), HostEntry::parse(&text), BindMount::parse(&text, "/"));
        let _ = (UserMount::parse(&text, "/"), TmpfsMount::parse(&text), DeviceSpec::parse(&text), CgroupRule::parse(&text));
        let _ = (SecurityOpt::parse(&text), UsernsMode::parse(&text), NetworkMode::parse(&text), NamespaceMode::parse("ipc", &text));
        let _ = (parse_signal(&text), parse_cpus(&text), parse_sysctl(&text), parse_id_map("UID", &text), split_slice(&text));
        let _ = (parse_env(&text, |_| None), RestartPolicy::parse(&text), parse_entrypoint(&text), parse_name(&text), parse_umask(&text));
    }

    #[test]
    fn account_files_never_panic_and_never_make_root(passwd in prop::collection::vec(any::<u8>(), 0..200), lines in "([a-z0-9-]{1,10}:x:[0-9-]{0,11}:[0-9]{0,3}::/:\n){0,5}") {
        for file in [passwd, lines.into_bytes()] {
            let facts = HostFacts { passwd: Some(file.clone()), group: Some(file), ..HostFacts::default() };
            let mut request = Request { command: vec![String::from("true")], ..Request::default() };
            request.process.user = Some(String::from("1000"));
            if let Ok(plan) = plan(&request, &ImageConfig::default(), &facts) {
                prop_assert_eq!(plan.process.user.uid, 1000);
            }
        }
    }
}
