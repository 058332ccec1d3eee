//! What of the host is mounted, and which devices are given.

use selkie_caps::escape::{Sureness, Way, engine_socket_in, is_engine_socket};

use super::Findings;
use super::escapes::{at_hand, makes_disk, sureness};
use crate::subject::{Engine, Mount};
use crate::{Fix, Located, Rule, Severity};

pub(super) fn check(findings: &mut Findings) {
    for mount in &findings.subject.mounts {
        if mount.value.of_host {
            of_host(findings, mount);
        } else if findings.subject.engine == Engine::Kubernetes {
            let text = format!("a volume of type `{}` is none of the restricted standard", mount.value.source);
            findings.add(Rule::VolumeType, text, mount.place, Fix::words("use a persistentVolumeClaim"));
        }
        if mount.value.propagates {
            let text = format!("mounts below {} show on the host", mount.value.target);
            findings.add(Rule::MountPropagation, text, mount.place, Fix::words("use rslave, or HostToContainer"));
        }
    }
    devices(findings);
}

/// Directories of which the host is made, or in which engines keep their state.
const SYSTEM: [&str; 24] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
    "/var/run",
    "/var/lib",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/log",
    "/var/spool/cron",
    "/opt",
    "/srv",
];

fn of_host(findings: &mut Findings, mount: &Located<Mount>) {
    let subject = findings.subject;
    let path = clean(&mount.value.source);
    let (shown, ro) = (shown(&path), mount.value.read_only);
    let fix = |text: &str| if subject.engine == Engine::Docker { Fix::remove(text, mount.place) } else { Fix::words(text) };
    if is_engine_socket(&path) {
        let text = format!("the socket {shown} is mounted: whoever writes to it is root of the host");
        let severity = at_hand(subject, &[Way::EngineSocket], Severity::Critical);
        findings.add(Rule::EngineSocket, text, mount.place, fix("take the mount away")).with(severity);
    } else if path == "/" {
        let (severity, how) = if ro { (Severity::High, "read") } else { (Severity::Critical, "written") };
        let severity = at_hand(subject, &[Way::HostFilesRead, Way::HostFilesWrite], severity);
        findings
            .add(Rule::HostRoot, format!("the host's / is mounted and can be {how}"), mount.place, fix("mount what is needed of it"))
            .with(severity);
    } else if let Some(socket) = engine_socket_in(&path) {
        let text = format!("{shown} of the host is mounted, where {socket} is: whoever writes to that socket is root of the host");
        // Whether that engine is on the host nobody says.
        let severity = at_hand(subject, &[Way::EngineSocket], Severity::High);
        let fix = Fix::words("mount only what is needed of it; a socket is written to through a read-only mount, too");
        findings.add(Rule::EngineSocket, text, mount.place, fix).with(severity);
    } else if SYSTEM.contains(&path.as_str()) && !matches!(path.as_str(), "/home" | "/opt" | "/srv")
        || is_within_system(&path)
        || !ro && is_run_by_root(&path)
    {
        let severity = if ro { Severity::Medium } else { Severity::High };
        let how = if ro { "read" } else { "written" };
        let text = format!("{shown} of the host is mounted and can be {how}");
        findings.add(Rule::HostDirectory, text, mount.place, Fix::words("mount a directory of the workload")).with(severity);
    } else if subject.engine == Engine::Kubernetes {
        findings.add(Rule::HostPath, format!("{shown} of the node is mounted"), mount.place, Fix::words("use a volume"));
    }
}

/// Paths within the host's system that are as good as the directory itself.
fn is_within_system(path: &str) -> bool {
    const PARTS: [&str; 11] = [
        "/etc/cron",
        "/etc/systemd",
        "/etc/kubernetes",
        "/etc/shadow",
        "/etc/sudoers",
        "/etc/ssh",
        "/etc/pam.d",
        "/proc/",
        "/sys/",
        "/root/.ssh",
        "/usr/bin",
    ];
    let state = ["/var/lib/docker/", "/var/lib/containerd/", "/var/lib/containers/", "/var/lib/kubelet/", "/var/lib/etcd", "/boot/"];
    PARTS.iter().chain(&state).any(|part| path.starts_with(part)) && !is_volume(path)
}

/// Paths that may be read by anybody, and whose writer decides what root of the host runs.
fn is_run_by_root(path: &str) -> bool {
    const PARTS: [&str; 15] = [
        "/bin/",
        "/etc/cni",
        "/etc/containerd",
        "/etc/crio",
        "/etc/docker",
        "/etc/group",
        "/etc/ld.so",
        "/etc/passwd",
        "/etc/profile",
        "/lib/",
        "/opt/cni",
        "/sbin/",
        "/usr/lib",
        "/usr/local/bin",
        "/usr/sbin",
    ];
    PARTS.iter().any(|part| path.starts_with(part))
}

/// Tells whether it is, or is in, the data of a named volume, which its engine keeps among its state.
fn is_volume(path: &str) -> bool {
    let volumes = ["/var/lib/docker/volumes/", "/var/lib/containers/storage/volumes/"];
    let inner = volumes.iter().find_map(|place| path.strip_prefix(place)).and_then(|rest| Some(rest.split_once('/')?.1));
    inner.is_some_and(|inner| inner == "_data" || inner.starts_with("_data/"))
}

fn devices(findings: &mut Findings) {
    let subject = findings.subject;
    let certain = |way| sureness(subject, &[way]) == Some(Sureness::Certain);
    if subject.has_everything() {
        return;
    }
    for device in &subject.devices {
        let path = device.value.split(':').next().unwrap_or_default();
        if USUAL.contains(&path) || !path.starts_with('/') && !path.starts_with('.') {
            continue;
        }
        let severity = match () {
            () if is_disk(path) && certain(Way::Disk) => Severity::Critical,
            () if MEMORY.contains(&path) || is_disk(path) || matches!(path, "/dev" | "/") => Severity::High,
            () => Severity::Medium,
        };
        let text = format!("the device {} of the host is given", shown(path));
        findings.add(Rule::HostDevice, text, device.place, Fix::words("give only the device that is needed")).with(severity);
    }
    for rule in &subject.device_rules {
        if is_every_device(&rule.value) {
            let severity = if certain(Way::MakeDisk) { Severity::Critical } else { Severity::High };
            let severity = findings.by_users(severity);
            let fix = Fix::words("allow the numbers that are needed");
            findings
                .add(Rule::DeviceRuleAll, format!("the device rule `{}` allows every device", shown(&rule.value)), rule.place, fix)
                .with(severity);
        } else if let Some(what) = host_devices(&rule.value) {
            let is_sure = what == DISK && makes_disk(subject) == Some(Sureness::Certain);
            let severity = findings.by_users(if is_sure { Severity::Critical } else { Severity::High });
            let text = format!("the device rule `{}` lets it open {what}", shown(&rule.value));
            findings.add(Rule::HostDevice, text, rule.place, Fix::words("allow the numbers that are needed")).with(severity);
        }
    }
}

const DISK: &str = "block devices of the host";

/// What of the host a rule of the device cgroup lets be opened: disks, by any number, memory, ports and the kernel log.
fn host_devices(rule: &str) -> Option<&'static str> {
    let mut words = rule.split_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next().unwrap_or("rwm"));
    let (major, minor) = numbers.split_once(':')?;
    let is_memory = matches!(major, "1" | "*") && matches!(minor, "1" | "2" | "4" | "11" | "*");
    match kind {
        _ if !access.contains(['r', 'w']) => None,
        "b" => Some(DISK),
        "c" if is_memory => Some("the memory, ports or kernel log of the host"),
        _ => None,
    }
}

/// Tells whether a rule of the device cgroup allows every device.
pub(super) fn is_every_device(rule: &str) -> bool {
    let mut words = rule.split_whitespace();
    let (kind, numbers) = (words.next().unwrap_or_default(), words.next().unwrap_or("*:*"));
    kind == "a" || matches!(kind, "b" | "c") && numbers == "*:*" && rule.contains(['r', 'w']) && words.next() != Some("m")
}

/// Tells whether a node is a disk's.
pub(super) fn is_disk(path: &str) -> bool {
    DISKS.iter().any(|disk| path.starts_with(disk))
}

/// Tells whether a node is the machine's memory or ports.
pub(super) fn is_memory(path: &str) -> bool {
    matches!(path, "/dev/mem" | "/dev/kmem" | "/dev/port")
}

/// Devices that every container has: runtime-spec, "Default Devices".
const USUAL: [&str; 9] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts"];
const MEMORY: [&str; 4] = ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"];
const DISKS: [&str; 8] = ["/dev/sd", "/dev/nvme", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/dm-", "/dev/mapper/", "/dev/disk/"];

/// Returns a path without `//`, `/./`, `..` and a `/` at its end, so that `/var/run/../../` is found out.
pub(crate) fn clean(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// At most so much of a path as a line holds.
fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_resolves_what_hides_a_path() {
        assert_eq!(clean("/var/run/../../"), "/");
        assert_eq!(clean("//etc/./ssh/"), "/etc/ssh");
        assert_eq!(clean("./data"), "./data");
    }

    #[test]
    fn what_root_of_the_host_runs_is_not_to_be_written() {
        assert_eq!(["/lib/modules", "/opt/cni/bin", "/etc/passwd"].map(is_run_by_root), [true; 3]);
        assert_eq!(["/etc/localtime", "/usr/share/zoneinfo", "/library"].map(is_run_by_root), [false; 3]);
    }

    #[test]
    fn data_of_a_volume_is_not_the_engines_state() {
        let state = ["/var/lib/docker/volumes/db", "/var/lib/docker/volumes/metadata.db", "/var/lib/containers/storage/overlay/x"];
        let data = ["/var/lib/docker/volumes/db/_data", "/var/lib/containers/storage/volumes/db/_data/sub"];
        assert_eq!((state.map(is_within_system), data.map(is_within_system)), ([true; 3], [false; 2]));
    }
}
