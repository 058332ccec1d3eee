//! What `selkie privileged` says of real Podman's containers, beside what Podman itself calls privileged: its flag and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;
#[path = "engines/machine.rs"]
mod machine;

use std::collections::BTreeMap;

use harness::{Engine, skip};
use machine::Machine;

/// A container, and what both say.
struct Case {
    name: &'static str,
    flags: &'static str,
    /// Podman's `{{.HostConfig.Privileged}}`.
    flag: bool,
    /// Why the verdict is another one: the beginning of a line of the table in docs/podman-differences.md.
    differs: Option<&'static str>,
}

const fn agree(name: &'static str, flags: &'static str, flag: bool) -> Case {
    Case { name, flags, flag, differs: None }
}

const fn differ(name: &'static str, flags: &'static str, flag: bool, why: &'static str) -> Case {
    Case { name, flags, flag, differs: Some(why) }
}

const CASES: [Case; 49] = [
    agree("plain", "", false),
    agree("privileged", "--privileged", true),
    agree("privileged-drop", "--privileged --cap-drop all", true),
    agree("privileged-user", "--privileged --user 1000", true),
    agree("privileged-read-only", "--privileged --read-only", true),
    agree("privileged-nnp", "--privileged --security-opt no-new-privileges", true),
    agree("privileged-mask", "--privileged --security-opt mask=/proc/uptime", true),
    agree("privileged-host", "--privileged --pid host --network host --ipc host --uts host", true),
    differ("privileged-uidmap", "--privileged --uidmap 0:100000:65536", true, "`--privileged` in a user namespace"),
    agree("privileged-add", "--privileged --cap-add net_admin", true),
    differ("add-all", "--cap-add all", false, "every capability without `--privileged`"),
    differ("add-all-unconfined", "--cap-add all --security-opt seccomp=unconfined", false, "every capability without `--privileged`"),
    differ("add-all-unmask", "--cap-add all --security-opt unmask=ALL", false, "every capability without `--privileged`"),
    differ(
        "add-all-open",
        "--cap-add all --security-opt seccomp=unconfined --security-opt unmask=ALL --pid host",
        false,
        "every capability without `--privileged`",
    ),
    agree("add-all-uidmap", "--cap-add all --uidmap 0:100000:65536", false),
    differ("add-all-user", "--cap-add all --user 1000", false, "every capability without `--privileged`"),
    differ("add-admin", "--cap-add sys_admin", false, "`--cap-add sys_admin`"),
    agree("add-admin-uidmap", "--cap-add sys_admin --uidmap 0:100000:65536", false),
    differ("add-read-search", "--cap-add dac_read_search", false, "`--cap-add dac_read_search`"),
    agree("add-ptrace", "--cap-add sys_ptrace", false),
    agree("add-raw", "--cap-add net_raw,net_broadcast", false),
    agree("add-mknod", "--cap-add mknod", false),
    agree("add-net", "--cap-add net_admin", false),
    differ("add-module", "--cap-add sys_module", false, "`--cap-add sys_module`"),
    differ("add-ptrace-pid", "--cap-add sys_ptrace --pid host", false, "`--cap-add sys_ptrace --pid host`"),
    agree("drop-all", "--cap-drop all", false),
    agree("drop-one", "--cap-drop net_raw", false),
    agree("drop-add", "--cap-drop all --cap-add chown", false),
    agree("unconfined", "--security-opt seccomp=unconfined", false),
    differ("unmask-all", "--security-opt unmask=ALL", false, "`--security-opt unmask=ALL`"),
    agree("unmask-one", "--security-opt unmask=/proc/kcore", false),
    agree("mask", "--security-opt mask=/proc/uptime", false),
    agree("label", "--security-opt label=disable", false),
    agree("nnp", "--security-opt no-new-privileges", false),
    agree("uidmap", "--uidmap 0:100000:65536", false),
    agree("pid-host", "--pid host", false),
    agree("net-host", "--network host", false),
    agree("ipc-host", "--ipc host", false),
    agree("uts-host", "--uts host", false),
    agree("cgroupns-host", "--cgroupns host", false),
    agree("device", "--device /dev/null:/dev/nothing", false),
    differ("volume-root", "-v /:/host", false, "the host's directories, writable"),
    differ("volume-root-ro", "-v /:/host:ro", false, "the host's directories, writable"),
    differ("volume-etc", "-v /etc:/host-etc", false, "the host's directories, writable"),
    differ("volume-socket", "-v /run/podman.sock:/run/podman.sock", false, "the socket of an engine"),
    agree("read-only", "--read-only", false),
    agree("user", "--user 1000", false),
    agree("systemd", "--systemd always", false),
    agree("tmpfs", "--tmpfs /scratch --pids-limit 50", false),
];

#[test]
fn verdict_and_podmans_flag_agree_or_the_reason_is_documented() {
    let Some(engine) = Engine::new() else { return };
    let Some(mut machine) = Machine::start(&engine, "podman") else { return };
    if !machine.started.contains("podman") {
        return skip("Podman does not start here");
    }
    machine.ok("(podman system service --time 0 unix:///run/podman.sock > /run/service.log 2>&1 &) && until_true test -S /run/podman.sock");
    let mut started = Vec::new();
    for case in &CASES {
        let network = if case.flags.contains("--network") { "" } else { "--network none" };
        let line = format!("podman run -d {network} --name {} {} localhost/bb:1 sleep 1000", case.name, case.flags);
        let said = machine.run(&line);
        if said.code == 0 {
            started.push(case);
        } else {
            skip(&format!("Podman does not start {} here: {}", case.flags, said.stderr.lines().last().unwrap_or_default()));
        }
    }
    assert!(started.len() >= 30, "only {} combinations start here", started.len());
    let pairs = |text: String| -> BTreeMap<String, bool> {
        text.lines().filter_map(|line| line.split_once(' ')).map(|(name, word)| (name.to_owned(), word == "true")).collect()
    };
    let flags = pairs(machine.ok("podman inspect --type container --format '{{.Name}} {{.HostConfig.Privileged}}' $(podman ps -q)"));
    let verdicts = pairs(machine.ok("$selkie ps --engine podman --format '{{.Names}} {{.Privileged}}'"));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/podman-differences.md")).unwrap();
    let mut wrong = Vec::new();
    for case in started {
        let (flag, verdict) = (flags[case.name], verdicts[case.name]);
        let summary = machine.run(&format!("$selkie privileged --format '{{{{json .Summary}}}}' {}", case.name));
        assert_eq!(summary.code, i32::from(!verdict), "{}: {summary:?}", case.name);
        let documented = case.differs.is_none_or(|why| page.lines().any(|line| line.starts_with(&format!("| {why}"))));
        if flag != case.flag || (flag != verdict) != case.differs.is_some() || !documented {
            wrong.push(format!("{}: flag {flag}, verdict {verdict}, documented {documented}: {}", case.name, summary.stdout.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
