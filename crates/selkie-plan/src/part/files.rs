//! Files that the engine writes for one container: hosts(5), resolv.conf(5), the host name, `/run/.containerenv`.

use std::fmt::Write as _;
use std::path::Path;

use super::{Inputs, mounts, namespaces, process, user};
use crate::accounts::{Reference, groups};
use crate::value::{NetworkMode, UserMount};
use crate::{GeneratedFile, Mount, MountSource, Namespace, PlanError};

/// The files and the mounts that bind them.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) files: Vec<GeneratedFile>,
    pub(crate) mounts: Vec<Mount>,
    /// The home directory of a user that the image does not know, by the passwd file that it gets.
    pub(crate) home: Option<String>,
}

/// Computes the files.
pub(crate) fn part(inputs: &Inputs, namespaces: &namespaces::Part, hostname: &str) -> Result<Part, PlanError> {
    let request = &inputs.request.network;
    let mut part = Part { files: Vec::new(), mounts: Vec::new(), home: None };
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
    if inputs.request.process.passwd.unwrap_or(true) {
        part.passwd(inputs, namespaces.keep)?;
        part.group(inputs)?;
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

    /// Adds the caller of `--userns keep-id` to the image's passwd file, and a user that is a number which it does not have, so that
    /// programs find a name. The file of the image stays as it is.
    fn passwd(&mut self, inputs: &Inputs, keep: Option<(u32, u32)>) -> Result<(), PlanError> {
        let Some(Ok(image)) = inputs.facts.passwd.as_deref().map(str::from_utf8) else { return Ok(()) };
        let is_known = |id: u32| image.lines().any(|line| line.split(':').nth(2) == Some(id.to_string().as_str()));
        let mut entries = String::new();
        let name = &inputs.facts.own.user_name;
        let plain = !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
        if let Some((uid, gid)) = keep.filter(|(uid, _)| plain && !is_known(*uid)) {
            let _ = writeln!(entries, "{name}:*:{uid}:{gid}:{name}:/:/bin/sh");
        }
        let (user, group) = words(inputs.user());
        if let Ok(Reference::Id(uid)) = Reference::parse(user)
            && !is_mounted(inputs, "/etc/passwd")
            && keep.is_none_or(|(kept, _)| kept != uid)
            && !is_known(uid)
        {
            let gid = user::group_of(group, inputs.facts.group.as_deref())?;
            let home = process::directory(inputs)?;
            let home = if home.contains(|c: char| c == ':' || c.is_control()) { "/" } else { &home };
            let _ = writeln!(entries, "{uid}:*:{uid}:{gid}:container user:{home}:/bin/sh");
            self.home = Some(home.to_owned());
        }
        self.accounts(inputs, "passwd", image, &entries);
        Ok(())
    }

    /// Adds the group of `--user` to the image's group file if it is a number which that does not have; without a group it is the number
    /// of the user, as in Podman.
    fn group(&mut self, inputs: &Inputs) -> Result<(), PlanError> {
        let Some(Ok(image)) = inputs.facts.group.as_deref().map(str::from_utf8) else { return Ok(()) };
        let (user, group) = words(inputs.user());
        let Ok(Reference::Id(gid)) = Reference::parse(group.unwrap_or(user)) else { return Ok(()) };
        let is_known = groups(Some(image.as_bytes()))?.any(|entry| entry.gid() == Ok(gid));
        if !is_known && !is_mounted(inputs, "/etc/group") {
            self.accounts(inputs, "group", image, &format!("{gid}:x:{gid}:{user}\n"));
        }
        Ok(())
    }

    /// Adds `entries`, if there are any, to a file of accounts of the image.
    fn accounts(&mut self, inputs: &Inputs, name: &str, image: &str, entries: &str) {
        if !entries.is_empty() {
            let newline = if image.is_empty() || image.ends_with('\n') { "" } else { "\n" };
            self.add(inputs, name, &format!("/etc/{name}"), format!("{image}{newline}{entries}"));
        }
    }
}

/// Returns whether the user mounts something at `path` or above it: the file there is not the image's.
fn is_mounted(inputs: &Inputs, path: &str) -> bool {
    let request = &inputs.request.mounts;
    let listed = request.mounts.iter().map(|mount| match mount {
        UserMount::Bind(mount) => &mount.destination,
        UserMount::Tmpfs(mount) => &mount.destination,
        UserMount::Devpts(mount) => &mount.destination,
    });
    let volumes = request.volumes.iter().map(|volume| &volume.destination);
    let tmpfs = request.tmpfs.iter().map(|mount| &mount.destination);
    listed.chain(volumes).chain(tmpfs).any(|destination| Path::new(path).starts_with(destination))
}

/// Returns the words of `user[:group]`.
fn words(user: &str) -> (&str, Option<&str>) {
    user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)))
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
