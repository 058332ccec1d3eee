//! The program as a service of systemd, without a container: systemd.exec(5), systemd.resource-control(5).

use super::flags::Flag;
use super::{Notes, Source, unit};

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let request = source.subject.request;
    let names = source.names().join(" ");
    let mut lines = vec![format!("# {}", source.provenance()), "[Service]".to_owned()];
    lines.extend(start(source, notes));
    lines.extend(user(source, notes));
    lines.push(format!("CapabilityBoundingSet={names}"));
    if !source.user.is_root() {
        lines.push(format!("AmbientCapabilities={names}"));
    }
    if let Some(on) = source.no_new_privileges() {
        lines.push(format!("NoNewPrivileges={}", if on { "yes" } else { "no" }));
    }
    if let Some(quota) = request.limits.cpu_quota.and_then(|quota| u64::try_from(quota).ok()) {
        let period = request.limits.cpu_period.unwrap_or(100_000).max(1);
        lines.push(format!("CPUQuota={}%", (quota.saturating_mul(100) / period).max(1)));
    } else if let Some(period) = request.limits.cpu_period {
        notes.say(format!("--cpu-period={period} without a quota limits nothing, and has no place in a unit"));
    }
    for flag in &source.flags {
        match placed(flag) {
            Placed::Line(line) => lines.push(line),
            Placed::Already => {}
            Placed::Nowhere => notes.unplaced(flag),
        }
    }
    if source.no_new_privileges() != Some(true) {
        notes.say("without `NoNewPrivileges=yes` a set-user-ID program of the host still works within the bounding set");
    }
    notes.say("the system call filter, the namespaces and the root file system of a container do not come along");
    if request.sysctls.iter().chain(source.subject.sysctls).next().is_some() {
        notes.say("a sysctl of a container is its own; on the host it holds for everybody (sysctl.d(5))");
    }
    lines.join("\n") + "\n"
}

/// A program of this machine can be started as it is; one of an image is somewhere else, or not there.
fn start(source: &Source<'_>, notes: &mut Notes) -> Option<String> {
    let request = source.subject.request;
    let is_host = request.image.as_deref().is_some_and(|image| image.starts_with("host:")) && request.rootfs.is_none();
    match request.command.first() {
        Some(program) if is_host && program.starts_with('/') && request.process.entrypoint.is_none() => {
            Some(format!("ExecStart={}", unit::words(&request.command)))
        }
        _ => {
            notes.say("`ExecStart=` is left to the unit that this is added to: the path of the program on the host is not known");
            None
        }
    }
}

fn user(source: &Source<'_>, notes: &mut Notes) -> Vec<String> {
    let text = &source.user.text;
    if text.is_empty() {
        return Vec::new();
    }
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
    let mut lines = Vec::new();
    for (key, value) in [("User", Some(user)), ("Group", group)] {
        match value.map(unit::setting) {
            Some(Some(value)) => lines.push(format!("{key}={value}")),
            Some(None) => notes.say(format!("`{key}=` cannot hold {value:?}")),
            None => {}
        }
    }
    lines
}

/// Where a flag goes.
enum Placed {
    Line(String),
    /// It is in another line, or what a service does anyway.
    Already,
    Nowhere,
}

fn placed(flag: &Flag) -> Placed {
    let text = flag.text();
    let raw = |key: &str| unit::setting(text).map(|value| format!("{key}={value}"));
    let line = match flag.name {
        "detach" | "user" | "cpu-quota" | "cpu-period" => return Placed::Already,
        "security-opt" if text.starts_with("no-new-privileges") => return Placed::Already,
        "env" => Some(format!("Environment={}", unit::assignment(text))),
        "unsetenv" => Some(format!("UnsetEnvironment={}", unit::assignment(text))),
        "tz" if text != "local" => Some(format!("Environment={}", unit::assignment(&format!("TZ={text}")))),
        "workdir" => raw("WorkingDirectory"),
        "umask" => raw("UMask"),
        "group-add" if text != "keep-groups" => raw("SupplementaryGroups"),
        "read-only" if flag.is_on() => Some("ProtectSystem=strict".to_owned()),
        "network" if matches!(text, "none" | "private") => Some("PrivateNetwork=yes".to_owned()),
        "volume" => bind(text),
        "memory" => Some(format!("MemoryMax={}", text.trim_end_matches('b'))),
        "memory-reservation" => Some(format!("MemoryLow={}", text.trim_end_matches('b'))),
        "cpuset-cpus" => raw("AllowedCPUs"),
        "cpuset-mems" => raw("AllowedMemoryNodes"),
        "pids-limit" => Some(format!("TasksMax={}", if text.starts_with('-') { "infinity" } else { text })),
        "oom-score-adj" => raw("OOMScoreAdjust"),
        "ulimit" => limit(text),
        "stop-signal" => raw("KillSignal"),
        "stop-timeout" => raw("TimeoutStopSec"),
        "timeout" => raw("RuntimeMaxSec"),
        "restart" => Some(format!("Restart={}", if text.starts_with("on-failure") { "on-failure" } else { "always" })),
        _ => None,
    };
    line.map_or(Placed::Nowhere, Placed::Line)
}

/// `SOURCE:DESTINATION[:OPTIONS]`, of whose options systemd knows one.
fn bind(text: &str) -> Option<String> {
    let mut parts = text.split(':');
    let (source, destination, options) = (parts.next()?, parts.next()?, parts.next());
    let key = match options {
        None => "BindPaths",
        Some("ro") => "BindReadOnlyPaths",
        Some(_) => return None,
    };
    Some(format!("{key}={}", unit::assignment(&format!("{source}:{destination}"))))
}

fn limit(text: &str) -> Option<String> {
    let (resource, values) = text.split_once('=')?;
    let values: Vec<&str> = values.split(':').map(|value| if value == "-1" { "infinity" } else { value }).collect();
    Some(format!("Limit{}={}", resource.to_ascii_uppercase(), values.join(":")))
}
