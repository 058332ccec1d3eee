//! `--add-host NAME[;NAME...]:ADDRESS`: one line of hosts(5).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::PlanError;

/// One line of the container's `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Names, at least one.
    pub names: Vec<String>,
    /// An address, or `host-gateway`.
    pub address: String,
}

impl HostEntry {
    /// Parses `name:192.0.2.1`, `a;b:2001:db8::1` or `name:host-gateway`.
    ///
    /// # Errors
    /// [`PlanError::AddHost`] or [`PlanError::AddHostAddress`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let error = || PlanError::AddHost { text: text.to_owned() };
        let (names, address) = text.split_once(':').filter(|(names, _)| !names.is_empty()).ok_or_else(error)?;
        let names: Vec<String> = names.split(';').map(str::to_owned).collect();
        // A name with a blank or a control character would write lines of its own into the file.
        if names.iter().any(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')) {
            return Err(error());
        }
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
        if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
            return Err(PlanError::AddHostAddress { address: address.to_owned() });
        }
        Ok(Self { names, address: bare.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_host_takes_names_and_an_address() {
        let entry = HostEntry::parse("a;b:2001:db8::1").unwrap();
        assert_eq!(entry, HostEntry { names: vec!["a".into(), "b".into()], address: "2001:db8::1".into() });
    }

    #[test]
    fn add_host_rejects_what_would_forge_a_line() {
        for text in ["foo", ":1.2.3.4", "a\nb:1.2.3.4", "a b:1.2.3.4", "a;:1.2.3.4"] {
            assert_eq!(HostEntry::parse(text), Err(PlanError::AddHost { text: text.into() }));
        }
        assert_eq!(HostEntry::parse("foo:bar"), Err(PlanError::AddHostAddress { address: "bar".into() }));
    }
}
