//! containerd's database, `io.containerd.metadata.v1.bolt/meta.db` beneath its root: what it knows of every container, also of one
//! that has never run, or that ran before the last boot.
//!
//! ```text
//! v1 / NAMESPACE / images / NAME / target / digest, mediatype        of an index the blob is read beside it
//!                / containers / ID / image, createdat, labels / KEY
//!                                  / spec: google.protobuf.Any of an OCI specification in JSON
//! ```
//! Docker's namespace is left out: it keeps records of its own, and its containers are containerd's only while they run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::find::MOST;
use super::tree::Tree;
use super::{Configuration, HostContainer, containerd, json, platform, spec};
use crate::bolt::{self, Bucket, Damage, Database, Value};
use crate::{Engine, Owner, engines};

/// What a database says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// By their namespaces and ids.
    pub containers: BTreeMap<Key, HostContainer>,
    /// Of those whose image is one for several platforms, that image.
    pub indexes: BTreeMap<Key, Index>,
}

type Key = (String, String);

/// An image for several platforms: which of its manifests a container was made of is not in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Of the index itself, which is a blob.
    pub digest: String,
    /// `linux/arm64/v8`, where a label says so; else it is that of the machine.
    pub platform: Option<String>,
}

/// How often a database is read that is written meanwhile. Writing waits for the disk, reading does not.
const TRIES: usize = 5;
/// Longer specifications are no container's.
const SPECIFICATION: usize = 4 << 20;

/// Reads the database beneath containerd's root; nothing where there is none, or one that is damaged.
pub(super) fn read(tree: &mut Tree, root: &str) -> BTreeMap<Key, HostContainer> {
    let place = format!("{root}/io.containerd.metadata.v1.bolt/meta.db");
    let mut found = settled(|| {
        let bytes = tree.database(&place)?;
        let after = tree.head(&place, bolt::HEAD)?;
        Some((bytes, bolt::transaction(&after)))
    });
    if tree.user.is_some() {
        found.containers.values_mut().for_each(|container| container.configuration = None);
    }
    let tree = std::cell::RefCell::new(tree);
    let is_fetched = |digest: &str| blob(root, digest).is_some_and(|path| tree.borrow_mut().has(&path));
    resolve(&mut found, |digest| tree.borrow_mut().record(&blob(root, digest)?), is_fetched);
    found.containers
}

/// Reads until no transaction has come in between. If one always does, what is whole as far as it can be seen has to do.
fn settled(mut read: impl FnMut() -> Option<(Vec<u8>, Option<u64>)>) -> Recorded {
    let mut last = Recorded::default();
    for _ in 0..TRIES {
        let Some((bytes, after)) = read() else { break };
        let found = parse(&bytes).ok();
        if bolt::transaction(&bytes) == after {
            return found.unwrap_or_default();
        }
        last = found.unwrap_or(last);
    }
    last
}

/// Parses the bytes of a whole database.
///
/// # Errors
/// When it is none, or is not whole.
pub fn parse(bytes: &[u8]) -> Result<Recorded, Damage> {
    let database = Database::open(bytes)?;
    let mut recorded = Recorded::default();
    for version in buckets(database.root()?) {
        let (b"v1", version) = version? else { continue };
        for namespace in buckets(version) {
            let (name, bucket) = namespace?;
            if let Ok(name) = str::from_utf8(name) {
                of_namespace(name, bucket, &mut recorded)?;
            }
        }
    }
    Ok(recorded)
}

fn of_namespace(namespace: &str, bucket: Bucket<'_>, recorded: &mut Recorded) -> Result<(), Damage> {
    let (mut containers, mut images) = (None, Targets::new());
    for entry in buckets(bucket) {
        match entry? {
            (b"containers", bucket) => containers = Some(bucket),
            (b"images", bucket) => images = targets(bucket)?,
            _ => {}
        }
    }
    for entry in containers.into_iter().flat_map(buckets) {
        let (id, bucket) = entry?;
        if recorded.containers.len() >= MOST {
            break;
        }
        let owner = str::from_utf8(id).ok().and_then(|id| Some((id, containerd::owner(namespace, id)?)));
        if let Some((id, owner)) = owner.filter(|(_, owner)| owner.engine == Engine::Containerd) {
            let found = Container::read(bucket)?;
            let key = (namespace.to_owned(), id.to_owned());
            if let Some(Target::Index(digest)) = found.image.as_ref().and_then(|image| images.get(image)) {
                recorded.indexes.insert(key.clone(), Index { digest: digest.clone(), platform: found.platform.clone() });
            }
            recorded.containers.insert(key, found.describe(namespace, owner, &images));
        }
    }
    Ok(())
}

/// What a digest is of when it is that of one image: an index of several platforms has another one than any of its manifests.
const MANIFESTS: [&[u8]; 2] = [b"application/vnd.oci.image.manifest.v1+json", b"application/vnd.docker.distribution.manifest.v2+json"];
/// And when it is that of an index.
const INDEXES: [&[u8]; 2] = [b"application/vnd.oci.image.index.v1+json", b"application/vnd.docker.distribution.manifest.list.v2+json"];

/// What an image's name stands for, by its digest.
#[derive(Clone, Debug)]
enum Target {
    Manifest(String),
    Index(String),
}

/// By the images' names.
type Targets = BTreeMap<String, Target>;

fn targets(images: Bucket<'_>) -> Result<Targets, Damage> {
    let mut targets = Targets::new();
    for image in buckets(images) {
        let (name, image) = image?;
        let (mut digest, mut media_type) = (None, &[][..]);
        for part in buckets(image) {
            let (b"target", target) = part? else { continue };
            for entry in target.entries() {
                match entry? {
                    (b"digest", Value::Bytes(value)) => digest = text(value).filter(|digest| engines::is_digest(digest)),
                    (b"mediatype", Value::Bytes(value)) => media_type = value,
                    _ => {}
                }
            }
        }
        let target = match digest {
            Some(digest) if MANIFESTS.contains(&media_type) => Target::Manifest(digest),
            Some(digest) if INDEXES.contains(&media_type) => Target::Index(digest),
            _ => continue,
        };
        if let (Some(name), true) = (text(name), targets.len() < MOST) {
            targets.insert(name, target);
        }
    }
    Ok(targets)
}

/// So many different indexes are read.
const MOST_INDEXES: usize = 1024;

/// Gives containers of images for several platforms the digest of the manifest that they were made of: the one for their platform
/// that has been fetched. None where that is not one alone.
fn resolve(recorded: &mut Recorded, mut blob: impl FnMut(&str) -> Option<Vec<u8>>, mut is_fetched: impl FnMut(&str) -> bool) {
    let mut known: BTreeMap<&str, Vec<platform::Manifest>> = BTreeMap::new();
    for (key, index) in &recorded.indexes {
        if known.len() >= MOST_INDEXES && !known.contains_key(index.digest.as_str()) {
            continue;
        }
        let manifests = known
            .entry(&index.digest)
            .or_insert_with(|| blob(&index.digest).and_then(|blob| platform::manifests(&blob)).unwrap_or_default());
        let own = platform::own();
        let platform = index.platform.as_deref().unwrap_or(&own);
        let mut found = manifests.iter().filter(|manifest| manifest.is_for(platform));
        if let (Some(one), None) = (found.next(), found.next())
            && is_fetched(&one.digest)
            && let Some(container) = recorded.containers.get_mut(key)
        {
            container.digest = Some(one.digest.clone());
        }
    }
}

/// Returns where a blob of containerd's is.
fn blob(root: &str, digest: &str) -> Option<String> {
    let (algorithm, hex) = digest.split_once(':').filter(|_| engines::is_digest(digest))?;
    Some(format!("{root}/io.containerd.content.v1.content/blobs/{algorithm}/{hex}"))
}

/// What the bucket of a container has.
#[derive(Debug, Default)]
struct Container<'d> {
    image: Option<String>,
    created: Option<String>,
    /// Of an OCI specification.
    specification: Option<&'d [u8]>,
    name: Option<String>,
    platform: Option<String>,
    pod: Option<String>,
    pod_namespace: Option<String>,
}

impl<'d> Container<'d> {
    fn read(bucket: Bucket<'d>) -> Result<Self, Damage> {
        let mut found = Self::default();
        for entry in bucket.entries() {
            match entry? {
                (b"image", Value::Bytes(value)) => found.image = text(value),
                (b"createdat", Value::Bytes(value)) => found.created = time(value),
                (b"spec", Value::Bytes(value)) => found.specification = specification(value),
                (b"labels", Value::Bucket(labels)) => found.label(labels)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Reads the labels of nerdctl, and those that a kubelet asks for.
    fn label(&mut self, labels: Bucket<'_>) -> Result<(), Damage> {
        let mut is_pod = false;
        for label in labels.entries() {
            let (key, Value::Bytes(value)) = label? else { continue };
            match key {
                b"io.cri-containerd.kind" => is_pod = value == b"sandbox",
                b"io.kubernetes.container.name" | b"nerdctl/name" => self.name = text(value),
                b"nerdctl/platform" => self.platform = text(value),
                b"io.kubernetes.pod.name" => self.pod = text(value),
                b"io.kubernetes.pod.namespace" => self.pod_namespace = text(value),
                _ => {}
            }
        }
        if is_pod {
            self.name = Some(containerd::POD.to_owned());
        }
        Ok(())
    }

    fn describe(self, namespace: &str, owner: Owner, images: &Targets) -> HostContainer {
        let known = self.specification.and_then(|bytes| Some((bytes, spec::parse(bytes)?)));
        let configuration = known.as_ref().map(|(bytes, _)| Configuration::Specification(Arc::from(*bytes)));
        let mut container = containerd::container(namespace, owner.clone(), known.map(|(_, spec)| spec), None);
        container.complete_from(HostContainer {
            name: self.name,
            digest: self.image.as_ref().and_then(|image| images.get(image)).and_then(|target| match target {
                Target::Manifest(digest) => Some(digest.clone()),
                Target::Index(_) => None,
            }),
            image: self.image,
            pod: self.pod,
            namespace: self.pod_namespace,
            created: self.created,
            configuration,
            ..HostContainer::unknown(owner.engine, owner.id)
        });
        container
    }
}

/// The keys that stand for buckets.
fn buckets<'d>(bucket: Bucket<'d>) -> impl Iterator<Item = Result<(&'d [u8], Bucket<'d>), Damage>> {
    bucket.entries().filter_map(|entry| match entry {
        Ok((key, Value::Bucket(bucket))) => Some(Ok((key, bucket))),
        Ok((_, Value::Bytes(_))) => None,
        Err(damage) => Some(Err(damage)),
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    str::from_utf8(bytes).ok().and_then(json::short)
}

/// Reads a time as Go writes it: a version, seconds since the year 1, nanoseconds, and a zone, which changes nothing.
fn time(bytes: &[u8]) -> Option<String> {
    /// From the year 1 to 1970.
    const BEFORE: i64 = 62_135_596_800;
    let (version, rest) = bytes.split_first().filter(|(version, _)| matches!(version, 1 | 2))?;
    let seconds = i64::from_be_bytes(*rest.first_chunk()?);
    let nanoseconds = i32::from_be_bytes(*rest.get(8..)?.first_chunk()?);
    // Two bytes of minutes, and since version 2 one of seconds.
    let is_whole = rest.len() == 13 + usize::from(*version);
    // The time that has not been set is the first of all.
    let is_time = is_whole && seconds != 0 && (0..1_000_000_000).contains(&nanoseconds);
    let time = jiff::Timestamp::new(seconds.checked_sub(BEFORE)?, nanoseconds).ok().filter(|_| is_time)?;
    Some(time.to_string())
}

/// Takes the JSON out of a `google.protobuf.Any`: 1 says what it is, 2 is it.
fn specification(any: &[u8]) -> Option<&[u8]> {
    const KIND: &[u8] = b"opencontainers/runtime-spec/1/Spec";
    let (mut kind, mut value, mut rest) = (None, None, any);
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        // A number, eight bytes, a length with so many bytes, four bytes; groups nobody writes any more.
        let (content, after) = match tag & 7 {
            0 => (&[][..], varint(after)?.1),
            1 => after.split_at_checked(8)?,
            2 => {
                let (length, after) = varint(after)?;
                after.split_at_checked(usize::try_from(length).ok()?)?
            }
            5 => after.split_at_checked(4)?,
            _ => return None,
        };
        // Of a field that is there twice the last one counts.
        match tag {
            0x0a => kind = Some(content),
            0x12 => value = Some(content),
            _ => {}
        }
        rest = after;
    }
    value.filter(|value| kind.is_some_and(|kind| kind.ends_with(KIND)) && value.len() <= SPECIFICATION)
}

/// Reads a number of seven bits a byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
pub(super) mod made {
    //! Makes databases as containerd writes them.

    use crate::bolt::made::{Node, file};

    /// A specification in its envelope.
    pub(in super::super) fn envelope(json: &str) -> Node {
        let field = |tag: u8, bytes: &[u8]| {
            let (low, high) = (bytes.len() & 0x7f | 0x80, bytes.len() >> 7);
            [&[tag, u8::try_from(low).unwrap(), u8::try_from(high).unwrap()], bytes].concat()
        };
        let kind = b"types.containerd.io/opencontainers/runtime-spec/1/Spec";
        Node::Value([field(0x0a, kind), field(0x12, json.as_bytes())].concat())
    }

    /// 2026-01-02T03:04:05.000000006Z.
    pub(in super::super) fn time() -> Node {
        let seconds: i64 = 1_767_323_045 + 62_135_596_800;
        Node::Value([&[1][..], &seconds.to_be_bytes(), &6_i32.to_be_bytes(), &[0xff, 0xff]].concat())
    }

    /// An image of a manifest.
    pub(in super::super) fn image(digest: &str, media_type: &str) -> Node {
        Node::leaf([
            ("createdat", time()),
            ("target", Node::inline([("digest", Node::text(digest)), ("mediatype", Node::text(media_type))])),
        ])
    }

    /// A database with these namespaces.
    pub(in super::super) fn database<const N: usize>(namespaces: [(&str, Node); N]) -> Vec<u8> {
        let mut inner = vec![("version".to_owned(), Node::Value(vec![3]))];
        inner.extend(namespaces.map(|(name, node)| (name.to_owned(), node)));
        file(&Node::leaf([("v0", Node::inline([])), ("v1", Node::Leaf(inner))]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use selkie_caps::{CapSet, Capability};

    use super::made::{database, envelope, image, time};
    use super::*;
    use crate::bolt::made::{Node, SIZE, seal};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const SPEC: &str = r#"{"process": {"args": ["sleep", "7"], "capabilities": {"bounding": ["CAP_KILL"]}}}"#;

    fn digest() -> String {
        format!("sha256:{ID}")
    }

    fn web() -> Node {
        Node::leaf([
            ("createdat", time()),
            ("image", Node::text("docker.io/library/nginx:1")),
            ("labels", Node::inline([("nerdctl/name", Node::text("web")), ("other", Node::text("x"))])),
            ("runtime", Node::inline([("name", Node::text("io.containerd.runc.v2"))])),
            ("spec", envelope(SPEC)),
        ])
    }

    fn example() -> Vec<u8> {
        database([
            (
                "default",
                Node::leaf([
                    ("containers", Node::branch([(ID, web()), ("made", Node::leaf([])), ("spaces in it", Node::leaf([]))])),
                    ("images", Node::leaf([("docker.io/library/nginx:1", image(&digest(), MANIFEST))])),
                ]),
            ),
            ("moby", Node::leaf([("containers", Node::leaf([(ID, web())]))])),
        ])
    }

    fn one(database: &[u8]) -> HostContainer {
        let mut found: Vec<_> = parse(database).unwrap().containers.into_values().collect();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn parse_of_nerdctls_container_and_of_one_of_which_nothing_is_said() {
        let web = HostContainer {
            name: Some("web".to_owned()),
            image: Some("docker.io/library/nginx:1".to_owned()),
            digest: Some(digest()),
            namespace: Some("default".to_owned()),
            bounding: Some(CapSet::EMPTY.with(Capability::Kill)),
            configuration: Some(Configuration::Specification(SPEC.as_bytes().into())),
            command: vec!["sleep".to_owned(), "7".to_owned()],
            created: Some("2026-01-02T03:04:05.000000006Z".to_owned()),
            ..HostContainer::unknown(Engine::Containerd, ID)
        };
        let made = HostContainer { namespace: Some("default".to_owned()), ..HostContainer::unknown(Engine::Containerd, "made") };
        let key = |id: &str| ("default".to_owned(), id.to_owned());
        let containers = [(key(ID), web), (key("made"), made)].into();
        assert_eq!(parse(&example()), Ok(Recorded { containers, indexes: BTreeMap::new() }));
    }

    #[test]
    fn parse_of_a_kubelets_container_takes_labels_where_annotations_do_not_say() {
        let labelled = |kind: &str, spec: &str| {
            let labels = Node::inline([
                ("io.cri-containerd.kind", Node::text(kind)),
                ("io.kubernetes.container.name", Node::text("web")),
                ("io.kubernetes.pod.name", Node::text("front")),
                ("io.kubernetes.pod.namespace", Node::text("prod")),
            ]);
            let found = one(&database([(
                "k8s.io",
                Node::leaf([("containers", Node::leaf([(ID, Node::leaf([("labels", labels), ("spec", envelope(spec))]))]))]),
            )]));
            [Some(found.title().to_owned()), found.pod, found.namespace].map(Option::unwrap)
        };
        assert_eq!(labelled("container", "{}"), ["web", "front", "prod"]);
        assert_eq!(labelled("sandbox", "{}"), ["POD", "front", "prod"]);
        let annotated = r#"{"annotations": {"io.kubernetes.cri.container-name": "a", "io.kubernetes.cri.sandbox-name": "b",
            "io.kubernetes.cri.sandbox-namespace": "c"}}"#;
        assert_eq!(labelled("container", annotated), ["a", "b", "c"]);
    }

    #[test]
    fn parse_of_another_namespace_has_it_before_the_id() {
        let found = one(&database([("build", Node::leaf([("containers", Node::leaf([("redis", Node::leaf([]))]))]))]));
        assert_eq!(found.owner, Owner { engine: Engine::Containerd, id: "build/redis".to_owned() });
    }

    #[test]
    fn digest_is_that_of_a_manifest_alone() {
        let of = |digest: &str, media_type: &str| {
            let containers = Node::leaf([("web", Node::leaf([("image", Node::text("i"))]))]);
            one(&database([(
                "default",
                Node::leaf([("containers", containers), ("images", Node::leaf([("i", image(digest, media_type))]))]),
            )]))
            .digest
        };
        assert_eq!(of(&digest(), MANIFEST), Some(digest()));
        assert_eq!(of(&digest(), "application/vnd.docker.distribution.manifest.v2+json"), Some(digest()));
        assert_eq!(of(&digest(), "application/vnd.oci.image.index.v1+json"), None);
        assert_eq!(of(&digest(), "application/vnd.docker.distribution.manifest.list.v2+json"), None);
        assert_eq!(of("sha256:7", MANIFEST), None);
    }

    #[test]
    fn digest_of_an_index_is_that_of_the_manifest_for_the_platform_that_was_fetched() {
        let made = |labels: Node| {
            let containers = Node::leaf([("web", Node::leaf([("image", Node::text("i")), ("labels", labels)]))]);
            let images = Node::leaf([("i", image(&digest(), "application/vnd.oci.image.index.v1+json"))]);
            parse(&database([("default", Node::leaf([("containers", containers), ("images", images)]))])).unwrap()
        };
        let of = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let manifest = |digit: &str, platform: &str| {
            format!(r#"{{"mediaType": "{MANIFEST}", "digest": "{}", "size": 7, "platform": {{{platform}}}}}"#, of(digit))
        };
        let [os, own] = [r#""os": "linux""#, &platform::own()["linux/".len()..]];
        let index = [
            manifest("1", &format!(r#"{os}, "architecture": "{own}""#)),
            manifest("2", &format!(r#"{os}, "architecture": "s390x""#)),
            manifest("3", &format!(r#"{os}, "architecture": "mips""#)),
            manifest("4", r#""os": "unknown", "architecture": "unknown""#),
        ];
        let index = format!(r#"{{"schemaVersion": 2, "manifests": [{}]}}"#, index.join(", "));
        let resolved = |platform: Option<&str>| {
            let labels = platform.map_or(Node::inline([]), |platform| Node::inline([("nerdctl/platform", Node::text(platform))]));
            let mut found = made(labels);
            let blob = |wanted: &str| (wanted == digest()).then(|| index.clone().into_bytes());
            resolve(&mut found, blob, |wanted| wanted != of("3"));
            found.containers.into_values().next().unwrap().digest
        };
        assert_eq!(resolved(None), Some(of("1")));
        assert_eq!(resolved(Some("linux/s390x")), Some(of("2")));
        assert_eq!(resolved(Some("linux/mips")), None, "it has not been fetched");
        assert_eq!(resolved(Some("linux/riscv64")), None, "there is none");
        let mut damaged = made(Node::inline([]));
        resolve(&mut damaged, |_| Some(b"{".to_vec()), |_| true);
        resolve(&mut damaged, |_| None, |_| true);
        assert_eq!(damaged.containers.into_values().next().unwrap().digest, None);
    }

    #[test]
    fn time_of_both_versions_and_of_none() {
        let seconds = (1_767_323_045 + 62_135_596_800_i64).to_be_bytes();
        let of = |version: u8, seconds: &[u8], zone: &[u8]| super::time(&[&[version], seconds, &[0; 4], zone].concat());
        let said = Some("2026-01-02T03:04:05Z".to_owned());
        assert_eq!(of(1, &seconds, &[0, 60]), said, "a zone says where it was read off, not when it was");
        assert_eq!(of(2, &seconds, &[0, 60, 7]), said);
        assert_eq!(
            [of(3, &seconds, &[0, 0]), of(1, &seconds, &[]), of(1, &[0; 8], &[0, 0]), of(1, &[0x7f; 8], &[0, 0])],
            [None, None, None, None]
        );
    }

    #[test]
    fn specification_is_found_between_fields_of_every_kind() {
        let Node::Value(spec) = envelope("{}") else { panic!() };
        let around = [&[0x18, 0x96, 0x01][..], &[0x21, 0, 0, 0, 0, 0, 0, 0, 0], &spec, &[0x2d, 0, 0, 0, 0], &[0x32, 1, b'x']].concat();
        assert_eq!(specification(&around), Some(&b"{}"[..]));
        for broken in [&around[..around.len() - 1], b"\x12\x02{}", b"\x0b", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80"] {
            assert_eq!(specification(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn settled_reads_again_what_was_written_meanwhile() {
        let damaged = || Some((vec![0; 10], None));
        let torn = || Some((vec![0; 10], Some(9)));
        let changed = || Some((example(), Some(9)));
        let still = || Some((example(), Some(8)));
        let count = |answers: Vec<Option<(Vec<u8>, Option<u64>)>>| {
            let mut answers = answers.into_iter();
            let found = settled(|| answers.next().unwrap());
            (found.containers.len(), answers.len())
        };
        assert_eq!(count(vec![still(), None]), (2, 1));
        assert_eq!(count(vec![torn(), changed(), still(), None]), (2, 1));
        assert_eq!(count(vec![changed(), changed(), changed(), changed(), changed(), None]), (2, 1));
        assert_eq!(count(vec![changed(), torn(), torn(), torn(), torn(), None]), (2, 1));
        assert_eq!(count(vec![torn(), torn(), torn(), torn(), torn(), None]), (0, 1));
        assert_eq!(count(vec![damaged(), None]), (0, 1), "nobody has written to it: it stays as it is");
        assert_eq!(count(vec![None, None]), (0, 1));
    }

    proptest! {
        #[test]
        fn parse_of_a_damaged_database_ends(damage in proptest::collection::vec((2 * SIZE..example().len(), any::<u8>()), 1..20)) {
            let mut bytes = example();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            seal(&mut bytes);
            let _ = parse(&bytes);
        }

        #[test]
        fn specification_of_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (specification(&bytes), super::time(&bytes));
        }
    }
}
