//! Every command of the article that this project starts from, word for word, on a Debian root that is called
//! `localhost/centos` and `localhost/fedora`; in a real terminal where the article has `-it`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::path::{Path, PathBuf};

use harness::{Engine, Said, installed, lack};

/// The archive that `tools/make-test-root` makes.
fn archive() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-data/debian.tar");
    if path.exists() {
        return Some(path);
    }
    lack("target/test-data/debian.tar is missing: tools/make-test-root makes it");
    None
}

/// One engine with both images; the parts of the article run on it one after the other.
fn engine() -> Option<Engine> {
    let archive = archive()?;
    let engine = Engine::new()?;
    engine.ok(&["import", "--change", "CMD [\"/bin/bash\"]", archive.to_str()?, "localhost/centos"]);
    engine.ok(&["tag", "localhost/centos", "localhost/fedora"]);
    Some(engine)
}

/// Runs `script` in a shell in which `selkie` is the engine under test.
fn shell(engine: &Engine, script: &str) -> Said {
    let directory = engine.path("path");
    std::fs::create_dir_all(&directory).unwrap();
    let wrapper = directory.join("selkie");
    let text = format!(
        "#!/bin/sh\nexec {} --root {} --runroot {} \"$@\"\n",
        harness::SELKIE,
        engine.path("root").display(),
        engine.path("run").display()
    );
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let output =
        std::process::Command::new("bash").args(["-c", script]).env("PATH", path).env("CONTAINERS_CONF", "/dev/null").output().unwrap();
    Said {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

#[test]
fn the_article_from_the_first_command_to_the_last() {
    let Some(engine) = engine() else { return };
    if !installed("script") {
        return;
    }
    is_it_privileged(&engine);
    dummy_device(&engine);
    no_capabilities_at_all(&engine);
    ping_without_net_raw(&engine);
    pscap_shows_two(&engine);
}

/// `podman inspect --format="{{.HostConfig.Privileged}}" ID`
fn is_it_privileged(engine: &Engine) {
    let plain = engine.ok(&["run", "-it", "-d", "centos"]);
    let privileged = engine.ok(&["run", "-it", "-d", "--privileged", "--name", "all", "centos"]);
    for (id, expected) in [(&plain[..5], "false"), (&plain, "false"), (&privileged[..5], "true"), ("all", "true")] {
        let said = shell(engine, &format!("selkie inspect --format=\"{{{{.HostConfig.Privileged}}}}\" {id}"));
        assert_eq!((said.stdout.trim(), said.code), (expected, 0), "{id}: {said:?}");
    }
    engine.ok(&["rm", "-f", "-t", "0", &plain, "all"]);
}

/// `ip link add dummy0 type dummy`, without and with NET_ADMIN. A kernel that has no dummy device says so only to those
/// who may ask; there the bridge shows the same.
fn dummy_device(engine: &Engine) {
    let without = engine.in_terminal(&["run", "-it", "--rm", "centos"], "ip link add dummy0 type dummy\nexit\n");
    assert!(without.stdout.contains("RTNETLINK answers: Operation not permitted"), "{without:?}");
    let with = engine.in_terminal(
        &["run", "-it", "--cap-add=NET_ADMIN", "centos"],
        "ip link add dummy0 type dummy && echo MADE$((1+1)) || { ip link add br0 type bridge && echo BRIDGE$((1+1)); }\nexit\n",
    );
    assert!(with.stdout.contains("MADE2") || with.stdout.contains("BRIDGE2"), "{with:?}");
    assert!(!with.stdout.contains("Operation not permitted"), "{with:?}");
}

/// `podman run -it -d --name mycontainer --cap-drop=all centos` and `podman exec -it fa512 capsh --print`
fn no_capabilities_at_all(engine: &Engine) {
    let said = shell(engine, "selkie run -it -d --name mycontainer --cap-drop=all centos");
    assert_eq!(said.code, 0, "{said:?}");
    let id = said.stdout.trim().to_owned();
    let status = engine.ok(&["exec", "mycontainer", "grep", "^Cap", "/proc/1/status"]);
    let zero = "0000000000000000";
    assert_eq!(status, format!("CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}"));
    let printed = engine.in_terminal(&["exec", "-it", &id[..5], "capsh", "--print"], "");
    // script(1) types NULs at the end of its input; a terminal that echoes shows each of them as `^@`.
    let printed_lines = printed.stdout.replace(['\r', '\0'], "").replace("^@", "");
    assert!(printed_lines.lines().any(|line| line.trim_end() == "Current: ="), "{printed:?}");
    let terminal = engine.in_terminal(&["exec", "-it", &id[..5], "tty"], "");
    assert!(terminal.stdout.contains("/dev/pts/"), "{terminal:?}");
}

/// `podman run -it --name mycontainer1 --cap-drop=net_raw centos`, then `ping`
fn ping_without_net_raw(engine: &Engine) {
    // The image's ping has a file capability; a copy of it has none, and depends on the kernel's setting alone.
    let typed = "ping -c1 127.0.0.1; echo FIRST$?\ncp /bin/ping /tmp/ping; /tmp/ping -c1 127.0.0.1; echo SECOND$?\nexit\n";
    let said = engine.in_terminal(&["run", "-it", "--name", "mycontainer1", "--cap-drop=net_raw", "centos"], typed);
    assert!(!said.stdout.contains("bytes from"), "{said:?}");
    assert!(said.stdout.contains("Operation not permitted"), "{said:?}");
    assert!(!said.stdout.contains("FIRST0") && !said.stdout.contains("SECOND0"), "{said:?}");
    let allowed = engine.run(&["run", "--rm", "--cap-add", "net_raw", "centos", "ping", "-c1", "127.0.0.1"]);
    assert!(allowed.stdout.contains("1 received"), "{allowed:?}");
}

/// `podman run -d --cap-drop=all --cap-add=setuid --cap-add=setgid fedora sleep 5 > /dev/null; pscap | grep sleep`
fn pscap_shows_two(engine: &Engine) {
    if !installed("pscap") {
        return;
    }
    let said =
        shell(engine, "selkie run -d --cap-drop=all --cap-add=setuid --cap-add=setgid fedora sleep 5 > /dev/null; pscap | grep sleep");
    assert!(
        said.stdout.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").ends_with("sleep setgid, setuid +")),
        "{said:?}"
    );
    let ours = shell(engine, "selkie caps ps | grep sleep");
    assert!(ours.stdout.contains("setgid, setuid +") && ours.stdout.contains("selkie"), "{ours:?}");
}

/// `capsh --print` and `man capabilities`, offline.
#[test]
fn sets_and_manual_are_there_without_other_programs() {
    let Some(engine) = Engine::new() else { return };
    let shown = engine.ok(&["caps", "show"]);
    assert!(shown.contains("Current: ") && shown.contains("Bounding set ="), "{shown}");
    for capability in selkie_caps::Capability::ALL {
        let page = engine.ok(&["caps", "explain", capability.name()]);
        assert!(page.contains(capability.name()) && page.lines().count() > 5, "{page}");
    }
}
