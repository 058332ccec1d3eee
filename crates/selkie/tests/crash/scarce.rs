//! Too little of something: disk, descriptors, processes. The error is clear, and nothing is left.

use std::process::Command;

use crate::harness::{SELKIE, Said, busybox, installed, text};
use crate::oracle::{Watched, said};

fn is_clean_failure(said: &Said, what: &str) {
    assert!((125..=127).contains(&said.code) && said.stderr.starts_with("Error: "), "{what}: {said:?}");
    assert!(!said.stderr.contains("panicked") && !said.stderr.contains("RUST_BACKTRACE"), "{what}: {said:?}");
}

/// A store of two megabytes in a mount namespace of its own; `script` finds the program in `$selkie`.
fn on_a_small_disk(watched: &Watched, script: &str) -> Said {
    let root = text(&watched.engine.path(""));
    let prologue = format!(
        "set -u; cd {root}; mkdir -p own-store; mount -t tmpfs -o size=2m tmpfs own-store
         selkie() {{ {SELKIE} --root {root}/own-store --runroot {root}/own-run \"$@\"; }}
         fill() {{ dd if=/dev/zero of=own-store/filler bs=4k 2>/dev/null; true; }}\n"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &(prologue + script)]).env("CONTAINERS_CONF", "/dev/null");
    said(&command.output().unwrap())
}

#[test]
fn create_on_a_full_disk_fails_and_says_what_helps() {
    let Some(watched) = Watched::new() else { return };
    let rootfs = watched.engine.rootfs();
    let script = format!(
        "selkie create --name first --rootfs {rootfs} true >/dev/null; fill
         selkie create --name second --rootfs {rootfs} true; echo code=$?; selkie ps -a --format '{{{{.Names}}}}'; ls own-store/names"
    );
    let said = on_a_small_disk(&watched, &script);
    assert_eq!(said.stdout, "code=125\nfirst\nfirst\n", "{said:?}");
    assert!(said.stderr.contains("No space left on device"), "{said:?}");
}

#[test]
fn full_disk_keeps_nobody_from_looking_stopping_and_removing() {
    let Some(watched) = Watched::new() else { return };
    let rootfs = watched.engine.rootfs();
    let script = format!(
        "selkie run -d --name a --rootfs {rootfs} sleep 60 >/dev/null; selkie run -d --name b --rootfs {rootfs} sleep 60 >/dev/null
         fill; selkie ps --sort names --format '{{{{.Names}}}}'; selkie exec a echo here; selkie stop -t 0 a && selkie rm a && selkie rm -f b; echo code=$?
         ls own-store/containers own-store/names own-run/containers"
    );
    let said = on_a_small_disk(&watched, &script);
    let expected = "a\nb\nhere\na\na\nb\ncode=0\nown-run/containers:\n\nown-store/containers:\n\nown-store/names:\n";
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), (expected, ""));
}

/// Starts `a`, which ends with 7, and fills the disk before; shows how it has ended, on the full disk and with room again.
fn end_on_a_full_disk(watched: &Watched, run: &str) -> Said {
    let rootfs = watched.engine.rootfs();
    let told =
        "selkie ps -a --format '{{.Names}} {{.State}}'; selkie wait a; selkie inspect --format '{{.State.ExitCode}} {{.State.Error}}' a";
    let script = format!(
        "selkie() {{ {SELKIE} --root own-store --runroot {run} \"$@\"; }}
         selkie run -d --name a --rootfs {rootfs} sh -c 'trap \"exit 7\" TERM; while true; do sleep 0.05; done' >/dev/null
         sleep 0.2; fill; selkie stop a; echo code=$?; {told}; {told}; rm own-store/filler; {told}
         selkie start a; selkie stop a; {told}; selkie rm a"
    );
    on_a_small_disk(watched, &script)
}

#[test]
fn full_disk_does_not_lose_the_exit_status() {
    let Some(watched) = Watched::new() else { return };
    let said = end_on_a_full_disk(&watched, "own-run");
    let told = "a exited\n7\n7 \n";
    assert_eq!((said.stdout, said.stderr.as_str()), (format!("a\ncode=0\n{}a\na\n{told}a\n", told.repeat(3)), ""));
}

#[test]
fn exit_status_that_could_be_written_nowhere_is_not_known() {
    let Some(watched) = Watched::new() else { return };
    let said = end_on_a_full_disk(&watched, "own-store/run");
    let lost = "a exited\n255\n255 its monitor ended before it: the exit status is not known\n";
    assert_eq!((said.stdout, said.stderr.as_str()), (format!("a\ncode=0\n{}a\na\na exited\n7\n7 \na\n", lost.repeat(3)), ""));
}

#[test]
fn full_disk_does_not_keep_an_image_from_being_removed() {
    let Some(watched) = Watched::new() else { return };
    let tree = watched.engine.path("own-tree");
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    std::fs::copy(busybox().unwrap(), tree.join("bin/busybox")).unwrap();
    let script = "tar -C own-tree -cf own-small.tar bin; mount -o remount,size=8m own-store; selkie import own-small.tar localhost/small >/dev/null 2>&1
        fill; selkie rmi localhost/small >/dev/null; echo code=$?; selkie images -q; rm own-store/filler; find own-store -size +100k ! -name reserve";
    let said = on_a_small_disk(&watched, script);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("code=0\n", ""));
}

#[test]
fn import_of_more_than_fits_leaves_nothing() {
    let Some(watched) = Watched::new() else { return };
    let script = "mkdir own-tree; dd if=/dev/urandom of=own-tree/large bs=1M count=4 2>/dev/null; tar -C own-tree -cf own-large.tar large
        selkie import own-large.tar localhost/large; echo code=$?; selkie images -q; find own-store -size +100k ! -name reserve";
    let said = on_a_small_disk(&watched, script);
    assert_eq!(said.stdout, "code=125\n", "{said:?}");
    assert!(said.stderr.contains("No space left on device"), "{said:?}");
}

/// Runs `run --rm` under limits that a shell sets.
fn limited(watched: &Watched, limit: &str) -> Said {
    let words = watched.words("run --rm --name a", "true");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$@\""), "sh", SELKIE, "--root"]).arg(watched.engine.path("root")).arg("--runroot");
    command.arg(watched.engine.path("run")).args(words).current_dir(watched.engine.path("")).env("CONTAINERS_CONF", "/dev/null");
    said(&command.output().unwrap())
}

#[test]
fn few_descriptors_are_a_clear_error_and_leave_nothing() {
    let Some(watched) = Watched::new() else { return };
    for count in [5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24] {
        let said = limited(&watched, &format!("ulimit -n {count}"));
        if said.code != 0 {
            is_clean_failure(&said, &format!("{count} descriptors"));
        }
        watched.is_clean(&format!("{count} descriptors: {said:?}"));
    }
}

#[test]
fn small_files_are_a_clear_error_and_leave_nothing() {
    let Some(watched) = Watched::new() else { return };
    for blocks in [0, 1, 2, 4] {
        let said = limited(&watched, &format!("ulimit -f {blocks}; trap '' XFSZ"));
        if said.code != 0 {
            is_clean_failure(&said, &format!("files of {blocks} blocks"));
        }
        watched.leaves_nothing(&format!("files of {blocks} blocks: {said:?}"));
    }
}

#[test]
fn few_processes_are_a_clear_error_and_leave_nothing() {
    let Some(watched) = Watched::new() else { return };
    let Some(pids) = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(std::path::Path::new).into_iter().find(|path| {
        path.join("cgroup.procs").exists() && std::fs::read_dir(path).unwrap().flatten().any(|entry| entry.path().join("pids.max").exists())
    }) else {
        crate::harness::skip("no pids cgroup");
        return;
    };
    let group = pids.join(format!("selkie-few-{}", std::process::id()));
    std::fs::create_dir(&group).unwrap();
    for count in 1..=4 {
        std::fs::write(group.join("pids.max"), count.to_string()).unwrap();
        let said = limited(&watched, &format!("echo $$ > {}/cgroup.procs", group.display()));
        if said.code != 0 {
            is_clean_failure(&said, &format!("{count} processes"));
        }
        watched.is_clean(&format!("{count} processes: {said:?}"));
    }
    let _ = installed("rmdir");
    crate::oracle::until("the cgroup of the test empties", || std::fs::remove_dir(&group).is_ok());
}
