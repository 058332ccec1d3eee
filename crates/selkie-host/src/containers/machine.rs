//! Containers that are whole machines: LXC's and nspawn's files of `KEY = VALUE` lines. lxc.container.conf(5), machinectl(1).

use selkie_caps::CapSet;

use super::{HostContainer, json};
use crate::Engine;
use crate::engines::is_name;

/// Parses `/var/lib/lxc/NAME/config`. Included files are not followed: without `lxc.cap.keep` the set is not known.
pub(super) fn lxc(name: &str, config: &str) -> Option<HostContainer> {
    if !is_name(name) {
        return None;
    }
    let mut kept: Option<CapSet> = None;
    for (key, value) in pairs(config) {
        if key == "lxc.cap.keep" {
            // An empty value clears what was said before; `none` keeps nothing.
            let set = value.split_whitespace().filter_map(|name| CapSet::parse(name).ok()).fold(CapSet::EMPTY, CapSet::union);
            kept = (!value.is_empty()).then(|| kept.unwrap_or_default().union(set));
        }
    }
    Some(HostContainer { bounding: kept, ..HostContainer::unknown(Engine::Lxc, name) })
}

/// Parses `/run/systemd/machines/NAME`; `None` for virtual machines and for containers of other tools.
pub(super) fn nspawn(name: &str, machine: &str) -> Option<HostContainer> {
    let of = |wanted: &str| pairs(machine).find(|(key, _)| *key == wanted).map(|(_, value)| value.trim_matches('"'));
    if !is_name(name) || of("CLASS") != Some("container") || of("SERVICE").is_some_and(|service| service != "systemd-nspawn") {
        return None;
    }
    Some(HostContainer {
        image: of("ROOT").and_then(json::short),
        pid: of("LEADER").and_then(|pid| pid.parse().ok()),
        ..HostContainer::unknown(Engine::Nspawn, name)
    })
}

/// The lines of `KEY=VALUE`, blanks around both taken off.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use selkie_caps::Capability;

    use super::*;

    #[test]
    fn lxc_with_kept_capabilities() {
        let of = |config: &str| lxc("web", config).unwrap().bounding;
        assert_eq!(of("lxc.uts.name = web\nlxc.cap.keep = kill\nlxc.cap.keep = chown\n"), CapSet::parse("kill,chown").ok());
        assert_eq!(of("lxc.cap.keep = kill\nlxc.cap.keep =\n"), None);
        assert_eq!(of("lxc.cap.keep = none"), Some(CapSet::EMPTY));
        assert_eq!(of("lxc.cap.drop = sys_admin"), None);
        assert!(lxc("../x", "").is_none());
        assert!(CapSet::EMPTY.with(Capability::Kill).is_subset(of("lxc.cap.keep = kill").unwrap()));
    }

    #[test]
    fn nspawn_only_of_its_own_containers() {
        let file = "# This is private data. Do not parse.\nNAME=deb\nSERVICE=systemd-nspawn\nCLASS=container\nLEADER=421\nROOT=/var/lib/machines/deb\n";
        let found = nspawn("deb", file).unwrap();
        assert_eq!((found.pid, found.image.as_deref()), (Some(421), Some("/var/lib/machines/deb")));
        assert_eq!(nspawn("vm", "CLASS=vm\nLEADER=7\n"), None);
        assert_eq!(nspawn("x", "CLASS=container\nSERVICE=libvirt-lxc\n"), None);
    }
}
