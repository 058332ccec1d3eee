//! What the commands do.

use std::time::{Duration, Instant};

use selkie_engine::Container;
use serde_json::Value;

use crate::{container, engine, run, script};

#[test]
fn rm_flag_removes_the_container_after_its_end() {
    let Some(engine) = engine() else { return };
    container(&engine, "run --rm --name a", "true");
    assert_eq!(engine.ok(&["ps", "-a", "-q"]), "");
    container(&engine, "run --rm -d --name b", "true");
    engine.run(&["wait", "b"]);
    let deadline = Instant::now() + Duration::from_secs(5);
    while run(&engine, "container exists b").code == 0 {
        assert!(Instant::now() < deadline, "--rm -d is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn lists_and_tables_without_anything_are_empty_in_a_template() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a --cap-drop all", "true");
    let shown = |format: &str| engine.ok(&["inspect", "--format", format, "a"]);
    let format =
        "{{.EffectiveCaps}} {{len .BoundingCaps}} {{range .EffectiveCaps}}x{{end}} {{join .EffectiveCaps \",\"}}|{{.Config.Volumes}}";
    assert_eq!(shown(format), "[] 0  |map[]");
    assert!(engine.ok(&["inspect", "a"]).contains("\"EffectiveCaps\": null"));
}

#[test]
fn file_systems_show_the_namespaces_that_the_container_is_in() {
    let Some(engine) = engine() else { return };
    let devices = |flags: &str| script(&engine, &format!("run --rm {flags}"), "cd /sys/class/net; echo *");
    let hosts = devices("--network host");
    let mut own: Vec<String> =
        std::fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    own.sort();
    let mut seen: Vec<&str> = hosts.split(' ').collect();
    seen.sort_unstable();
    assert_eq!(seen, own);
    // A file of its own there is `bonding_masters`, where the module is loaded.
    let lo_only = |text: &str| text.split(' ').all(|name| matches!(name, "lo" | "bonding_masters"));
    assert!(lo_only(&devices("--network none")), "{}", devices("--network none"));
    assert!(lo_only(&devices("--network none --ipc host")));
    assert!(devices("--network host --ipc private") == hosts);
    // A message queue is seen where it was made, and nowhere else.
    script(&engine, "run -d --name first --ipc shareable", "sleep 60");
    engine.ok(&["exec", "first", "sh", "-c", ": > /dev/mqueue/q"]);
    let queues = |flags: &str| script(&engine, &format!("run --rm {flags}"), "cd /dev/mqueue; echo *");
    assert_eq!((queues("--ipc container:first"), queues("--ipc private")), ("q".to_owned(), "*".to_owned()));
    engine.ok(&["rm", "-f", "-t", "0", "first"]);
}

#[test]
fn ipc_of_a_container_that_keeps_it_to_itself_is_not_joined() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "run -d --name own --ipc private", "sleep 60").stdout;
    container(&engine, "run -d --name usual", "sleep 60");
    let said = container(&engine, "run --rm --ipc container:own", "true");
    let text = "is not allowed: non-shareable IPC (hint: use IpcMode:shareable for the donor container)";
    assert_eq!((said.code, said.stderr), (125, format!("Error: joining IPC of container {} {text}\n", id.trim())));
    assert_eq!(container(&engine, "run --rm --ipc container:usual", "true").code, 0);
    assert_eq!(container(&engine, "run --rm --pid container:own", "true").code, 0);
}

#[test]
fn files_with_the_id_and_the_pid_are_written() {
    let Some(engine) = engine() else { return };
    let (cidfile, pidfile) = (engine.path("cid"), engine.path("pid"));
    let flags = format!("run -d --name a --cidfile {} --pidfile {}", cidfile.display(), pidfile.display());
    let said = container(&engine, &flags, "sleep 60");
    assert_eq!(std::fs::read_to_string(&cidfile).unwrap().trim(), said.stdout.trim());
    let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "a"]);
    assert_eq!(std::fs::read_to_string(&pidfile).unwrap().trim(), pid);
    engine.ok(&["rm", "-f", "-t", "0", "a"]);
    assert!(!cidfile.exists());
    // Each start writes it anew, not only the one of `run`.
    container(&engine, &format!("create --name b --pidfile {}", pidfile.display()), "sleep 60");
    for words in ["start b", "restart -t 0 b"] {
        assert_eq!(run(&engine, words).code, 0, "{words}");
        let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "b"]);
        assert_eq!(std::fs::read_to_string(&pidfile).unwrap(), pid, "{words}");
    }
}

#[test]
fn logs_select_lines_and_show_times() {
    let Some(engine) = engine() else { return };
    script(&engine, "run --name a", "echo one; echo two >&2; echo three");
    let said = engine.run(&["logs", "a"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("one\nthree\n", "two\n"));
    // Which of two pipes is read first is nobody's business: the last line is one of them.
    let last = engine.run(&["logs", "--tail", "1", "a"]);
    assert_eq!(last.stdout.lines().count() + last.stderr.lines().count(), 1, "{last:?}");
    assert_eq!(engine.ok(&["logs", "--tail", "0", "a"]), "");
    assert_eq!(engine.ok(&["logs", "--since", "2100-01-01T00:00:00Z", "a"]), "");
    assert_eq!(engine.ok(&["logs", "--since", "1h", "a"]), "one\nthree");
    // Of the end a duration is from now on, as in Podman.
    assert_eq!(engine.ok(&["logs", "--until", "1h", "a"]), "one\nthree");
    assert_eq!(engine.ok(&["logs", "--until", "2001-01-01", "a"]), "");
    let timed = engine.ok(&["logs", "-t", "a"]);
    let (time, line) = timed.lines().next().unwrap().split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.contains('T') && line == "one", "{timed}");
}

#[test]
fn id_file_that_exists_is_not_written_over() {
    let Some(engine) = engine() else { return };
    let file = engine.path("cid");
    std::fs::write(&file, "another's").unwrap();
    let said = container(&engine, &format!("run --rm --cidfile {}", file.display()), "true");
    let expected = format!("Error: container id file exists. Ensure another container is not using it or delete {}", file.display());
    assert_eq!((said.code, said.stderr.trim_end()), (125, expected.as_str()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "another's");
}

#[test]
fn working_directory_that_is_mistyped_is_not_made() {
    let Some(engine) = engine() else { return };
    let said = container(&engine, "run --rm -w /nosuch", "pwd");
    assert_eq!((said.code, said.stderr.trim_end()), (126, "Error: workdir \"/nosuch\": does not exist in the container"));
    // What is mounted there is seen by the runtime only.
    assert_eq!(script(&engine, "run --rm -w /t/x --tmpfs /t", "pwd"), "/t/x");
    assert_eq!(script(&engine, "run --rm -w /tmp", "pwd"), "/tmp");
}

#[test]
fn variables_of_the_caller_are_passed_by_their_beginning() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let mut command = engine.command(&["run", "--rm", "-e", "SOME*", "--rootfs", &rootfs, "env"]);
    let output = command.env("SOME_A", "1").env("SOME_B", "2").env("OTHER", "3").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut passed: Vec<&str> = said.lines().filter(|line| line.starts_with("SOME") || line.starts_with("OTHER")).collect();
    passed.sort_unstable();
    assert_eq!(passed, ["SOME_A=1", "SOME_B=2"]);
}

#[test]
fn variables_of_the_caller_are_passed_by_their_beginning_in_a_file_too() {
    let Some(engine) = engine() else { return };
    let (rootfs, file) = (engine.rootfs(), engine.path("env"));
    std::fs::write(&file, "SOME*\nOTHER=*\n").unwrap();
    let file = crate::harness::text(&file);
    let mut command = engine.command(&["run", "--rm", "--env-file", &file, "--rootfs", &rootfs, "env"]);
    let output = command.env("SOME_A", "1").env("SOME_B", "2").env("OTHER", "3").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut passed: Vec<&str> = said.lines().filter(|line| line.starts_with("SOME") || line.starts_with("OTHER")).collect();
    passed.sort_unstable();
    assert_eq!(passed, ["OTHER=*", "SOME_A=1", "SOME_B=2"]);
}

#[test]
fn stop_that_has_to_kill_says_so() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    let warning = "level=warning msg=\"StopSignal SIGTERM failed to stop container a in 1 seconds, resorting to SIGKILL\"\n";
    for line in ["stop -t 1 a", "start a", "restart -t 1 a", "rm -f -t 1 a"] {
        let said = run(&engine, line);
        assert_eq!((said.code, said.stdout.as_str()), (0, "a\n"), "{line}: {said:?}");
        assert!(if line == "start a" { said.stderr.is_empty() } else { said.stderr.ends_with(warning) }, "{line}: {said:?}");
    }
    container(&engine, "run -d --init --name b", "sleep 60");
    container(&engine, "run -d --name c", "sleep 60");
    assert_eq!((run(&engine, "stop -t 9 b").stderr, run(&engine, "stop -t 0 c").stderr), (String::new(), String::new()));
}

#[test]
fn start_passes_signals_on_only_where_it_attaches() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "true");
    let said = run(&engine, "start --sig-proxy a");
    assert_eq!((said.code, said.stderr.as_str()), (125, "Error: you cannot use sig-proxy without --attach: invalid argument\n"));
    assert_eq!(run(&engine, "start --sig-proxy=false a").code, 0);
    assert_eq!(run(&engine, "start --attach --sig-proxy a").code, 0);
}

#[test]
fn name_that_is_too_long_is_told_how_long_it_may_be() {
    let Some(engine) = engine() else { return };
    let said = container(&engine, &format!("create --name {}", "a".repeat(300)), "true");
    let text = "Error: a name of 300 characters is too long, expected at most 240: invalid argument\n";
    assert_eq!((said.code, said.stderr.as_str()), (125, text));
    assert_eq!(container(&engine, &format!("create --name {}", "a".repeat(240)), "true").code, 0);
}

#[test]
fn lines_of_several_containers_say_whose_they_are() {
    let Some(engine) = engine() else { return };
    for name in ["a", "b"] {
        script(&engine, &format!("run --name {name}"), &format!("echo {name}"));
    }
    let id = |name: &str| engine.ok(&["inspect", "--format", "{{truncate .Id 12}}", name]);
    assert_eq!(engine.ok(&["logs", "a", "b"]), format!("{} a\n{} b", id("a"), id("b")));
    assert_eq!(engine.ok(&["logs", "--names", "a", "b"]), "a a\nb b");
    assert_eq!(engine.ok(&["logs", "--names", "a"]), "a");
    assert_eq!(engine.ok(&["logs", "--color", "--names", "a", "b"]), "\u{1b}[37ma\u{1b}[0m a\n\u{1b}[31mb\u{1b}[0m b");
    assert_eq!(engine.ok(&["logs", "--since", "2020-01-01", "--until", "2100-01-01 10:00", "a"]), "a");
}

#[test]
fn prune_asks_and_takes_filters() {
    let Some(engine) = engine() else { return };
    for name in ["a", "b"] {
        container(&engine, &format!("create --name {name} --label l={name}"), "true");
    }
    let said = run(&engine, "container prune");
    assert_eq!((said.code, said.stderr.as_str(), engine.ok(&["ps", "-aq"]).lines().count()), (0, "", 2), "{said:?}");
    assert!(said.stdout.starts_with("WARNING! This will remove all non running containers."), "{said:?}");
    assert_eq!(run(&engine, "container prune --force --filter label=a").stdout, "");
    assert_eq!(run(&engine, "container prune --force --filter label=l=a").stdout.len(), 65);
    assert_eq!(engine.ok(&["ps", "-a", "--format", "{{.Names}}"]), "b");
    let said = run(&engine, "container prune --nosuch");
    assert_eq!(said.stderr, "Error: unknown flag: --nosuch\nSee 'selkie container prune --help'\n");
    assert!(run(&engine, "container prune --help").stdout.contains("Usage: selkie container prune"));
    assert_eq!(run(&engine, "rm --filter label=l=b").stdout.len(), 65);
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

#[test]
fn inspect_shows_binds_and_devices_as_they_were_given_and_has_the_fields_of_a_network() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a -v /tmp:/x:ro -v /etc:/y:nosuid,rslave --device /dev/null:/dev/none", "true");
    let shown = |field: &str| engine.ok(&["inspect", "--format", field, "a"]);
    assert_eq!(shown("{{json .HostConfig.Binds}}"), r#"["/tmp:/x:ro,rprivate,rbind","/etc:/y:rw,nosuid,rslave,rbind"]"#);
    assert_eq!(shown("{{range .HostConfig.Devices}}{{.PathInContainer}}{{end}}"), "/dev/none");
    assert_eq!(shown("{{.NetworkSettings.IPAddress}}|{{.NetworkSettings.Gateway}}|{{len .NetworkSettings.Networks}}"), "||0");
}

#[test]
fn version_is_one_object_and_a_short_flag() {
    let Some(engine) = engine() else { return };
    let version: Value = serde_json::from_str(&engine.ok(&["version", "--format", "json"])).unwrap();
    assert_eq!(version["Client"]["Version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(engine.ok(&["-v"]), engine.ok(&["--version"]));
}

#[test]
fn logs_follow_until_the_container_ends() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "echo one; sleep 0.3; echo two");
    assert_eq!(engine.ok(&["logs", "-f", "a"]), "one\ntwo");
}

#[test]
fn wait_prints_the_status_of_each() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "exit 3");
    script(&engine, "run -d --name b", "sleep 0.2; exit 4");
    assert_eq!(engine.ok(&["wait", "a", "b"]), "3\n4");
}

#[test]
fn rename_gives_the_name_and_frees_the_old_one() {
    // No hexadecimal digits: those would be the beginning of an id as well.
    let Some(engine) = engine() else { return };
    let id = container(&engine, "create --name one", "true").stdout;
    engine.ok(&["rename", "one", "two"]);
    assert_eq!(engine.ok(&["inspect", "--format", "{{.Name}} {{.Id}}", "two"]), format!("two {}", id.trim()));
    assert_eq!(run(&engine, "container exists one").code, 1);
    container(&engine, "create --name one", "true");
    let said = run(&engine, "rename one two");
    assert!(said.code == 125 && said.stderr.contains("already in use"), "{said:?}");
}

#[test]
fn pause_stops_every_process_and_unpause_lets_them_go_on() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    engine.ok(&["pause", "a"]);
    assert_eq!(engine.ok(&["ps", "--format", "{{.State}}"]), "paused");
    let id = engine.ok(&["inspect", "--format", "{{.Id}}", "a"]);
    assert_eq!(run(&engine, "pause a").stderr, format!("Error: \"{id}\" is already paused: container state improper\n"));
    assert_eq!(run(&engine, "exec a true").code, 255);
    engine.ok(&["unpause", "a"]);
    assert_eq!(engine.ok(&["exec", "a", "echo", "here"]), "here");
    engine.ok(&["pause", "a"]);
    assert_eq!(engine.ok(&["rm", "-f", "-t", "0", "a"]), "a");
}

#[test]
fn pause_of_a_container_that_has_just_ended_is_refused_in_podmans_words() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    let library = engine.library();
    let seen = Container::find(library.store(), "a").unwrap();
    engine.ok(&["kill", "a"]);
    let error = library.pause(&seen).unwrap_err().to_string();
    assert_eq!(error, "\"exited\" is not running, can't pause: container state improper");
    engine.ok(&["start", "a"]);
    assert_eq!(engine.ok(&["ps", "--format", "{{.State}}"]), "running");
}

#[test]
fn restart_makes_a_new_process_in_the_same_container() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    let seen = || engine.ok(&["inspect", "--format", "{{.Id}} {{.State.Pid}}", "a"]);
    let before = seen();
    engine.ok(&["restart", "-t", "0", "a"]);
    let after = seen();
    assert!(before != after && before[..64] == after[..64], "{before} {after}");
}

#[test]
fn timeout_kills_the_container() {
    let Some(engine) = engine() else { return };
    let began = Instant::now();
    let said = container(&engine, "run --rm --timeout 1", "sleep 60");
    assert!(said.code == 137 && began.elapsed() < Duration::from_secs(10), "{said:?}");
}

#[test]
fn restart_on_failure_gives_up_after_its_count() {
    let Some(engine) = engine() else { return };
    let directory = engine.path("rootfs").join("tmp");
    script(&engine, "run -d --restart on-failure:2 --name a", "echo x >> /tmp/starts; exit 7");
    let deadline = Instant::now() + Duration::from_secs(10);
    let seen = || engine.ok(&["inspect", "--format", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "a"]);
    while seen() != "2 exited 7" {
        assert!(Instant::now() < deadline, "{}", seen());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(directory.join("starts")).unwrap(), "x\nx\nx\n");
}

#[test]
fn stop_between_two_restarts_ends_them() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a --restart always", "false");
    let count = || engine.ok(&["inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "a"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    // The next start is 0.4 s away.
    while count() != "2 exited" {
        assert!(Instant::now() < deadline, "{}", count());
        std::thread::sleep(Duration::from_millis(2));
    }
    engine.ok(&["stop", "-t", "0", "a"]);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(count(), "2 exited");
    // It is started again by hand, with its policy.
    engine.ok(&["start", "a"]);
    while count() != "1 exited" {
        assert!(Instant::now() < deadline, "{}", count());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn filters_of_ps_select() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name run1 --label l=1", "sleep 60");
    container(&engine, "create --name made --label l=2", "true");
    script(&engine, "run --name done3 --label k", "true");
    let names = |filters: &[&str]| {
        let mut words = vec!["ps", "-a", "--sort", "names", "--format", "{{.Names}}"];
        filters.iter().for_each(|filter| words.extend(["--filter", filter]));
        engine.ok(&words).replace('\n', " ")
    };
    for (filters, expected) in [
        (&["status=running"][..], "run1"),
        (&["status=created"], "made"),
        (&["label=l"], "made run1"),
        (&["label=l=2"], "made"),
        (&["label=l", "status=running"], "run1"),
        (&["label=l=1", "label=l=2"], ""),
        (&["label!=l"], "done3"),
        (&["label!=l=1", "label!=k"], "made"),
        (&["until=1h"], ""),
        (&["until=2100-01-01"], "done3 made run1"),
        (&["volume=/nosuch"], ""),
        (&["status=running", "status=created"], "made run1"),
        (&["name=n"], "done3 run1"),
        (&["name=^r"], "run1"),
        (&["name=^(run|done)[0-9]$"], "done3 run1"),
        (&["name=m.de"], "made"),
        (&["name=made["], ""),
        (&["before=made"], "run1"),
        (&["since=made"], "done3"),
        (&["privileged=true"], ""),
    ] {
        assert_eq!(names(filters), expected, "{filters:?}");
    }
    assert_eq!(engine.run(&["ps", "--filter", "nosuch=1"]).code, 125);
    assert_eq!(engine.ok(&["ps", "--format", "{{.Names}}"]), "run1");
    assert_eq!(engine.ok(&["ps", "-a", "-q"]).lines().count(), 3);
    assert_eq!(engine.ok(&["ps", "-q", "--format", "{{.Names}}"]), "run1");
    assert_eq!(run(&engine, "ps --filter network=x").stderr, "Error: --filter network: not supported yet\n");
}

#[test]
fn filter_has_podmans_short_form_where_f_is_not_force() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "run -d --name web", "sleep 60").stdout.trim().to_owned();
    for verb in ["pause", "unpause", "stop -t 0", "start", "restart -t 0"] {
        let said = run(&engine, &format!("{verb} -f name=web"));
        assert_eq!((said.code, said.stdout.trim_end()), (0, id.as_str()), "{verb}: {said:?}");
    }
    assert_eq!(run(&engine, "kill -f name=web").code, 125);
}

#[test]
fn templates_and_json_have_podmans_names() {
    let Some(engine) = engine() else { return };
    let id = container(&engine, "run -d --name a --label x=y", "sleep 60").stdout.trim().to_owned();
    assert_eq!(engine.ok(&["ps", "--format", "{{.ID}} {{.Names}} {{.Command}} {{.State}}"]), format!("{} a sleep 60 running", &id[..12]));
    assert_eq!(engine.ok(&["ps", "--no-trunc", "--format", "{{.ID}}"]), id);
    assert_eq!(
        engine.ok(&["ps", "--format", "table {{.Names}}\t{{.State}}", "--noheading"]).split_whitespace().collect::<Vec<_>>(),
        ["a", "running"]
    );
    let listed: Value = serde_json::from_str(&engine.ok(&["ps", "--format", "json"])).unwrap();
    assert_eq!((&listed[0]["Id"], &listed[0]["Names"][0], &listed[0]["Labels"]["x"]), (&id.clone().into(), &"a".into(), &"y".into()));
    let inspected: Value = serde_json::from_str(&engine.ok(&["inspect", "a"])).unwrap();
    let state = &inspected[0]["State"];
    assert_eq!((&inspected[0]["Id"], &state["Status"], &state["Running"]), (&id.into(), &"running".into(), &true.into()));
    assert_eq!(engine.ok(&["inspect", "--format", "{{json .Config.Labels}}", "a"]), "{\"x\":\"y\"}");
}

#[test]
fn links_to_nothing_where_files_of_the_engine_go_are_followed_beneath_the_root() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let outside = engine.path("outside");
    for (name, target) in [
        ("resolv.conf", "../run/systemd/resolve/stub-resolv.conf".to_owned()),
        ("hosts", format!("../../../../../../../..{}", outside.display())),
        ("hostname", "/nowhere/hostname".to_owned()),
    ] {
        std::os::unix::fs::symlink(target, engine.path("rootfs/etc").join(name)).unwrap();
    }
    // The last leaves what it has made in the directory of the host.
    let overlay = format!("{rootfs}:O");
    for (network, rootfs) in [("none", &overlay), ("host", &overlay), ("none", &rootfs)] {
        let said = engine.run(&[
            "run",
            "--rm",
            "--network",
            network,
            "--dns",
            "192.0.2.1",
            "--hostname",
            "web",
            "--rootfs",
            rootfs,
            "cat",
            "/etc/resolv.conf",
            "/etc/hosts",
            "/nowhere/hostname",
        ]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{network} {rootfs}");
        assert!(said.stdout.contains("nameserver 192.0.2.1\n") && said.stdout.contains("localhost"), "{said:?}");
        assert!(said.stdout.ends_with("web\n"), "{said:?}");
    }
    assert!(!outside.exists());
    assert!(engine.path("rootfs/run/systemd/resolve/stub-resolv.conf").is_file());
}
