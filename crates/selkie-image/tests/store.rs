//! The store: names, removal, and what crashes, damage and full disks leave of it.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../../../tests/skip.rs"]
mod skip;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use selkie_image::{Changes, Error, Import, Limits, Reference, Store};
use support::{Item, Place, Tar, chain, docker_archive, file, is_root};

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name).end()
}

/// A store with one image `x`.
fn place_with_image() -> Place {
    let place = Place::new();
    place.load(&docker_archive(&["x"], &[layer("a")])).unwrap();
    place
}

fn nobody(_id: &str) -> selkie_image::Result<Option<String>> {
    Ok(None)
}

#[test]
fn find_in_an_empty_store_makes_nothing() {
    let place = Place::new();
    assert_eq!(place.store.find("x").unwrap_err().to_string(), "x: image not known");
    assert_eq!(place.store.tag("x", &["y".to_owned()]).unwrap_err().to_string(), "x: image not known");
    assert!(!place.directory.path().join("root").exists());
}

#[test]
fn tag_takes_a_name_from_its_owner() {
    let place = place_with_image();
    place.load(&docker_archive(&["y"], &[layer("b")])).unwrap();
    place.store.tag("x", &["y".to_owned(), "quay.io/z:1".to_owned()]).unwrap();
    assert_eq!(place.store.find("x").unwrap().names, ["localhost/x:latest", "localhost/y:latest", "quay.io/z:1"]);
    assert_eq!(place.store.images().unwrap().0.iter().filter(|image| image.names.is_empty()).count(), 1);
}

#[test]
fn untag_of_a_name_that_it_does_not_have_is_refused() {
    let place = place_with_image();
    let error = place.store.untag("x", &["y".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "localhost/y:latest: tag not known");
    place.store.untag("x", &[]).unwrap();
    assert_eq!(place.store.images().unwrap().0.first().unwrap().names, Vec::<String>::new());
}

#[test]
fn remove_by_name_takes_the_name_and_with_the_last_one_the_image() {
    let place = place_with_image();
    place.store.tag("x", &["y".to_owned()]).unwrap();
    let id = place.store.find("x").unwrap().id;
    let first = place.store.remove("x", false, nobody).unwrap();
    assert_eq!((first.untagged, first.deleted), (vec!["localhost/x:latest".to_owned()], None));
    let second = place.store.remove("y", false, nobody).unwrap();
    assert_eq!((second.untagged, second.deleted), (vec!["localhost/y:latest".to_owned()], Some(id)));
    place.assert_empty();
}

#[test]
fn remove_by_id_of_several_names_needs_force() {
    let place = place_with_image();
    place.store.tag("x", &["y".to_owned()]).unwrap();
    let id = place.store.find("x").unwrap().id;
    assert_eq!(
        place.store.remove(&id, false, nobody).unwrap_err().to_string(),
        format!(
            "unable to delete image \"{id}\" by ID with more than one tag ([localhost/x:latest localhost/y:latest]): please force removal"
        )
    );
    assert_eq!(place.store.remove(&id, true, nobody).unwrap().deleted, Some(id));
    place.assert_empty();
}

#[test]
fn remove_of_an_image_in_use_is_refused() {
    let place = place_with_image();
    let error = place.store.remove("x", false, |_| Ok(Some("c1".to_owned()))).unwrap_err();
    let expected = "image used by c1: image is in use by a container: consider listing external containers and force-removing image";
    assert_eq!(error.to_string(), expected);
    assert_eq!(place.store.find("x").unwrap().names, ["localhost/x:latest"]);
}

#[test]
fn load_again_changes_nothing() {
    let place = place_with_image();
    let before = place.store.images().unwrap().0;
    place.load(&docker_archive(&["x"], &[layer("a")])).unwrap();
    assert_eq!(place.store.images().unwrap().0, before);
}

#[test]
fn index_that_is_damaged_loses_no_image() {
    for damage in ["", "{", "[]", "{\"version\":1}", "\u{0}\u{0}\u{0}", "{\"version\":1,\"images\":{\"sha256:../..\":{}}}"] {
        let place = place_with_image();
        let id = place.store.find("x").unwrap().id;
        std::fs::remove_file(place.images().join("index.json.old")).ok();
        std::fs::write(place.images().join("index.json"), damage).unwrap();
        let (images, damaged) = place.store.images().unwrap();
        assert_eq!(images.iter().map(|image| image.id.as_str()).collect::<Vec<_>>(), [&id], "{damage:?}");
        assert!(damaged.first().unwrap().to_string().contains("index.json` is damaged"), "{damage:?}");
        // A change writes a whole one.
        place.store.tag(&id, &["x".to_owned()]).unwrap();
        assert_eq!(place.store.find("x").unwrap().id, id);
        assert!(place.store.images().unwrap().1.is_empty());
    }
}

#[test]
fn index_that_is_damaged_keeps_the_names_before() {
    let place = place_with_image();
    place.store.tag("x", &["y".to_owned()]).unwrap();
    std::fs::write(place.images().join("index.json"), "{").unwrap();
    assert_eq!(place.store.find("x").unwrap().names, ["localhost/x:latest"]);
}

#[test]
fn index_of_a_later_version_is_left_alone() {
    let place = place_with_image();
    std::fs::write(place.images().join("index.json"), "{\"version\":2,\"images\":{}}").unwrap();
    let error = place.store.find("x").unwrap_err().to_string();
    assert!(error.ends_with("is damaged: version 2 is that of a later selkie"), "{error}");
}

#[test]
fn configuration_that_is_damaged_is_named_and_the_other_images_work() {
    let place = place_with_image();
    let id = place.store.find("x").unwrap().id;
    place.load(&docker_archive(&["y"], &[layer("b")])).unwrap();
    std::fs::write(place.images().join("blobs/sha256").join(&id), "{}").unwrap();
    assert!(place.store.find("x").unwrap_err().to_string().ends_with("is damaged: it does not match its digest"));
    let (images, damaged) = place.store.images().unwrap();
    assert_eq!((images.len(), damaged.len()), (1, 1));
    // Loading the same again repairs it, and so does its removal.
    place.load(&docker_archive(&["x"], &[layer("a")])).unwrap();
    assert_eq!(place.store.find("x").unwrap().id, id);
}

#[test]
fn layer_that_is_lost_is_named_and_loaded_again() {
    let place = place_with_image();
    let id = place.store.find("x").unwrap().id;
    let directory = place.store.layers(&id).unwrap().pop().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(matches!(place.store.layers(&id), Err(Error::LayerMissing { .. })));
    place.load(&docker_archive(&["x"], &[layer("a")])).unwrap();
    assert!(place.store.layers(&id).unwrap().pop().unwrap().join("a").exists());
}

#[test]
fn record_of_a_layer_that_leads_elsewhere_is_refused() {
    let place = place_with_image();
    let id = place.store.find("x").unwrap().id;
    let record = std::fs::read_dir(place.images().join("layers")).unwrap().next().unwrap().unwrap().path();
    for directory in ["../../..", "", "/etc", "l/../.."] {
        std::fs::write(&record, format!("{{\"directory\":{directory:?},\"size\":1}}")).unwrap();
        assert!(matches!(place.store.layers(&id), Err(Error::Record { .. })), "{directory}");
    }
}

#[test]
fn record_of_a_layer_that_is_damaged_protects_every_directory() {
    let place = place_with_image();
    let directory = place.store.layers(&place.store.find("x").unwrap().id).unwrap().pop().unwrap();
    let record = std::fs::read_dir(place.images().join("layers")).unwrap().next().unwrap().unwrap().path();
    let content = std::fs::read(&record).unwrap();
    place.load(&docker_archive(&["y"], &[layer("b")])).unwrap();
    std::fs::write(&record, "{").unwrap();
    // The removal succeeds, and what it cannot tell from the damaged one stays until it can be told.
    place.store.remove("y", false, nobody).unwrap();
    assert!(directory.join("a").exists());
    std::fs::write(&record, content).unwrap();
    place.store.find("x").unwrap();
    let count = |directory: &str| std::fs::read_dir(place.images().join(directory)).unwrap().count();
    assert_eq!(["staging", "l", "layers", "blobs/sha256"].map(count), [0, 1, 1, 2]);
}

#[test]
fn load_with_another_manifest_leaves_none_of_the_old_one() {
    let place = Place::new();
    place.load(&support::Layout::new(&layer("a")).archive()).unwrap();
    let mut layout = support::Layout::new(&layer("a"));
    layout.manifest["annotations"] = serde_json::json!({"a": "b"});
    place.load(&layout.archive()).unwrap();
    assert_eq!(place.store.images().unwrap().0.len(), 1);
    assert_eq!(std::fs::read_dir(place.images().join("blobs/sha256")).unwrap().count(), 2);
}

#[test]
fn half_made_things_without_an_owner_are_removed_by_the_next_command() {
    let place = place_with_image();
    let images = place.images();
    std::fs::create_dir_all(images.join("staging/dead/layer-0/d")).unwrap();
    std::fs::create_dir_all(images.join("l/0123456789ab")).unwrap();
    std::fs::write(images.join("layers").join(format!("{}.json", "0".repeat(64))), "{}").unwrap();
    std::fs::write(images.join("blobs/sha256").join("0".repeat(64)), "{}").unwrap();
    place.store.find("x").unwrap();
    let count = |directory: &str| std::fs::read_dir(images.join(directory)).unwrap().count();
    assert_eq!(["staging", "l", "layers", "blobs/sha256"].map(count), [0, 1, 1, 2]);
}

/// A program that the kill tests run: this test binary itself, as `load_in_a_child`.
fn child(root: &Path, archive: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "load_in_a_child", "--nocapture"]).env("SELKIE_TEST_ROOT", root).env("SELKIE_TEST_ARCHIVE", archive);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn load_in_a_child() {
    let (Some(root), Some(archive)) = (std::env::var_os("SELKIE_TEST_ROOT"), std::env::var_os("SELKIE_TEST_ARCHIVE")) else { return };
    let store = Store::new(Path::new(&root));
    store.load(std::fs::File::open(archive).unwrap(), Limits::default(), &mut |_| {}).unwrap();
}

#[test]
fn load_that_is_killed_leaves_nothing_or_everything() {
    let place = place_with_image();
    let before = place.store.images().unwrap().0;
    let many =
        (0..400).fold(Tar::new(), |tar, number| tar.item(&Item { path: &format!("d/{number}"), content: &[7; 4096], ..Item::default() }));
    let archive = place.directory.path().join("archive");
    std::fs::write(&archive, docker_archive(&["y"], &[layer("b"), many.end()])).unwrap();
    let root = place.directory.path().join("root");
    let mut interrupted = 0;
    for step in 0..25_u64 {
        let mut running = child(&root, &archive).spawn().unwrap();
        // From the moment at which the first thing of it appears, a little later each time.
        let staging = place.images().join("staging");
        while std::fs::read_dir(&staging).unwrap().next().is_none() && running.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(step * 4));
        running.kill().unwrap();
        running.wait().unwrap();
        interrupted += std::fs::read_dir(&staging).unwrap().count();
        let (images, damaged) = place.store.images().unwrap();
        assert!(damaged.is_empty(), "after {step} steps: {damaged:?}");
        if images.len() == before.len() {
            assert_eq!(images, before);
        } else {
            // It was done: everything of it is there.
            let image = place.store.find("y").unwrap();
            assert!(place.store.layers(&image.id).unwrap().first().unwrap().join("d/399").exists());
            place.store.remove("y", false, nobody).unwrap();
        }
        let count = |directory: &str| std::fs::read_dir(place.images().join(directory)).unwrap().count();
        assert_eq!(["staging", "l", "layers", "blobs/sha256"].map(count), [0, 1, 1, 2], "after {step} steps");
    }
    assert!(interrupted > 3, "only {interrupted} of the kills came while something was under way");
}

#[test]
fn loads_at_the_same_time_all_succeed() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let name = format!("n{number}");
                place.load(&docker_archive(&[&name], &[layer("base"), layer(&name)])).unwrap();
            });
        }
    });
    assert_eq!(place.store.images().unwrap().0.len(), 6);
    assert_eq!(std::fs::read_dir(place.images().join("l")).unwrap().count(), 7);
}

/// A tmpfs of its own, unmounted at the end.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(place: &Place, size: &str) -> Self {
        let root = place.directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&root).status().unwrap();
        assert!(mounted.success());
        Self(root)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn load_on_a_disk_that_is_too_small_leaves_nothing() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let _disk = SmallDisk::new(&place, "6m");
    let big = Tar::new().item(&Item { path: "big", content: &vec![7; 8 << 20], ..Item::default() }).end();
    let wanted = Import { name: Some(Reference::parse("x").unwrap()), changes: Changes::default(), message: String::new() };
    let error = place.store.import(file(&big), wanted, Limits::default()).unwrap_err();
    assert!(error.is_full_disk(), "{}", chain(&error));
    assert_eq!(error.hint().unwrap(), "free some space: `selkie rm` and `selkie rmi` work on a full disk");
    place.assert_empty();
}

#[test]
fn remove_on_a_full_disk_succeeds() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let disk = SmallDisk::new(&place, "6m");
    place.load(&docker_archive(&["x", "y"], &[layer("a")])).unwrap();
    let filler = std::fs::File::create(disk.0.join("filler")).unwrap();
    let chunk = [1; 4096];
    while std::io::Write::write(&mut &filler, &chunk).is_ok_and(|count| count > 0) {}
    place.store.remove("x", false, nobody).unwrap();
    place.store.remove("y", false, nobody).unwrap();
    place.assert_empty();
}
