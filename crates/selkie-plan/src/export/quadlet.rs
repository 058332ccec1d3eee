//! A `.container` file: podman-systemd.unit(5). Only keys that Podman 4.8 has; everything younger goes through `PodmanArgs=`.

use super::flags::Flag;
use super::{Notes, Source, podman, unit};

/// How Quadlet reads the value of a key.
#[derive(Clone, Copy)]
enum Read {
    /// As it stands.
    Raw,
    /// As words, with escapes.
    Words,
    /// As words in quotes in which a backslash means nothing.
    Quoted,
    /// A truth value.
    Switch,
}

/// The keys by flag.
const KEYS: &[(&str, &str, Read)] = &[
    ("annotation", "Annotation", Read::Words),
    ("device", "AddDevice", Read::Quoted),
    ("dns", "DNS", Read::Raw),
    ("dns-option", "DNSOption", Read::Raw),
    ("dns-search", "DNSSearch", Read::Raw),
    ("env", "Environment", Read::Words),
    ("env-host", "EnvironmentHost", Read::Switch),
    ("expose", "ExposeHostPort", Read::Raw),
    ("gidmap", "GIDMap", Read::Quoted),
    ("hostname", "HostName", Read::Raw),
    ("init", "RunInit", Read::Switch),
    ("label", "Label", Read::Words),
    ("log-driver", "LogDriver", Read::Raw),
    ("mount", "Mount", Read::Words),
    ("name", "ContainerName", Read::Raw),
    ("network", "Network", Read::Raw),
    ("pids-limit", "PidsLimit", Read::Raw),
    ("pull", "Pull", Read::Raw),
    ("read-only", "ReadOnly", Read::Switch),
    ("read-only-tmpfs", "ReadOnlyTmpfs", Read::Switch),
    ("shm-size", "ShmSize", Read::Raw),
    ("sysctl", "Sysctl", Read::Quoted),
    ("tmpfs", "Tmpfs", Read::Raw),
    ("tz", "Timezone", Read::Raw),
    ("uidmap", "UIDMap", Read::Quoted),
    ("ulimit", "Ulimit", Read::Raw),
    ("userns", "UserNS", Read::Raw),
    ("volume", "Volume", Read::Raw),
    ("workdir", "WorkingDir", Read::Raw),
];

/// Security options by what stands before their value.
const SECURITY_KEYS: [(&str, &str, Read); 6] = [
    ("seccomp=", "SeccompProfile", Read::Raw),
    ("mask=", "Mask", Read::Words),
    ("unmask=", "Unmask", Read::Words),
    ("label=type:", "SecurityLabelType", Read::Raw),
    ("label=level:", "SecurityLabelLevel", Read::Raw),
    ("label=filetype:", "SecurityLabelFileType", Read::Raw),
];

/// What Quadlet does by itself: containers run detached, are removed at their end, and replace an old one.
const INHERENT: [&str; 3] = ["detach", "rm", "replace"];

/// What belongs to the terminal that somebody ran the container at, or what Quadlet sets itself.
const FOREIGN: [&str; 9] = ["attach", "cidfile", "conmon-pidfile", "detach-keys", "pidfile", "preserve-fds", "quiet", "rmi", "sig-proxy"];

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let request = source.subject.request;
    let mut lines = vec![format!("# {}", source.provenance()), "[Container]".to_owned()];
    match &request.rootfs {
        Some(rootfs) => lines.push(line("Rootfs", &unit::raw(rootfs).unwrap_or_else(|| unit::word(rootfs)))),
        None => {
            let image = source.image(notes);
            lines.push(line("Image", &unit::raw(image).unwrap_or_else(|| unit::word(image))));
        }
    }
    if !request.command.is_empty() {
        lines.push(line("Exec", &unit::words(&request.command)));
        if request.command.iter().any(String::is_empty) {
            notes.say("the command has an empty word: Quadlet reads no further than that (Podman 5.5)");
        }
    }
    lines.push(line("DropCapability", "all"));
    if podman::capabilities(source).len() > 1 {
        lines.push(line("AddCapability", &source.names().join(" ")));
    }
    let mut restart = None;
    for flag in &source.flags {
        match flag.name {
            "restart" => restart = Some(flag),
            name if INHERENT.contains(&name) => {}
            name if FOREIGN.contains(&name) => notes.unplaced(flag),
            "security-opt" if flag.text().starts_with("nested-userns") => notes.unplaced(flag),
            "user" => lines.extend(user(flag)),
            "security-opt" => lines.push(security(flag)),
            _ => lines.push(placed(flag)),
        }
    }
    if let Some(flag) = restart {
        lines.extend(["".to_owned(), "[Service]".to_owned()]);
        let (policy, retries) = flag.text().split_once(':').map_or((flag.text(), None), |(policy, retries)| (policy, Some(retries)));
        lines.push(line("Restart", if policy == "on-failure" { policy } else { "always" }));
        if policy == "unless-stopped" {
            notes.say("`unless-stopped` becomes `Restart=always`: systemd starts it again at the next boot");
        }
        if retries.is_some() {
            notes.lost(flag, "systemd counts starts in an interval (`StartLimitBurst=`), not failures; it restarts without end");
        }
    }
    lines.extend(["".to_owned(), "[Install]".to_owned(), "WantedBy=default.target".to_owned()]);
    notes.say("needs Podman 4.8 or later; put it beneath /etc/containers/systemd, then `systemctl daemon-reload`");
    lines.join("\n") + "\n"
}

fn line(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// Returns the flag as one line, with the key of its own if it has one and can hold the value.
fn placed(flag: &Flag) -> String {
    let key = KEYS.iter().find(|(name, ..)| *name == flag.name);
    let value = match key {
        Some((_, _, Read::Raw)) => unit::raw(flag.text()),
        Some((_, _, Read::Words)) => Some(unit::word(flag.text())),
        Some((_, _, Read::Quoted)) => Some(unit::word(flag.text())).filter(|word| !word.contains('\\')),
        Some((_, _, Read::Switch)) => Some(flag.is_on().to_string()),
        None => None,
    };
    match (key, value) {
        (Some((_, key, _)), Some(value)) => line(key, &value),
        _ => argument(flag),
    }
}

fn argument(flag: &Flag) -> String {
    line("PodmanArgs", &unit::word(&flag.word()))
}

fn user(flag: &Flag) -> Vec<String> {
    let (user, group) = flag.text().split_once(':').map_or((flag.text(), None), |(user, group)| (user, Some(group)));
    match (unit::raw(user), group.map(unit::raw)) {
        (Some(user), None) => vec![line("User", &user)],
        (Some(user), Some(Some(group))) => vec![line("User", &user), line("Group", &group)],
        _ => vec![argument(flag)],
    }
}

fn security(flag: &Flag) -> String {
    match flag.text() {
        "no-new-privileges" => line("NoNewPrivileges", "true"),
        "no-new-privileges=false" => line("NoNewPrivileges", "false"),
        "label=disable" => line("SecurityLabelDisable", "true"),
        "label=nested" => line("SecurityLabelNested", "true"),
        text => {
            let found = SECURITY_KEYS.iter().find_map(|(prefix, key, read)| {
                let value = text.strip_prefix(prefix)?;
                Some((key, if matches!(read, Read::Words) { unit::word(value) } else { unit::raw(value)? }))
            });
            found.map_or_else(|| argument(flag), |(key, value)| line(key, &value))
        }
    }
}
