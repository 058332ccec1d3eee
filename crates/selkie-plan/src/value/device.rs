//! `--device HOST[:CONTAINER][:PERMISSIONS]` and `--device-cgroup-rule 'TYPE MAJOR:MINOR ACCESS'`.

use serde::{Deserialize, Serialize};

use super::bind::clean;
use crate::{DeviceKind, DeviceRule, PlanError};

/// A device as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Path on the host: a node, or a directory of nodes.
    pub host: String,
    /// Path in the container, beneath `/dev`.
    pub container: String,
    /// Letters out of `rwm`.
    pub access: String,
}

impl DeviceSpec {
    /// Parses the value of `--device`.
    ///
    /// # Errors
    /// Podman's texts; [`PlanError::NotSupportedYet`] for CDI names (`vendor.com/class=device`).
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let format = || PlanError::DeviceFormat { text: text.to_owned() };
        if !text.starts_with('/') && text.contains('/') && text.contains('=') {
            return Err(PlanError::NotSupportedYet { flag: format!("--device {text} (CDI)") });
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (host, container, access) = match *parts.as_slice() {
            [host] => (host, host, "rwm"),
            [host, mode] if is_access(mode) => (host, host, mode),
            [host, path] if path.starts_with('/') => (host, path, "rwm"),
            [_, mode] => return Err(PlanError::DeviceMode { mode: mode.to_owned() }),
            [host, path, mode] if is_access(mode) => (host, if path.is_empty() { host } else { path }, mode),
            [_, _, mode] => return Err(PlanError::DeviceMode { mode: mode.to_owned() }),
            _ => return Err(format()),
        };
        if !host.starts_with('/') {
            return Err(if host.is_empty() { format() } else { PlanError::NoDevice { path: host.to_owned() } });
        }
        let container = clean(container);
        if !container.starts_with("/dev/") {
            return Err(PlanError::DevicePlace { text: text.to_owned() });
        }
        Ok(Self { host: clean(host), container, access: access.to_owned() })
    }
}

fn is_access(text: &str) -> bool {
    let once = |letter| text.matches(letter).count() <= 1;
    !text.is_empty() && text.bytes().all(|b| b"rwm".contains(&b)) && once('r') && once('w') && once('m')
}

/// A rule of the device cgroup as asked for; always one that allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRule(pub DeviceRule);

impl CgroupRule {
    /// Parses `c 10:200 rwm`, `b *:* r`, `a *:* rwm`.
    ///
    /// # Errors
    /// [`PlanError::CgroupRule`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let error = || PlanError::CgroupRule { text: text.to_owned() };
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, numbers, access] = *parts.as_slice() else { return Err(error()) };
        let kind = match kind {
            "a" => None,
            "b" => Some(DeviceKind::Block),
            "c" => Some(DeviceKind::Char),
            other => return Err(PlanError::CgroupRuleType { kind: other.to_owned() }),
        };
        let (major, minor) = numbers.split_once(':').ok_or_else(error)?;
        if !is_access(access) {
            return Err(error());
        }
        let (major, minor) = (device_number(major).ok_or_else(error)?, device_number(minor).ok_or_else(error)?);
        Ok(Self(DeviceRule { allow: true, kind, major, minor, access: access.to_owned() }))
    }
}

/// A number, or `*` for every number.
fn device_number(text: &str) -> Option<Option<u32>> {
    match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_host_container_and_access() {
        let device = |host: &str, container: &str, access: &str| {
            Ok(DeviceSpec { host: host.into(), container: container.into(), access: access.into() })
        };
        assert_eq!(DeviceSpec::parse("/dev/null"), device("/dev/null", "/dev/null", "rwm"));
        assert_eq!(DeviceSpec::parse("/dev/null:r"), device("/dev/null", "/dev/null", "r"));
        assert_eq!(DeviceSpec::parse("/dev/null:/dev/x"), device("/dev/null", "/dev/x", "rwm"));
        assert_eq!(DeviceSpec::parse("/dev/null:/dev/x:rw"), device("/dev/null", "/dev/x", "rw"));
    }

    #[test]
    fn device_errors_are_podmans() {
        let error = |text| DeviceSpec::parse(text).unwrap_err().to_string();
        assert_eq!(error("/dev/null:/dev/x:q"), "invalid device mode: q");
        assert_eq!(error("/dev/null:rr"), "invalid device mode: rr");
        assert_eq!(error("rel"), "stat rel: no such file or directory");
        assert_eq!(error("/a:b:c:d"), "invalid device specification: /a:b:c:d");
        assert_eq!(error(""), "invalid device specification: ");
        assert_eq!(error("nvidia.com/gpu=all"), "--device nvidia.com/gpu=all (CDI): not supported yet");
        assert!(error("/dev/null:/etc/x").contains("beneath /dev"));
        assert!(error("/dev/null:/dev/../etc").contains("beneath /dev"));
    }

    #[test]
    fn cgroup_rule_is_type_numbers_and_access() {
        let rule = DeviceRule { allow: true, kind: Some(DeviceKind::Char), major: Some(10), minor: None, access: "rw".into() };
        assert_eq!(CgroupRule::parse("c 10:* rw"), Ok(CgroupRule(rule)));
        assert_eq!(CgroupRule::parse("x 1:1 r"), Err(PlanError::CgroupRuleType { kind: "x".into() }));
        for text in ["foo", "c 1 r", "c 1:1", "c 1:1 x", "c a:1 r", "c -1:1 r"] {
            assert_eq!(CgroupRule::parse(text), Err(PlanError::CgroupRule { text: text.into() }));
        }
    }
}
