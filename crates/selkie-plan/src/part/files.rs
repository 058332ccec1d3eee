//! Files that the engine writes for one container: hosts(5), resolv.conf(5), the host name, `/run/.containerenv`.

use std::fmt::Write as _;

use super::{Inputs, mounts, namespaces};
use crate::value::NetworkMode;
use crate::{GeneratedFile, Mount, MountSource, Namespace, PlanError};

/// The files and the mounts that bind them.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) files: Vec<GeneratedFile>,
    pub(crate) mounts: Vec<Mount>,
}

/// Computes the files.
pub(crate) fn part(inputs: &Inputs, namespaces: &namespaces::Part, hostname: &str) -> Result<Part, PlanError> {
    let request = &inputs.request.network;
    let mut part = Part { files: Vec::new(), mounts: Vec::new() };
    let no_hosts = request.no_hosts.unwrap_or(inputs.facts.conf.no_hosts);
    if no_hosts && !request.add_hosts.is_empty() {
        return Err(PlanError::NoHostsAndAddHost);
    }
    if !no_hosts {
        part.add(inputs, "hosts", "/etc/hosts", hosts(inputs, &namespaces.namespaces.network, hostname)?);
    }
    if !request.no_hostname {
        part.add(inputs, "hostname", "/etc/hostname", format!("{hostname}\n"));
    }
    // Without a network there is no server to ask.
    let asks_nobody = inputs.request.namespaces.network == NetworkMode::None && request.dns.is_empty();
    if !asks_nobody && !request.dns.iter().any(|server| server == "none") {
        part.add(inputs, "resolv.conf", "/etc/resolv.conf", resolv_conf(inputs));
    }
    part.add(inputs, "containerenv", "/run/.containerenv", containerenv(inputs));
    if let Some(ids) = namespaces.keep {
        part.passwd(inputs, ids);
    }
    Ok(part)
}

impl Part {
    fn add(&mut self, inputs: &Inputs, name: &str, destination: &str, content: String) {
        self.files.push(GeneratedFile { name: name.to_owned(), content, mode: 0o644 });
        let source = MountSource::File(name.to_owned());
        let readonly = inputs.read_only();
        self.mounts.push(Mount { readonly, nosuid: true, nodev: true, noexec: true, ..mounts::mount(destination, source) });
    }

    /// Adds the caller of `--userns keep-id` to the image's passwd file, so that programs find a name.
    fn passwd(&mut self, inputs: &Inputs, (uid, gid): (u32, u32)) {
        let Some(Ok(image)) = inputs.facts.passwd.as_deref().map(str::from_utf8) else { return };
        let name = &inputs.facts.own.user_name;
        let plain = !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
        let known = image.lines().any(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()));
        if !plain || known {
            return;
        }
        let newline = if image.is_empty() || image.ends_with('\n') { "" } else { "\n" };
        self.add(inputs, "passwd", "/etc/passwd", format!("{image}{newline}{name}:*:{uid}:{gid}:{name}:/:/bin/sh\n"));
    }
}

fn hosts(inputs: &Inputs, network: &Namespace, hostname: &str) -> Result<String, PlanError> {
    let mut text = String::new();
    for entry in &inputs.request.network.add_hosts {
        if entry.address == "host-gateway" {
            return Err(PlanError::NotSupportedYet { flag: String::from("--add-host host-gateway") });
        }
        let _ = writeln!(text, "{}\t{}", entry.address, entry.names.join(" "));
    }
    if *network == Namespace::Host {
        text.push_str(&inputs.facts.hosts);
        return Ok(text);
    }
    text.push_str("127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain\n");
    let name = &inputs.facts.container.name;
    let own = if name.is_empty() || name == hostname { hostname.to_owned() } else { format!("{hostname} {name}") };
    let _ = writeln!(text, "127.0.0.1\t{own}");
    Ok(text)
}

/// Computes resolv.conf: the host's, of which each kind of line is replaced by the flags of that kind. A server
/// on the host's loopback cannot be reached from another network namespace and is left out.
fn resolv_conf(inputs: &Inputs) -> String {
    let (request, conf) = (&inputs.request.network, &inputs.facts.conf);
    let of_host = inputs.request.namespaces.network == NetworkMode::Host;
    let chosen = |flags: &[String], conf: &[String]| if flags.is_empty() { conf.to_vec() } else { flags.to_vec() };
    let (servers, searches) = (chosen(&request.dns, &conf.dns_servers), chosen(&request.dns_search, &conf.dns_searches));
    let options = chosen(&request.dns_options, &conf.dns_options);
    let mut text = String::new();
    for line in inputs.facts.resolv_conf.lines() {
        let mut words = line.split_whitespace();
        let keep = match (words.next(), words.next()) {
            (Some("nameserver"), Some(server)) => servers.is_empty() && (of_host || !is_loopback(server)),
            (Some("search" | "domain"), _) => searches.is_empty(),
            (Some("options"), _) => options.is_empty(),
            _ => false,
        };
        if keep {
            let _ = writeln!(text, "{line}");
        }
    }
    if !searches.is_empty() && searches.iter().all(|search| search != ".") {
        let _ = writeln!(text, "search {}", searches.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

fn is_loopback(server: &str) -> bool {
    server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Computes `/run/.containerenv`: empty, so that nothing of the host leaks, except for privileged containers.
fn containerenv(inputs: &Inputs) -> String {
    let (container, own) = (&inputs.facts.container, &inputs.facts.own);
    if !inputs.privileged() {
        return String::new();
    }
    format!(
        "engine=\"selkie\"\nname=\"{}\"\nid=\"{}\"\nimage=\"{}\"\nimageid=\"{}\"\nrootless={}\n",
        container.name,
        container.id,
        container.image.replace(|c: char| c == '"' || c.is_control(), ""),
        container.image_id,
        u8::from(own.rootless),
    )
}
