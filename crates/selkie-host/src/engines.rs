//! Which engine's container a cgroup belongs to, from its path alone.
//!
//! The outermost part of a path that names a container counts: what is below it, the container may have made itself, to look
//! like another one. Ids are checked character by character; everything else is no container.
//!
//! | engine | part of the path |
//! |---|---|
//! | selkie | `/selkie/ID`, `selkie-ID.scope` |
//! | Podman | `libpod-ID.scope`, `libpod-ID`, `libpod-payload-ID`; its monitors are `libpod-conmon-ID.scope` |
//! | Docker | `docker-ID.scope`, `/docker/ID` |
//! | containerd | `cri-containerd-ID.scope`, `nerdctl-ID.scope`, `/k8s.io/ID`, `/default/ID` |
//! | CRI-O | `crio-ID.scope`, `crio-ID`; its monitors are `crio-conmon-ID.scope` |
//! | Kubernetes, engine unknown | `/kubepods/.../podUID/ID` |
//! | LXC | `lxc.payload.NAME`, `/lxc/NAME` |
//! | systemd-nspawn | `machine-NAME.scope`, `systemd-nspawn@NAME.service` beneath `machine.slice` |

use std::fmt;

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// This project.
    Selkie,
    /// Podman, rootful or not.
    Podman,
    /// Docker.
    Docker,
    /// containerd by itself, nerdctl or a kubelet.
    Containerd,
    /// CRI-O.
    CriO,
    /// A kubelet; which engine, the path does not say.
    Kubernetes,
    /// LXC, LXD or Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// runc, used by hand.
    Runc,
    /// crun, used by hand.
    Crun,
    /// youki, used by hand.
    Youki,
    /// Nobody that is known: namespaces of its own and nothing else. bubblewrap, Flatpak, unshare(1).
    Sandbox,
}

impl Engine {
    /// Every engine, in the order of the declaration.
    pub const ALL: [Self; 12] = [
        Self::Selkie,
        Self::Podman,
        Self::Docker,
        Self::Containerd,
        Self::CriO,
        Self::Kubernetes,
        Self::Lxc,
        Self::Nspawn,
        Self::Runc,
        Self::Crun,
        Self::Youki,
        Self::Sandbox,
    ];

    /// Returns the engine of this word; `None` for other words.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.word() == word)
    }

    /// Returns whether it is a runtime that engines use, too.
    #[must_use]
    pub const fn is_runtime(self) -> bool {
        matches!(self, Self::Runc | Self::Crun | Self::Youki)
    }

    /// Returns the word that tables show.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Selkie => "selkie",
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Kubernetes => "kubernetes",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Youki => "youki",
            Self::Sandbox => "sandbox",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A container and its engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Who made it.
    pub engine: Engine,
    /// Its id of 64 digits, or its name where the engine has only names: with containerd's namespace and a slash before it
    /// where that is not the usual one; of a sandbox the number of its first process.
    pub id: String,
}

impl Owner {
    /// Returns what tables show: twelve digits of an id, a name as it is.
    #[must_use]
    pub fn short(&self) -> &str {
        if is_id(&self.id) { self.id.get(..12).unwrap_or(&self.id) } else { &self.id }
    }
}

/// Returns whose container a process at `path` is in; `None` when it is in none that can be told from its path.
#[must_use]
pub fn engine_of(path: &str) -> Option<Owner> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).find_map(|at| {
        let part = parts.get(at)?;
        let (engine, id) = by_name(part, at.checked_sub(1).and_then(|before| parts.get(before)).copied())
            .or_else(|| by_place(parts.get(..at).unwrap_or(&[]), part))?;
        Some(Owner { engine, id })
    })
}

/// Parts that say themselves whose they are.
fn by_name(part: &str, parent: Option<&str>) -> Option<(Engine, String)> {
    const PREFIXES: [(&str, Engine); 7] = [
        ("libpod-payload-", Engine::Podman),
        ("libpod-", Engine::Podman),
        ("docker-", Engine::Docker),
        ("cri-containerd-", Engine::Containerd),
        ("nerdctl-", Engine::Containerd),
        ("crio-", Engine::CriO),
        ("selkie-", Engine::Selkie),
    ];
    for (prefix, engine) in PREFIXES {
        if let Some(rest) = part.strip_prefix(prefix) {
            let id = rest.strip_suffix(".scope").unwrap_or(rest);
            return is_id(id).then(|| (engine, id.to_owned()));
        }
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return is_name(name).then(|| (Engine::Lxc, name.to_owned()));
    }
    if parent == Some("machine.slice") {
        let scope = part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope"));
        let service = part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
        let name = unescape(scope.or(service)?)?;
        // Virtual machines of libvirt and its own kind of containers live there too.
        let foreign = ["qemu-", "lxc-", "libvirt-"].iter().any(|prefix| scope.is_some() && name.starts_with(prefix));
        return (is_name(&name) && !foreign).then_some((Engine::Nspawn, name));
    }
    None
}

/// Parts that are told by where they are: a bare id or name.
fn by_place(before: &[&str], part: &str) -> Option<(Engine, String)> {
    let pod = |name: &str| name.strip_prefix("pod").is_some_and(|uid| uid.len() >= 32 && uid.bytes().all(is_uid_byte));
    let engine = match *before {
        ["selkie"] => Engine::Selkie,
        [.., "docker"] => Engine::Docker,
        ["k8s.io"] => Engine::Containerd,
        ["default"] | ["lxc"] => {
            let engine = if before == ["lxc"] { Engine::Lxc } else { Engine::Containerd };
            return is_name(part).then(|| (engine, part.to_owned()));
        }
        ["kubepods", .., parent] if pod(parent) => Engine::Kubernetes,
        _ => return None,
    };
    is_id(part).then(|| (engine, part.to_owned()))
}

const fn is_uid_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-' | b'_')
}

pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells a digest: `sha256:` and 64 digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_id)
}

pub(crate) fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(word) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// Undoes systemd's `\xNN`; `None` for what it would not write.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split("\\x");
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let byte = u8::from_str_radix(part.get(..2)?, 16).ok().filter(u8::is_ascii)?;
        name.push(char::from(byte));
        name.push_str(part.get(2..)?);
    }
    (!name.contains('\\')).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn engine_of_every_engines_path() {
        let cases = [
            ("/selkie/ID", Engine::Selkie),
            ("/system.slice/selkie-ID.scope", Engine::Selkie),
            ("/machine.slice/libpod-ID.scope", Engine::Podman),
            ("/machine.slice/libpod-ID.scope/container", Engine::Podman),
            ("/machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope/container", Engine::Podman),
            ("/libpod_parent/libpod-ID", Engine::Podman),
            ("/system.slice/web.service/libpod-payload-ID", Engine::Podman),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope", Engine::Podman),
            ("/system.slice/docker-ID.scope", Engine::Docker),
            ("/docker/ID", Engine::Docker),
            ("/docker/ID/init.scope", Engine::Docker),
            ("/k8s.io/ID", Engine::Containerd),
            ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a_1.slice/cri-containerd-ID.scope", Engine::Containerd),
            ("/system.slice/nerdctl-ID.scope", Engine::Containerd),
            ("/kubepods/besteffort/pod01234567-89ab-cdef-0123-456789abcdef/ID", Engine::Kubernetes),
            ("/kubepods/pod01234567-89ab-cdef-0123-456789abcdef/ID", Engine::Kubernetes),
            ("/kubepods.slice/kubepods-pod0a.slice/crio-ID.scope/container", Engine::CriO),
            ("/kubepods/pod0/crio-ID", Engine::CriO),
        ];
        for (path, engine) in cases {
            let path = path.replace("ID", ID);
            assert_eq!(engine_of(&path), Some(Owner { engine, id: ID.to_owned() }), "{path}");
        }
    }

    #[test]
    fn engine_of_engines_with_names() {
        let cases = [
            ("/lxc.payload.web", Engine::Lxc, "web"),
            ("/lxc.payload.web/system.slice/ssh.service", Engine::Lxc, "web"),
            ("/lxc/old", Engine::Lxc, "old"),
            ("/machine.slice/machine-deb.scope/payload", Engine::Nspawn, "deb"),
            (r"/machine.slice/machine-a\x2db.scope", Engine::Nspawn, "a-b"),
            ("/machine.slice/systemd-nspawn@deb.service/payload", Engine::Nspawn, "deb"),
            ("/default/redis", Engine::Containerd, "redis"),
        ];
        for (path, engine, id) in cases {
            assert_eq!(engine_of(path), Some(Owner { engine, id: id.to_owned() }), "{path}");
        }
    }

    #[test]
    fn engine_of_what_is_no_container_is_none() {
        let cases = [
            "/",
            "/user.slice/user-0.slice/session-1.scope",
            "/system.slice/docker.service",
            "/system.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/machine.slice/libpod-conmon-ID.scope",
            "/docker/short",
            "/docker/ID0",
            "/machine.slice/libpod-\x1b[31m.scope",
            r"/machine.slice/machine-qemu\x2d1\x2dvm.scope",
            r"/machine.slice/machine-a\x1bb.scope",
            "/lxc.monitor.web",
            "/lxc.payload...",
            "/selkie",
            "/process/ID",
        ];
        for path in cases {
            assert_eq!(engine_of(&path.replace("ID", ID)), None, "{path}");
        }
    }

    #[test]
    fn engine_of_a_forged_cgroup_inside_a_container_is_the_outer_one() {
        let other = "f".repeat(64);
        let owner = engine_of(&format!("/docker/{ID}/libpod-{other}.scope")).unwrap();
        assert_eq!((owner.engine, owner.id.as_str()), (Engine::Docker, ID));
    }

    #[test]
    fn parse_of_every_word_is_its_engine() {
        assert!(Engine::ALL.into_iter().all(|engine| Engine::parse(engine.word()) == Some(engine)));
        assert_eq!(Engine::parse("Docker"), None);
    }

    #[test]
    fn short_is_twelve_digits_or_the_name() {
        assert_eq!(engine_of(&format!("/docker/{ID}")).unwrap().short(), "0123456789ab");
        assert_eq!(engine_of("/lxc.payload.averylongnameofacontainer").unwrap().short(), "averylongnameofacontainer");
    }

    proptest! {
        #[test]
        fn engine_of_any_path_is_fit_for_a_terminal(path in "(/(docker|lxc|default|libpod-|machine.slice|\\PC{0,9}|[a-f0-9]{64}|lxc.payload.\\PC{0,4})){0,4}") {
            if let Some(owner) = engine_of(&path) {
                prop_assert!(owner.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)));
            }
        }
    }
}
