//! Exit statuses and error texts.

use crate::{container, engine, failure, run};

#[test]
fn run_gives_the_status_of_its_program() {
    let Some(engine) = engine() else { return };
    for (program, code) in [("true", 0), ("false", 1)] {
        assert_eq!(container(&engine, "run --rm", program).code, code, "{program}");
    }
    let rootfs = engine.rootfs();
    for (script, code) in [("exit 42", 42), ("kill -9 $$", 137), ("kill -15 $$; sleep 9", 143), ("exit 126", 126)] {
        // With --init, because the first process of a PID namespace is deaf to signals that it does not handle.
        let said = engine.run(&["run", "--rm", "--init", "--rootfs", &rootfs, "sh", "-c", script]);
        assert_eq!(said.code, code, "{script}: {said:?}");
    }
}

#[test]
fn run_of_a_program_that_is_missing_is_127() {
    let Some(engine) = engine() else { return };
    for program in ["nosuch", "/bin/nosuch", "./nosuch"] {
        let said = container(&engine, "run --rm", program);
        assert!(said.code == 127 && said.stderr.to_lowercase().contains("no such file or directory"), "{program}: {said:?}");
    }
}

#[test]
fn run_of_a_program_that_cannot_be_run_is_126() {
    let Some(engine) = engine() else { return };
    for program in ["/etc", "/etc/passwd"] {
        let said = container(&engine, "run --rm", program);
        assert!(said.code == 126 && said.stderr.to_lowercase().contains("permission denied"), "{program}: {said:?}");
    }
}

#[test]
fn run_with_a_user_that_is_not_there_is_126() {
    let Some(engine) = engine() else { return };
    let said = container(&engine, "run --rm --user nosuch", "true");
    assert!(said.code == 126 && said.stderr.contains("nosuch"), "{said:?}");
}

#[test]
fn run_that_the_engine_refuses_is_125() {
    let Some(engine) = engine() else { return };
    for (flags, text) in [
        ("run --rm --cap-add nosuch", "CAP_NOSUCH"),
        ("run --rm --memory nonsense", "nonsense"),
        ("run --rm --name bad/name", "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument"),
        ("run --rm --restart always", "--restart"),
        ("run --rm --volume /nosuch/there:/x", "/nosuch/there"),
    ] {
        let said = container(&engine, flags, "true");
        assert!(said.code == 125 && said.stderr.starts_with("Error: ") && said.stderr.contains(text), "{flags}: {said:?}");
    }
    assert_eq!(engine.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn image_that_is_missing_is_125() {
    let Some(engine) = engine() else { return };
    let said = run(&engine, "run --rm --pull never nosuch true");
    assert!(said.code == 125 && said.stderr.contains("nosuch"), "{said:?}");
}

#[test]
fn start_of_a_bad_command_is_125_and_exec_of_one_is_127() {
    let Some(engine) = engine() else { return };
    assert_eq!(container(&engine, "create --name a", "nosuch").code, 0);
    assert_eq!(run(&engine, "start a").code, 125);
    container(&engine, "run -d --name b", "sleep 60");
    assert_eq!(run(&engine, "exec b nosuch").code, 127);
    assert_eq!(run(&engine, "exec b /etc/passwd").code, 126);
    assert_eq!(run(&engine, "exec b sh -c exit\u{20}3").code, 0);
    assert_eq!(engine.run(&["exec", "b", "sh", "-c", "exit 3"]).code, 3);
}

#[test]
fn exec_in_a_container_that_does_not_run_is_255() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "true");
    let said = run(&engine, "exec a true");
    assert_eq!(failure(&said), (255, "Error: can only create exec sessions on running containers: container state improper"));
}

#[test]
fn command_lines_that_mean_nothing_are_125_in_podmans_words() {
    let Some(engine) = engine() else { return };
    let said = run(&engine, "badcmd");
    assert_eq!(failure(&said), (125, "Error: unrecognized command `selkie badcmd`\nTry 'selkie --help' for more information"));
    assert_eq!(failure(&run(&engine, "run --foo")), (125, "Error: unknown flag: --foo\nSee 'selkie run --help'"));
    let said = engine.run(&[]);
    assert_eq!(failure(&said), (125, "Error: missing command 'selkie COMMAND'"));
    assert!(said.stdout.contains("Usage"), "{said:?}");
    assert_eq!(run(&engine, "container badcmd").code, 125);
    for line in ["init a", "container checkpoint a", "image history a", "image prune", "container stats"] {
        let said = run(&engine, line);
        assert_eq!((said.code, said.stderr), (125, format!("Error: {}: not supported yet\n", line.trim_end_matches(" a"))), "{line}");
    }
    for line in ["export a", "export -o x a"] {
        assert_eq!(
            failure(&run(&engine, line)),
            (125, "Error: export of a container's file system: not supported yet; a profile is exported with --to FORMAT")
        );
    }
    for line in ["--url x ps", "--remote ps", "-r ps", "ps --ns", "-c x ps"] {
        let said = run(&engine, line);
        assert!(said.code == 125 && said.stderr.ends_with(": not supported yet\n"), "{line}: {said:?}");
    }
    assert_eq!(run(&engine, "rm").code, 125);
    assert_eq!(run(&engine, "run").code, 125);
}

#[test]
fn help_is_a_verb_and_a_flag() {
    let Some(engine) = engine() else { return };
    for (verb, flag) in [("help", "--help"), ("help run", "run --help"), ("help caps ps", "caps ps --help"), ("help image", "image --help")]
    {
        assert_eq!(run(&engine, verb), run(&engine, flag));
    }
    assert!(!run(&engine, "container --help").stdout.contains("stats"), "what is not there is not listed");
}

#[test]
fn container_that_is_missing_has_podmans_text_and_status() {
    let Some(engine) = engine() else { return };
    let text = "Error: no container with name or ID \"nosuch\" found: no such container";
    for (line, code) in [
        ("rm nosuch", 1),
        ("stop nosuch", 125),
        ("kill nosuch", 125),
        ("start nosuch", 125),
        ("restart nosuch", 125),
        ("pause nosuch", 125),
        ("wait nosuch", 125),
        ("logs nosuch", 125),
        ("attach nosuch", 125),
        ("rename nosuch x", 125),
        ("exec nosuch true", 125),
    ] {
        assert_eq!(failure(&run(&engine, line)), (code, text), "{line}");
    }
    assert_eq!(run(&engine, "rm --force nosuch").code, 0);
    assert_eq!(run(&engine, "rm --ignore nosuch").code, 0);
    assert_eq!(run(&engine, "container exists nosuch").code, 1);
    let said = run(&engine, "inspect nosuch");
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (125, "[]\n", "Error: no such object: \"nosuch\"\n"));
}

#[test]
fn rm_of_a_running_container_is_2() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "run -d --name a", "sleep 60").stdout.trim().to_owned();
    let text = format!(
        "Error: cannot remove container {id} as it is running - running or paused containers cannot be removed without force: container state improper"
    );
    assert_eq!(failure(&run(&engine, "rm a")), (2, text.as_str()));
    assert_eq!(run(&engine, "container exists a").code, 0);
    assert_eq!(engine.ok(&["rm", "-f", "-t", "0", "a"]), "a");
    assert_eq!(run(&engine, "container exists a").code, 1);
}

#[test]
fn commands_echo_what_was_typed() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "run -d --name a", "sleep 60").stdout.trim().to_owned();
    let short = &id[..7];
    assert_eq!(engine.ok(&["pause", short]), short);
    assert_eq!(engine.ok(&["unpause", "a"]), "a");
    assert_eq!(engine.ok(&["stop", "-t", "0", short]), short);
    assert_eq!(engine.ok(&["start", "a"]), "a");
    assert_eq!(engine.ok(&["kill", &id]), id);
    assert_eq!(engine.ok(&["rm", "-f", short]), short);
    let id = container(&engine, "run -d", "sleep 60").stdout.trim().to_owned();
    assert_eq!(engine.ok(&["stop", "-t", "0", "--all"]), id);
}

#[test]
fn name_in_use_says_by_whom_and_replace_replaces() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "create --name a", "true").stdout.trim().to_owned();
    let said = container(&engine, "create --name a", "true");
    let text =
        format!("the container name \"a\" is already in use by {id}. You have to remove that container to be able to reuse that name");
    assert!(said.code == 125 && said.stderr.contains(&text) && said.stderr.contains("--replace"), "{said:?}");
    let new = container(&engine, "create --replace --name a", "true");
    assert!(new.code == 0 && new.stdout.trim() != id, "{new:?}");
    assert_eq!(engine.ok(&["ps", "-a", "-q", "--no-trunc"]), new.stdout.trim());
    let said = container(&engine, "create --replace", "true");
    assert_eq!(said.code, 125, "{said:?}");
}

#[test]
fn ids_may_be_shortened_and_empty_names_are_refused() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "create --name a", "true").stdout.trim().to_owned();
    assert_eq!(engine.ok(&["inspect", "--format", "{{.Name}}", &id[..3]]), "a");
    let said = engine.run(&["stop", ""]);
    assert_eq!(failure(&said), (125, "Error: name or ID cannot be empty"));
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "sleep 60");
    for line in ["pause a", "unpause a", "kill a"] {
        let said = run(&engine, line);
        assert!(said.code == 125 && said.stderr.contains("container state improper"), "{line}: {said:?}");
    }
    assert_eq!(run(&engine, "stop a").code, 0);
}

#[test]
fn limits_that_no_program_can_be_started_within_say_so() {
    let Some(engine) = engine() else { return };
    for (flag, what) in [("--cpuset-cpus", "CPUs"), ("--cpuset-mems", "memory nodes")] {
        let said = container(&engine, &format!("run --rm {flag} 0,4000-4001"), "true");
        let expected = format!("Error: requested {what} are not available - requested 0,4000-4001, available: ");
        // A kernel without NUMA has no list of nodes.
        let is_told = said.code == 125 && said.stderr.starts_with(&expected);
        assert!(is_told || (what == "memory nodes" && !std::path::Path::new("/sys/devices/system/node/online").exists()), "{said:?}");
    }
    let said = container(&engine, "run --rm --memory 4k", "true");
    let expected = "Error: limit `--memory`: the limit of 4096 bytes is too small for the program to be started";
    let has_none = said.stderr.contains("no `memory` controller") || said.stderr.contains("cannot set --memory");
    assert!(has_none || failure(&said) == (126, expected), "{said:?}");
}

#[test]
fn help_lists_the_groups_of_podman() {
    let Some(engine) = engine() else { return };
    let help = engine.ok(&["--help"]);
    for group in ["container", "image"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{group} "))), "{group}: {help}");
    }
}
