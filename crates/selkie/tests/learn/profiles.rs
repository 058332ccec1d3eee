//! Profiles: kept, shown, compared, enforced, proven again.

use super::{Engine, engine};

/// Imports the root file system, with `mark` in it, as an image; returns its name.
fn image(engine: &Engine, name: &str, mark: &str) -> String {
    let root = engine.rootfs();
    std::fs::write(std::path::Path::new(&root).join("etc/mark"), mark).unwrap();
    let archive = engine.path("image.tar");
    let made = std::process::Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(made.success());
    engine.ok(&["import", &archive.display().to_string(), name]);
    format!("localhost/{name}:latest")
}

#[test]
fn profile_is_enforced_for_its_image_and_no_other() {
    let Some(engine) = engine() else { return };
    let image_name = image(&engine, "app", "one");
    let command = ["busybox", "chown", "5", "/etc/group"];
    let words: Vec<&str> = ["learn", "--no-zero", &image_name].into_iter().chain(command).collect();
    let learned = engine.run(&words);
    assert_eq!(learned.code, 0, "{}", learned.stderr);
    assert!(learned.stderr.contains("kept as profile `app`"), "{}", learned.stderr);
    assert_eq!(engine.ok(&["profile", "ls", "--quiet"]), "app");
    let bounding = ["run", "--rm", "--profile", "app", &image_name, "grep", "CapBnd", "/proc/self/status"];
    assert_eq!(engine.ok(&bounding), "CapBnd:\t0000000000000001");
    let by_image: Vec<&str> = ["run", "--rm", "--caps=learned", &image_name].into_iter().chain(command).collect();
    engine.ok(&by_image);
    let both = engine.run(&["run", "--rm", "--profile", "app", "--cap-add", "mknod", &image_name, "true"]);
    assert_eq!(both.code, 125);
    assert!(both.stderr.contains("a profile gives exactly its capabilities"), "{}", both.stderr);

    image(&engine, "app", "two");
    let other = engine.run(&bounding);
    assert_eq!(other.code, 125);
    assert!(other.stderr.contains("was learned from sha256:"), "{}", other.stderr);
    // Proven again, it is its own.
    let verified = engine.run(&["profile", "verify", "--update", "app"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    engine.ok(&bounding);
}

#[test]
fn verify_names_the_operation_that_is_new() {
    let Some(engine) = engine() else { return };
    let tool = std::path::Path::new(&engine.rootfs()).join("app");
    let write = |text: &str| {
        std::fs::write(&tool, text).unwrap();
        std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    write("#!/bin/sh\nbusybox chown 5 /etc/group\n");
    let first = image(&engine, "one", "1");
    engine.ok(&["learn", "--no-zero", "--save", "p", &first, "/app"]);
    write("#!/bin/sh\nbusybox chown 5 /etc/group && busybox mknod /x c 1 3\n");
    let second = image(&engine, "two", "2");
    let verified = engine.run(&["profile", "verify", "--image", &second, "p"]);
    assert_eq!(verified.code, 1);
    assert!(verified.stderr.contains("new: MKNOD: ") && verified.stderr.contains("= EPERM without it"), "{}", verified.stderr);
    // The old profile stands.
    engine.ok(&["run", "--rm", "--profile", "p", &first, "/app"]);
}

#[test]
fn profiles_are_compared_shown_and_removed() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    for (name, command) in [("a", "true"), ("b", "busybox chown 5 /etc/group")] {
        engine.ok(&["learn", "--no-zero", "--save", name, "--rootfs", &rootfs, "sh", "-c", command]);
    }
    let diff = engine.run(&["profile", "diff", "a", "b"]);
    assert_eq!(diff.code, 1);
    assert!(diff.stdout.starts_with("+ CHOWN: busybox("), "{}", diff.stdout);
    assert!(engine.ok(&["profile", "show", "b"]).contains("--cap-drop all --cap-add CHOWN"));
    assert_eq!(engine.ok(&["profile", "rm", "a"]), "a");
    let gone = engine.run(&["profile", "show", "a"]);
    assert_eq!(gone.code, 125);
    assert!(gone.stderr.contains("no profile with name \"a\" found"), "{}", gone.stderr);
}
