//! What the tests of the store share: archives as strangers write them, a store of their own, trees as values.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use selkie_image::{Changes, Digest, Import, Limits, Reference, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::skip::skip;

/// Whether the test can make owners, devices and trusted attributes; says so when it cannot.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it needs root for owners, devices and trusted attributes");
    }
    root
}

/// A store in a directory of its own, beside a canary that nobody may touch.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
}

pub(crate) const CANARY: &str = "untouched\n";

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("canary"), CANARY).unwrap();
        let store = Store::new(&directory.path().join("root"));
        Self { directory, store }
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.directory.path().join("root/images")
    }

    pub(crate) fn canary(&self) -> PathBuf {
        self.directory.path().join("canary")
    }

    /// Imports an archive as `localhost/x:latest`; returns the tree of its layer, or the error with its causes.
    pub(crate) fn import(&self, archive: &[u8]) -> Result<PathBuf, String> {
        self.import_limited(archive, Limits::default())
    }

    pub(crate) fn import_limited(&self, archive: &[u8], limits: Limits) -> Result<PathBuf, String> {
        let wanted = Import { name: Some(Reference::parse("x").unwrap()), changes: Changes::default(), message: String::new() };
        let id = self.store.import(file(archive), wanted, limits).map_err(|error| chain(&error))?;
        Ok(self.store.layers(&id).unwrap().remove(0))
    }

    /// Loads an archive; returns the names, or the error with its causes.
    pub(crate) fn load(&self, archive: &[u8]) -> Result<Vec<String>, String> {
        let loaded = self.store.load(file(archive), Limits::default(), &mut |_| {}).map_err(|error| chain(&error))?;
        Ok(loaded.into_iter().flat_map(|image| image.names).collect())
    }

    /// Asserts that the canary is what it was, and that there is nothing beside it but the store.
    pub(crate) fn assert_host_untouched(&self) {
        assert_eq!(std::fs::read_to_string(self.canary()).unwrap(), CANARY);
        let mut names: Vec<_> =
            std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["canary", "root"]);
    }

    /// Asserts that the store has no image, no layer, no blob and no work in progress.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.store.images().unwrap().0, []);
        for directory in ["blobs/sha256", "layers", "l", "staging"] {
            let path = self.images().join(directory);
            let names: Vec<_> = std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.is_empty(), "{} has {names:?}", path.display());
        }
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(crate) fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// An archive that is written byte by byte, with names that the `tar` crate refuses.
#[derive(Default)]
pub(crate) struct Tar {
    pub(crate) bytes: Vec<u8>,
}

/// One entry; what is not said is 0 or empty.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) kind: u8,
    pub(crate) path: &'a str,
    pub(crate) link: &'a str,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) modified: u64,
    pub(crate) device: (u64, u64),
    pub(crate) content: &'a [u8],
}

impl Default for Item<'_> {
    fn default() -> Self {
        Self { kind: b'0', path: "", link: "", mode: 0o644, uid: 0, gid: 0, modified: 1, device: (0, 0), content: b"" }
    }
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn item(mut self, item: &Item<'_>) -> Self {
        for (kind, name) in [(b'L', item.path), (b'K', item.link)] {
            if name.len() > 100 {
                let content = [name.as_bytes(), b"\0"].concat();
                let block = header(&Item { kind, path: "././@LongLink", content: &content, ..Item::default() });
                self.bytes.extend_from_slice(&block);
                self.fill(&content);
            }
        }
        self.bytes.extend_from_slice(&header(item));
        self.fill(item.content);
        self
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.item(&Item { path, content: content.as_bytes(), ..Item::default() })
    }

    pub(crate) fn directory(self, path: &str) -> Self {
        self.item(&Item { kind: b'5', path, mode: 0o755, ..Item::default() })
    }

    pub(crate) fn symlink(self, path: &str, link: &str) -> Self {
        self.item(&Item { kind: b'2', path, link, mode: 0o777, ..Item::default() })
    }

    pub(crate) fn hard_link(self, path: &str, link: &str) -> Self {
        self.item(&Item { kind: b'1', path, link, ..Item::default() })
    }

    /// Pax records about the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let body = [format!(" {key}=").as_bytes(), value, b"\n"].concat();
            let length = (1..).find(|length| length.to_string().len() + body.len() == *length).unwrap();
            content.extend_from_slice(length.to_string().as_bytes());
            content.extend_from_slice(&body);
        }
        self.item(&Item { kind: b'x', path: "pax", content: &content, ..Item::default() })
    }

    fn fill(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

fn header(item: &Item<'_>) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let bytes = header.as_mut_bytes();
    let cut = |text: &str| text.as_bytes().iter().copied().take(100).collect::<Vec<u8>>();
    let path = cut(item.path);
    bytes[..path.len()].copy_from_slice(&path);
    let link = cut(item.link);
    bytes[157..157 + link.len()].copy_from_slice(&link);
    header.set_entry_type(tar::EntryType::new(item.kind));
    header.set_mode(item.mode);
    header.set_uid(item.uid);
    header.set_gid(item.gid);
    header.set_mtime(item.modified);
    header.set_size(item.content.len() as u64);
    let bytes = header.as_mut_bytes();
    for (at, value) in [(329, item.device.0), (337, item.device.1)] {
        let text = if value < 1 << 21 { format!("{value:07o}\0").into_bytes() } else { (value | 1 << 63).to_be_bytes().to_vec() };
        bytes[at..at + 8].copy_from_slice(&text);
    }
    header.set_cksum();
    header.as_bytes().to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A header that announces 4 GiB of pax records.
pub(crate) fn pax_of_four_gigabytes() -> Vec<u8> {
    let mut archive = Tar::new().item(&Item { kind: b'x', path: "pax", ..Item::default() }).bytes;
    // The size in octal; then the checksum again.
    archive[124..136].copy_from_slice(b"40000000000\0");
    let mut header = tar::Header::from_byte_slice(&archive).clone();
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A file of GNU's sparse form, `size` bytes long without any data, with `maps` further pieces of its map.
pub(crate) fn sparse(size: u64, maps: u32) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("f").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_is_extended(maps > 0);
    gnu.set_real_size(size);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    let mut piece = Vec::new();
    for _ in 0..21 {
        piece.extend_from_slice(&[b"00000000001\0".as_slice(), b"00000000001\0"].concat());
    }
    piece.resize(512, 0);
    piece[504] = 1;
    (0..maps).for_each(|_| archive.extend_from_slice(&piece));
    archive
}

/// A layer of zeros that grows to more than any honest one, packed with zstd.
pub(crate) fn zstd_bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&announced("f", 8 << 30)).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

/// The header of a file that says that `size` bytes follow.
fn announced(path: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::from_byte_slice(&header(&Item { path, ..Item::default() })).clone();
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A docker-archive with one image of these layers (archives, as they are to lie in it).
pub(crate) fn docker_archive(names: &[&str], layers: &[Vec<u8>]) -> Vec<u8> {
    docker_archive_with(names, layers, &json!({"Cmd": ["/bin/sh"]}))
}

/// The same with another `config` of the image's configuration.
pub(crate) fn docker_archive_with(names: &[&str], layers: &[Vec<u8>], config: &Value) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut members = Vec::new();
    let mut diff_ids = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let member = format!("{number}/layer.tar");
        tar = tar.item(&Item { path: &member, content: layer, ..Item::default() });
        members.push(member);
        diff_ids.push(Digest::of(layer).to_string());
    }
    let config = json!({"created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string();
    let manifest = json!([{"Config": "config.json", "RepoTags": names, "Layers": members}]).to_string();
    tar.file("config.json", &config).file("manifest.json", &manifest).end()
}

/// An OCI layout whose documents are changed by `edit` before they are written.
pub(crate) struct Layout {
    pub(crate) config: Value,
    pub(crate) manifest: Value,
    pub(crate) index: Value,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// One image of one layer, packed with gzip.
    pub(crate) fn new(layer: &[u8]) -> Self {
        let packed = gzip(layer);
        let config = json!({"created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer)]}});
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Digest::of(&packed), "size": packed.len()}]});
        let blobs = [(Digest::of(&packed).hex().to_owned(), packed)].into();
        Self { config, manifest, index: json!({"schemaVersion": 2, "manifests": []}), blobs }
    }

    /// Fills in digests and sizes, and writes everything as an archive.
    pub(crate) fn archive(mut self) -> Vec<u8> {
        let config = self.config.to_string();
        self.manifest["config"]["digest"] = json!(Digest::of(config.as_bytes()));
        self.manifest["config"]["size"] = json!(config.len());
        let manifest = self.manifest.to_string();
        if let Some(list) = self.index["manifests"].as_array_mut() {
            list.push(json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(manifest.as_bytes()),
                "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "quay.io/a/b:1"}}));
        }
        self.blobs.insert(Digest::of(config.as_bytes()).hex().to_owned(), config.into_bytes());
        self.blobs.insert(Digest::of(manifest.as_bytes()).hex().to_owned(), manifest.into_bytes());
        self.written()
    }

    /// Writes everything as it is.
    pub(crate) fn written(self) -> Vec<u8> {
        let mut tar = Tar::new().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).file("index.json", &self.index.to_string());
        for (digits, content) in &self.blobs {
            tar = tar.item(&Item { path: &format!("blobs/sha256/{digits}"), content, ..Item::default() });
        }
        tar.end()
    }
}

/// Everything beneath a directory, as lines that can be compared: path, kind, mode, owner, time, and what it holds.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, root, &mut lines);
    lines.sort();
    lines
}

fn walk(root: &Path, directory: &Path, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = path.symlink_metadata().unwrap();
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let kind = data.file_type();
        let what = if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_symlink() {
            format!("link to {}", std::fs::read_link(&path).unwrap().display())
        } else if kind.is_char_device() {
            format!("character {}:{}", rustix::fs::major(data.rdev()), rustix::fs::minor(data.rdev()))
        } else if kind.is_block_device() {
            format!("block {}:{}", rustix::fs::major(data.rdev()), rustix::fs::minor(data.rdev()))
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else {
            let mut content = String::new();
            File::open(&path).unwrap().take(64).read_to_string(&mut content).unwrap();
            format!("file {content:?}")
        };
        let mode = if kind.is_symlink() { 0o777 } else { data.mode() & 0o7777 };
        lines.push(format!("{shown} {what} {mode:o} {}:{} {}", data.uid(), data.gid(), data.mtime()));
        if kind.is_dir() {
            walk(root, &path, lines);
        }
    }
}

/// The value of an extended attribute, if it is there.
pub(crate) fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
