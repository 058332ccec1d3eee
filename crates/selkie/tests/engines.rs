//! Every engine that is installed, side by side on one machine: what `ps --engine`, `caps ps`, `privileged` and `audit` say of them.
//!
//! `engines/sandbox.sh` makes a machine within the machine, `engines/start.sh` starts two containers of each engine in it, one as
//! the engine has it and one that is privileged. What is missing or does not start here is said, and left out of what is expected.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;
#[path = "engines/machine.rs"]
mod machine;

use std::collections::{BTreeMap, BTreeSet};

use harness::Engine;
use machine::Machine;
use serde_json::Value;

/// What is expected of a machine with two containers of each engine.
trait Expected {
    fn rows(&self, list: &str) -> BTreeSet<String>;
    fn expected(&self, of: impl Fn(&Case, &str) -> String) -> BTreeSet<String>;
}

impl Expected for Machine {
    /// The lines of a list, without what an engine that did not start as it should has left.
    fn rows(&self, list: &str) -> BTreeSet<String> {
        let left = |line: &str| CASES.iter().any(|case| !self.started.contains(case.start) && line.contains(&format!("{}-", case.start)));
        list.lines().filter(|line| !left(line)).map(str::to_owned).collect()
    }

    /// What is true of the containers of each engine that was started: `plain` and `full`, in a template's words.
    fn expected(&self, of: impl Fn(&Case, &str) -> String) -> BTreeSet<String> {
        let started = CASES.iter().filter(|case| self.started.contains(case.start));
        started.flat_map(|case| ["plain", "full"].map(|kind| of(case, kind))).collect()
    }
}

/// What is to be seen of an engine's two containers.
struct Case {
    /// Its name in `start.sh`, with which its containers' names begin.
    start: &'static str,
    engine: &'static str,
    image: &'static str,
    command: &'static str,
    /// Whether `full` is privileged: a user's own engine gives nothing that counts on the host.
    privileged: bool,
}

const CASES: [Case; 9] = [
    Case { start: "podman", engine: "podman", image: "localhost/bb:1", command: "sleep 1000", privileged: true },
    Case { start: "rootless", engine: "podman", image: "", command: "sleep 1000", privileged: false },
    Case { start: "containerd", engine: "containerd", image: "localhost/bb:1", command: "/bin/sleep 1000", privileged: true },
    Case { start: "docker", engine: "docker", image: "bb:1", command: "sleep 1000", privileged: true },
    Case { start: "runc", engine: "runc", image: "", command: "sleep 1000", privileged: true },
    Case { start: "crun", engine: "crun", image: "", command: "sleep 1000", privileged: true },
    Case { start: "lxc", engine: "lxc", image: "", command: "/bin/sleep 1000", privileged: true },
    Case { start: "nspawn", engine: "nspawn", image: "", command: "/bin/sleep 1000", privileged: true },
    Case { start: "selkie", engine: "selkie", image: "", command: "sleep 1000", privileged: true },
];

#[test]
fn every_engine_on_one_machine_is_found_named_and_judged() {
    let Some(engine) = Engine::new() else { return };
    let Some(mut machine) = Machine::start(&engine, "") else { return };
    listed(&mut machine);
    processes(&mut machine);
    judged(&mut machine);
    audited(&mut machine);
    from_inside(&mut machine);
    asked(&mut machine);
    seen_by_another_user(&mut machine);
    stopped(&mut machine);
    recorded(&mut machine);
}

fn listed(machine: &mut Machine) {
    let lines = machine
        .ok("$selkie ps --engine all --caps --format '{{.Engine}} {{.Names}} ({{.Image}}) {{.Command}}, {{.Privileged}}, {{.State}}'");
    let expected = machine.expected(|case, kind| {
        let Case { start, engine, image, command, .. } = case;
        format!("{engine} {start}-{kind} ({image}) {command}, {}, running", kind == "full" && case.privileged)
    });
    assert_eq!(machine.rows(&lines), expected);
    let table = machine.ok("$selkie ps --engine all --caps");
    assert!(table.lines().skip(1).all(|line| line.contains("  Up ")), "{table}");
    // Engine by engine, the oldest first; nobody knows when those without times were created, and they go by their names.
    let names = machine.ok("$selkie ps --engine all --format '{{.Names}}'");
    let place = |name: &str| names.lines().position(|line| line == name);
    for case in CASES.iter().filter(|case| machine.started.contains(case.start) && !["lxc", "nspawn"].contains(&case.start)) {
        let [plain, full] = ["plain", "full"].map(|kind| place(&format!("{}-{kind}", case.start)).unwrap());
        assert!(plain < full, "{}: {names}", case.start);
    }
    if machine.started.contains("podman") {
        let pod = machine.ok("$selkie ps --engine podman --filter name=podman-plain --format '{{.PodName}}'");
        assert_eq!(pod.trim(), &machine.ok("cat /run/pod")[..12]);
    }
    let privileged = machine.ok("$selkie ps --engine all --filter privileged=true --format '{{.Names}}'");
    let full =
        machine.expected(|case, kind| if kind == "full" && case.privileged { format!("{}-full", case.start) } else { String::new() });
    assert_eq!(machine.rows(&privileged), full.into_iter().filter(|name| !name.is_empty()).collect());
}

fn processes(machine: &mut Machine) {
    let rows: Vec<Value> = serde_json::from_str(&machine.ok("$selkie caps ps --format json")).unwrap();
    let word = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let within: Vec<&Value> = rows.iter().filter(|row| row["Engine"] != "-").collect();
    let lines: Vec<String> = within.iter().map(|row| ["Engine", "Container", "Command"].map(|field| word(row, field)).join(" ")).collect();
    let found = machine.rows(&lines.join("\n"));
    assert_eq!(found, machine.expected(|case, kind| format!("{} {}-{kind} sleep", case.engine, case.start)));
    let once: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(once.len(), lines.len(), "each has one process: {lines:?}");
    let held: BTreeMap<String, usize> =
        within.iter().map(|row| (word(row, "Container"), row["Bounding"].as_array().unwrap().len())).collect();
    for case in CASES.iter().filter(|case| machine.started.contains(case.start)) {
        let [plain, full] = ["plain", "full"].map(|kind| held[&format!("{}-{kind}", case.start)]);
        // The bundles of the runtimes hold one each, not the same.
        assert!(plain < full || case.engine.ends_with("run") || case.engine == "runc", "{}: {plain}, {full}", case.start);
    }
}

fn judged(machine: &mut Machine) {
    for case in CASES {
        if !machine.started.contains(case.start) {
            continue;
        }
        for kind in ["plain", "full"] {
            let name = format!("{}-{kind}", case.start);
            let said = machine.run(&format!("$selkie privileged {name}"));
            let expected = i32::from(!(kind == "full" && case.privileged));
            assert_eq!((said.code, said.stderr.as_str()), (expected, ""), "{name}: {said:?}");
            let id = machine.ok(&format!("$selkie ps --engine all --filter name={name} --format '{{{{.ID}}}}'"));
            assert_eq!(machine.run(&format!("$selkie privileged --quiet {}", id.trim())).code, expected, "{name}");
        }
    }
}

fn audited(machine: &mut Machine) {
    let said = machine.run("$selkie audit --format json");
    assert_eq!(said.code, 1, "{said:?}");
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let mut lines = Vec::new();
    for file in report["files"].as_array().unwrap() {
        for container in file["containers"].as_array().unwrap() {
            let open = container["verdict"] == "open";
            let name = container["name"].as_str().unwrap();
            lines.push((format!("{} {name}", file["file"].as_str().unwrap()), open));
            // One verdict, by whichever verb.
            let told: Value = serde_json::from_str(&machine.run(&format!("$selkie privileged --format json {name}")).stdout).unwrap();
            assert_eq!((&container["privileged"], &container["reasons"]), (&told["Privileged"], &told["Summary"]), "{name}");
            let certain = told["Escapes"].as_array().unwrap().iter().any(|way| way["Sureness"] == "certain");
            assert_eq!(open, certain || told["Privileged"] == true, "{name}: {container} {told}");
        }
    }
    let names: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(machine.rows(&names.join("\n")), machine.expected(|case, kind| format!("{} {}-{kind}", case.engine, case.start)));
    for case in CASES.iter().filter(|case| case.privileged && machine.started.contains(case.start)) {
        let full = (format!("{} {}-full", case.engine, case.start), true);
        assert!(lines.contains(&full), "{full:?}: {lines:?}");
    }
}

/// What a program in the container says of it is what is seen from outside, as far as it can be seen from there.
fn from_inside(machine: &mut Machine) {
    let enter = |start: &str, name: &str| {
        let entered = match start {
            "podman" => format!("podman exec {name}"),
            "rootless" => {
                let user = "setpriv --reuid 5000 --regid 5000 --clear-groups env HOME=/run/home XDG_RUNTIME_DIR=/run/user/5000";
                format!("{user} podman --storage-driver vfs exec {name}")
            }
            "containerd" => format!("ctr task exec --exec-id inside {name}"),
            "docker" => format!("docker exec {name}"),
            "runc" => format!("runc exec {name}"),
            "lxc" => format!("lxc-attach -n {name} --"),
            "selkie" => format!("$selkie exec {name}"),
            // Neither has a way in here: nspawn's needs a manager of services, and crun's a cgroup of its own.
            _ => return None,
        };
        Some(entered)
    };
    for case in CASES {
        if !machine.started.contains(case.start) {
            continue;
        }
        for kind in ["plain", "full"] {
            let name = format!("{}-{kind}", case.start);
            let Some(enter) = enter(case.start, &name) else { continue };
            let pid = machine.ok(&format!("$selkie ps --engine all --filter name={name} --format '{{{{.Pid}}}}'"));
            machine.ok(&format!("cp $SELKIE /proc/{}/root/selkie", pid.trim()));
            let inside = machine.run(&format!("{enter} /selkie privileged --self --format json"));
            let outside = machine.run(&format!("$selkie privileged --format json {name}"));
            let [inner, outer]: [Value; 2] = [&inside, &outside]
                .map(|said| serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {said:?}")));
            assert_eq!(inner["Privileged"], outer["Privileged"], "{name}: {} outside, inside {}", outer["Summary"], inner["Summary"]);
            assert_eq!(inner["Bounding"], outer["Bounding"], "{name}");
            assert_eq!(inside.code, outside.code, "{name}: {inside:?}");
            assert!(inner["Ceiling"].is_null() && !outer["Ceiling"].is_null(), "{name}: the host's ceiling is seen from outside alone");
            machine.ok(&format!("rm /proc/{}/root/selkie", pid.trim()));
        }
    }
}

/// Podman and Docker themselves say what no file says.
fn asked(machine: &mut Machine) {
    let silent = "no engine has a socket: /run/podman/podman.sock and /run/docker.sock are not there";
    if !machine.started.contains("docker") {
        let said = machine.run("$selkie ps --engine all --engine-api");
        assert_eq!((said.code, said.stderr.matches(silent).count()), (0, 1), "{said:?}");
    }
    let list = |flags: &str, name: &str, fields: &str| format!("$selkie ps {flags} --engine all --filter name={name} --format '{fields}'");
    if machine.started.contains("podman") {
        machine.ok("mkdir -p /run/podman; (podman system service --time 0 unix:///run/podman/podman.sock > /run/service.log 2>&1 &)");
        machine.ok("until_true test -S /run/podman/podman.sock");
        assert_eq!(machine.ok(&list("--engine-api", "podman-plain", "{{.PodName}} {{.State}} {{.Image}}")), "pod running localhost/bb:1\n");
        let row =
            machine.ok("$selkie caps ps --all --engine podman --engine-api --container podman-plain --format '{{.Container}} {{.Engine}}'");
        assert_eq!(row, "podman-plain podman\n");
        let said = machine.run("$selkie audit --engine-api --format json");
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stdout.contains("\"podman-plain\"") && !said.stderr.contains("podman.sock"), "{}", said.stderr);
        machine.ok("podman create --network none --name podman-made localhost/bb:1 true");
        assert_eq!(machine.ok(&list("--all --engine-api", "podman-made", "{{.State}} {{.Pid}}")), "created 0\n");
        machine.ok("podman rm podman-made");
    }
    if machine.started.contains("docker") {
        machine.ok("docker pause docker-plain");
        assert_eq!(machine.ok(&list("", "docker-plain", "{{.State}}")), "running\n", "files are not read for it");
        let paused = machine.ok(&list("--engine-api", "docker-plain", "{{.State}} {{.Status}} {{.Image}}"));
        assert!(paused.starts_with("paused Up ") && paused.ends_with(" (Paused) bb:1\n"), "{paused}");
        machine.ok("docker unpause docker-plain");
    }
    // What is no engine's is said, and the others are listed all the same.
    machine.ok("mkdir -p /run/user/7000 && touch /run/user/7000/docker.sock && chown -R 7000 /run/user/7000");
    let said = machine.run("$selkie ps --engine all --engine-api --filter name=selkie-plain --format '{{.Names}}'");
    assert_eq!((said.code, said.stdout.as_str()), (0, "selkie-plain\n"), "{said:?}");
    assert_eq!(said.stderr.matches("/run/user/7000/docker.sock: it is no socket").count(), 1, "{said:?}");
    machine.ok("rm -r /run/user/7000");
    let unused = machine.run("$selkie ps --engine-api");
    assert_eq!((unused.code, unused.stdout.as_str()), (125, ""), "{unused:?}");
}

fn seen_by_another_user(machine: &mut Machine) {
    let mine = "setpriv --reuid 5001 --regid 5001 --clear-groups env HOME=/run/none XDG_RUNTIME_DIR=/run/none \"$SELKIE\"";
    let said = machine.run(&format!("{mine} ps --engine all --format '{{{{.Engine}}}} {{{{.ID}}}} {{{{.Names}}}}'"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stderr.matches("hidden: run as root").count(), 1, "{said:?}");
    // Every machine has directories that are root's alone, and here each engine's store is one.
    let closed = "containers and names may be missing: /";
    for command in ["ps --engine all", "caps ps", "privileged nosuch", "audit", "audit nosuch"] {
        let said = machine.run(&format!("{mine} {command}"));
        assert_eq!(said.stderr.matches(closed).count(), 1, "{command}: {said:?}");
        assert_eq!(said.stderr.matches("may not be read: run as root").count(), 1, "{command}: {said:?}");
        assert!(!said.stderr.contains(".json"), "the directories are said, not each file in them: {said:?}");
        assert!(!said.stdout.contains("may not be read"), "{command}: {said:?}");
    }
    let root = machine.run("$selkie ps --engine all");
    assert!(!root.stderr.contains("may not be read"), "{root:?}");
    if machine.started.contains("docker") {
        assert_eq!(said.stdout.lines().filter(|line| line.starts_with("docker ")).count(), 2, "cgroups are everybody's to see: {said:?}");
    }
}

/// What has stopped is listed where its engine keeps files of it, and has no verdict.
fn stopped(machine: &mut Machine) {
    let stops = [
        ("podman", "podman stop -t 0 podman-plain"),
        ("docker", "docker stop -t 0 docker-plain"),
        ("containerd", "ctr task kill -s 9 containerd-plain && until ctr task ls | grep plain.*STOPPED; do sleep 0.05; done"),
        ("lxc", "lxc-stop -k -n lxc-plain"),
        ("selkie", "$selkie stop -t 0 selkie-plain"),
    ];
    for (start, stop) in stops {
        if !machine.started.contains(start) {
            continue;
        }
        machine.ok(stop);
        let name = format!("{start}-plain");
        let list = |flags: &str| {
            format!("$selkie ps {flags} --engine all --filter name={name} --format '{{{{.Names}}}} {{{{.State}}}} {{{{.Pid}}}}'")
        };
        assert_eq!(machine.ok(&list("")), "", "{start}");
        let line = machine.ok(&list("--all"));
        assert!(line == format!("{name} stopped 0\n") || start == "selkie" && line.starts_with(&name), "{line}");
        assert_eq!(machine.run(&format!("$selkie privileged {name}")).code, 125, "{start}");
        let said = machine.run(&format!("$selkie audit --format json {name}"));
        let report: Value = serde_json::from_str(&said.stdout).unwrap();
        let container = &report["files"][0]["containers"][0];
        assert_eq!((&container["state"], &container["privileged"]), (&"stopped".into(), &Value::Null), "{name}: {said:?}");
        // Each of these keeps what configures it whole.
        assert_eq!((container["unknown"].as_array().unwrap().len(), said.stderr.as_str()), (0, ""), "{name}: {container}");
        assert_eq!((&container["engine"], &container["line"]), (&"other".into(), &Value::Null), "{name}: {container}");
        assert!(["weakened", "exposed"].contains(&container["verdict"].as_str().unwrap()), "{name}: {container}");
        let rules: Vec<&str> = report["files"][0]["findings"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect();
        assert!(!rules.contains(&"host-directory"), "{name}: what its engine mounts is no finding: {rules:?}");
    }
}

/// What has no task is in containerd's database alone, which the daemon holds a lock on and writes meanwhile.
fn recorded(machine: &mut Machine) {
    if !machine.started.contains("containerd") {
        return;
    }
    let list = |flags: &str, name: &str| {
        let fields = "{{.Names}} ({{.Image}}) {{.Command}}, {{.State}} {{.Pid}}, {{.Namespace}} {{.CreatedAt}}";
        format!("$selkie ps {flags} --engine containerd --filter name={name} --format '{fields}'")
    };
    machine.ok("ctr task rm containerd-plain");
    machine.ok("ctr container create --privileged localhost/bb:1 containerd-made /bin/sleep 7");
    machine.ok("ctr --namespace build container create --rootfs / containerd-built /bin/true");
    let info = |machine: &mut Machine, words: &str| serde_json::from_str::<Value>(&machine.ok(&format!("ctr {words}"))).unwrap();
    let created = |about: &Value| about["CreatedAt"].as_str().unwrap().to_owned();
    let plain = created(&info(machine, "container info containerd-plain"));
    let made = created(&info(machine, "container info containerd-made"));
    let built = created(&info(machine, "--namespace build container info containerd-built"));
    let all = ["plain", "made", "built"].map(|kind| machine.ok(&list("--all", &format!("containerd-{kind}"))));
    let expected = [
        format!("containerd-plain (localhost/bb:1) /bin/sleep 1000, stopped 0, default {plain}\n"),
        format!("containerd-made (localhost/bb:1) /bin/sleep 7, stopped 0, default {made}\n"),
        format!("build/containerd-built () /bin/true, stopped 0, build {built}\n"),
    ];
    assert_eq!(all, expected);
    assert_eq!(machine.ok(&list("", "containerd-made")), "", "it does not run");
    let verdict = |machine: &mut Machine, name: &str| {
        let said = machine.run(&format!("$selkie audit --format json {name}"));
        let report: Value = serde_json::from_str(&said.stdout).unwrap();
        let container = &report["files"][0]["containers"][0];
        assert_eq!((container["unknown"].as_array().unwrap().len(), said.stderr.as_str()), (0, ""), "{name}: {container}");
        assert_eq!((&container["state"], &container["privileged"]), (&"stopped".into(), &Value::Null), "{name}: {container}");
        container["verdict"].as_str().unwrap().to_owned()
    };
    let verdicts = ["containerd-plain", "containerd-made"].map(|name| verdict(machine, name));
    assert!(["weakened", "exposed"].contains(&verdicts[0].as_str()) && verdicts[1] == "open", "{verdicts:?}");
    machine.ok("ctr container rm containerd-made");
    assert_eq!(machine.ok(&list("--all", "containerd-made")), "");
}
