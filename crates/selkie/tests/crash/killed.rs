//! Clients, monitors and first processes of containers that are killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::installed;
use crate::oracle::{Watched, kill, killed_after, said, until};

/// After whatever has happened to the container `a`: its name can be had at once, and nothing is left.
fn next_command_repairs(watched: &Watched, after: &str) {
    watched.start("run --rm --replace --name a", "true");
    watched.leaves_nothing(after);
}

fn milliseconds(range: std::ops::Range<u64>, step: usize) -> impl Iterator<Item = Duration> {
    range.step_by(step).map(Duration::from_millis)
}

#[test]
fn client_of_run_detached_killed_after_any_delay_leaves_nothing() {
    let Some(watched) = Watched::new() else { return };
    for delay in milliseconds(0..30, 1) {
        killed_after(watched.container("run --detach --name a", "sleep 60"), delay);
        assert!(["", "created", "running"].contains(&watched.state("a").as_str()), "{delay:?}: {}", watched.state("a"));
        next_command_repairs(&watched, &format!("run --detach killed after {delay:?}"));
    }
}

#[test]
fn client_of_run_rm_killed_after_any_delay_leaves_nothing_without_a_removal() {
    let Some(watched) = Watched::new() else { return };
    for delay in milliseconds(0..40, 1) {
        killed_after(watched.container("run --rm --name a", "true"), delay);
        until("a container with --rm goes", || watched.state("a").is_empty());
        watched.is_clean(&format!("run --rm killed after {delay:?}"));
    }
}

fn killed_together(start: &str) {
    let Some(watched) = Watched::new() else { return };
    for delay in milliseconds(0..30, 1) {
        let mut client = watched.container(&format!("{start} --name a"), "true").spawn().unwrap();
        std::thread::sleep(delay);
        watched.kill_all();
        client.wait().unwrap();
        next_command_repairs(&watched, &format!("{start} and its monitor killed after {delay:?}"));
    }
}

#[test]
fn client_and_monitor_of_run_rm_killed_together_leave_what_the_next_command_removes() {
    killed_together("run --rm");
}

#[test]
fn client_and_monitor_of_run_killed_together_leave_what_the_next_command_removes() {
    killed_together("run");
}

#[test]
fn client_of_create_killed_after_any_delay_leaves_nothing() {
    let Some(watched) = Watched::new() else { return };
    for delay in milliseconds(0..20, 1) {
        killed_after(watched.container("create --name a", "true"), delay);
        next_command_repairs(&watched, &format!("create killed after {delay:?}"));
    }
}

#[test]
fn client_of_rm_killed_after_any_delay_leaves_nothing() {
    let Some(watched) = Watched::new() else { return };
    for delay in milliseconds(0..20, 1) {
        watched.start("run --detach --name a", "sleep 60");
        killed_after(watched.command(&["rm", "--force", "a"]), delay);
        assert!(["", "exited", "running"].contains(&watched.state("a").as_str()), "{delay:?}: {}", watched.state("a"));
        next_command_repairs(&watched, &format!("rm --force killed after {delay:?}"));
    }
}

#[test]
fn client_of_exec_killed_after_any_delay_leaves_the_container_as_it_was() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name a", "sleep 60");
    for delay in milliseconds(0..20, 2) {
        killed_after(watched.command(&["exec", "a", "sleep", "60"]), delay);
        assert_eq!(watched.ok(&["exec", "a", "echo", "here"]), "here");
    }
    watched.leaves_nothing("exec killed");
}

/// The Nth call of a set kills whoever makes it: the client, the monitor or init, whoever comes to N first.
fn killed_at_every(calls: &str, limit: u32, start: &str) {
    let Some(watched) = Watched::new() else { return };
    if !installed("strace") {
        return;
    }
    let mut fired = 0;
    for number in 1..=limit {
        let inject = format!("inject={calls}:signal=KILL:when={number}");
        let plain = watched.container(start, "true");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o"]).arg(watched.engine.path("trace")).args(["-e", &format!("trace={calls}"), "-e", &inject]);
        traced.arg(plain.get_program()).args(plain.get_args()).current_dir(watched.engine.path("")).stdin(Stdio::null());
        let said = said(&traced.env("CONTAINERS_CONF", "/dev/null").output().unwrap());
        assert!(!said.stderr.contains("panicked"), "{calls} {number}: {said:?}");
        let trace = std::fs::read_to_string(watched.engine.path("trace")).unwrap_or_default();
        let was_killed = trace.contains("killed by SIGKILL");
        fired += u32::from(was_killed);
        if was_killed && start.contains("--rm") {
            until("a container with --rm goes", || watched.state("a").is_empty());
            watched.is_clean(&format!("{calls} number {number}"));
        }
        next_command_repairs(&watched, &format!("{calls} number {number}: {said:?}"));
        if !was_killed {
            break;
        }
    }
    assert!(fired > 0, "no {calls} was made");
}

/// Every container that is listed is the one that its name leads to.
fn names_lead_to_their_containers(watched: &Watched, after: &str) {
    for line in watched.ok(&["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]).lines() {
        let (id, name) = line.split_once(' ').unwrap();
        let found = watched.run(&["inspect", "--format", "{{.Id}} {{.Name}}", name]);
        assert_eq!(found.stdout.trim_end(), line, "{id} {after}: {found:?}");
    }
}

/// The Nth change of the store kills `command`, which has the container that `run` makes; `check` looks at what is left.
fn command_killed_at_every_change(run: &str, command: &[&str], check: impl Fn(&Watched, &str, &str)) {
    let Some(watched) = Watched::new() else { return };
    if !installed("strace") {
        return;
    }
    let calls = "rename,symlink,unlink,unlinkat,rmdir";
    for number in 1..=24 {
        let id = watched.start(run, "sleep 60");
        let plain = watched.command(command);
        let inject = format!("inject={calls}:signal=KILL:when={number}");
        let mut traced = Command::new("strace");
        traced.args(["-qq", "-o"]).arg(watched.engine.path("trace")).args(["-e", &format!("trace={calls}"), "-e", &inject]);
        traced.arg(plain.get_program()).args(plain.get_args()).current_dir(watched.engine.path("")).stdin(Stdio::null());
        traced.env("CONTAINERS_CONF", "/dev/null").output().unwrap();
        let was_killed = std::fs::read_to_string(watched.engine.path("trace")).unwrap_or_default().contains("killed by SIGKILL");
        let after = format!("{run} {command:?} killed at {number}");
        names_lead_to_their_containers(&watched, &after);
        check(&watched, &id, &after);
        watched.leaves_nothing(&after);
        for directory in ["root/names", "run/names"] {
            let left: Vec<_> = std::fs::read_dir(watched.engine.path(directory)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.is_empty(), "{after}: {left:?}");
        }
        if !was_killed {
            assert!(number > 3, "no change was made");
            return;
        }
    }
    panic!("{command:?} makes more changes than that");
}

#[test]
fn rm_killed_at_any_change_leaves_a_container_with_its_name_or_none() {
    for run in ["create --name a", "create --rm --name a", "run --detach --name a"] {
        command_killed_at_every_change(run, &["rm", "--force", "--time", "0", "a"], |watched, _, _| {
            watched.start("create --replace --name a", "true");
        });
    }
}

#[test]
fn rename_killed_at_any_change_leaves_both_names_to_whoever_wants_them() {
    for run in ["create --name old", "run --detach --rm --name old"] {
        // It can be renamed, and removed by its id.
        command_killed_at_every_change(run, &["rename", "old", "new"], |watched, id, after| {
            let said = watched.run(&["rename", id, "new"]);
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{after}");
            assert_eq!(watched.run(&["inspect", "old"]).code, 125, "{after}");
        });
        command_killed_at_every_change(run, &["rename", "old", "new"], |watched, id, after| {
            watched.ok(&["rm", "--force", "--time", "0", id]);
            names_lead_to_their_containers(watched, after);
        });
        // Somebody else can have the name that it has not.
        command_killed_at_every_change(run, &["rename", "old", "new"], |watched, id, after| {
            let name = watched.ok(&["inspect", "--format", "{{.Name}}", id]);
            let other = if name == "old" { "new" } else { "old" };
            let third = watched.start("create --name third", "true");
            watched.ok(&["rename", &third, other]);
            names_lead_to_their_containers(watched, after);
            watched.ok(&["rename", other, "third"]);
            watched.start(&format!("create --name {other}"), "true");
            names_lead_to_their_containers(watched, after);
        });
    }
}

#[test]
fn killed_at_any_change_of_the_store_leaves_nothing() {
    killed_at_every("mkdir,rename,symlink,unlink,unlinkat,rmdir,flock", 16, "run --name a");
}

#[test]
fn killed_at_any_new_process_leaves_nothing() {
    killed_at_every("clone3,execve,execveat", 4, "run --rm --name a");
}

#[test]
fn killed_at_any_message_leaves_nothing() {
    killed_at_every("sendmsg,sendto,recvmsg,recvfrom", 6, "run --rm --name a");
}

#[test]
fn killed_at_any_mount_leaves_nothing() {
    killed_at_every("fsmount,move_mount,mount_setattr,open_tree,pivot_root", 14, "run --rm --name a");
}

#[test]
fn killed_at_any_write_leaves_nothing() {
    killed_at_every("write", 14, "run --rm --name a");
}

#[test]
fn monitor_killed_leaves_a_container_that_can_be_used_and_ended() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name a", "sleep 60");
    let (init, monitor) = watched.pids("a");
    kill(monitor);
    assert_eq!(watched.state("a"), "running");
    assert_eq!(watched.ok(&["exec", "a", "echo", "here"]), "here");
    let attached = watched.run(&["attach", "a"]);
    assert!(attached.code == 125 && attached.stderr.contains("its output cannot be had"), "{attached:?}");
    let waiting = watched.command(&["wait", "a"]).stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    watched.ok(&["stop", "--time", "0", "a"]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(said(&waiting.wait_with_output().unwrap()).stdout, "255\n");
    assert_eq!(watched.state("a"), "exited");
    assert_eq!(watched.ok(&["inspect", "--format", "{{.State.ExitCode}}", "a"]), "255");
    assert!(!std::path::Path::new(&format!("/proc/{init}/root/bin")).exists());
    watched.ok(&["start", "a"]);
    assert_eq!(watched.state("a"), "running");
    watched.leaves_nothing("the death of a monitor");
}

#[test]
fn monitor_killed_then_rm_force_leaves_nothing() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name a", "sleep 60");
    kill(watched.pids("a").1);
    watched.ok(&["rm", "--force", "a"]);
    watched.is_clean("rm --force of a container without a monitor");
}

#[test]
fn monitor_killed_with_rm_container_is_gone_once_it_has_ended() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --rm --name a", "sleep 60");
    let (init, monitor) = watched.pids("a");
    kill(monitor);
    assert_eq!(watched.state("a"), "running");
    kill(init);
    assert_eq!(watched.state("a"), "");
    watched.is_clean("the end of a container with --rm and without a monitor");
}

#[test]
fn monitor_and_init_killed_shows_exited_at_once() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name a", "sleep 60");
    let (init, monitor) = watched.pids("a");
    kill(monitor);
    kill(init);
    let began = Instant::now();
    assert_eq!(watched.state("a"), "exited");
    assert_eq!(watched.ok(&["wait", "a"]), "255");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(watched.ok(&["ps", "--all"]).contains("Exited (255)"));
    watched.leaves_nothing("the death of a monitor and its container");
}

#[test]
fn monitor_frozen_does_not_keep_ps_and_inspect_waiting() {
    let Some(watched) = Watched::new() else { return };
    watched.start("run --detach --name a", "sleep 60");
    let monitor = rustix::process::Pid::from_raw(watched.pids("a").1).unwrap();
    rustix::process::kill_process(monitor, rustix::process::Signal::STOP).unwrap();
    let began = Instant::now();
    assert_eq!(watched.state("a"), "running");
    watched.ok(&["inspect", "a"]);
    watched.ok(&["logs", "a"]);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    rustix::process::kill_process(monitor, rustix::process::Signal::CONT).unwrap();
    watched.leaves_nothing("a monitor that was stopped");
}

#[test]
fn init_killed_while_it_starts_is_an_error_of_run() {
    let Some(watched) = Watched::new() else { return };
    if !installed("strace") {
        return;
    }
    // Only init pivots; it is killed before, and at its last step.
    for calls in ["pivot_root", "sethostname"] {
        let plain = watched.container("run --rm --name a", "true");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:signal=KILL")]);
        traced.arg(plain.get_program()).args(plain.get_args()).current_dir(watched.engine.path("")).stdin(Stdio::null());
        let said = said(&traced.env("CONTAINERS_CONF", "/dev/null").output().unwrap());
        assert!((125..=127).contains(&said.code) && said.stderr.starts_with("Error: "), "{calls}: {said:?}");
        watched.is_clean(calls);
    }
}
