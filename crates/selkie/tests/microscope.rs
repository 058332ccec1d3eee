//! `caps`, `privileged`, `top`, `info`, `port`, `doctor`, `completion` as programs: beside the tools that they stand for, and on
//! containers. A tool that is not installed skips its test, loudly.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Engine, SELKIE, busybox, installed, lack, peer, skip};

/// What a command prints.
fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that lives as long as the test.
struct Living(Child);

impl Living {
    fn start(program: &str, words: &[&str]) -> Self {
        let mut child = Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // It says when it is what it is meant to be.
        let mut ready = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ways of being somebody, through setpriv(1).
const STATES: [&[&str]; 7] = [
    &[],
    &["--no-new-privs"],
    &["--bounding-set", "-all,+chown,+kill"],
    &["--reuid", "1000", "--regid", "1000", "--groups", "4,24"],
    &["--reuid", "1000", "--regid", "1000", "--clear-groups", "--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"],
    &["--securebits", "+noroot,+noroot_locked"],
    &["--securebits", "+keep_caps_locked,+no_setuid_fixup,+no_setuid_fixup_locked,+noroot,+noroot_locked"],
];

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it needs root to become somebody else");
    }
    root
}

#[test]
fn caps_show_prints_what_capsh_prints() {
    if !root() || !installed("capsh") || !installed("setpriv") {
        return;
    }
    for state in STATES {
        let run = |words: &[&str]| output("setpriv", &[state, words].concat());
        assert_eq!(run(&[SELKIE, "caps", "show"]), run(&["capsh", "--print"]), "{state:?}");
    }
}

#[test]
fn caps_show_of_another_process_has_the_same_sets_as_getpcaps() {
    if !root() || !installed("getpcaps") || !installed("setpriv") {
        return;
    }
    for state in STATES {
        let living = Living::start("setpriv", &[state, &["sh", "-c", "echo; read line"]].concat());
        let theirs = Command::new("getpcaps").arg(living.pid()).output().unwrap();
        let theirs = format!("{}{}", String::from_utf8_lossy(&theirs.stdout), String::from_utf8_lossy(&theirs.stderr));
        let ours = output(SELKIE, &["caps", "show", &living.pid(), "--format", "{{.Current}}"]);
        let theirs = theirs.trim().split_once(": ").unwrap().1.trim();
        assert_eq!(ours.trim(), theirs, "{state:?}");
    }
}

#[test]
fn caps_decode_equals_capsh_decode() {
    if !installed("capsh") {
        return;
    }
    for mask in ["0000000000000000", "00000000a80425fb", "000001ffffffffff", "000001fffeffffff", "0000000000003000"] {
        let theirs = output("capsh", &[&format!("--decode={mask}")]);
        let ours = output(SELKIE, &["caps", "decode", mask]);
        let line = ours.lines().find_map(|line| line.strip_prefix("  lower case")).unwrap();
        assert_eq!(line.trim(), theirs.trim().split_once('=').unwrap().1, "{mask}");
    }
}

/// Lines of pscap or `caps ps` by process: user, name and mark, what it holds.
fn lines(table: &str, capabilities_at: &str) -> BTreeMap<String, (String, String)> {
    let column = table.lines().next().unwrap().find(capabilities_at).unwrap();
    let mut found = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut words = line.split_whitespace();
        let (Some(_), Some(pid), Some(user)) = (words.next(), words.next(), words.next()) else { continue };
        let held = line.get(column..).unwrap_or_default().trim().to_owned();
        found.insert(pid.to_owned(), (user.to_owned(), held));
    }
    found
}

#[test]
fn caps_ps_has_the_lines_of_pscap() {
    if !root() || !installed("pscap") || !installed("setpriv") {
        return;
    }
    let mut living: Vec<Living> =
        STATES.iter().map(|state| Living::start("setpriv", &[*state, &["sh", "-c", "echo; read line"]].concat())).collect();
    living.push(Living::start("unshare", &["--user", "--map-root-user", "sh", "-c", "echo; read line"]));
    let (theirs, ours) = (output("pscap", &["-a"]), output(SELKIE, &["caps", "ps"]));
    let (theirs, ours) = (lines(&theirs, "capabilities"), lines(&ours, "capabilities"));
    for process in &living {
        assert_eq!(ours.get(&process.pid()), theirs.get(&process.pid()), "{}", process.pid());
    }
    assert!(living.iter().filter(|process| ours.contains_key(&process.pid())).count() >= 5);
    assert!(ours.contains_key("1"), "the first process is in `pscap -a` too");
}

#[test]
fn caps_ps_marks_a_child_user_namespace() {
    if !root() || !installed("unshare") {
        return;
    }
    let living = Living::start("unshare", &["--user", "--map-root-user", "sh", "-c", "echo; read line"]);
    let table = output(SELKIE, &["caps", "ps"]);
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&living.pid())).unwrap();
    assert!(line.contains("sh *"), "{line}");
}

#[test]
fn caps_ps_of_a_hostile_name_is_one_line_without_escapes() {
    if !root() {
        return;
    }
    // The kernel names a process after the file that it executes.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("a) R 1\nC\u{1b}[2J");
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    let living = Living::start(&harness::text(&program), &["-c", "echo; read line"]);
    let table = output(SELKIE, &["caps", "ps"]);
    assert!(!table.contains('\u{1b}'));
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&living.pid())).unwrap();
    assert!(line.contains("a) R 1 C\u{fffd}[2J"), "{line}");
    let json = output(SELKIE, &["caps", "ps", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let row = rows.iter().find(|row| row["Pid"].as_u64() == Some(u64::from(living.0.id()))).unwrap();
    assert_eq!(row["Command"], "a) R 1\nC\u{1b}[2J");
}

/// The lines of `caps ps` with these words, by process: where the name of each begins.
fn indents(words: &[&str]) -> Vec<(String, usize)> {
    let table = output(SELKIE, &[&["caps", "ps"], words].concat());
    let begins = |line: &str| {
        let at = table.lines().next()?.find("command")?;
        let indented = line.get(at..)?;
        Some((line.split_whitespace().nth(1)?.to_owned(), indented.len() - indented.trim_start().len()))
    };
    table.lines().skip(1).filter_map(begins).collect()
}

#[test]
fn caps_ps_tree_has_children_under_their_parents() {
    if !root() {
        return;
    }
    // Each is the parent of the next one, and all end with the input of the last.
    let living = Living::start("sh", &["-c", "sh -c 'cd /; sh -c \"echo; cat; :\"; :'; :"]);
    // The last one is made only after the line that says that the others are there.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (lines, depth, below) = loop {
        let lines = indents(&["--tree"]);
        let at = lines.iter().position(|(pid, _)| *pid == living.pid()).unwrap();
        let (_, depth) = lines[at];
        let below: Vec<usize> = lines[at + 1..].iter().map(|(_, depth)| *depth).take_while(|below| *below > depth).collect();
        if below.len() >= 3 || Instant::now() > deadline {
            break (lines, depth, below);
        }
    };
    assert_eq!(below, [depth + 2, depth + 4, depth + 6], "{lines:?}");
    let list = indents(&[]);
    assert!(list.iter().all(|(_, depth)| *depth == 0), "without --tree nothing is indented");
    assert!(list.iter().any(|(pid, _)| *pid == living.pid()));
}

#[test]
fn caps_ps_tree_of_one_container_begins_with_its_first_process() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if busybox().is_none() {
        return lack("busybox is not installed");
    }
    engine.ok(&["run", "-d", "--name", "web", "--rootfs", &rootfs, "sh", "-c", "sh -c 'touch /tmp/ready; sleep 1000; :'; :"]);
    engine.ok(&["exec", "web", "sh", "-c", "while ! test -e /tmp/ready; do :; done"]);
    // The file is there before the last one is.
    let shown = |_| engine.ok(&["caps", "ps", "--tree", "--container", "web", "--format", "{{.Ppid}} {{.Pid}} {{.Command}}"]);
    let lines = (0..500).map(shown).find(|lines| lines.lines().count() == 3).unwrap();
    let words: Vec<Vec<&str>> = lines.lines().map(|line| line.split(' ').collect()).collect();
    let first = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "web"]);
    assert_eq!([words[0][1], words[1][0], words[2][0]], [first.as_str(), words[0][1], words[1][1]], "{lines}");
}

#[test]
fn caps_ps_says_the_same_of_containers_from_both_sources() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    // So many that directories of cgroups are listed, and one whose path does not tell.
    let mut names: Vec<String> = (0..20).map(|number| format!("both-{number}")).collect();
    for name in &names {
        if sleeper(&engine, &rootfs, &["--name", name]).is_none() {
            return;
        }
    }
    let parent = format!("selkie-test-{}", std::process::id());
    sleeper(&engine, &rootfs, &["--name", "both-else", "--cgroup-parent", &format!("/{parent}")]);
    names.push("both-else".to_owned());
    names.sort();
    let rows = |source: &str| -> BTreeMap<String, String> {
        let format = "{{.Container}} {{.Engine}} {{.ContainerId}} {{.Pid}} {{.Ppid}} {{.Uid}} {{.Capabilities}} {{.Seccomp}}";
        let said = engine.run(&["caps", "ps", "-a", "--source", source, "--engine", "selkie", "--format", format]);
        if said.code != 0 {
            skip(&format!("--source {source}: {}", said.stderr.trim()));
        }
        let lines = said.stdout.lines().filter(|line| line.starts_with("both-"));
        lines.map(|line| (line.split(' ').next().unwrap().to_owned(), line.to_owned())).collect()
    };
    let files = rows("procfs");
    assert_eq!(files.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let at_once = rows("bpf");
    engine.ok(&["rm", "--force", "--time", "0", "both-else"]);
    for tree in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        // Whoever names a parent keeps it.
        let _ = std::fs::remove_dir(tree.path().join(&parent));
    }
    assert!(at_once.is_empty() || at_once == files, "{at_once:?} {files:?}");
}

#[test]
fn caps_ps_since_leaves_out_what_is_older() {
    if !root() {
        return;
    }
    // Field 22 of proc_pid_stat(5), behind the name, which may hold anything.
    let started = |pid: &str| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap()
    };
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let age = uptime as u64 - started("1") / 100;
    if age < 20 {
        return skip("this machine has just been started");
    }
    let living = Living::start("sh", &["-c", "echo; read line"]);
    let pids = |since: &str| -> BTreeSet<String> { indents(&["--since", since]).into_iter().map(|(pid, _)| pid).collect() };
    let some = pids(&format!("{}s", age - 10));
    assert_eq!((some.contains("1"), some.contains(&living.pid())), (false, true));
    let all = pids(&format!("{}m", age / 60 + 2));
    assert_eq!((all.contains("1"), all.contains(&living.pid())), (true, true));
    assert_eq!(pids("0s").contains(&living.pid()), started(&living.pid()) >= (uptime * 100.0) as u64 + 100);
    for wrong in ["", "5", "5x", "s", "-1s", "99999999999999999999d"] {
        let said = Command::new(SELKIE).args(["caps", "ps", &format!("--since={wrong}")]).output().unwrap();
        let error = format!("Error: --since {wrong}: expected a number with s, m, h or d behind it\n");
        assert_eq!((said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned()), (Some(125), error));
    }
}

#[test]
fn ps_of_engines_takes_podmans_order_and_last() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    // Other tests have containers of this engine, too.
    for name in ["order-b", "order-c", "order-a"] {
        engine.ok(&["create", "--name", name, "--rootfs", &rootfs, "/probe"]);
    }
    for more in [&[][..], &["--engine", "selkie"]] {
        let list = ["ps", "--filter", "name=order-", "--format", "{{.Names}}"];
        let names = |words: &[&str]| engine.ok(&[&list[..], more, words].concat()).replace('\n', " ").replace("order-", "");
        assert_eq!(names(&["-a", "--sort", "names"]), "a b c", "{more:?}");
        assert_eq!(names(&["-a", "--sort", "created"]), "b c a", "{more:?}");
        assert_eq!(names(&["--last", "2"]), "c a", "{more:?}");
        assert_eq!(names(&["-n", "2", "--sort", "names"]), "a c", "{more:?}");
        assert_eq!(names(&["-l"]), "a", "{more:?}");
        assert_eq!([names(&["-n", "0"]), names(&["-n=-1"])], ["", ""], "{more:?}");
        let said = |words: &[&str]| engine.run(&[&["ps"], more, words].concat());
        let both = said(&["-l", "-n", "2"]);
        assert_eq!((both.code, both.stderr.as_str()), (125, "Error: last and latest are mutually exclusive\n"), "{more:?}");
        let wrong = said(&["--sort", "foo"]);
        let error = "Error: invalid argument \"foo\" for \"--sort\" flag: \"foo\" is not a valid value.  \
            Choose from: \"command, created, id, image, names, runningfor, size, status\"\nSee 'selkie ps --help'\n";
        assert_eq!((wrong.code, wrong.stderr.as_str()), (125, error), "{more:?}");
    }
    assert_eq!(engine.ok(&["ps", "-a", "--format", "{{.Names}}"]), "order-b\norder-c\norder-a", "as Podman without --sort");
}

/// The command that a root file system with busybox can run for ever.
fn sleeper<'a>(engine: &Engine, rootfs: &'a str, flags: &[&'a str]) -> Option<String> {
    if busybox().is_none() {
        lack("busybox is not installed");
        return None;
    }
    let words: Vec<&str> = [&["run", "-d"], flags, &["--rootfs", rootfs, "sleep", "1000"]].concat();
    Some(engine.ok(&words))
}

#[test]
fn caps_ps_shows_the_articles_line_with_container_and_engine() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let flags = ["--name", "web", "--cap-drop=all", "--cap-add=setuid", "--cap-add=setgid"];
    let Some(id) = sleeper(&engine, &rootfs, &flags) else { return };
    let table = engine.ok(&["caps", "ps", "--container", "web"]);
    let line: Vec<&str> = table.lines().find(|line| line.contains("sleep")).unwrap().split_whitespace().skip(2).collect();
    assert_eq!(line.join(" "), "root sleep web selkie setgid, setuid +");
    assert_eq!(engine.ok(&["caps", "ps", "--container", &id[..12], "--format", "{{.Container}} {{.ContainerId}}"]), format!("web {id}"));
    assert_eq!(engine.ok(&["caps", "ps", "--container", "web", "--cap", "net_admin", "--noheading"]), "");
    for unknown in ["we", "webs"] {
        let said = engine.run(&["caps", "ps", "--container", "web", "--container", unknown]);
        let error = format!("Error: no container that runs has the name or ID \"{unknown}\"\n");
        assert_eq!((said.code, said.stdout.as_str(), said.stderr), (125, "", error), "an empty list would say that it has no capabilities");
    }
    if installed("pscap") {
        let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "web"]);
        let theirs = output("pscap", &["-a"]);
        let held = lines(&theirs, "capabilities").remove(&pid).unwrap().1;
        assert_eq!(held, "setgid, setuid +");
    }
}

#[test]
fn caps_show_of_a_container_uses_its_own_names() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if sleeper(&engine, &rootfs, &["--name", "web", "--user", "u1", "--cap-drop", "all"]).is_none() {
        return;
    }
    let text = engine.ok(&["caps", "show", "web"]);
    assert!(text.starts_with("Current: =\nBounding set =\nAmbient set =\n"), "{text}");
    assert!(
        text.contains("uid=1000(u1) euid=1000(u1)\ngid=1000(u1)\ngroups=5(g5)") || text.contains("uid=1000(u1) euid=1000(u1)"),
        "{text}"
    );
    assert!(text.contains("Securebits: unknown"), "{text}");
}

#[test]
fn privileged_answers_from_outside() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if sleeper(&engine, &rootfs, &["--name", "plain"]).is_none() {
        return;
    }
    sleeper(&engine, &rootfs, &["--name", "full", "--privileged"]);
    sleeper(&engine, &rootfs, &["--name", "host", "--cap-drop", "all", "-v", "/:/host"]);
    let said = engine.run(&["privileged", "plain"]);
    assert_eq!(said.code, 1, "{said:?}");
    let own = harness::own_bounding().count_ones();
    assert!(said.stdout.starts_with(&format!("no: rootful, seccomp filter, 11 of {own} capabilities\n")), "{said:?}");
    let said = engine.run(&["privileged", "full"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.starts_with(&format!("yes: started with --privileged, all {own} capabilities that this host can give")),
        "{said:?}"
    );
    let said = engine.run(&["privileged", "host"]);
    assert_eq!((said.code, said.stdout.lines().next()), (0, Some("yes: the host's / is at /host, writable")), "{said:?}");
    assert_eq!(engine.run(&["privileged", "nosuch"]).code, 125);
    let quiet = engine.run(&["privileged", "--quiet", "plain"]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (1, ""));
}

#[test]
fn privileged_answers_from_inside_and_leaves_nothing() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if !cfg!(target_feature = "crt-static") {
        skip("the program is not static");
        return;
    }
    std::fs::write(Path::new(&rootfs).join("selkie"), "").unwrap();
    let bind = format!("{SELKIE}:/selkie:ro");
    let inside = |flags: &[&str], words: &[&str]| {
        engine.run(&[&["run", "--rm", "-v", &bind], flags, &["--rootfs", &rootfs, "/selkie"], words].concat())
    };
    // The first run makes what the engine itself needs beneath the root.
    inside(&[], &["version"]);
    let before = tree(Path::new(&rootfs));
    let said = inside(&[], &["privileged", "--self"]);
    assert_eq!((said.code, said.stdout.lines().next()), (1, Some("no: rootful, seccomp filter, 11 of 41 capabilities")), "{said:?}");
    let said = inside(&["--privileged"], &["privileged"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("SYS_ADMIN"), "{said:?}");
    let said = inside(&["--cap-drop", "all"], &["caps", "show"]);
    assert!(said.stdout.starts_with("Current: =\nBounding set =\n"), "{said:?}");
    assert_eq!(tree(Path::new(&rootfs)), before);
}

fn tree(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn top_shows_inner_and_outer_numbers_and_names() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if sleeper(&engine, &rootfs, &["--name", "web", "--user", "u1", "--cap-drop", "all"]).is_none() {
        return;
    }
    let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "web"]);
    let table = engine.ok(&["top", "web", "pid,hpid", "user", "capeff", "capbnd", "seccomp", "comm", "args"]);
    let rows: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        rows,
        [
            "PID HPID USER EFFECTIVE CAPS BOUNDING CAPS SECCOMP COMMAND COMMAND".to_owned(),
            format!("1 {pid} u1 none none filter sleep sleep 1000")
        ]
    );
    let heading = engine.ok(&["top", "web"]);
    assert_eq!(
        heading.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
        "USER PID PPID %CPU ELAPSED TTY TIME COMMAND"
    );
    let said = engine.run(&["top", "web", "-ef"]);
    assert_eq!((said.code, said.stderr.trim()), (125, "Error: \"-ef\": unknown descriptor"));
    engine.ok(&["stop", "-t", "0", "web"]);
    let said = engine.run(&["top", "web"]);
    assert_eq!((said.code, said.stderr.trim()), (125, "Error: top can only be used on running containers"));
}

#[test]
fn port_of_a_container_is_empty_and_of_none_an_error() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    engine.ok(&["create", "--name", "web", "--rootfs", &rootfs, "sleep", "1"]);
    assert_eq!(engine.ok(&["port", "web"]), "");
    assert_eq!(engine.ok(&["port", "web", "80"]), "");
    assert_eq!(engine.run(&["port", "nosuch"]).code, 125);
}

#[test]
fn info_has_podmans_security_fields() {
    let Some(engine) = Engine::new() else { return };
    let fields = "{{.Host.Security.Rootless}} {{.Host.Security.SECCOMPEnabled}} {{.Store.ContainerStore.Number}} {{.Host.OCIRuntime.Name}}";
    assert_eq!(engine.ok(&["info", "--format", fields]), "false true 0 selkie");
    let json: serde_json::Value = serde_json::from_str(&engine.ok(&["info", "--format", "json"])).unwrap();
    assert!(json["host"]["security"]["capabilities"].as_str().unwrap().starts_with("CAP_CHOWN,"));
}

#[test]
fn doctor_speaks_for_itself() {
    let Some(engine) = Engine::new() else { return };
    let said = engine.run(&["doctor", "--format", "json"]);
    let checks: Vec<serde_json::Value> = serde_json::from_str(&said.stdout).unwrap();
    let failed = checks.iter().any(|check| check["Level"] == "fail");
    assert_eq!(said.code, i32::from(failed), "{said:?}");
    let capabilities = checks.iter().find(|check| check["About"] == "capabilities").unwrap();
    let whole = harness::own_bounding().count_ones() >= 41;
    assert_eq!(capabilities["Level"], if whole { "ok" } else { "warn" });
}

#[test]
fn completion_scripts_are_accepted_by_their_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = output(SELKIE, &["completion", shell]);
        assert!(script.contains("privileged"), "{shell}");
        if !peer(shell) {
            continue;
        }
        let mut child = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{shell}");
    }
}

#[test]
fn caps_ps_shows_podmans_container_with_its_engine_and_id() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if busybox().is_none() || !peer("podman") || !peer("runc") {
        return;
    }
    let (root, run) = (harness::text(&engine.path("podman-root")), harness::text(&engine.path("podman-run")));
    let podman = |words: &[&str]| {
        // It mounts its store over itself, even in what its monitor runs at the end: in a namespace that ends with it.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "podman", "--root", &root, "--runroot", &run, "--runtime", "runc"]);
        command.args(words).output().unwrap()
    };
    let clean_up = || drop(podman(&["rm", "--force", "--time", "0", "selkie-test"]));
    let limits = ["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"];
    let flags = ["--network", "none", "--cap-drop", "all", "--cap-add", "setuid", "--name", "selkie-test", "--rootfs", &rootfs];
    let started = podman(&[&["run", "-d"], &limits[..], &flags[..], &["sleep", "1000"]].concat());
    if !started.status.success() {
        skip(&format!("podman cannot start a container here: {}", String::from_utf8_lossy(&started.stderr).trim()));
        clean_up();
        return;
    }
    let id = String::from_utf8_lossy(&started.stdout).trim().to_owned();
    let look = || engine.ok(&["caps", "ps", "--container", &id, "--format", "{{.Command}} {{.ContainerId}} {{.Engine}} {{.Capabilities}}"]);
    // Podman says that it has started when runc lets the program go, which may not be executed yet.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut line = look();
    while line.starts_with("runc:") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
        line = look();
    }
    clean_up();
    assert_eq!(line, format!("sleep {id} podman setuid +"));
}

#[test]
fn a_container_of_bare_runc_is_found_named_and_judged() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if busybox().is_none() || !peer("runc") {
        return;
    }
    let bundle = engine.path("bundle");
    let name = format!("selkie-test-{}", std::process::id());
    std::fs::create_dir_all(&bundle).unwrap();
    let runc = |words: &[&str]| {
        Command::new("runc")
            .args(words)
            .current_dir(&bundle)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    };
    runc(&["spec"]);
    let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(bundle.join("config.json")).unwrap()).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["sleep", "1000"]);
    spec["process"]["capabilities"] =
        serde_json::json!({"bounding": ["CAP_SYS_MODULE"], "effective": ["CAP_SYS_MODULE"], "permitted": ["CAP_SYS_MODULE"]});
    spec["process"]["rlimits"] = serde_json::json!([]);
    spec["root"] = serde_json::json!({"path": rootfs});
    std::fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
    let started = runc(&["run", "-d", &name]).success();
    let look =
        |_| engine.run(&["caps", "ps", "--engine", "runc", "--container", &name, "--format", "{{.Command}} {{.Engine}} {{.Capabilities}}"]);
    // runc returns a moment before its own program becomes the container's.
    let row = (0..500).map(look).find(|row| !started || !row.stdout.contains("INIT")).unwrap();
    let listed =
        engine.run(&["ps", "--engine", "runc", "--filter", &format!("name={name}"), "--format", "{{.Names}} {{.Privileged}} {{.Caps}}"]);
    let verdict = engine.run(&["privileged", &name]);
    let audited = engine.run(&["audit", &name]);
    runc(&["delete", "--force", &name]);
    if !started {
        skip("runc cannot start a container here");
        return;
    }
    assert_eq!(row.stdout.trim(), "sleep runc sys_module +", "{row:?}");
    assert_eq!(listed.stdout.trim(), format!("{name} true sys_module"), "{listed:?}");
    assert_eq!(verdict.code, 0, "{verdict:?}");
    assert!(verdict.stdout.contains("  configured        1: cap_sys_module\n"), "{verdict:?}");
    assert!(verdict.stdout.contains("  certain   module: SYS_MODULE\n"), "{verdict:?}");
    assert_eq!(audited.code, 1, "{audited:?}");
    assert!(
        audited.stdout.contains(&format!("■ critical  capability-host-root  {name}  runc\n    SYS_MODULE becomes root")),
        "{audited:?}"
    );
}

#[test]
fn ps_of_an_engine_that_does_not_exist_says_which_there_are() {
    let Some(engine) = Engine::new() else { return };
    let said = engine.run(&["ps", "--engine", "rkt"]);
    assert_eq!(said.code, 125);
    assert!(said.stderr.contains("--engine rkt: no such engine, expected all, selkie, podman, docker"), "{said:?}");
}

/// The fields that a section of the page about them has.
fn documented(section: &str) -> BTreeSet<String> {
    let page = include_str!("../../../docs/microscope.md");
    let section = page.split("\n## ").find(|part| part.lines().next() == Some(section)).unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(field, _)| field.to_owned()).collect()
}

#[test]
fn the_page_about_the_json_has_its_fields() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if sleeper(&engine, &rootfs, &["--name", "web", "--privileged"]).is_none() {
        return;
    }
    let fields = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let json = |words: &[&str]| serde_json::from_str::<serde_json::Value>(&engine.run(words).stdout).unwrap();
    let list = json(&["ps", "--engine", "selkie", "--filter", "name=web", "--format", "json"]);
    assert_eq!(fields(&list[0]), documented("ps --engine"));
    let rows = json(&["caps", "ps", "--container", "web", "--format", "json"]);
    assert_eq!(fields(&rows[0]), documented("caps ps"));
    let verdict = json(&["privileged", "web", "--format", "json"]);
    assert_eq!(fields(&verdict), documented("privileged"));
    let inner = |field: &str, names: &[&str]| {
        assert_eq!(fields(&verdict[field][0]), names.iter().map(|name| (*name).to_owned()).collect(), "{field}");
    };
    inner("Findings", &["About", "Weight", "Text"]);
    inner("Escapes", &["Id", "Sureness", "Combination", "Why", "Closes"]);
}

#[test]
fn caps_ps_watch_ends_well_on_interrupt() {
    let Some(engine) = Engine::new() else { return };
    let mut child = engine.command(&["caps", "ps", "--watch=60"]).stdout(Stdio::piped()).spawn().unwrap();
    // The first view is there when the first byte is.
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
}
