//! Flags about names and name service.

use clap::Args;
use selkie_plan::value::HostEntry;
use selkie_plan::{NetworkRequest, PlanError};

use super::switch::{list, switch};

/// Names and name service.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkFlags {
    /// Line of /etc/hosts NAME[;NAME]:ADDRESS.
    #[arg(long = "add-host", allow_hyphen_values = true)]
    pub add_host: Vec<String>,
    /// Name server, or none.
    #[arg(long = "dns", allow_hyphen_values = true)]
    pub dns: Vec<String>,
    /// Search domain of the name service.
    #[arg(long = "dns-search", allow_hyphen_values = true)]
    pub dns_search: Vec<String>,
    /// Option of the name service.
    #[arg(long = "dns-option", visible_alias = "dns-opt", allow_hyphen_values = true)]
    pub dns_option: Vec<String>,
    /// Leave /etc/hosts as the image has it.
    #[arg(long = "no-hosts", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub no_hosts: Option<bool>,
    /// Leave /etc/hostname as the image has it.
    #[arg(long = "no-hostname", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub no_hostname: Option<bool>,
    /// Port that the container listens on, for inspect.
    #[arg(long = "expose", allow_hyphen_values = true)]
    pub expose: Vec<String>,
}

impl NetworkFlags {
    pub(super) fn request(&self) -> Result<NetworkRequest, PlanError> {
        let (dns, dns_search, dns_options) = (list(&self.dns), list(&self.dns_search), list(&self.dns_option));
        if let Some(text) = dns.iter().find(|text| *text != "none" && text.parse::<std::net::IpAddr>().is_err()) {
            return Err(PlanError::Dns { text: text.clone() });
        }
        // A blank or a line break would add options or lines of its own to resolv.conf.
        let forged = |text: &&String| text.contains(|c: char| c.is_whitespace() || c.is_control());
        if let Some(value) = dns_search.iter().chain(&dns_options).find(forged) {
            return Err(PlanError::ForbiddenCharacter { what: "--dns-search or --dns-option", value: value.clone() });
        }
        Ok(NetworkRequest {
            add_hosts: self.add_host.iter().map(|text| HostEntry::parse(text)).collect::<Result<_, _>>()?,
            dns,
            dns_search,
            dns_options,
            no_hosts: self.no_hosts,
            no_hostname: self.no_hostname.unwrap_or(false),
            expose: list(&self.expose),
        })
    }
}
