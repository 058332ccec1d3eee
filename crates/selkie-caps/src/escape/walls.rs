//! What is known of a container's walls. `None` is "not known", never "no".

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::Sureness;
use crate::CapSet;

/// What stands between a process and the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walls {
    /// The capabilities that it holds, or has at hand.
    pub permitted: CapSet,
    /// Those that a program may give to it.
    pub bounding: CapSet,
    /// Whether execve(2) gives nothing.
    pub no_new_privileges: Option<bool>,
    /// Whether it is in the first user namespace, where capabilities and user 0 count for the host.
    pub initial_users: Option<bool>,
    /// How sure it is that user 0 of a user namespace of its own is the host's, who owns root's files without any capability.
    pub own_root: Option<Sureness>,
    /// Whether it is user 0 of its namespace.
    pub root: Option<bool>,
    /// Which system calls the kernel takes of it.
    pub calls: Calls,
    /// Whether a security module confines it. A file that says nothing of it relies on nothing: not known counts as no.
    pub confined: Option<bool>,
    /// Whether it is in the host's PID namespace.
    pub host_pids: Option<bool>,
    /// Whether it is in the host's network namespace.
    pub host_network: Option<bool>,
    /// Whether its device cgroup allows every device.
    pub any_device: Option<bool>,
    /// Whether `/proc/sys/kernel/core_pattern` can be written by user 0.
    pub core_pattern_writable: Option<bool>,
    /// Whether sysfs can be written by user 0.
    pub sysfs_writable: Option<bool>,
    /// Whether a cgroup tree of version 1 can be written.
    pub release_agent_writable: Option<bool>,
    /// Whether `/proc/kcore` is not masked.
    pub kernel_memory_readable: Option<bool>,
    /// Device nodes of the host's disks and memory.
    pub nodes: Vec<String>,
    /// Directories of the host through which it can be taken over.
    pub mounts: Vec<HostMount>,
    /// Sockets of engines and service managers, as [`is_engine_socket`] tells them.
    pub sockets: Vec<String>,
}

/// A directory of the host that matters, mounted in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMount {
    /// Which one.
    pub source: String,
    /// Where.
    pub point: String,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// What is known of the filter on system calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// There is none.
    All,
    /// Strict: read, write and exit.
    Strict,
    /// This profile, of which the calls that ways need are known.
    Listed {
        /// Those that it lets through with all arguments.
        allowed: BTreeSet<&'static str>,
        /// Those that it lets through with some.
        partly: BTreeSet<&'static str>,
    },
    /// The profile of Docker, Podman or containerd, which opens a call together with the capability that it asks for.
    Engine,
    /// A filter of unknown content, or perhaps none.
    #[default]
    Unknown,
}

/// Directories of the host through which whoever writes there takes it over.
pub const SYSTEM_DIRECTORIES: [&str; 9] = ["/", "/bin", "/boot", "/etc", "/lib", "/root", "/run", "/sbin", "/usr"];

/// Tells by its name whether `path` is the socket of an engine or service manager: whoever writes to it is root of the host.
#[must_use]
pub fn is_engine_socket(path: &str) -> bool {
    const NAMES: [&str; 9] = [
        "docker.sock",
        "podman.sock",
        "containerd.sock",
        "crio.sock",
        "dockershim.sock",
        "cri-dockerd.sock",
        "buildkitd.sock",
        "incus.socket",
        "system_bus_socket",
    ];
    let last = path.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&last) || path.ends_with("/systemd/private") || last == "unix.socket" && (path.contains("lxd") || path.contains("incus"))
}

/// Returns the socket of an engine or service manager that is in the directory `path`, which has no `..` in it, where hosts have one.
#[must_use]
pub fn engine_socket_in(path: &str) -> Option<&'static str> {
    const PLACES: [(&str, &str); 16] = [
        ("/run", "systemd/private"),
        ("/run/buildkit", "buildkitd.sock"),
        ("/run/containerd", "containerd.sock"),
        ("/run/crio", "crio.sock"),
        ("/run/dbus", "system_bus_socket"),
        ("/run/k3s", "containerd/containerd.sock"),
        ("/run/k3s/containerd", "containerd.sock"),
        ("/run/podman", "podman.sock"),
        ("/run/systemd", "private"),
        ("/run/user", "UID/podman/podman.sock"),
        ("/run/user/UID", "podman/podman.sock"),
        ("/run/user/UID/podman", "podman.sock"),
        ("/var/lib/incus", "unix.socket"),
        ("/var/lib/lxd", "unix.socket"),
        ("/var/run", "docker.sock"),
        ("/var/snap/lxd/common/lxd", "unix.socket"),
    ];
    // /var/run is a link to /run everywhere.
    let path = if path == "/var/run" { path } else { path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path) };
    let mut parts: Vec<&str> = path.split('/').collect();
    if let ["", "run", "user", uid, ..] = parts.as_mut_slice()
        && uid.bytes().all(|byte| byte.is_ascii_digit())
    {
        *uid = "UID";
    }
    let path = parts.join("/");
    PLACES.iter().find(|(place, _)| *place == path).map(|(_, socket)| *socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_their_names() {
        for path in ["/var/run/docker.sock", "/run/podman/podman.sock", "/var/lib/incus/unix.socket", "/run/systemd/private", "docker.sock"]
        {
            assert!(is_engine_socket(path), "{path}");
        }
        for path in ["/run/postgresql/.s.PGSQL.5432", "/run/docker.sock/x", "/srv/unix.socket", "/run/user/7/bus", ""] {
            assert!(!is_engine_socket(path), "{path}");
        }
    }

    #[test]
    fn directories_are_known_for_the_sockets_in_them() {
        let found = ["/run", "/var/run", "/var/run/containerd", "/run/user/1000", "/run/dbus"].map(engine_socket_in);
        let sockets = ["systemd/private", "docker.sock", "containerd.sock", "podman/podman.sock", "system_bus_socket"];
        assert_eq!(found, sockets.map(Some));
        assert_eq!(["/", "/run/postgresql", "/run/user/x", "/var/lib", "/srv/run"].map(engine_socket_in), [None; 5]);
    }
}
