//! Layers that try to leave their directory, to trick overlay, or to exhaust the host: resolved within, or refused.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../../../tests/skip.rs"]
mod skip;
mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use selkie_image::Limits;
use support::{Item, Place, Tar, attribute, gzip, is_root, pax_of_four_gigabytes, sparse, tree, zstd_bomb};

/// Imports `archive`, which must be refused for `problem`, and leave nothing anywhere.
fn assert_refused(archive: &[u8], problem: &str) {
    let place = Place::new();
    let error = place.import(archive).unwrap_err();
    assert!(error.contains(problem), "{error}");
    place.assert_empty();
    place.assert_host_untouched();
}

#[test]
fn path_upwards_is_refused() {
    let path = format!("{}tmp/selkie-escape", "../".repeat(12));
    assert_refused(&Tar::new().file(&path, "x").end(), "the path has `..`");
    assert_refused(&Tar::new().file("a/../../b", "x").end(), "the path has `..`");
}

#[test]
fn absolute_path_stays_beneath_the_layer() {
    let place = Place::new();
    let canary = place.canary().display().to_string();
    let layer = place.import(&Tar::new().file(&canary, "changed").end()).unwrap();
    assert_eq!(std::fs::read_to_string(layer.join(canary.trim_start_matches('/'))).unwrap(), "changed");
    place.assert_host_untouched();
}

#[test]
fn parent_that_links_to_the_host_is_resolved_beneath_the_layer() {
    let place = Place::new();
    let host = place.directory.path().display().to_string();
    // The link's target exists on the host and not in the layer.
    let error = place.import(&Tar::new().symlink("d", &host).file("d/canary", "changed").end()).unwrap_err();
    assert!(error.contains("cannot unpack layer entry \"d/canary\""), "{error}");
    place.assert_empty();
    place.assert_host_untouched();
}

#[test]
fn parent_that_links_upwards_is_resolved_beneath_the_layer() {
    let place = Place::new();
    let layer = place.import(&Tar::new().symlink("d", "../../../../..").file("d/canary", "within").end()).unwrap();
    assert_eq!(std::fs::read_to_string(layer.join("canary")).unwrap(), "within");
    place.assert_host_untouched();
}

#[test]
fn parent_that_links_within_the_layer_works() {
    let place = Place::new();
    let archive = Tar::new()
        .directory("usr")
        .directory("usr/lib")
        .symlink("lib", "usr/lib")
        .symlink("abs", "/usr")
        .file("lib/a", "1")
        .file("abs/b", "2");
    let layer = place.import(&archive.end()).unwrap();
    assert_eq!(std::fs::read_to_string(layer.join("usr/lib/a")).unwrap(), "1");
    assert_eq!(std::fs::read_to_string(layer.join("usr/b")).unwrap(), "2");
}

#[test]
fn parent_in_procfs_is_not_the_hosts() {
    assert_refused(&Tar::new().symlink("d", "/proc/self/root").file("d/tmp/x", "x").end(), "cannot unpack layer entry");
}

#[test]
fn file_over_a_link_to_the_host_replaces_the_link() {
    let place = Place::new();
    let canary = place.canary().display().to_string();
    let layer = place.import(&Tar::new().symlink("f", &canary).file("f", "changed").end()).unwrap();
    assert!(layer.join("f").symlink_metadata().unwrap().is_file());
    place.assert_host_untouched();
}

#[test]
fn directory_over_a_link_to_the_host_replaces_the_link() {
    let place = Place::new();
    let host = place.directory.path().display().to_string();
    let layer = place.import(&Tar::new().symlink("d", &host).directory("d").file("d/canary", "changed").end()).unwrap();
    assert!(layer.join("d").symlink_metadata().unwrap().is_dir());
    place.assert_host_untouched();
}

#[test]
fn hard_link_to_the_host_is_refused() {
    let place = Place::new();
    let canary = place.canary().display().to_string();
    let error = place.import(&Tar::new().hard_link("f", &canary).end()).unwrap_err();
    assert!(error.contains("failed: No such file or directory"), "{error}");
    assert_eq!(std::fs::metadata(place.canary()).unwrap().nlink(), 1);
    place.assert_empty();
}

#[test]
fn hard_link_upwards_is_refused() {
    assert_refused(&Tar::new().hard_link("f", "../../canary").end(), "the target of a hard link: the path has `..`");
}

#[test]
fn hard_link_through_a_link_to_the_host_is_refused() {
    let place = Place::new();
    let canary = place.canary().display().to_string();
    // The second name is that of the link, and what is written replaces it.
    let layer = place.import(&Tar::new().symlink("s", &canary).hard_link("h", "s").file("h", "changed").end()).unwrap();
    assert!(layer.join("h").symlink_metadata().unwrap().is_file());
    assert!(layer.join("s").symlink_metadata().unwrap().is_symlink());
    place.assert_host_untouched();
}

#[test]
fn hard_link_within_the_layer_is_one_file() {
    let place = Place::new();
    let layer = place.import(&Tar::new().file("a/x", "1").hard_link("b/y", "/a/x").hard_link("a/x", "a/x").end()).unwrap();
    assert_eq!(std::fs::metadata(layer.join("a/x")).unwrap().ino(), std::fs::metadata(layer.join("b/y")).unwrap().ino());
}

#[test]
fn whiteout_through_a_link_to_the_host_is_refused() {
    let place = Place::new();
    let host = place.directory.path().display().to_string();
    let error = place.import(&Tar::new().symlink("d", &host).file("d/.wh.canary", "").end()).unwrap_err();
    assert!(error.contains("cannot unpack layer entry"), "{error}");
    place.assert_host_untouched();
}

#[test]
fn opaque_through_a_link_to_the_host_is_refused() {
    let place = Place::new();
    let host = place.directory.path().display().to_string();
    let error = place.import(&Tar::new().symlink("d", &host).file("d/.wh..wh..opq", "").end()).unwrap_err();
    assert!(error.contains("cannot unpack layer entry"), "{error}");
    assert_eq!(attribute(place.directory.path(), "trusted.overlay.opaque"), None);
    place.assert_host_untouched();
}

#[test]
fn whiteout_of_no_name_is_refused() {
    assert_refused(&Tar::new().file("d/.wh...", "").end(), "a whiteout of no name");
    assert_refused(&Tar::new().file("d/.wh..", "").end(), "a whiteout of no name");
    assert_refused(&Tar::new().file(".wh.", "").end(), "a whiteout of no name");
}

#[test]
fn whiteouts_become_what_overlay_understands() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = Tar::new()
        .file("etc/.wh.passwd", "")
        .directory("var")
        .file("var/.wh..wh..opq", "")
        .file(".wh.both", "")
        .directory("both")
        .file("kept", "1")
        .file(".wh.kept", "")
        .file(".wh..wh.plnk", "");
    let layer = place.import(&archive.end()).unwrap();
    let names: Vec<String> = tree(&layer).iter().map(|line| line.rsplitn(3, ' ').last().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        ["both directory 755", "etc directory 755", "etc/passwd character 0:0 0", "kept file \"1\" 644", "var directory 755"]
    );
    assert_eq!(attribute(&layer.join("var"), "trusted.overlay.opaque"), Some(b"y".to_vec()));
    assert_eq!(attribute(&layer.join("both"), "trusted.overlay.opaque"), Some(b"y".to_vec()));
    assert_eq!(attribute(&layer.join("etc"), "trusted.overlay.opaque"), None);
}

#[test]
fn path_of_many_parts_is_refused() {
    assert_refused(&Tar::new().file(&"d/".repeat(3000), "").end(), "the path is longer than 4095 bytes");
}

#[test]
fn deep_tree_can_be_removed() {
    let place = Place::new();
    // Each link leads on where the path before it ended, so that the tree is deeper than any path is long.
    let deep = "d/".repeat(900);
    let mut tar = Tar::new();
    let mut base = String::new();
    for number in 0..3 {
        tar = tar.directory(&format!("{base}{deep}")).symlink(&format!("l{number}"), &format!("{base}{deep}"));
        base = format!("l{number}/");
    }
    place.import(&tar.file(&format!("{base}f"), "x").end()).unwrap();
    place.store.remove("x", false, |_| Ok(None)).unwrap();
    place.assert_empty();
}

#[test]
fn attributes_of_overlay_are_dropped() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let records: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.note", b"kept"),
    ];
    let layer = place.import(&Tar::new().pax(&records).directory("d").end()).unwrap();
    let kept = records.map(|(key, _)| attribute(&layer.join("d"), key.strip_prefix("SCHILY.xattr.").unwrap()));
    assert_eq!(kept, [None, None, None, Some(b"kept".to_vec())]);
}

#[test]
fn file_capability_survives_the_change_of_owner() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // Version 2, effective, CAP_NET_RAW.
    let capability: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Tar::new().pax(&[("SCHILY.xattr.security.capability", capability)]).item(&Item {
        path: "ping",
        mode: 0o755,
        uid: 7,
        gid: 8,
        content: b"x",
        ..Item::default()
    });
    let layer = place.import(&archive.end()).unwrap();
    assert_eq!(attribute(&layer.join("ping"), "security.capability"), Some(capability.to_vec()));
    assert_eq!(tree(&layer), ["ping file \"x\" 755 7:8 1"]);
}

#[test]
fn set_user_id_is_kept_and_the_store_is_closed_to_others() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let layer = place.import(&Tar::new().item(&Item { path: "su", mode: 0o4755, uid: 0, gid: 5, ..Item::default() }).end()).unwrap();
    assert_eq!(layer.join("su").metadata().unwrap().mode() & 0o7777, 0o4755);
    let modes =
        ["", "l", "blobs", "layers", "staging"].map(|name| place.images().join(name).metadata().unwrap().permissions().mode() & 0o7777);
    assert_eq!(modes, [0o700; 5]);
}

#[test]
fn devices_are_what_the_archive_says() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let node = |kind, path, device| Item { kind, path, device, mode: 0o600, ..Item::default() };
    let archive = Tar::new().item(&node(b'3', "null", (1, 3))).item(&node(b'4', "disk", (8, 0))).item(&node(b'6', "pipe", (0, 0)));
    let layer = place.import(&archive.end()).unwrap();
    assert_eq!(tree(&layer), ["disk block 8:0 600 0:0 1", "null character 1:3 600 0:0 1", "pipe fifo 600 0:0 1"]);
}

#[test]
fn device_number_out_of_range_is_refused() {
    let node = Item { kind: b'3', path: "d", device: (1 << 31, 0), ..Item::default() };
    assert_refused(&Tar::new().item(&node).end(), "no device has the number 2147483648:0");
}

#[test]
fn owner_out_of_range_is_refused() {
    assert_refused(&Tar::new().item(&Item { path: "f", uid: 1 << 32, ..Item::default() }).end(), "owner 4294967296 is not from 0");
    assert_refused(&Tar::new().item(&Item { path: "f", gid: 1 << 31, ..Item::default() }).end(), "group 2147483648 is not from 0");
    assert_refused(&Tar::new().pax(&[("uid", b"-1")]).file("f", "").end(), "owner -1 is not from 0");
}

#[test]
fn time_out_of_range_is_refused() {
    assert_refused(&Tar::new().item(&Item { path: "f", modified: 1 << 63, ..Item::default() }).end(), "a number is too large");
}

#[test]
fn name_with_nul_or_line_feed_is_refused() {
    assert_refused(&Tar::new().pax(&[("path", b"a\0b")]).file("f", "").end(), "a name in a pax record has a NUL");
    assert_refused(&Tar::new().pax(&[("path", b"a\nb")]).file("f", "").end(), "a NUL or a line feed");
}

#[test]
fn pax_records_of_four_gigabytes_are_refused() {
    assert_refused(&pax_of_four_gigabytes(), "pax records are longer than 1 MiB");
}

#[test]
fn sparse_map_without_end_is_refused() {
    assert_refused(&sparse(0, 4000), "a sparse file has more than 65536 pieces");
}

#[test]
fn file_of_zeros_takes_no_space() {
    let place = Place::new();
    let zeros = vec![0; 8 << 20];
    let layer = place.import(&gzip(&Tar::new().item(&Item { path: "zeros", content: &zeros, ..Item::default() }).end())).unwrap();
    let data = layer.join("zeros").metadata().unwrap();
    assert_eq!((data.len(), data.blocks()), (8 << 20, 0));
}

#[test]
fn layer_beyond_the_limit_is_refused() {
    let place = Place::new();
    let archive = gzip(&Tar::new().item(&Item { path: "f", content: &vec![0; 2 << 20], ..Item::default() }).end());
    let error = place.import_limited(&archive, Limits { layer_size: 1 << 20 }).unwrap_err();
    assert!(error.contains("the layer is larger than --max-layer-size"), "{error}");
    place.assert_empty();
}

#[test]
fn garbage_behind_the_end_counts_for_the_limit_and_is_ignored() {
    let place = Place::new();
    let mut archive = Tar::new().file("f", "x").end();
    archive.extend(std::iter::repeat_n(b'g', 1 << 20));
    let archive = gzip(&archive);
    let error = place.import_limited(&archive, Limits { layer_size: 1 << 19 }).unwrap_err();
    assert!(error.contains("the layer is larger than --max-layer-size"), "{error}");
    place.assert_empty();
    let layer = place.import(&archive).unwrap();
    assert_eq!(std::fs::read_to_string(layer.join("f")).unwrap(), "x");
}

#[test]
fn zstd_layer_with_absurd_growth_is_refused() {
    let place = Place::new();
    let error = place.import(&zstd_bomb()).unwrap_err();
    assert!(error.contains("times its compressed size"), "{error}");
    place.assert_empty();
}

#[test]
fn archive_cut_short_is_refused() {
    let archive = Tar::new().file("f", &"x".repeat(5000)).end();
    assert_refused(&archive[..2000], "read at byte 2000 failed: unexpected end of file");
    let packed = gzip(&archive);
    assert_refused(&packed[..packed.len() - 10], "failed");
}

#[test]
fn xz_is_refused_with_its_name() {
    assert_refused(b"\xfd7zXZ\0\0\0", "xz is not supported: decompress it first");
}

#[test]
fn unpacking_is_complete_and_exact() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let long = format!("{}/{}", "p".repeat(90), "n".repeat(120));
    let archive = Tar::new()
        .item(&Item { kind: b'5', path: "./", mode: 0o1777, uid: 3, gid: 4, modified: 9, ..Item::default() })
        .item(&Item { kind: b'5', path: "./d/", mode: 0o2750, uid: 1, gid: 2, modified: 100, ..Item::default() })
        .item(&Item { path: "d/f", mode: 0o400, uid: 5, gid: 6, modified: 200, content: b"content", ..Item::default() })
        .item(&Item { kind: b'2', path: "d/l", link: "f", uid: 7, gid: 8, modified: 300, ..Item::default() })
        .item(&Item { path: &long, modified: 400, ..Item::default() });
    let layer = place.import(&archive.end()).unwrap();
    let parent = &long[..90];
    let mut lines = tree(&layer);
    // A parent that the archive does not have is made now.
    lines.retain(|line| !line.starts_with(&format!("{parent} ")));
    assert_eq!(
        lines,
        [
            "d directory 2750 1:2 100",
            "d/f file \"content\" 400 5:6 200",
            "d/l link to f 777 7:8 300",
            &format!("{long} file \"\" 644 0:0 400"),
        ]
    );
    let root = layer.metadata().unwrap();
    assert_eq!((root.mode() & 0o7777, root.uid(), root.gid(), root.mtime()), (0o1777, 3, 4, 9));
}
