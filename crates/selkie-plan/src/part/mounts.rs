//! What is mounted where: Podman's defaults, then the user's, which replace a default at the same place.
//!
//! Order: a place comes after every place above it, so that nothing is covered.

use std::collections::BTreeMap;

use super::{Inputs, Notes, files, namespaces, security};
use crate::value::{BindMount, DevptsMount, NamespaceMode, TmpfsMount, UserMount, UsernsMode, format_size, parse_size};
use crate::{ImageVolumes, Mount, MountSource, Namespace, PlanError, Propagation, UserNamespace};

/// Size of `/dev/shm`, in bytes.
const SHM_SIZE: u64 = 65536 << 10;

/// The mounts, by destination.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) mounts: BTreeMap<Place, Mount>,
    pub(crate) notes: Notes,
}

/// A destination, ordered so that `/a` comes before `/a/b` and `/a/b` before `/a-b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(Vec<String>);

impl Place {
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}

/// Computes all mounts but the device nodes that a user namespace needs.
pub(crate) fn part(inputs: &Inputs, namespaces: &namespaces::Part, files: &files::Part, init: bool) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    let mut mounts: BTreeMap<Place, Mount> = BTreeMap::new();
    let mut put = |mount: Mount| drop(mounts.insert(Place::of(&mount.destination), mount));
    defaults(inputs, namespaces, &mut notes)?.into_iter().for_each(&mut put);
    if inputs.read_only() && inputs.request.mounts.read_only_tmpfs.unwrap_or(true) {
        ["/run", "/tmp", "/var/tmp"].map(read_only_tmpfs).into_iter().for_each(&mut put);
    }
    image_volumes(inputs, &mut notes).into_iter().for_each(&mut put);
    files.mounts.iter().cloned().for_each(&mut put);
    timezone(inputs)?.into_iter().for_each(&mut put);
    if init {
        put(Mount { readonly: true, nosuid: true, nodev: true, ..mount(super::process::INIT, MountSource::Engine) });
    }
    for volume in inputs.request.mounts.binds().filter(|volume| volume.give) {
        notes.because(format!("volume {}", volume.destination), format!("gives {} to the user", volume.source), "option U");
    }
    for (place, mount) in asked(inputs)? {
        let destination = mount.destination.clone();
        if mounts.insert(place, mount).is_some() {
            notes.because(format!("mount {destination}"), "replaced", "the user's mount at the same place");
        }
    }
    Ok(Part { mounts, notes })
}

/// Returns a mount with all flags off.
pub(crate) fn mount(destination: &str, source: MountSource) -> Mount {
    Mount {
        destination: destination.to_owned(),
        source,
        readonly: false,
        nosuid: false,
        nodev: false,
        noexec: false,
        propagation: Propagation::default(),
        options: Vec::new(),
    }
}

/// Returns a mount with `nosuid`, `nodev` and `noexec`.
fn confined(destination: &str, source: MountSource) -> Mount {
    Mount { nosuid: true, nodev: true, noexec: true, ..mount(destination, source) }
}

fn bind(path: &str, recursive: bool) -> MountSource {
    MountSource::Bind { path: path.to_owned(), recursive }
}

fn options<const N: usize>(list: [&str; N]) -> Vec<String> {
    list.map(str::to_owned).to_vec()
}

/// Returns the file systems that a container has whose user asks for nothing else. They can be made before anything is known of the
/// container but its network and IPC namespaces.
#[must_use]
pub fn usual_mounts() -> Vec<Mount> {
    vec![dev(), devpts(&UserNamespace::Host), shm(SHM_SIZE), mqueue(), Mount { readonly: true, ..sysfs() }]
}

fn dev() -> Mount {
    Mount { nosuid: true, noexec: true, options: options(["mode=755", "size=65536k"]), ..mount("/dev", MountSource::Tmpfs) }
}

fn shm(size: u64) -> Mount {
    let words = vec![String::from("mode=1777"), format!("size={}", format_size(size))];
    Mount { options: words, ..confined("/dev/shm", MountSource::Tmpfs) }
}

fn mqueue() -> Mount {
    confined("/dev/mqueue", MountSource::Mqueue)
}

fn sysfs() -> Mount {
    confined("/sys", MountSource::Sysfs)
}

/// Computes Podman's default mounts for these namespaces.
fn defaults(inputs: &Inputs, part: &namespaces::Part, notes: &mut Notes) -> Result<Vec<Mount>, PlanError> {
    let namespaces = &part.namespaces;
    let new_user = namespaces.user != UserNamespace::Host;
    let dev_readonly = inputs.read_only() && inputs.request.mounts.read_only_tmpfs == Some(false);
    let mut mounts = vec![proc(inputs, new_user && namespaces.pid == Namespace::Host, notes)];
    mounts.push(Mount { readonly: dev_readonly, ..dev() });
    mounts.push(devpts(&namespaces.user));
    mounts.extend(shared_memory(inputs, part, dev_readonly, notes)?);
    mounts.push(match namespaces.ipc {
        Namespace::Private => mqueue(),
        _ if !new_user || of_same_container(inputs) => mqueue(),
        _ => confined("/dev/mqueue", bind("/dev/mqueue", false)),
    });
    mounts.extend(sys(inputs, part, notes));
    Ok(mounts)
}

/// Returns whether the IPC namespace is that of the container whose user namespace is joined: it belongs to that one.
fn of_same_container(inputs: &Inputs) -> bool {
    match (&inputs.request.namespaces.user, &inputs.request.namespaces.ipc) {
        (UsernsMode::Container(user), NamespaceMode::Container(ipc)) => user == ipc,
        _ => false,
    }
}

/// A new procfs, or the host's where the kernel refuses a new one (host's PID namespace in a new user namespace).
fn proc(inputs: &Inputs, of_host: bool, notes: &mut Notes) -> Mount {
    if of_host {
        notes.because("mount /proc", "the host's", "--pid host in a user namespace: the kernel refuses a new one");
        return confined("/proc", bind("/proc", true));
    }
    let Some(words) = security::proc_options(inputs) else { return confined("/proc", MountSource::Proc) };
    let mut proc = mount("/proc", MountSource::Proc);
    for word in words {
        match word.as_str() {
            "ro" => proc.readonly = true,
            "rw" => proc.readonly = false,
            "nosuid" => proc.nosuid = true,
            "nodev" => proc.nodev = true,
            "noexec" => proc.noexec = true,
            other => proc.options.push(other.to_owned()),
        }
    }
    notes.because("mount /proc", words.join(","), "--security-opt proc-opts");
    proc
}

fn devpts(user: &UserNamespace) -> Mount {
    let mut words = options(["newinstance", "ptmxmode=0666", "mode=0620"]);
    let tty_is_mapped = user.maps().is_none_or(|maps| maps.gids.iter().any(|map| map.to_host(5).is_some()));
    if tty_is_mapped {
        words.push(String::from("gid=5"));
    }
    Mount { nosuid: true, noexec: true, options: words, ..mount("/dev/pts", MountSource::Devpts) }
}

fn shared_memory(inputs: &Inputs, part: &namespaces::Part, readonly: bool, notes: &mut Notes) -> Result<Option<Mount>, PlanError> {
    if part.no_shm {
        notes.because("mount /dev/shm", "none", "--ipc none");
        return Ok(None);
    }
    if part.namespaces.ipc == Namespace::Host {
        return Ok(Some(confined("/dev/shm", bind("/dev/shm", true))));
    }
    if let NamespaceMode::Container(name) = &inputs.request.namespaces.ipc {
        notes.warn(format!("`/dev/shm` of container `{name}` is not shared yet: only System V IPC and message queues are"), None);
    }
    let conf = inputs.facts.conf.shm_size.as_deref().map(|text| parse_size("unable to translate --shm-size", text)).transpose()?;
    let size = inputs.request.mounts.shm_size.or(conf).unwrap_or(SHM_SIZE);
    Ok(Some(Mount { readonly, ..shm(size) }))
}

/// `/sys` and the cgroups: new ones, or the host's where the kernel refuses a sysfs of a network namespace
/// that does not belong to our user namespace.
fn sys(inputs: &Inputs, part: &namespaces::Part, notes: &mut Notes) -> Vec<Mount> {
    let (readonly, cgroup_readonly) = (!inputs.privileged(), !inputs.privileged() && !security::cgroup_unmasked(inputs));
    let sys = if can_mount_sys(part) {
        Mount { readonly, ..sysfs() }
    } else {
        notes.because("mount /sys", "the host's", "the network namespace does not belong to the container's user namespace");
        Mount { readonly, ..confined("/sys", bind("/sys", true)) }
    };
    vec![sys, Mount { readonly: cgroup_readonly, ..confined("/sys/fs/cgroup", MountSource::Cgroup) }]
}

/// Returns whether the kernel lets us mount a new sysfs.
pub(crate) fn can_mount_sys(part: &namespaces::Part) -> bool {
    part.namespaces.user == UserNamespace::Host || part.namespaces.network == Namespace::Private
}

/// `--tz`: the zone's file of the host at `/etc/localtime`.
fn timezone(inputs: &Inputs) -> Result<Option<Mount>, PlanError> {
    let Some(path) = timezone_path(inputs.request.process.timezone.as_deref().or(inputs.facts.conf.tz.as_deref()))? else {
        return Ok(None);
    };
    if !inputs.facts.bind_sources.contains_key(&path) {
        return Err(PlanError::Timezone { path });
    }
    Ok(Some(Mount { readonly: true, ..confined("/etc/localtime", bind(&path, false)) }))
}

/// Returns the host's file of a time zone.
pub(crate) fn timezone_path(name: Option<&str>) -> Result<Option<String>, PlanError> {
    const ZONES: &str = "/usr/share/zoneinfo";
    let path = match name {
        None | Some("") => return Ok(None),
        Some("local") => String::from("/etc/localtime"),
        Some(name) => format!("{ZONES}/{name}"),
    };
    // `../../../etc/shadow` names no zone.
    let outside = crate::value::clean(&path) != path || path.contains('\0');
    if outside { Err(PlanError::Timezone { path }) } else { Ok(Some(path)) }
}

fn read_only_tmpfs(destination: &str) -> Mount {
    let mode = if destination == "/run" { "mode=755" } else { "mode=1777" };
    Mount { nosuid: true, nodev: true, options: options([mode]), ..mount(destination, MountSource::Tmpfs) }
}

/// Computes what becomes of the image's volumes; without volumes of our own they stay in the writable layer.
fn image_volumes(inputs: &Inputs, notes: &mut Notes) -> Vec<Mount> {
    let paths =
        inputs.image.volumes.iter().filter(|path| path.starts_with('/')).map(|path| crate::value::clean(path)).filter(|path| path != "/");
    match inputs.request.mounts.image_volumes {
        ImageVolumes::Tmpfs => paths.map(|path| Mount { nosuid: true, nodev: true, ..mount(&path, MountSource::Tmpfs) }).collect(),
        ImageVolumes::Keep if inputs.read_only() => {
            for path in paths {
                notes.warn(format!("the volume {path} of the image is read-only with the rest of the root"), Some("--image-volume tmpfs"));
            }
            Vec::new()
        }
        ImageVolumes::Keep | ImageVolumes::Ignore => Vec::new(),
    }
}

/// Returns the mounts that the user asks for, and containers.conf's where the user has none at the same place.
fn asked(inputs: &Inputs) -> Result<BTreeMap<Place, Mount>, PlanError> {
    let request = &inputs.request.mounts;
    let mut mounts = BTreeMap::new();
    // The same volume twice is one, as in Podman.
    let different =
        request.volumes.iter().enumerate().filter(|(number, volume)| !request.volumes.iter().take(*number).any(|other| other == *volume));
    let binds = different.map(|(_, volume)| user_bind(inputs, volume));
    let listed = request.mounts.iter().map(|mount| user_mount(inputs, mount));
    let tmpfs = request.tmpfs.iter().map(|mount| Ok(user_tmpfs(mount)));
    for mount in binds.chain(listed).chain(tmpfs) {
        let mount = mount?;
        let path = mount.destination.clone();
        if mounts.insert(Place::of(&path), mount).is_some() {
            return Err(PlanError::DuplicateDestination { path });
        }
    }
    for text in &inputs.facts.conf.volumes {
        let volume = BindMount::parse(text, "/")?;
        if volume.give {
            return Err(PlanError::NotSupportedYet { flag: format!("volume {text} of containers.conf (option U)") });
        }
        let volume = user_bind(inputs, &volume)?;
        mounts.entry(Place::of(&volume.destination)).or_insert(volume);
    }
    for text in &inputs.facts.conf.mounts {
        let mount = UserMount::parse(text, "/")?;
        if matches!(&mount, UserMount::Bind(volume) if volume.give) {
            return Err(PlanError::NotSupportedYet { flag: format!("mount {text} of containers.conf (option U)") });
        }
        let mount = user_mount(inputs, &mount)?;
        mounts.entry(Place::of(&mount.destination)).or_insert(mount);
    }
    Ok(mounts)
}

fn user_mount(inputs: &Inputs, asked: &UserMount) -> Result<Mount, PlanError> {
    match asked {
        UserMount::Bind(volume) => user_bind(inputs, volume),
        UserMount::Tmpfs(tmpfs) => Ok(user_tmpfs(tmpfs)),
        UserMount::Devpts(DevptsMount { destination, options }) => {
            Ok(Mount { nosuid: true, noexec: true, options: options.clone(), ..mount(destination, MountSource::Devpts) })
        }
    }
}

fn user_bind(inputs: &Inputs, volume: &BindMount) -> Result<Mount, PlanError> {
    if !inputs.facts.bind_sources.contains_key(&volume.source) {
        return Err(PlanError::NoSource { path: volume.source.clone() });
    }
    if volume.relabel.is_some() && inputs.facts.kernel.selinux {
        return Err(PlanError::NotSupportedYet { flag: String::from("--volume option z (SELinux is on)") });
    }
    let source = bind(&volume.source, !volume.not_recursive);
    Ok(Mount {
        readonly: volume.readonly,
        nosuid: volume.nosuid,
        nodev: volume.nodev,
        noexec: volume.noexec,
        propagation: volume.propagation,
        ..mount(&volume.destination, source)
    })
}

fn user_tmpfs(tmpfs: &TmpfsMount) -> Mount {
    Mount {
        readonly: tmpfs.readonly,
        nosuid: tmpfs.nosuid,
        nodev: tmpfs.nodev,
        noexec: tmpfs.noexec,
        options: tmpfs.options.clone(),
        ..mount(&tmpfs.destination, MountSource::Tmpfs)
    }
}
