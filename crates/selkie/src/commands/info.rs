//! `selkie info`: the host, the store and the version, with Podman's field names.

use std::process::ExitCode;

use clap::Args;
use selkie_engine::Status;
use selkie_plan::ContainersConf;
use selkie_runtime::cgroup::{Layout, Version};
use selkie_sys::machine::architecture;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// Show what the engine knows of this machine and of itself.
///
/// Examples:
///   selkie info
///   selkie info --format '{{.Host.Security.DefaultCapabilities}}'
///   selkie info --format json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Info {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// With more of it (as Podman; unused).
    #[arg(long, short = 'D', hide = true)]
    debug: bool,
}

impl Info {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let info = json!({"Host": host(context.engine.conf()), "Store": store(context)?, "Version": version()});
        let text = match self.format.as_deref() {
            Some(format) if !template::is_json(format) => template::render(format, "info", &[info])?,
            Some(_) => serde_json::to_string_pretty(&lower(&info)).map_err(|error| Failure::engine(error.to_string()))? + "\n",
            None => {
                let mut yaml = String::new();
                lines(&lower(&info), 0, &mut yaml);
                yaml
            }
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn host(conf: &ContainersConf) -> Value {
    let name = rustix::system::uname();
    let memory = Memory::read();
    let release = os_release();
    let layout = Layout::of_host();
    let controllers: Vec<String> = layout.hierarchies.iter().flat_map(|hierarchy| hierarchy.controllers.clone()).collect();
    json!({
        "Arch": architecture(),
        "CgroupControllers": controllers,
        "CgroupManager": "cgroupfs",
        "CgroupsVersion": if layout.version() == Version::V2 { "v2" } else { "v1" },
        "CPUs": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "Distribution": {"Distribution": release("ID"), "Version": release("VERSION_ID"), "Codename": release("VERSION_CODENAME")},
        "EventLogger": "none",
        "Hostname": name.nodename().to_string_lossy(),
        "Kernel": name.release().to_string_lossy(),
        "Linkmode": if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
        "LogDriver": "k8s-file",
        "MemFree": memory.free,
        "MemTotal": memory.total,
        "NetworkBackend": "none",
        "OCIRuntime": {"Name": "selkie", "Path": "built in", "Version": env!("CARGO_PKG_VERSION")},
        "OS": "linux",
        "Security": security(conf),
        "ServiceIsRemote": false,
        "SwapFree": memory.swap_free,
        "SwapTotal": memory.swap_total,
        "Uptime": uptime(),
    })
}

fn security(conf: &ContainersConf) -> Value {
    let last = selkie_sys::capability::last_capability();
    let named = conf.default_capabilities.as_ref().and_then(|names| selkie_plan::normalise(names, last).ok());
    let default = named.map_or(selkie_plan::DEFAULT_CAPABILITIES, |named| named.set).sorted_names();
    let seccomp = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nSeccomp:"));
    let flag = |path: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim_end() == "Y" || text.trim_end() == "1");
    json!({
        "AppArmorEnabled": flag("/sys/module/apparmor/parameters/enabled"),
        "DefaultCapabilities": default.join(","),
        "Rootless": !rustix::process::geteuid().is_root(),
        "SECCOMPEnabled": seccomp,
        "SECCOMPProfilePath": "",
        "SELinuxEnabled": std::path::Path::new("/sys/fs/selinux/enforce").exists(),
    })
}

fn store(context: &Context) -> Result<Value, Failure> {
    let containers = context.containers()?;
    let count = |wanted: &[Status]| containers.iter().filter(|container| wanted.contains(&container.status)).count();
    let store = context.engine.store();
    let space = rustix::fs::statvfs(store.root()).ok();
    let bytes = |blocks: u64, block: u64| blocks.saturating_mul(block);
    Ok(json!({
        "ConfigFile": "",
        "ContainerStore": {
            "Number": containers.len(),
            "Paused": count(&[Status::Paused]),
            "Running": count(&[Status::Running]),
            "Stopped": count(&[Status::Created, Status::Exited]),
        },
        "GraphDriverName": "overlay",
        "GraphRoot": store.root().display().to_string(),
        "GraphRootAllocated": space.as_ref().map_or(0, |space| bytes(space.f_blocks, space.f_frsize)),
        "GraphRootUsed": space.as_ref().map_or(0, |space| bytes(space.f_blocks.saturating_sub(space.f_bfree), space.f_frsize)),
        "ImageStore": {"Number": context.engine.images().images()?.0.len()},
        "RunRoot": store.run().display().to_string(),
    }))
}

fn version() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"APIVersion": version, "Version": version, "OsArch": format!("linux/{}", architecture()), "Os": "linux"})
}

struct Memory {
    total: u64,
    free: u64,
    swap_total: u64,
    swap_free: u64,
}

impl Memory {
    fn read() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |value| value * 1024)
        };
        Self { total: bytes("MemTotal"), free: bytes("MemFree"), swap_total: bytes("SwapTotal"), swap_free: bytes("SwapFree") }
    }
}

fn os_release() -> impl Fn(&str) -> String {
    let text = std::fs::read_to_string("/etc/os-release").or_else(|_| std::fs::read_to_string("/usr/lib/os-release")).unwrap_or_default();
    move |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map_or_else(|| "unknown".to_owned(), |value| value.trim_matches(['"', '\'']).to_owned())
    }
}

/// As Podman: `1h 2m 3.00s (Approximately 0.04 days)`.
fn uptime() -> String {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: u64 = text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{hours}h {minutes}m {rest}.00s");
    if hours == 0 { text } else { format!("{text} (Approximately {}.{:02} days)", hours / 24, hours % 24 * 100 / 24) }
}

/// Podman's JSON has the same names as its templates with small letters at the beginning.
fn lower(value: &Value) -> Value {
    const WHOLE: [(&str, &str); 8] = [
        ("OS", "os"),
        ("OCIRuntime", "ociRuntime"),
        ("CPUs", "cpus"),
        ("CgroupsVersion", "cgroupVersion"),
        ("AppArmorEnabled", "apparmorEnabled"),
        ("DefaultCapabilities", "capabilities"),
        ("APIVersion", "APIVersion"),
        ("SELinuxEnabled", "selinuxEnabled"),
    ];
    let key = |name: &str| -> String {
        if let Some((_, other)) = WHOLE.iter().find(|(known, _)| *known == name) {
            return (*other).to_owned();
        }
        match name.strip_prefix("SECCOMP") {
            Some(rest) => format!("seccomp{rest}"),
            None => name.chars().take(1).flat_map(char::to_lowercase).chain(name.chars().skip(1)).collect(),
        }
    };
    match value {
        Value::Object(object) => Value::Object(object.iter().map(|(name, value)| (key(name), lower(value))).collect::<Map<_, _>>()),
        other => other.clone(),
    }
}

/// Writes YAML, enough of it for this.
fn lines(value: &Value, indent: usize, yaml: &mut String) {
    let Value::Object(object) = value else { return };
    let blanks = " ".repeat(indent);
    for (name, value) in object {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                yaml.push_str(&format!("{blanks}{name}:\n"));
                lines(value, indent + 2, yaml);
            }
            Value::Array(list) if !list.is_empty() => {
                yaml.push_str(&format!("{blanks}{name}:\n"));
                list.iter().for_each(|item| yaml.push_str(&format!("{blanks}- {}\n", scalar(item))));
            }
            other => yaml.push_str(&format!("{blanks}{name}: {}\n", scalar(other))),
        }
    }
}

fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let plain = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'/')
        && !matches!(text.as_str(), "true" | "false" | "null" | "yes" | "no")
        && !text.contains(": ")
        && !text.contains(" #");
    if plain { text::one_line(text) } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_names_are_podmans() {
        let value =
            json!({"Host": {"OCIRuntime": {"Name": "x"}, "Security": {"SECCOMPEnabled": true, "DefaultCapabilities": ""}, "MemFree": 1}});
        let wanted = json!({"host": {"ociRuntime": {"name": "x"}, "security": {"seccompEnabled": true, "capabilities": ""}, "memFree": 1}});
        assert_eq!(lower(&value), wanted);
    }

    #[test]
    fn lines_are_yaml() {
        let mut yaml = String::new();
        lines(
            &json!({"host": {"arch": "amd64", "list": ["a", "b"], "none": [], "version": "12", "empty": "", "odd": "a: b"}}),
            0,
            &mut yaml,
        );
        assert_eq!(yaml, "host:\n  arch: amd64\n  list:\n  - a\n  - b\n  none: []\n  version: \"12\"\n  empty: \"\"\n  odd: \"a: b\"\n");
    }
}
