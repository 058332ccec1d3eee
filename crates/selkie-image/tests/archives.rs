//! Archives of images: the two forms, and documents that lie.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../../../tests/skip.rs"]
mod skip;
mod support;

use std::os::unix::fs::MetadataExt;

use selkie_image::{Digest, Limits};
use serde_json::json;
use support::{Item, Layout, Place, Tar, chain, docker_archive, gzip};

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name).end()
}

/// Loads `archive`, which must be refused for `problem`, and leave nothing.
fn assert_refused(archive: &[u8], problem: &str) {
    let place = Place::new();
    let error = place.load(archive).unwrap_err();
    assert!(error.contains(problem), "{error}");
    place.assert_empty();
}

#[test]
fn docker_archive_is_loaded_with_its_layers_in_order() {
    let place = Place::new();
    let names = place.load(&docker_archive(&["alpine:3", "quay.io/x/y:1"], &[layer("low"), layer("high")])).unwrap();
    assert_eq!(names, ["localhost/alpine:3", "quay.io/x/y:1"]);
    let image = place.store.find("y:1").unwrap();
    assert_eq!((image.created.as_str(), image.names_history.len()), ("2024-01-02T03:04:05Z", 2));
    let layers = place.store.layers(&image.id).unwrap();
    let shown: Vec<bool> = [("high", 0), ("low", 1)].iter().map(|(name, at)| layers.get(*at).unwrap().join(name).exists()).collect();
    assert_eq!(shown, [true, true]);
}

#[test]
fn docker_archive_with_one_layer_twice_gives_one_directory() {
    let place = Place::new();
    place.load(&docker_archive(&["x"], &[layer("a"), layer("b"), layer("a")])).unwrap();
    let image = place.store.find("x").unwrap();
    let layers = place.store.layers(&image.id).unwrap();
    assert_eq!(layers.len(), 2);
    assert!(layers.first().unwrap().join("a").exists());
}

#[test]
fn docker_archive_with_links_to_layers_is_loaded() {
    let place = Place::new();
    let content = layer("a");
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [Digest::of(&content), Digest::of(&content)]}}).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["x"], "Layers": ["1/layer.tar", "2/layer.tar"]}]).to_string();
    let archive = Tar::new()
        .item(&Item { path: "1/layer.tar", content: &content, ..Item::default() })
        .symlink("2/layer.tar", "../1/layer.tar")
        .file("c.json", &config)
        .file("manifest.json", &manifest);
    assert_eq!(place.load(&archive.end()).unwrap(), ["localhost/x:latest"]);
}

#[test]
fn docker_archive_without_names_is_loaded_by_its_id() {
    let place = Place::new();
    assert_eq!(place.load(&docker_archive(&[], &[layer("a")])).unwrap(), Vec::<String>::new());
    let images = place.store.images().unwrap().0;
    assert_eq!(images.iter().map(|image| image.names.len()).collect::<Vec<_>>(), [0]);
}

#[test]
fn compressed_archive_and_compressed_layers_are_loaded() {
    let place = Place::new();
    let packed = zstd::stream::encode_all(docker_archive(&["x"], &[layer("a")]).as_slice(), 1).unwrap();
    assert_eq!(
        place.load(&gzip(&packed[..0])).unwrap_err(),
        "payload does not match any of the supported image formats (oci-archive, docker-archive): it has neither index.json nor manifest.json"
    );
    assert_eq!(place.load(&packed).unwrap(), ["localhost/x:latest"]);
    assert_eq!(place.load(&Layout::new(&layer("a")).archive()).unwrap(), ["quay.io/a/b:1"]);
}

#[test]
fn archive_from_a_pipe_is_loaded() {
    let place = Place::new();
    let (read, write) = rustix::pipe::pipe().unwrap();
    let archive = docker_archive(&["x"], &[layer("a")]);
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut std::fs::File::from(write), &archive));
    let loaded = place.store.load(std::fs::File::from(read), Limits::default(), &mut |_| {}).map_err(|error| chain(&error)).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(loaded.first().unwrap().names, ["localhost/x:latest"]);
}

#[test]
fn layer_that_two_images_share_is_kept_once() {
    let place = Place::new();
    place.load(&docker_archive(&["a"], &[layer("base"), layer("a")])).unwrap();
    place.load(&docker_archive(&["b"], &[layer("base"), layer("b")])).unwrap();
    let inode = |name: &str| {
        let image = place.store.find(name).unwrap();
        place.store.layers(&image.id).unwrap().pop().unwrap().metadata().unwrap().ino()
    };
    assert_eq!(inode("a"), inode("b"));
    place.store.remove("a", false, |_| Ok(None)).unwrap();
    assert!(place.store.layers(&place.store.find("b").unwrap().id).unwrap().pop().unwrap().join("base").exists());
}

#[test]
fn load_of_a_name_that_exists_moves_only_that_name() {
    let place = Place::new();
    place.load(&docker_archive(&["x:1", "x:2"], &[layer("a")])).unwrap();
    let old = place.store.find("x:1").unwrap();
    place.load(&docker_archive(&["x:1"], &[layer("b")])).unwrap();
    assert_ne!(place.store.find("x:1").unwrap().id, old.id);
    assert_eq!(place.store.find("x:2").unwrap().id, old.id);
}

#[test]
fn layer_with_another_digest_than_the_configuration_says_is_refused() {
    let place = Place::new();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [Digest::of(b"other")]}}).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["x"], "Layers": ["1"]}]).to_string();
    let archive = Tar::new()
        .item(&Item { path: "1", content: &layer("a"), ..Item::default() })
        .file("c.json", &config)
        .file("manifest.json", &manifest);
    let error = place.load(&archive.end()).unwrap_err();
    assert_eq!(
        error,
        format!("the unpacked layer does not match its digest: expected {}, found {}", Digest::of(b"other"), Digest::of(&layer("a")))
    );
    place.assert_empty();
}

#[test]
fn blob_with_other_content_than_its_digest_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    // As long as it was, and it unpacks to the same.
    for packed in layout.blobs.values_mut() {
        *packed.get_mut(4).unwrap() ^= 1;
    }
    assert_refused(&layout.archive(), "the layer does not match its digest");
}

#[test]
fn blob_with_another_length_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    layout.manifest["layers"][0]["size"] = json!(1);
    assert_refused(&layout.archive(), "its descriptor says 1");
}

#[test]
fn manifest_that_is_an_index_as_well_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    layout.manifest["manifests"] = json!([]);
    assert_refused(&layout.archive(), "the manifest is not valid: it is an index and a manifest at once");
}

#[test]
fn digest_that_is_a_path_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    layout.index["manifests"] =
        json!([{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../../canary", "size": 10}]);
    assert_refused(&layout.written(), "the index is not valid: a descriptor has no valid `digest`");
}

#[test]
fn digest_of_another_algorithm_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    layout.manifest["layers"][0]["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e");
    assert_refused(&layout.archive(), "the manifest is not valid: a descriptor has no valid `digest`");
}

#[test]
fn index_with_a_key_twice_is_refused() {
    let archive =
        Tar::new().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).file("index.json", r#"{"manifests":[],"manifests":[]}"#).end();
    assert_refused(&archive, "key \"manifests\" is given twice");
}

#[test]
fn manifest_of_megabytes_is_refused() {
    let archive = Tar::new().file("manifest.json", &" ".repeat(2 << 20)).end();
    assert_refused(&archive, "\"manifest.json\" of the archive is longer than 1048576 bytes");
}

#[test]
fn archive_for_another_architecture_is_refused() {
    let mut layout = Layout::new(&layer("a"));
    let foreign = json!({"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b""), "size": 0,
        "platform": {"os": "linux", "architecture": "s390x"}}]})
    .to_string();
    layout.index["manifests"] =
        json!([{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": Digest::of(foreign.as_bytes()), "size": foreign.len()}]);
    layout.blobs.insert(Digest::of(foreign.as_bytes()).hex().to_owned(), foreign.into_bytes());
    assert_refused(&layout.written(), "the archive has no image for linux/");
}

#[test]
fn docker_archive_with_fewer_layers_than_its_configuration_is_refused() {
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [Digest::of(b"")]}}).to_string();
    let archive = Tar::new().file("c", &config).file("manifest.json", r#"[{"Config":"c","RepoTags":[],"Layers":[]}]"#).end();
    assert_refused(&archive, "the configuration has 1 layers and manifest.json has 0");
}

#[test]
fn archive_whose_second_image_is_damaged_leaves_nothing() {
    let good = docker_archive(&["x"], &[layer("a")]);
    let place = Place::new();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer("a"))]}}).to_string();
    let manifest =
        json!([{"Config": "c", "RepoTags": ["x"], "Layers": ["1"]}, {"Config": "missing", "RepoTags": ["y"], "Layers": []}]).to_string();
    let archive =
        Tar::new().item(&Item { path: "1", content: &layer("a"), ..Item::default() }).file("c", &config).file("manifest.json", &manifest);
    assert_eq!(place.load(&archive.end()).unwrap_err(), "the archive has no member \"missing\"");
    place.assert_empty();
    assert_eq!(place.load(&good).unwrap(), ["localhost/x:latest"]);
}

#[test]
fn name_in_the_archive_that_is_none_is_refused() {
    assert_refused(&docker_archive(&["../../canary"], &[layer("a")]), "invalid reference \"../../canary\"");
}

#[test]
fn what_is_no_archive_is_refused() {
    assert_refused(b"garbage that is no archive at all", "cannot read the archive of the image");
    assert_refused(&layer("a"), "payload does not match any of the supported image formats");
}
