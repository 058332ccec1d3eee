//! `audit`: formats, exit statuses, baselines and changes of files, from the command line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;
#[path = "../../selkie-learn/tests/schema/mod.rs"]
mod schema;

use std::io::Write;
use std::process::Stdio;

use harness::{Engine, Said};
use serde_json::Value;

const COMPOSE: &str = "services:\n  web:\n    image: i\n    privileged: true # once\n    cap_drop: [ALL]\n";

/// An engine with a file of this text.
fn with(name: &str, text: &str) -> Option<(Engine, String)> {
    let engine = Engine::new()?;
    let path = engine.path(name);
    std::fs::write(&path, text).unwrap();
    Some((engine, path.to_str().unwrap().to_owned()))
}

fn audit(engine: &Engine, words: &[&str]) -> Said {
    engine.run(&[&["audit"], words].concat())
}

#[test]
fn audit_finds_what_is_wrong_and_says_where() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let said = audit(&engine, &[&file]);
    assert_eq!((said.code, said.stderr.as_str()), (1, ""));
    assert!(said.stdout.contains(&format!("■ critical  privileged  web  {file}:4:17\n")), "{}", said.stdout);
    assert!(said.stdout.ends_with("4 findings (1 critical, 3 low) in 1 container\n"), "{}", said.stdout);
}

#[test]
fn audit_of_a_container_that_is_none_is_no_file_either() {
    let Some(engine) = Engine::new() else { return };
    let said = audit(&engine, &["nobody"]);
    assert_eq!((said.code, said.stdout.as_str()), (125, ""));
    assert_eq!(said.stderr, "Error: nobody: neither a file nor a container\n");
}

#[test]
fn audit_of_a_running_container_goes_by_what_it_has() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if harness::busybox().is_none() {
        return harness::lack("busybox is not installed");
    }
    engine.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "--cap-drop",
        "all",
        "--cap-add",
        "sys_ptrace",
        "--pid",
        "host",
        "--rootfs",
        &rootfs,
        "sleep",
        "1000",
    ]);
    let said = audit(&engine, &["web"]);
    assert_eq!(said.code, 1);
    let row: Vec<&str> = said.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["web", "selkie", "yes", "1", "■", "open", "-"]);
    assert!(said.stdout.contains("■ critical  escape-ptrace  web  selkie\n"), "{}", said.stdout);
}

/// The only container of a report.
fn container(said: &Said) -> Value {
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(schema::differences_from(include_str!("../../../docs/audit-report.schema.json"), &report), Vec::<String>::new());
    report["files"][0]["containers"][0].clone()
}

#[test]
fn audit_and_privileged_give_the_same_verdict() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if harness::busybox().is_none() {
        return harness::lack("busybox is not installed");
    }
    let cases: [(&str, &[&str]); 9] = [
        ("plain", &[]),
        ("flag", &["--privileged"]),
        ("flag-of-own-users", &["--privileged", "--uidmap", "0:100000:65536"]),
        ("all", &["--cap-add", "all"]),
        ("admin", &["--cap-add", "sys_admin"]),
        ("admin-without-filter", &["--cap-add", "sys_admin", "--security-opt", "seccomp=unconfined"]),
        ("handle", &["--cap-add", "dac_read_search"]),
        ("traces", &["--cap-add", "sys_ptrace", "--pid", "host"]),
        ("root", &["--volume", "/:/host"]),
    ];
    let mut answers = Vec::new();
    for (name, flags) in cases {
        let started = engine.run(&[&["run", "-d", "--name", name], flags, &["--rootfs", &rootfs, "sleep", "1000"]].concat());
        if started.code != 0 {
            // Of a machine within a machine some of it cannot be had.
            harness::skip(&format!("{name}: {}", started.stderr.trim()));
            continue;
        }
        let said = engine.run(&["privileged", "--format", "json", name]);
        let told: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{name}: {said:?}"));
        let audited = container(&audit(&engine, &["--format", "json", name]));
        assert_eq!((&audited["state"], &audited["privileged"]), (&"running".into(), &told["Privileged"]), "{name}: {audited} {told}");
        assert_eq!(audited["reasons"], told["Summary"], "{name}");
        // Open is what is privileged, or has a way out that is certain.
        let certain = told["Escapes"].as_array().unwrap().iter().any(|way| way["Sureness"] == "certain");
        let open = told["Privileged"] == true || certain;
        assert_eq!(audited["verdict"] == "open", open, "{name}: {audited} {told}");
        answers.push((name, told["Privileged"].as_bool().unwrap()));
        // It stands the same when it runs no more: nothing of it is less open for that.
        engine.ok(&["stop", "-t", "0", name]);
        let stopped = container(&audit(&engine, &["--format", "json", name]));
        if told["Privileged"] == false {
            assert_eq!((&stopped["state"], &stopped["verdict"]), (&"stopped".into(), &audited["verdict"]), "{name}: {stopped} {audited}");
        }
    }
    assert!(answers.contains(&("plain", false)) && answers.contains(&("flag", true)), "{answers:?}");
}

#[test]
fn audit_of_a_container_that_does_not_run_goes_by_its_plan() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for (name, flags) in [("plain", &[][..]), ("flag", &["--privileged"][..])] {
        engine.ok(&[&["run", "-d", "--name", name], flags, &["--rootfs", &rootfs, "/probe", "sleep"]].concat());
        engine.ok(&["stop", "-t", "0", name]);
    }
    let table = audit(&engine, &["plain", "flag"]).stdout;
    let words = |number: usize| table.lines().nth(number).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(1), ["plain", "selkie", "?", "11", "▲", "weakened", "(stopped)"], "{table}");
    assert_eq!((&words(2)[2], &words(2)[6]), (&"yes".to_owned(), &"(stopped)".to_owned()), "{table}");
    let stopped = container(&audit(&engine, &["--format", "json", "plain"]));
    assert_eq!((&stopped["state"], &stopped["privileged"], &stopped["unknown"]), (&"stopped".into(), &Value::Null, &Value::Array(vec![])));
}

#[test]
fn audit_of_an_ambiguous_beginning_of_an_id_lists_what_it_may_mean() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    // Of so many ids two begin with the same letter; what begins with a digit could be a process.
    let ids: Vec<String> = (0..40).map(|_| engine.ok(&["create", "--rootfs", &rootfs, "/probe"]).trim().to_owned()).collect();
    let same = |digit: &str| ids.iter().filter(|id| id.starts_with(digit)).collect::<Vec<_>>();
    let digit = ["a", "b", "c", "d", "e", "f"].into_iter().find(|digit| same(digit).len() > 1).unwrap();
    for verb in ["audit", "privileged"] {
        let said = engine.run(&[verb, digit]);
        assert_eq!((said.code, said.stdout.as_str()), (125, ""), "{verb}");
        assert!(said.stderr.starts_with(&format!("Error: more than one container is meant by {digit:?}: selkie ")), "{}", said.stderr);
        let listed = same(digit).iter().filter(|id| said.stderr.contains(&format!("selkie {}", &id[..12]))).count();
        assert_eq!(listed, same(digit).len().min(8), "{}", said.stderr);
    }
    assert_eq!(engine.run(&["inspect", digit]).code, 125);
}

#[test]
fn audit_status_follows_the_limit() {
    let Some((engine, file)) = with("compose.yaml", &COMPOSE.replace("true", "false")) else { return };
    assert_eq!(audit(&engine, &[&file]).code, 0);
    assert_eq!(audit(&engine, &["--fail-on", "low", &file]).code, 1);
    assert_eq!(audit(&engine, &["--fail-on", "none", &file]).code, 0);
    assert_eq!(audit(&engine, &["--fail-on", "much", &file]).code, 125);
    assert_eq!(audit(&engine, &["--type", "much", &file]).code, 125);
}

#[test]
fn audit_of_what_cannot_be_read_is_status_2_and_goes_on() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let broken = engine.path("broken.yaml");
    std::fs::write(&broken, "services:\n  web: [\n").unwrap();
    let broken = broken.to_str().unwrap();
    let said = audit(&engine, &[broken, "/nowhere.yaml", "/dev/null", engine.path("").to_str().unwrap(), &file]);
    assert_eq!(said.code, 2);
    for text in [
        format!("Error: {broken}: line "),
        "/nowhere.yaml: cannot be read: no such file".to_owned(),
        "/dev/null: cannot be read: it is not a regular file".to_owned(),
        "it is a directory".to_owned(),
    ] {
        assert!(said.stderr.contains(&text), "{text}: {}", said.stderr);
    }
    assert!(said.stdout.contains("privileged  web"));
}

#[test]
fn audit_refuses_files_of_the_kernel_which_may_wait() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let mut files = vec![("/proc/version", "procfs"), ("/sys/devices/system/cpu/online", "sysfs")];
    // Only who may read it would wait: root of the host.
    files.extend(std::fs::File::open("/proc/kmsg").is_ok().then_some(("/proc/kmsg", "procfs")));
    for (name, kind) in files {
        let said = audit(&engine, &[name]);
        let wanted = format!("Error: {name}: cannot be read: it is of {kind}, whose files may wait for the kernel or have no end\n");
        assert_eq!((said.code, said.stderr), (2, wanted));
    }
    // What a descriptor is open on is an ordinary file, whichever way its name takes.
    for name in ["/dev/stdin", "/proc/self/fd/0"] {
        let said = engine.command(&["audit", "--type", "compose", name]).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
        assert_eq!((said.status.code(), String::from_utf8(said.stderr).unwrap()), (Some(1), String::new()), "{name}");
    }
}

#[test]
fn audit_of_a_large_file_and_of_a_link_to_itself_says_what_is_so() {
    let Some(engine) = Engine::new() else { return };
    let (large, link) = (engine.path("large.yaml"), engine.path("link"));
    std::fs::File::create(&large).unwrap().set_len(20 << 30).unwrap();
    std::os::unix::fs::symlink("link", &link).unwrap();
    let said = audit(&engine, &[large.to_str().unwrap()]);
    let wanted = format!("Error: {}: the file has more than the 8388608 bytes that are read at most\n", large.display());
    assert_eq!((said.code, said.stderr), (2, wanted));
    let said = engine.command(&["audit", "link"]).current_dir(engine.path("")).output().unwrap();
    let wanted = "Error: link: cannot be read: too many levels of symbolic links\n";
    assert_eq!((said.status.code(), String::from_utf8(said.stderr).unwrap().as_str()), (Some(2), wanted));
}

#[test]
fn audit_json_is_of_its_schema() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let said = audit(&engine, &["--format", "json", &file, "/nowhere"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let published = include_str!("../../../docs/audit-report.schema.json");
    assert_eq!(schema::differences_from(published, &report), Vec::<String>::new());
    assert_eq!(report["files"][0]["containers"][0]["verdict"], "open");
    assert_eq!(report["unreadable"][0]["file"], "/nowhere");
}

#[test]
fn audit_reads_standard_input_and_writes_files() {
    let Some((engine, _)) = with("compose.yaml", COMPOSE) else { return };
    let output = engine.path("audit.html");
    let mut child = engine
        .command(&["audit", "--format", "html", "--output", output.to_str().unwrap(), "--fail-on", "none", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(COMPOSE.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read_to_string(&output).unwrap().starts_with("<!DOCTYPE html>"));
}

#[test]
fn audit_fix_shows_a_diff_and_writes_it_only_when_told() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let shown = audit(&engine, &["--fix", &file]);
    assert!(
        shown.stdout.contains("-    privileged: true # once\n") && shown.stdout.contains("+    privileged: false # once\n"),
        "{shown:?}"
    );
    assert!(shown.stderr.contains("nothing is written without --yes"), "{}", shown.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), COMPOSE);
    let written = audit(&engine, &["--fix", "--yes", &file]);
    assert_eq!(written.code, 0, "{written:?}");
    let new = "services:\n  web:\n    image: i\n    security_opt: [\"no-new-privileges:true\"]\n    privileged: false # once\n    cap_drop: [ALL]\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), new);
}

#[test]
fn audit_fix_keeps_links_and_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = engine.path("link.yaml");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(audit(&engine, &["--fix", "--yes", link.to_str().unwrap()]).code, 0);
    assert!(link.is_symlink() && std::fs::read_to_string(&file).unwrap().contains("privileged: false"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn audit_baseline_accepts_with_reasons_and_says_what_is_no_longer_true() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let baseline = engine.path("baseline.json");
    let path = baseline.to_str().unwrap();
    audit(&engine, &["--write-baseline", path, &file]);
    let refused = audit(&engine, &["--baseline", path, &file]);
    assert_eq!(refused.code, 125);
    assert!(refused.stderr.contains("has no reason"), "{}", refused.stderr);
    let text = std::fs::read_to_string(&baseline).unwrap().replace("\"reason\": \"\"", "\"reason\": \"known\"");
    std::fs::write(&baseline, text).unwrap();
    let accepted = audit(&engine, &["--baseline", path, "--fail-on", "low", &file]);
    assert_eq!((accepted.code, accepted.stderr.as_str()), (0, ""));
    assert!(accepted.stdout.ends_with("0 findings in 1 container, 4 accepted\n"), "{}", accepted.stdout);
    let other = "{\"version\": 1, \"exceptions\": [{\"rule\": \"host-pid\", \"reason\": \"a\"}, {\"rule\": \"privileged\", \"reason\": \"b\", \"expires\": \"2020-01-01\"}]}";
    std::fs::write(&baseline, other).unwrap();
    let said = audit(&engine, &["--baseline", path, &file]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("(`host-pid`: a) matches nothing any more"), "{}", said.stderr);
    assert!(said.stderr.contains("(`privileged`: b) has ended on 2020-01-01"), "{}", said.stderr);
}

#[test]
fn audit_of_files_works_where_the_configuration_is_broken() {
    let Some((engine, file)) = with("containers.conf", "[containers]\nprivileged = maybe\n") else { return };
    let compose = engine.path("compose.yaml");
    std::fs::write(&compose, COMPOSE).unwrap();
    let output = engine.command(&["audit", &file, compose.to_str().unwrap()]).env("CONTAINERS_CONF", &file).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("learned profiles are left out") && stderr.contains("line 2, column 14: not TOML"), "{stderr}");
    assert!(stdout.contains("privileged  web"), "{stdout}");
}

#[test]
fn audit_table_has_no_escapes_of_strangers() {
    let Some((engine, file)) = with("compose.yaml", "services: {\"a\\e[31m\\u202eb\": {privileged: true, cap_add: [\"\\e]0;x\"]}}\n")
    else {
        return;
    };
    let said = audit(&engine, &[&file]);
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains('\u{202e}'), "{:?}", said.stdout);
    assert!(said.stdout.contains("a\u{fffd}[31m\u{fffd}b"), "{}", said.stdout);
}

#[test]
fn audit_without_files_audits_our_own_containers() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    engine.ok(&["run", "-d", "--name", "big", "--cap-add", "SYS_ADMIN", "--pid", "host", "--rootfs", &rootfs, "/probe", "sleep"]);
    let said = audit(&engine, &["--format", "json"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let rules: Vec<&str> =
        report["files"][0]["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"capability-host-root") && rules.contains(&"host-pid"), "{rules:?}");
    assert_eq!((said.code, &report["files"][0]["containers"][0]["name"]), (1, &"big".into()));
}

#[test]
fn audit_compare_says_what_is_new_and_fixed_in_every_form() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let old = engine.path("june.json");
    let old = old.to_str().unwrap();
    audit(&engine, &["--format", "json", "--output", old, &file]);
    std::fs::write(&file, COMPOSE.replace("privileged: true # once", "pid: host")).unwrap();
    let said = audit(&engine, &["--compare", old, &file]);
    let wanted = format!(
        "Since june.json: 1 new, 1 fixed, 0 worse or milder; containers: 0 came, 0 gone, 1 changed\n  new\n    ◆ high  host-pid  web  {file}\n  \
         fixed\n    ■ critical  privileged  web  {file}\n  containers that changed\n    web  {file}: open → exposed; privileged: yes → no; has lost "
    );
    assert!(said.stdout.contains(&wanted), "{}", said.stdout);
    let report: Value = serde_json::from_str(&audit(&engine, &["--format", "json", "--compare", old, &file]).stdout).unwrap();
    let published = include_str!("../../../docs/audit-report.schema.json");
    assert_eq!(schema::differences_from(published, &report), Vec::<String>::new());
    assert_eq!((&report["since"]["new"][0]["rule"], &report["since"]["fixed"][0]["rule"]), (&"host-pid".into(), &"privileged".into()));
    assert_eq!(report["since"]["results"][0]["result"], "june.json");
    let page = audit(&engine, &["--format", "html", "--compare", old, "--compare", old, &file]).stdout;
    assert!(page.contains("critical: 1, 1, 0;"), "{page}");
}

#[test]
fn audit_compare_with_what_is_no_result_is_an_error_of_usage() {
    let Some((engine, file)) = with("compose.yaml", COMPOSE) else { return };
    let bad = engine.path("bad.json");
    let bad = bad.to_str().unwrap();
    let error = |name: &str| {
        let said = audit(&engine, &["--compare", name, &file]);
        assert_eq!((said.code, said.stdout.as_str()), (125, ""), "{said:?}");
        said.stderr.trim_end().replacen(&format!(" {name}: "), " NAME: ", 1)
    };
    std::fs::write(bad, b"\xff").unwrap();
    assert_eq!(error(bad), "Error: --compare NAME: not UTF-8 text");
    std::fs::write(bad, "{}").unwrap();
    assert_eq!(
        error(bad),
        "Error: --compare NAME: not a result of `selkie audit --format json`: missing field `version` at line 1 column 2"
    );
    std::fs::File::create(bad).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(error(bad), "Error: --compare NAME: larger than 64 MiB");
    assert_eq!(error("/dev/zero"), "Error: --compare NAME: cannot be read: it is not a regular file");
    assert_eq!(error("/nowhere.json"), "Error: --compare NAME: cannot be read: no such file or directory");
    assert_eq!(error("-"), "Error: --compare NAME: standard input is no older result");
}

#[test]
fn audit_of_a_unit_reads_the_drop_ins_beside_it_once() {
    let Some((engine, file)) = with("w-a.container", "[Container]\nImage=i\n") else { return };
    let path = |name: &str| engine.path(name).to_str().unwrap().to_owned();
    for (name, text) in [
        ("w-a.container.d/x.conf", "[Container]\nPodmanArgs=--privileged\n"),
        ("w-.container.d/x.conf", "[Container]\nNetwork=host\n"),
        ("container.d/a.conf", "[Container]\nVolume=/etc:/e\n"),
        ("container.d/a.txt", "[Container]\nVolume=/:/e\n"),
    ] {
        let path = engine.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("/dev/null", engine.path("container.d/n.conf")).unwrap();
    let (own, hidden) = (path("w-a.container.d/x.conf"), path("w-.container.d/x.conf"));
    let said = audit(&engine, &[&own, &file, &hidden]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.contains(&format!("■ critical  privileged  w-a  {own}:2:12\n")), "{}", said.stdout);
    assert!(said.stdout.contains(&format!("host-directory  w-a  {}:2:8\n", path("container.d/a.conf"))), "{}", said.stdout);
    assert!(!said.stdout.contains("host-network") && said.stdout.ends_with(" in 1 container\n"), "{}", said.stdout);
    let said = audit(&engine, &["--format", "json", &file]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["files"][0]["findings"][0]["in"], own);
    assert_eq!(container(&said)["verdict"], "open");
    std::fs::write(&own, "what\n").unwrap();
    let said = audit(&engine, &[&file]);
    assert_eq!((said.code, said.stderr.contains(&format!("{own}: line 1"))), (2, true), "{}", said.stderr);
}
