//! D: layers of strangers, from the command line to the host. What each refusal says is `selkie-image/tests/hostile_layers.rs`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Engine, Said, busybox, installed, lack, text};
use crate::support::{CANARY, Item, Tar, attribute, docker_archive, gzip, pax_of_four_gigabytes, sparse, tree, zstd_bomb};

/// What has to come of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    /// The same, and the error has these words.
    RefusedFor(&'static str),
    Loaded,
}
use Outcome::{Loaded, Refused, RefusedFor};

/// An engine beside a directory of the host that no archive may change.
struct Victim {
    engine: Engine,
    host: PathBuf,
    before: Vec<String>,
}

impl Victim {
    fn new() -> Option<Self> {
        let engine = Engine::new()?;
        let host = engine.path("host");
        std::fs::create_dir_all(host.join("directory")).unwrap();
        std::fs::write(host.join("canary"), CANARY).unwrap();
        let before = tree(&host);
        Some(Self { engine, host, before })
    }

    fn host(&self) -> String {
        text(&self.host)
    }

    /// Runs `selkie FLAGS archive` in an address space of 256 MiB, and checks the host.
    fn give(&self, words: &[&str], archive: &[u8]) -> Said {
        let path = self.engine.path("archive");
        std::fs::write(&path, archive).unwrap();
        let plain = self.engine.command(words);
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 262144; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args()).arg(&path);
        let output = limited.env("CONTAINERS_CONF", "/dev/null").stdin(Stdio::null()).output().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(tree(&self.host), self.before);
        assert_eq!(std::fs::metadata(self.host.join("canary")).unwrap().nlink(), 1);
        for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
            assert_eq!(attribute(&self.host, name), None);
        }
        Said {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Gives a layer to `import`, and as part of an image to `load`. A refusal is an error of ours that leaves the store as it was.
    fn attack(&self, what: &str, layer: &[u8], expected: Outcome) {
        let before = self.store();
        for (words, archive) in
            [(&["import"][..], layer.to_vec()), (&["load", "--quiet", "--input"], docker_archive(&["evil"], &[layer.to_vec()]))]
        {
            let said = self.give(words, &archive);
            match expected {
                Refused | RefusedFor(_) => {
                    assert_eq!(said.code, 125, "{what}: {words:?}: {said:?}");
                    assert!(said.stderr.starts_with("Error: ") && said.stdout.is_empty(), "{what}: {words:?}: {said:?}");
                    if let RefusedFor(problem) = expected {
                        assert!(said.stderr.contains(problem), "{what}: {words:?}: {said:?}");
                    }
                    assert_eq!(self.store(), before, "{what}: {words:?}");
                }
                Loaded => assert_eq!(said.code, 0, "{what}: {words:?}: {said:?}"),
            }
        }
        self.engine.ok(&["rmi", "--all", "--force"]);
    }

    /// Everything in the store but the times of its directories.
    fn store(&self) -> Vec<String> {
        let images = self.engine.path("root/images");
        let lines = if images.exists() { tree(&images) } else { Vec::new() };
        let files = lines.iter().filter(|line| !line.contains(" directory "));
        // What the first change makes, and keeps for the next: a lock, room for a full disk.
        let kept = files.filter(|line| !["lock ", "reserve "].iter().any(|name| line.starts_with(name)));
        kept.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    }

    /// Returns the directory that a layer was unpacked to; there is one image of one layer.
    fn only_layer(&self) -> PathBuf {
        let mut layers = std::fs::read_dir(self.engine.path("root/images/l")).unwrap();
        let layer = layers.next().unwrap().unwrap().path();
        assert!(layers.next().is_none());
        layer
    }
}

/// CVE-2014-9356, CVE-2020-10696: names and links that lead out of the layer.
#[test]
fn d1_names_and_links_lead_to_nothing_of_the_host() {
    let Some(victim) = Victim::new() else { return };
    let host = victim.host();
    let canary = format!("{host}/canary");
    let up = format!("{}{}", "../".repeat(12), canary.trim_start_matches('/'));
    let rows = [
        ("path upwards", Tar::new().file(&up, "changed"), Refused),
        ("absolute path", Tar::new().file(&canary, "changed"), Loaded),
        ("parent is a link to the host", Tar::new().symlink("d", &host).file("d/canary", "changed"), Refused),
        ("parent is a link upwards", Tar::new().symlink("d", "../../../../..").file("d/canary", "changed"), Loaded),
        ("parent is a link of procfs", Tar::new().symlink("d", "/proc/self/root").file(&format!("d{canary}"), "changed"), Refused),
        ("file over a link to the host", Tar::new().symlink("f", &canary).file("f", "changed"), Loaded),
        ("directory over a link to the host", Tar::new().symlink("d", &host).directory("d").file("d/canary", "changed"), Loaded),
        ("hard link to the host", Tar::new().hard_link("f", &canary).file("f", "changed"), Refused),
        ("hard link upwards", Tar::new().hard_link("f", &up), Refused),
        ("link, hard link to it, file over it", Tar::new().symlink("s", &canary).hard_link("h", "s").file("h", "changed"), Loaded),
        ("whiteout through a link", Tar::new().symlink("d", &host).file("d/.wh.canary", ""), Refused),
        ("opaque through a link", Tar::new().symlink("d", &host).file("d/.wh..wh..opq", ""), Refused),
        ("whiteout of dots", Tar::new().directory("d").file("d/.wh...", ""), Refused),
        ("path of 3000 parts", Tar::new().file(&format!("{}f", "d/".repeat(3000)), ""), Refused),
        ("device through a link", Tar::new().symlink("d", &host).item(&node(b'3', "d/null", (1, 3))), Refused),
        ("link within the layer", Tar::new().directory("usr").symlink("d", "usr").file("d/f", "within"), Loaded),
    ];
    for (what, layer, expected) in rows {
        victim.attack(what, &layer.end(), expected);
    }
}

fn node(kind: u8, path: &str, device: (u64, u64)) -> Item<'_> {
    Item { kind, path, device, mode: 0o666, ..Item::default() }
}

/// The same with the link in one layer and the file behind it in the next, which meet in a container.
#[test]
fn d1_a_link_of_one_layer_is_not_followed_by_the_next() {
    let Some(victim) = Victim::new() else { return };
    let Some(busybox) = busybox() else { return lack("busybox is not installed") };
    let content = std::fs::read(busybox).unwrap();
    let low = ["proc", "sys", "dev", "etc", "bin"].into_iter().fold(Tar::new(), Tar::directory);
    let low = low.item(&Item { path: "bin/sh", mode: 0o755, content: &content, ..Item::default() });
    let low = low.symlink("d", &victim.host()).symlink("w", &victim.host());
    let high = Tar::new().file("d/canary", "changed\n").file("w/.wh.canary", "").file("w/.wh..wh..opq", "");
    let said = victim.give(&["load", "--quiet", "--input"], &docker_archive(&["image"], &[low.end(), high.end()]));
    assert_eq!(said.code, 0, "{said:?}");
    let look = "echo new > /d/new; echo new > /w/new; while read line; do echo $line; done < /d/canary";
    let said = victim.engine.run(&["run", "--rm", "image", "sh", "-c", look]);
    assert_eq!((said.stdout.trim(), said.code), ("changed", 0), "{said:?}");
    assert_eq!(tree(&victim.host), victim.before);
}

/// CVE-2014-6407, CVE-2021-41091: devices, attributes and set-user-id files of a layer work on the host, or steer overlay.
#[test]
fn d2_devices_attributes_and_the_store_are_of_no_use_to_others() {
    let Some(victim) = Victim::new() else { return };
    let records: [(&str, &[u8]); 7] = [
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.metacopy", b""),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.other", b"y"),
        ("SCHILY.xattr.security.other", b"y"),
        ("SCHILY.xattr.user.note", b"kept"),
    ];
    let layer = Tar::new()
        .pax(&records)
        .directory("d")
        .item(&node(b'3', "null", (1, 3)))
        .item(&node(b'4', "disk", (8, 0)))
        .item(&Item { path: "su", mode: 0o6755, ..Item::default() })
        .end();
    assert_eq!(victim.give(&["import"], &layer).code, 0);
    let unpacked = victim.only_layer();
    let found = records.map(|(key, _)| attribute(&unpacked.join("d"), key.strip_prefix("SCHILY.xattr.").unwrap()));
    assert_eq!(found, [None, None, None, None, None, None, Some(b"kept".to_vec())]);

    // Another user of the host, whom nothing above the store keeps away.
    std::fs::set_permissions(victim.engine.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(std::fs::metadata(victim.engine.path("root")).unwrap().permissions().mode() & 0o777, 0o700);
    if installed("setpriv") {
        let user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"];
        for words in [vec!["find", "root"], vec!["ls", "root/images"], vec!["cat", unpacked.to_str().unwrap()]] {
            let output = Command::new("setpriv").args(user).args(&words).current_dir(victim.engine.path("")).output().unwrap();
            assert!(!output.status.success(), "{words:?}: {output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{words:?}: {output:?}");
        }
    }

    // In a container the nodes are there and open for nobody.
    let Some(busybox) = busybox() else { return lack("busybox is not installed") };
    let bind = format!("{}:/sh:ro", busybox.display());
    let id = victim.engine.ok(&["images", "--quiet"]);
    let script = "for n in /null /disk; do (: < $n) 2>&1; done; (: < /dev/null) && echo OPENED";
    for flags in [&[][..], &["--cap-add", "all"]] {
        let words: Vec<&str> =
            ["run", "--rm", "-v", &bind].into_iter().chain(flags.iter().copied()).chain([id.as_str(), "/sh", "-c", script]).collect();
        let output = victim.engine.ok(&words);
        assert_eq!((output.matches("Permission denied").count(), output.matches("OPENED").count()), (2, 1), "{flags:?}: {output}");
    }
}

/// CVE-2017-14992, CVE-2021-20291, CVE-2025-58183, and archives that grow: little memory, a clear error, nothing left.
#[test]
fn d3_d4_archives_without_end_are_refused_in_little_memory() {
    let Some(victim) = Victim::new() else { return };
    victim.attack("pax records of 4 GiB", &pax_of_four_gigabytes(), RefusedFor("pax records are longer than 1 MiB"));
    victim.attack("map of a sparse file without end", &sparse(0, 4000), RefusedFor("more than 65536 pieces"));
    victim.attack("sparse file of 1 TiB", &sparse(1 << 40, 0), RefusedFor("larger than --max-layer-size"));
    victim.attack("zstd that grows to thousands of times its size", &zstd_bomb(), RefusedFor("times its compressed size"));
    victim.attack(
        "archive that is cut short",
        &Tar::new().file("f", &"x".repeat(5000)).bytes[..2000],
        RefusedFor("unexpected end of file"),
    );

    let limit = ["import", "--max-layer-size", "16m"];
    let zeros = vec![0; 64 << 20];
    let bomb = gzip(&Tar::new().item(&Item { path: "f", content: &zeros, ..Item::default() }).end());
    let mut garbage = Tar::new().file("f", "x").end();
    garbage.extend(std::iter::repeat_n(b'g', 64 << 20));
    let before = victim.store();
    for (what, archive) in [("gzip", &bomb), ("garbage behind the end", &gzip(&garbage)), ("garbage, not packed", &garbage)] {
        let said = victim.give(&limit, archive);
        assert_eq!(said.code, 125, "{what}: {said:?}");
        assert!(said.stderr.contains("larger than --max-layer-size"), "{what}: {said:?}");
        assert_eq!(victim.store(), before, "{what}");
    }
    // Below the limit they are what they say, and zeros take no space.
    let said = victim.give(&["import"], &bomb);
    assert_eq!(said.code, 0, "{said:?}");
    let data = std::fs::metadata(victim.only_layer().join("f")).unwrap();
    assert_eq!((data.len(), data.blocks()), (64 << 20, 0));
}

/// Numbers and names that no file has.
#[test]
fn d6_numbers_and_names_out_of_range_are_refused() {
    let Some(victim) = Victim::new() else { return };
    let item = |item: Item<'_>| Tar::new().item(&item);
    let rows = [
        ("major number of 2^31", item(node(b'3', "f", (1 << 31, 0)))),
        ("minor number of 2^31", item(node(b'4', "f", (1, 1 << 31)))),
        ("owner -1", Tar::new().pax(&[("uid", b"-1")]).file("f", "")),
        ("group -1", Tar::new().pax(&[("gid", b"-1")]).file("f", "")),
        ("owner 2^32", item(Item { path: "f", uid: 1 << 32, ..Item::default() })),
        ("owner 2^32 - 1", item(Item { path: "f", uid: (1 << 32) - 1, ..Item::default() })),
        ("group 2^31", item(Item { path: "f", gid: 1 << 31, ..Item::default() })),
        ("time 2^63", item(Item { path: "f", modified: 1 << 63, ..Item::default() })),
        ("NUL in a name", Tar::new().pax(&[("path", b"a\0b")]).file("f", "")),
        ("line feed in a name", Tar::new().pax(&[("path", b"a\nb")]).file("f", "")),
        ("NUL in a link", Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("f", "x")),
    ];
    for (what, layer) in rows {
        victim.attack(what, &layer.end(), Refused);
    }
}
