//! The part of an OCI runtime's `config.json` that the proof is about: runtime-spec `config.md`, `config-linux.md`.

use serde_json::{Map, Value, json};

use super::{Notes, Source};

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let request = source.subject.request;
    let names = Value::from(source.names());
    // The kernel gives a root process what the bounding set allows; another user keeps only what is ambient.
    let inherited = if source.user.is_root() { json!([]) } else { names.clone() };
    let mut process = Map::new();
    if let Some(uid) = source.user.uid {
        process.insert("user".to_owned(), json!({ "uid": uid, "gid": source.user.gid.unwrap_or(0) }));
    } else {
        notes.say(format!("the user `{}` is a name: process.user wants its number", source.user.text));
    }
    if !request.command.is_empty() {
        process.insert("args".to_owned(), Value::from(arguments(source)));
    }
    process.insert(
        "capabilities".to_owned(),
        json!({ "bounding": names, "effective": names, "inheritable": inherited, "permitted": names, "ambient": inherited }),
    );
    let (mut sysctls, mut root, mut host) = (Map::new(), Map::new(), Map::new());
    for flag in &source.flags {
        let text = flag.text();
        match flag.name {
            "user" if source.user.uid.is_some() => {}
            // In the arguments.
            "entrypoint" if !request.command.is_empty() => {}
            "tty" => drop(process.insert("terminal".to_owned(), json!(true))),
            "workdir" => drop(process.insert("cwd".to_owned(), json!(text))),
            "env" => push(&mut process, "env", json!(text)),
            "oom-score-adj" => drop(process.insert("oomScoreAdj".to_owned(), json!(text.parse::<i64>().unwrap_or(0)))),
            "security-opt" if text == "no-new-privileges" => drop(process.insert("noNewPrivileges".to_owned(), json!(true))),
            "security-opt" if text == "no-new-privileges=false" => drop(process.insert("noNewPrivileges".to_owned(), json!(false))),
            "read-only" => drop(root.insert("readonly".to_owned(), json!(flag.is_on()))),
            "hostname" => drop(host.insert("hostname".to_owned(), json!(text))),
            "sysctl" => {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                sysctls.insert(key.to_owned(), json!(value));
            }
            "annotation" => {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                let annotations = host.entry("annotations").or_insert_with(|| json!({}));
                if let Some(map) = annotations.as_object_mut() {
                    map.insert(key.to_owned(), json!(value));
                }
            }
            _ => notes.unplaced(flag),
        }
    }
    let mut document = Map::from_iter([("ociVersion".to_owned(), json!("1.0.2")), ("process".to_owned(), Value::Object(process))]);
    document.extend(host);
    if !root.is_empty() {
        document.insert("root".to_owned(), Value::Object(root));
    }
    if !sysctls.is_empty() {
        document.insert("linux".to_owned(), json!({ "sysctl": sysctls }));
    }
    notes.say("merge it into a complete config.json: root, mounts and namespaces are the engine's");
    format!("{:#}\n", Value::Object(document))
}

/// Returns entrypoint and command as one list.
fn arguments(source: &Source<'_>) -> Vec<String> {
    let request = source.subject.request;
    let entrypoint = request.process.entrypoint.as_ref().unwrap_or(&source.subject.image.entrypoint);
    entrypoint.iter().chain(&request.command).cloned().collect()
}

fn push(map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(list) = map.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}
