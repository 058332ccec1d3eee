//! Exports: golden cases in `export-cases`, hostile texts that have to survive, and the programs that read the formats.
//!
//! A case is a header, then the text and the notes of each format. `BLESS=1` writes what is said now.
//!
//! ```text
//! # request: {...}                  the request's JSON
//! # proven: CHOWN,SETUID            the set; empty for none
//! # facts: ends_non_root=true ...   what runs have shown
//! # image: {...}                    the image's configuration
//! # digest: sha256:...
//! # sysctl: NAME=VALUE
//! # formats: kube quadlet
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods, reason = "tests")]

#[path = "../../../tests/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use selkie_caps::{CapSet, Capability};
use selkie_plan::export::{Evidence, Exported, Format, Subject, export};
use selkie_plan::{ImageConfig, Request};
use serde_json::Value;
use skip::skip;

#[derive(Default)]
struct Case {
    request: Request,
    image: ImageConfig,
    proven: CapSet,
    facts: Evidence,
    digest: Option<String>,
    sysctls: Vec<(String, String)>,
    formats: Vec<Format>,
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Self::default();
        for line in text.lines().take_while(|line| line.starts_with('#')) {
            let (key, value) = line.trim_start_matches("# ").split_once(':').unwrap();
            let value = value.trim();
            match key {
                "request" => case.request = serde_json::from_str(value).unwrap(),
                "image" => case.image = serde_json::from_str(value).unwrap(),
                "proven" => case.proven = set(value),
                "digest" => case.digest = Some(value.to_owned()),
                "sysctl" => case.sysctls.extend(value.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))),
                "formats" => case.formats = value.split_whitespace().map(|name| Format::parse(name).unwrap()).collect(),
                "facts" => value.split_whitespace().for_each(|fact| case.fact(fact)),
                _ => {} // A remark.
            }
        }
        case
    }

    fn fact(&mut self, fact: &str) {
        let (name, value) = fact.split_once('=').unwrap();
        let value = Some(value.parse().unwrap());
        match name {
            "ends_non_root" => self.facts.ends_non_root = value,
            "no_new_privileges" => self.facts.no_new_privileges = value,
            "read_only_root" => self.facts.read_only_root = value,
            other => panic!("unknown fact {other}"),
        }
    }

    fn export(&self, format: Format) -> Exported {
        let subject = Subject {
            request: &self.request,
            image: &self.image,
            digest: self.digest.as_deref(),
            capabilities: self.proven,
            facts: self.facts,
            sysctls: &self.sysctls,
        };
        export(&subject, format).unwrap()
    }
}

fn set(names: &str) -> CapSet {
    let capability = |name: &str| Capability::from_name(&format!("CAP_{name}")).unwrap();
    names.split(',').filter(|name| !name.is_empty()).map(capability).collect()
}

fn cases() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export-cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Returns every case in every format that it names, with the name of its file.
fn exports() -> Vec<(String, Format, Exported)> {
    let of = |(path, text): (PathBuf, String)| {
        let case = Case::parse(&text);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        case.formats.clone().into_iter().map(move |format| (name.clone(), format, case.export(format))).collect::<Vec<_>>()
    };
    cases().into_iter().flat_map(of).collect()
}

#[test]
fn cases_have_their_expected_text_and_notes() {
    let mut wrong = Vec::new();
    for (path, text) in cases() {
        let case = Case::parse(&text);
        let mut said: String = text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        for format in &case.formats {
            let Exported { text, notes } = case.export(*format);
            said.push_str(&format!("\n==== {}\n{text}---- notes\n", format.name()));
            notes.iter().for_each(|note| said.push_str(&format!("{note}\n")));
        }
        if said != text {
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, said).unwrap();
            } else {
                wrong.push(format!("{}:\n{said}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "differ from what is expected (BLESS=1 writes it):\n{}", wrong.join("\n"));
}

/// Texts that mean something to a parser somewhere.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,6}",
        2 => prop::sample::select(vec!["\n", ": ", " #", "- ", "\"", "'", "\\", "$", "$(A)", "${A}", "%n", "%", "{{", "}}", "\t", "\r", "&a", "*a"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["null", "yes", "0x1", "1e3", "~", "---", "...", "!!str", "|", ">", "@", "`", "🦭", "é", "\u{85}", "\u{2028}", "\u{feff}", "\u{7f}", "\u{1b}"]).prop_map(str::to_owned),
        1 => any::<char>().prop_filter("NUL is refused", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn with_text(text: &str) -> Case {
    let mut case = Case { proven: set("CHOWN"), ..Case::default() };
    case.request.image = Some("img".to_owned());
    case.request.command = vec![text.to_owned(), "end".to_owned()];
    case.request.process.env = vec![("A".to_owned(), text.to_owned())];
    case.request.process.workdir = Some(text.to_owned());
    case.request.annotations.insert("k".to_owned(), text.to_owned());
    case
}

/// Undoes [`Format::Quadlet`]'s words: systemd.syntax(7).
fn unit_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while chars.peek().is_some() {
        let mut word = String::new();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                ' ' if !quoted => break,
                '"' => quoted = !quoted,
                '\\' => match chars.next().unwrap() {
                    'n' => word.push('\n'),
                    't' => word.push('\t'),
                    'r' => word.push('\r'),
                    'x' => word.push(char::from(u8::from_str_radix(&chars.by_ref().take(2).collect::<String>(), 16).unwrap())),
                    other => word.push(other),
                },
                '%' | '$' => {
                    assert_eq!(chars.next(), Some(c), "a sign that is not doubled in {line}");
                    word.push(c);
                }
                other => word.push(other),
            }
        }
        words.push(word);
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compose_reads_back_the_same(text in hostile()) {
        let file: Value = serde_saphyr::from_str(&with_text(&text).export(Format::Compose).text).unwrap();
        let service = &file["services"]["app"];
        let doubled = text.replace('$', "$$");
        prop_assert_eq!(&service["command"][0], &doubled);
        prop_assert_eq!(&service["working_dir"], &doubled);
        prop_assert_eq!(&service["environment"][0], &format!("A={doubled}"));
        prop_assert_eq!(&service["annotations"][0], &format!("k={doubled}"));
        prop_assert_eq!(&service["cap_add"], &serde_json::json!(["CHOWN"]));
    }

    #[test]
    fn kube_reads_back_the_same(text in hostile()) {
        let pod: Value = serde_saphyr::from_str(&with_text(&text).export(Format::Kube).text).unwrap();
        let container = &pod["spec"]["containers"][0];
        let literal = text.replace("$(", "$$(");
        prop_assert_eq!(&container["args"][0], &literal);
        prop_assert_eq!(&container["env"][0]["value"], &literal);
        prop_assert_eq!(&container["workingDir"], &text);
        prop_assert_eq!(&pod["metadata"]["annotations"]["k"], &text);
    }

    #[test]
    fn quadlet_reads_back_the_same(text in hostile()) {
        let file = with_text(&text).export(Format::Quadlet).text;
        let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
        prop_assert_eq!(unit_words(&value("Exec=")), [text.clone(), "end".to_owned()]);
        prop_assert_eq!(unit_words(&value("Environment=")), [format!("A={text}")]);
        prop_assert!(file.lines().all(|line| line.is_empty() || line.starts_with(['#', '[']) || line.contains('=')));
    }

    #[test]
    fn json_and_oci_read_back_the_same(text in hostile()) {
        let case = with_text(&text);
        let oci: Value = serde_json::from_str(&case.export(Format::Oci).text).unwrap();
        prop_assert_eq!(&oci["process"]["args"][0], &text);
        let json: Value = serde_json::from_str(&case.export(Format::Json).text).unwrap();
        prop_assert_eq!(serde_json::from_value::<Request>(json["request"].clone()).unwrap(), case.request);
    }
}

#[test]
fn shell_reads_the_command_line_back() {
    for text in ["a b", "it's", "$HOME `id` \"x\"", "new\nline", "-", "#x", "~", "\\", "*", "🦭", "!x", ""] {
        let line = with_text(text).export(Format::Podman).text;
        let words = output("sh", &["-c", &line.replacen("podman run", "printf '%s\\0'", 1)]).stdout;
        let words: Vec<&str> = std::str::from_utf8(&words).unwrap().split_terminator('\0').collect();
        let expected = [&format!("--workdir={text}"), &format!("--env=A={text}"), &format!("--annotation=k={text}")];
        assert_eq!(words[..3], expected.map(String::as_str));
        assert_eq!(words[3..], ["--cap-drop=all", "--cap-add=CHOWN", "img", text, "end"]);
    }
}

#[test]
fn podman_takes_every_flag() {
    if !there_is("podman", "podman is not installed: command lines were not tried") {
        return;
    }
    let directory = temporary("podman");
    for (name, _, export) in exports().into_iter().filter(|(_, format, _)| *format == Format::Podman) {
        // Every flag is parsed before the image is looked for, and a store of its own has none: nothing ever runs.
        let store = format!("podman --storage-driver=vfs --root {0}/root --runroot {0}/run run", directory.display());
        let line = export.text.replacen("podman run", &store, 1).replacen("--cap-drop=all", "--pull=never --cap-drop=all", 1);
        let said = String::from_utf8_lossy(&output("sh", &["-c", &line]).stderr).into_owned();
        let expected = match name.as_str() {
            "host_is_no_image" => "invalid reference format",
            "rootfs_is_no_image" => "no such file or directory",
            // Every flag at once is more than Podman puts up with.
            "every_flag" => "conflicting options",
            _ => "image not known",
        };
        assert!(said.contains(expected), "{name}: {line}\n{said}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn quadlet_takes_every_file() {
    // `tools/make-consumers` puts it on the path.
    let places = ["quadlet", "/usr/libexec/podman/quadlet", "/usr/lib/systemd/system-generators/podman-system-generator"];
    let Some(generator) = places.into_iter().find(|path| Command::new(path).arg("-version").output().is_ok()) else {
        return skip("there is no Quadlet here (Podman 4.4 and later have it): unit files were not tried");
    };
    let directory = temporary("quadlet");
    for (name, _, export) in exports().into_iter().filter(|(_, format, _)| *format == Format::Quadlet) {
        let file = directory.join(format!("{name}.container"));
        std::fs::write(&file, &export.text).unwrap();
        let tried = Command::new(generator).arg("-dryrun").env("QUADLET_UNIT_DIRS", &directory).output().unwrap();
        assert!(tried.status.success(), "{name}: {}", String::from_utf8_lossy(&tried.stderr));
        std::fs::remove_file(&file).unwrap();
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn podman_compose_takes_every_file() {
    if !there_is("podman-compose", "podman-compose is not installed: Compose files were not tried") {
        return;
    }
    let directory = temporary("compose");
    for (name, _, export) in exports().into_iter().filter(|(_, format, _)| *format == Format::Compose) {
        let file = directory.join("compose.yaml");
        std::fs::write(&file, &export.text).unwrap();
        let tried = output("podman-compose", &["-f", file.to_str().unwrap(), "config"]);
        assert!(tried.status.success(), "{name}: {}", String::from_utf8_lossy(&tried.stderr));
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn kubernetes_takes_every_pod() {
    if !there_is("kubernetes-validate", "kubernetes-validate is not installed: Pods were not tried") {
        return;
    }
    let directory = temporary("kube");
    for (name, _, export) in exports().into_iter().filter(|(_, format, _)| *format == Format::Kube) {
        let file = directory.join(format!("{name}.yaml"));
        std::fs::write(&file, &export.text).unwrap();
        let tried = output("kubernetes-validate", &["--strict", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&[tried.stdout, tried.stderr].concat()).into_owned();
        assert!(tried.status.success(), "{name}: {said}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn systemd_takes_every_unit() {
    if !there_is("systemd-analyze", "systemd-analyze is not installed: units were not tried") {
        return;
    }
    let directory = temporary("systemd");
    for (name, _, export) in exports().into_iter().filter(|(_, format, _)| *format == Format::Systemd) {
        let file = directory.join(format!("{name}.service"));
        let start = if export.text.contains("ExecStart=") { "" } else { "ExecStart=/bin/true\n" };
        std::fs::write(&file, format!("{}{start}", export.text)).unwrap();
        let tried = output("systemd-analyze", &["verify", "--man=no", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        // Of other units of the machine it may say what it likes.
        let about: Vec<&str> = said.lines().filter(|line| line.contains(&name) && !line.contains("is not executable")).collect();
        assert_eq!(about, Vec::<&str>::new(), "{name}: {}", export.text);
    }
    std::fs::remove_dir_all(directory).unwrap();
}

fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn there_is(program: &str, otherwise: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        skip(otherwise);
    }
    found
}

fn temporary(kind: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("selkie-export-{kind}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
