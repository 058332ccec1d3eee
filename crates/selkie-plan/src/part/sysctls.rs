//! `/proc/sys` settings: sysctl(8) of the container's own namespaces.
//!
//! Podman's default `net.ipv4.ping_group_range=0 0` lets group 0 ping without CAP_NET_RAW. When NET_RAW is dropped by
//! name or by `all`, that default is left out, so that dropping it does what people expect.

use std::collections::BTreeMap;

use selkie_caps::{CapSet, Capability};

use super::{Inputs, Notes, capabilities};
use crate::value::parse_sysctl;
use crate::{Namespace, Namespaces, PlanError};

const PING: &str = "net.ipv4.ping_group_range";

/// Computes the settings; `bounding` is the container's.
pub(crate) fn part(
    inputs: &Inputs,
    namespaces: &Namespaces,
    bounding: CapSet,
    notes: &mut Notes,
) -> Result<BTreeMap<String, String>, PlanError> {
    let mut settings = BTreeMap::new();
    let shipped = [format!("{PING}=0 0")];
    for text in inputs.facts.conf.default_sysctls.as_deref().unwrap_or(&shipped) {
        let (key, value) = parse_sysctl(text)?;
        let because = if *owner(&key, namespaces).0 != Namespace::Private {
            "the namespace is not the container's own"
        } else if key == PING && raw_dropped(inputs, bounding)? {
            "NET_RAW is dropped: ping must not work without it"
        } else if key == PING && !group_0_mapped(namespaces) {
            "group 0 is not mapped in the user namespace"
        } else {
            settings.insert(key, value);
            continue;
        };
        notes.because(format!("sysctl {key}"), "left out", because);
    }
    for (key, value) in &inputs.request.sysctls {
        if let (Namespace::Host, namespace) = owner(key, namespaces) {
            let (key, value) = (key.clone(), value.clone());
            return Err(PlanError::SysctlOfHost { key, value, namespace });
        }
        settings.insert(key.clone(), value.clone());
        notes.because(format!("sysctl {key}"), value.as_str(), "--sysctl");
    }
    Ok(settings)
}

/// Returns the namespace that a setting belongs to, and its name.
fn owner<'a>(key: &str, namespaces: &'a Namespaces) -> (&'a Namespace, &'static str) {
    if key.starts_with("net.") { (&namespaces.network, "Network") } else { (&namespaces.ipc, "IPC") }
}

fn raw_dropped(inputs: &Inputs, bounding: CapSet) -> Result<bool, PlanError> {
    let drops = capabilities::normalise(&inputs.request.security.cap_drop, inputs.facts.kernel.last_cap);
    // A privileged container ignores --cap-drop, even one that is not valid.
    let drops = if inputs.privileged() { drops.unwrap_or_default() } else { drops? };
    Ok((drops.all || drops.set.contains(Capability::NetRaw)) && !bounding.contains(Capability::NetRaw))
}

fn group_0_mapped(namespaces: &Namespaces) -> bool {
    namespaces.user.maps().is_none_or(|maps| maps.gids.iter().any(|map| map.to_host(0).is_some()))
}
