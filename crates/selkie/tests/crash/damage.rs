//! Records that somebody has damaged: the container that they are of can be removed, every other one is as before.

use std::path::{Path, PathBuf};

use crate::oracle::Watched;

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 7] = [
    ("truncated", |path| {
        let text = std::fs::read(path).unwrap();
        std::fs::write(path, &text[..text.len() / 2]).unwrap();
    }),
    ("empty", |path| std::fs::write(path, b"").unwrap()),
    ("zeros", |path| std::fs::write(path, [0; 4096]).unwrap()),
    ("random", |path| {
        let random: Vec<u8> = (0_u32..4096).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        std::fs::write(path, random).unwrap();
    }),
    ("of another type", |path| std::fs::write(path, b"{\"id\": [1, 2], \"init\": \"x\", \"code\": {}}").unwrap()),
    ("a link", |path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    }),
    ("a directory", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    }),
];

fn record(watched: &Watched, id: &str, name: &str) -> PathBuf {
    let directory = if name == "state.json" { "run/containers" } else { "root/containers" };
    watched.engine.path(directory).join(id).join(name)
}

/// Damages one record of a container that runs, in every way, and removes the container then.
fn removal_works_after_damage_of(name: &str) {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name other", "sleep 60");
    let passwd = std::fs::read("/etc/passwd").unwrap();
    for (what, damage) in DAMAGES {
        let id = watched.start("run --detach --name a", "sleep 60");
        if name == "exit.json" {
            watched.ok(&["stop", "--time", "0", "a"]);
        }
        damage(&record(&watched, &id, name));
        let listed = watched.run(&["ps", "--all", "--format", "{{.Names}}"]);
        assert!(listed.code == 0 && listed.stdout.contains("other"), "{name} {what}: {listed:?}");
        assert_eq!(watched.ok(&["exec", "other", "echo", "here"]), "here");
        assert_eq!(watched.ok(&["rm", "--force", "--time", "0", "a"]), "a", "{name} {what}");
        // The name is free again.
        watched.start("run --rm --name a", "true");
        assert_eq!(watched.ok(&["ps", "--all", "--format", "{{.Names}}"]), "other", "{name} {what}");
    }
    assert_eq!(std::fs::read("/etc/passwd").unwrap(), passwd);
    watched.leaves_nothing(name);
}

#[test]
fn damaged_config_can_be_removed() {
    removal_works_after_damage_of("config.json");
}

#[test]
fn damaged_plan_can_be_removed() {
    removal_works_after_damage_of("plan.json");
}

#[test]
fn damaged_exit_can_be_removed() {
    removal_works_after_damage_of("exit.json");
}

#[test]
fn damaged_state_can_be_removed() {
    removal_works_after_damage_of("state.json");
}

#[test]
fn rm_all_force_removes_damaged_ones_too() {
    let Some(watched) = Watched::new() else { return };
    for name in ["config.json", "state.json"] {
        let id = watched.start("run --detach --name a", "sleep 60");
        std::fs::write(record(&watched, &id, name), b"{").unwrap();
        let removed = watched.run(&["rm", "--all", "--force", "--time", "0"]);
        assert!(removed.code == 0 && removed.stdout.contains(&id), "{removed:?}");
        watched.is_clean(name);
    }
}

#[test]
fn names_without_an_owner_can_be_taken() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --rm", "true");
    for target in ["0".repeat(64), "nonsense".to_owned(), "/etc".to_owned()] {
        std::os::unix::fs::symlink(target, watched.engine.path("root/names/a")).unwrap();
        watched.start("run --rm --name a", "true");
    }
    std::fs::write(watched.engine.path("root/names/a"), b"").unwrap();
    watched.start("run --rm --name a", "true");
    watched.leaves_nothing("dangling names");
}

#[test]
fn records_of_a_container_deleted_by_hand_are_repaired() {
    let Some(watched) = Watched::new() else { return };
    let id = watched.start("run --detach --name a", "sleep 60");
    std::fs::remove_file(record(&watched, &id, "config.json")).unwrap();
    watched.leaves_nothing("the deletion of config.json");
}
