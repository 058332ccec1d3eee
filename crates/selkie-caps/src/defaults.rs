//! What engines give a container of which nothing is said.

use crate::{CapSet, Capability};

/// Podman's list since 4.5, and selkie's: containers.conf(5), `default_capabilities`.
pub const PODMAN_DEFAULTS: CapSet = CapSet::EMPTY
    .with(Capability::Chown)
    .with(Capability::DacOverride)
    .with(Capability::Fowner)
    .with(Capability::Fsetid)
    .with(Capability::Kill)
    .with(Capability::NetBindService)
    .with(Capability::Setfcap)
    .with(Capability::Setgid)
    .with(Capability::Setpcap)
    .with(Capability::Setuid)
    .with(Capability::SysChroot);

/// What Docker, containerd and CRI-O's documentation say: moby `oci/caps/defaults.go`.
pub const DOCKER_DEFAULTS: CapSet = PODMAN_DEFAULTS.with(Capability::Mknod).with(Capability::NetRaw).with(Capability::AuditWrite);
