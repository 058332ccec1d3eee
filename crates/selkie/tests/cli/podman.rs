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
fn logs_follow_until_a_time_to_come() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "echo one; sleep 60");
    let begin = Instant::now();
    assert_eq!(engine.ok(&["logs", "-f", "--until", "1s", "a"]), "one");
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn version_is_the_third_word() {
    let said = Command::new(crate::harness::SELKIE).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("selkie version {}\n", env!("CARGO_PKG_VERSION")));
}
