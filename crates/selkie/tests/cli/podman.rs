//! What a user of Podman types who has `alias podman=selkie`: compared with Podman 4.3 and its main branch, one behaviour a test.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{container, engine, failure, run, script};

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
fn version_is_the_third_word() {
    let said = Command::new(crate::harness::SELKIE).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("selkie version {}\n", env!("CARGO_PKG_VERSION")));
}
