//! Several users of four names at once.

use std::time::{Duration, Instant};

use crate::oracle::Watched;

/// What one may be told when somebody else was quicker.
const EXPLAINED: [&str; 5] = ["no such container", "is already in use", "container state improper", "not running", "no such object"];

#[test]
fn six_workers_on_four_names_get_no_answer_that_an_order_does_not_explain() {
    let Some(watched) = Watched::new() else { return };
    let deadline = Instant::now() + Duration::from_secs(10);
    let odd: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..=6)
            .map(|seed| {
                scope.spawn({
                    let watched = &watched;
                    move || work(watched, seed, deadline)
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(odd.is_empty(), "{odd:#?}");
    watched.leaves_nothing("six workers");
}

fn work(watched: &Watched, seed: u64, deadline: Instant) -> Vec<String> {
    let mut random = seed;
    let mut pick = |count: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % count
    };
    let mut odd = Vec::new();
    while Instant::now() < deadline {
        let name = ["w", "x", "y", "z"][pick(4)];
        let said = match pick(9) {
            0 => run(watched, &format!("run --detach --name {name}"), "sleep 60"),
            1 => run(watched, &format!("run --rm --name {name}"), "true"),
            2 => run(watched, &format!("create --name {name}"), "true"),
            3 => watched.run(&["rm", "--force", "--time", "0", name]),
            4 => watched.run(&["exec", name, "true"]),
            5 => watched.run(&["stop", "--time", "0", name]),
            6 => watched.run(&["start", name]),
            7 => watched.run(&["inspect", name]),
            _ => {
                let said = watched.run(&["ps", "--all"]);
                if said.code != 0 || !said.stderr.is_empty() {
                    odd.push(format!("ps: {said:?}"));
                }
                continue;
            }
        };
        // A process that a removal has killed says so with its status, and nothing else.
        let killed = said.code == 137 && said.stderr.is_empty();
        if said.code != 0 && !killed && !EXPLAINED.iter().any(|text| said.stderr.contains(text)) {
            odd.push(format!("{name}: {said:?}"));
        }
    }
    odd
}

fn run(watched: &Watched, start: &str, program: &str) -> crate::harness::Said {
    crate::oracle::said(&watched.container(start, program).output().unwrap())
}

#[test]
fn ten_who_replace_the_same_container_all_succeed() {
    let Some(watched) = Watched::new() else { return };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| (0..2).map(|_| run(&watched, "run --replace --detach --name same", "sleep 60")).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).filter(|said| said.code != 0).collect()
    });
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(watched.ok(&["ps", "--all", "--format", "{{.Names}} {{.State}}"]), "same running");
    watched.leaves_nothing("ten who replace");
}
