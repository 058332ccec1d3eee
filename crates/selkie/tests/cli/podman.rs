//! What a user of Podman types who has `alias podman=selkie`: compared with Podman 4.3 and its main branch, one behaviour a test.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{container, engine, failure, run, script, words};

#[test]
fn known_fields_without_a_value_answer_as_podman_and_unknown_ones_are_errors() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a --cap-drop all", "true");
    let shown = |format: &str| engine.ok(&["inspect", "--format", format, "a"]);
    let format = "{{.Config.Healthcheck}} {{.SizeRw}} {{.SizeRootFs}} {{.State.Health.Status}}| {{.State.Restored}} {{.Config.Timezone}}| \
                  {{.Config.Secrets}} {{.Config.OnBuild}} {{.HostConfig.IDMappings}} {{.HostConfig.BlkioWeight}} {{.Config.ExposedPorts}}";
    assert_eq!(shown(format), "<nil> <nil> 0 | false | [] <nil> <nil> 0 map[]");
    assert_eq!(shown("{{json .Config.Healthcheck}} {{json .Config.Labels}} {{json .HostConfig.Links}}"), "null null null");
    assert_eq!(shown("{{if .Config.Healthcheck}}has one{{else}}has none{{end}}"), "has none");
    assert_eq!(run(&engine, "inspect --format {{.Config.Nope}} a").code, 125);
    assert!(!engine.ok(&["inspect", "a"]).contains("Healthcheck"), "the JSON has it no more than Podman's");
}

#[test]
fn json_of_an_empty_capability_set_is_null_in_a_template_too() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a --cap-drop all", "true");
    let shown = engine.ok(&["inspect", "--format", "{{json .EffectiveCaps}} {{.EffectiveCaps}} {{json .BoundingCaps}}", "a"]);
    assert_eq!(shown, "null [] null");
}

#[test]
fn ps_template_has_labels_namespaces_and_headings_of_words() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a --label one=1", "true");
    let shown = |format: &str| engine.ok(&["ps", "-a", "--format", format]);
    assert_eq!(shown("{{.Label \"one\"}}|{{.Label \"two\"}}|{{.IPC}}|{{.Namespaces.PIDNS}}|"), "1||||");
    assert_eq!(shown("{{.ExitedAt}}"), "-62135596800");
    let heading = shown("table {{.Names}}|{{.RunningFor}}|{{.CreatedAt}}|{{.ExitCode}}");
    assert!(heading.starts_with("NAMES|RUNNING FOR|CREATED AT|EXIT CODE\n"), "{heading}");
    let created = shown("{{.CreatedAt}}");
    assert!(created.ends_with(" +0000 UTC") && created.as_bytes()[10] == b' ', "{created}");
    container(&engine, "create --name b", "true");
    assert_eq!(shown("{{.Names}} {{.Labels}} {{json .Labels}}").lines().last(), Some("b map[] null"));
}

#[test]
fn wait_for_a_condition_answers_minus_one_and_for_the_end_its_status() {
    let Some(engine) = engine() else { return };
    let waiting = |conditions: &[&str]| {
        let mut words = vec!["wait", "--interval", "20ms"];
        conditions.iter().for_each(|condition| words.extend(["--condition", condition]));
        words.push("a");
        engine.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let answer = |child: std::process::Child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    container(&engine, "create --name a", "sleep 60");
    assert_eq!(answer(waiting(&["created"])), "-1\n");
    let running = waiting(&["running"]);
    engine.ok(&["start", "a"]);
    assert_eq!(answer(running), "-1\n");
    assert_eq!(answer(waiting(&["running,stopped"])), "-1\n");
    let paused_or_ended = waiting(&["paused", "stopped"]);
    engine.ok(&["pause", "a"]);
    assert_eq!(answer(paused_or_ended), "-1\n");
    engine.ok(&["unpause", "a"]);
    let ended_or_paused = waiting(&["exited", "paused"]);
    engine.ok(&["kill", "a"]);
    assert_eq!(answer(ended_or_paused), "137\n");
    assert_eq!(answer(waiting(&["stopped"])), "137\n");
}

#[test]
fn wait_refuses_what_podman_refuses() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "true");
    let table = [
        ("wait --condition configured a", "unknown container state: configured: invalid argument"),
        ("wait --interval x a", "time: invalid duration \"x\""),
        ("wait", "\"selkie wait\" requires a name, id, or the \"--latest\" flag"),
        ("wait --latest a", "--latest and containers cannot be used together"),
        ("wait a nope", "no container with name or ID \"nope\" found: no such container"),
    ];
    for (line, expected) in table {
        let said = run(&engine, line);
        assert_eq!((failure(&said), said.stdout.as_str()), ((125, &*format!("Error: {expected}")), ""), "{line}");
    }
}

#[test]
fn one_name_that_does_not_exist_keeps_a_command_from_all() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    for (line, code) in
        [("stop -t 0 a nope", 125), ("kill a nope", 125), ("pause a nope", 125), ("restart -t 0 a nope", 125), ("rm a nope", 1)]
    {
        let said = run(&engine, line);
        let expected = "Error: no container with name or ID \"nope\" found: no such container";
        assert_eq!((failure(&said), said.stdout.as_str()), ((code, expected), ""), "{line}");
        assert_eq!(engine.ok(&["ps", "--format", "{{.State}}"]), "running", "{line}");
    }
    assert_eq!(engine.ok(&["stop", "--ignore", "-t", "0", "nope", "a"]), "a");
}

#[test]
fn selections_that_exclude_each_other_are_refused() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    let table = [
        ("-a -l", "--all and --latest cannot be used together"),
        ("-a a", "no arguments are needed with --all"),
        ("-l a", "--latest and containers cannot be used together"),
        ("--cidfile f a", "no arguments are needed with --latest or --cidfile"),
        ("--cidfile f -a", "--all, --latest, and --cidfile cannot be used together"),
        ("--filter name=a a", "--filter takes no arguments"),
    ];
    for verb in ["stop", "rm", "kill", "restart"] {
        for (words, expected) in table {
            assert_eq!(failure(&run(&engine, &format!("{verb} {words}"))), (125, &*format!("Error: {expected}")), "{verb} {words}");
        }
    }
    assert_eq!(failure(&run(&engine, "start")), (125, "Error: start requires at least one argument"));
    assert_eq!(failure(&run(&engine, "start -a")), (125, "Error: start requires at least one argument"));
    assert_eq!(failure(&run(&engine, "rm -t 5 a")), (125, "Error: --force option must be specified to use the --time option"));
    assert_eq!(engine.ok(&["ps", "--format", "{{.State}}"]), "running");
}

#[test]
fn start_attached_removes_a_container_of_rm_before_it_returns() {
    let Some(engine) = engine() else { return };
    script(&engine, "create --name a --rm", "exit 4");
    assert_eq!(run(&engine, "start -a a").code, 4);
    assert_eq!(run(&engine, "container exists a").code, 1);
}

#[test]
fn start_attached_and_exec_detached_of_a_missing_program_are_125() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "nope");
    assert_eq!(run(&engine, "start -a a").code, 125);
    container(&engine, "run -d --name b", "sleep 60");
    assert_eq!(run(&engine, "exec -d b nope").code, 125);
    assert_eq!(run(&engine, "exec b nope").code, 127);
}

#[test]
fn kill_takes_a_signal_with_a_hyphen_and_no_number_above_64() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    assert_eq!(failure(&run(&engine, "kill -s 99 a")), (125, "Error: valid signals are 1 through 64"));
    engine.ok(&["kill", "--signal", "-9", "a"]);
    assert_eq!(engine.ok(&["wait", "a"]), "137");
}

#[test]
fn port_that_is_not_published_is_not_an_error() {
    let Some(engine) = engine() else { return };
    container(&engine, "create --name a", "true");
    assert_eq!((engine.ok(&["port", "a", "80"]), engine.ok(&["port", "-l", "80/udp"])), (String::new(), String::new()));
}

#[test]
fn logs_follow_until_a_time_to_come() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "echo one; sleep 60");
    let begin = Instant::now();
    assert_eq!(engine.ok(&["logs", "-f", "--until", "1s", "a"]), "one");
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn paused_container_is_listed_as_paused() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    engine.ok(&["pause", "a"]);
    assert_eq!(engine.ok(&["ps", "--format", "{{.Names}} {{.Status}} {{.State}}"]), "a Paused paused");
    let id = engine.ok(&["inspect", "--format", "{{.Id}}", "a"]);
    assert_eq!(failure(&run(&engine, "pause a")), (125, &*format!("Error: \"{id}\" is already paused: container state improper")));
    // It need not go on to be killed.
    engine.ok(&["kill", "a"]);
    assert_eq!(engine.ok(&["wait", "a"]), "137");
    assert_eq!(failure(&run(&engine, "pause a")), (125, "Error: \"exited\" is not running, can't pause: container state improper"));
}

#[test]
fn command_lines_that_mean_nothing_are_told_in_podmans_words() {
    let Some(engine) = engine() else { return };
    let table = [
        ("run -Z x", "unknown shorthand flag: 'Z' in -Z\nSee 'selkie run --help'"),
        ("run --name", "flag needs an argument: --name\nSee 'selkie run --help'"),
        ("run -e", "flag needs an argument: 'e' in -e\nSee 'selkie run --help'"),
        (
            "run --privileged=maybe x",
            "invalid argument \"maybe\" for \"--privileged\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax\nSee 'selkie run --help'",
        ),
        (
            "run --pids-limit x --rootfs / true",
            "invalid argument \"x\" for \"--pids-limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nSee 'selkie run --help'",
        ),
        (
            "stop -t x a",
            "invalid argument \"x\" for \"-t, --time\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nSee 'selkie stop --help'",
        ),
        (
            "ps --sort x",
            "invalid argument \"x\" for \"--sort\" flag: \"x\" is not a valid value.  Choose from: \"command, created, id, image, names, \
             runningfor, size, status\"\nSee 'selkie ps --help'",
        ),
        ("ps x", "`selkie ps` takes no arguments"),
        ("ps --filter foo", "invalid filter \"foo\""),
        ("container x", "unrecognized command `selkie container x`\nTry 'selkie container --help' for more information"),
        ("container", "missing command 'selkie container COMMAND'"),
        ("inspect --type x a", "invalid type \"x\": must be \"image\", \"container\", \"pod\", \"network\", \"volume\", or \"all\""),
        ("inspect -l a", "--latest and arguments cannot be used together"),
        ("attach", "\"selkie attach\" requires a name, id, or the \"--latest\" flag"),
        ("top nope", "unable to look up requested container: no container with name or ID \"nope\" found: no such container"),
        ("run --security-opt seccomp=/nope --rootfs / true", "opening seccomp profile failed: open /nope: No such file or directory"),
    ];
    for (line, expected) in table {
        assert_eq!(failure(&run(&engine, line)), (125, &*format!("Error: {expected}")), "{line}");
    }
    container(&engine, "create --name a", "true");
    assert_eq!(failure(&run(&engine, "ps --filter status=x")), (125, "Error: unknown container state: x: invalid argument"));
    assert_eq!(failure(&run(&engine, "attach a")), (125, "Error: you can only attach to running containers"));
    assert_eq!(failure(&container(&engine, "run --rm -u 4294967296", "true")).0, 126);
    let file = engine.path("env");
    std::fs::write(&file, "A=1\n=x\n").unwrap();
    let said = container(&engine, &format!("run --rm --env-file {}", file.display()), "true");
    let expected = format!("Error: parsing env file {file:?}: invalid environment variable: \"=x\"");
    assert_eq!(failure(&said), (125, expected.as_str()));
}

#[test]
fn version_is_the_third_word() {
    let said = Command::new(crate::harness::SELKIE).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("selkie version {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn empty_working_directory_of_exec_is_the_containers() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a -w /tmp", "sleep 60");
    assert_eq!(engine.ok(&["exec", "-w", "", "a", "readlink", "/proc/self/cwd"]), "/tmp");
}

#[test]
fn volume_with_u_belongs_to_the_user_of_the_container() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let Some(engine) = engine() else { return };
    let (given, other) = (engine.path("given"), engine.path("other"));
    std::fs::create_dir_all(given.join("inner")).unwrap();
    std::fs::write(given.join("inner/file"), "").unwrap();
    std::fs::write(&other, "").unwrap();
    symlink(&other, given.join("link")).unwrap();
    let owner = |path: &std::path::Path| std::fs::symlink_metadata(path).map(|it| (it.uid(), it.gid())).unwrap();
    let created = container(&engine, &format!("create --name a --user 33:34 -v {}:/x:U", given.display()), "touch /x/inner/new");
    assert_eq!((created.code, owner(&given)), (0, (0, 0)), "only the start gives it away");
    assert_eq!(run(&engine, "start -a a").code, 0);
    for name in ["", "inner", "inner/file", "inner/new", "link"] {
        assert_eq!(owner(&given.join(name)), (33, 34), "{name}");
    }
    assert_eq!(owner(&other), (0, 0));
    let mount = format!("run --rm --user 5 --mount type=bind,src={},dst=/x,U=true", given.display());
    assert_eq!((container(&engine, &mount, "test -O /x/inner").code, owner(&given)), (0, (5, 0)));
    let refused = container(&engine, "run --rm --user 33:34 -v /etc:/x:U", "true");
    let expected = "Error: chowning host path \"/etc\" is not allowed. You can manually `chown -R 33:34 /etc`";
    assert_eq!(failure(&refused), (126, expected));
    let unclear = container(&engine, &format!("run --rm --mount type=bind,src={},dst=/x,U=perhaps", given.display()), "true");
    let expected = "Error: 'U' or 'chown' must be set to true or false, instead received \"perhaps\": must provide an argument for option";
    assert_eq!(failure(&unclear), (125, expected));
}

#[test]
fn templates_of_info_and_version_know_podmans_fields() {
    let Some(engine) = engine() else { return };
    assert_eq!(engine.ok(&["info", "--format", "{{.Store.ImageStore.Number}} {{.Store.ContainerStore.Number}}"]), "0 0");
    let format = "{{.Client.GoVersion}}|{{.Client.GitCommit}}|{{.Client.Built}}|{{.Client.BuiltTime}}|{{.Client.Os}}";
    assert_eq!(engine.ok(&["version", "--format", format]), "||0||linux");
}

#[test]
fn inspect_shows_namespaces_and_mounts_in_podmans_words() {
    let Some(engine) = engine() else { return };
    container(&engine, "run -d --name a", "sleep 60");
    let format = "{{.HostConfig.IpcMode}} {{.HostConfig.PidMode}} {{.HostConfig.UTSMode}} {{.HostConfig.NetworkMode}}";
    let shown = |format: &str, name: &str| engine.ok(&["inspect", "--format", format, name]);
    assert_eq!(shown(format, "a"), "shareable private private none");
    container(&engine, "create --name b --ipc private --pid host --uts host --network host", "true");
    assert_eq!(shown(format, "b"), "private host host host");
    container(&engine, "create --name c --ipc container:a --pid container:a --uts container:a --network container:a", "true");
    let id = shown("{{.Id}}", "a");
    assert_eq!(shown(format, "c"), [format!("container:{id}").as_str(); 4].join(" "));
    container(&engine, "create --name d --read-only --tmpfs /t:size=1m -v /etc:/e:ro,z --mount type=bind,src=/usr,dst=/u,ro", "true");
    assert_eq!(shown("{{json .HostConfig.Binds}}", "d"), r#"["/etc:/e:ro,z,rprivate,rbind","/usr:/u:ro,rprivate,rbind"]"#);
    assert_eq!(shown("{{range .Mounts}}{{.Destination}} {{.Mode}} {{.RW}};{{end}}", "d"), "/e z false;/u  false;");
    assert_eq!(shown("{{index .HostConfig.Tmpfs \"/t\"}}", "d"), "size=1m,rw,rprivate,nosuid,nodev");
}

#[test]
fn user_that_the_image_does_not_know_has_a_name_and_the_image_stays_as_it_is() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let read = |name: &str| std::fs::read_to_string(engine.path("rootfs/etc").join(name)).unwrap();
    let (passwd, group) = (read("passwd"), read("group"));
    let shown = |flags: &str| engine.run(&words(&format!("run --rm {flags}"), &rootfs, "cat /etc/passwd /etc/group")).stdout;
    for (flags, user, own_group) in [
        ("--user 555", "555:*:555:0:container user:/:/bin/sh\n", "555:x:555:555\n"),
        ("--user 555:4000 -w /tmp", "555:*:555:4000:container user:/tmp:/bin/sh\n", "4000:x:4000:555\n"),
        ("--user 555:g5 --read-only", "555:*:555:5:container user:/:/bin/sh\n", ""),
        ("--user 0:4000", "", "4000:x:4000:0\n"),
        ("--user 1000", "", ""),
        ("--user 555 --passwd=false", "", ""),
    ] {
        assert_eq!(shown(flags), format!("{passwd}{user}{group}{own_group}"), "{flags}");
    }
    assert_eq!(script(&engine, "run --rm --user 555 -w /tmp", "echo $HOME $(id -un)"), "/tmp 555");
    assert_eq!((read("passwd"), read("group")), (passwd, group));
}
