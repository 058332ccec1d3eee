//! A container as `inspect` shows it: Podman's fields in Podman's order.

use selkie_engine::{Container, RootSource, Status};
use selkie_plan::value::{BindMount, NamespaceMode, NetworkMode, Relabel, RestartPolicy, SecurityOpt, UsernsMode};
use selkie_plan::{
    DEFAULT_CAPABILITIES, IdMap, IdMaps, LogDriver, Mount, MountSource, Namespace, Plan, Request, UserNamespace, cap_add_drop, normalise,
};
use serde_json::{Map, Value, json};

use crate::commands::ps;
use crate::context::Context;
use crate::ui::error::Failure;

/// The time of something that has never happened, as Go prints it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Returns what `inspect` shows of `container`.
pub(super) fn object(context: &Context, container: &Container) -> Result<Value, Failure> {
    let record = &container.record;
    let plan = container.plan(context.engine.store())?;
    let planned = plan.as_ref();
    let process = planned.map(|plan| &plan.process);
    let (path, args) =
        process.and_then(|process| process.args.split_first()).map(|(path, args)| (path.clone(), args.to_vec())).unwrap_or_default();
    let image = record.image.as_ref();
    let directory = context.engine.store().container(container.id());
    let running = context.engine.store().running(container.id());
    let sessions: Vec<String> = context.engine.sessions(container).into_iter().map(|session| session.id).collect();
    let file = |name: &str| {
        planned
            .filter(|plan| plan.files.iter().any(|file| file.name == name))
            .map_or_else(String::new, |_| running.join(name).display().to_string())
    };
    Ok(json!({
        "Id": container.id(),
        "Created": record.created,
        "Path": path,
        "Args": args,
        "State": state(container, planned),
        "Image": image.map(|image| image.id.clone()).unwrap_or_default(),
        "ImageDigest": image.map(|image| image.digest.clone()).unwrap_or_default(),
        "ImageName": ps::image(container),
        "Rootfs": match &record.root { RootSource::Image(_) => String::new(), RootSource::Directory(path) | RootSource::Overlay(path) => path.display().to_string() },
        "Pod": "",
        "ResolvConfPath": file("resolv.conf"),
        "HostnamePath": file("hostname"),
        "HostsPath": file("hosts"),
        "StaticDir": directory.display().to_string(),
        "OCIRuntime": "selkie",
        "ConmonPidFile": "",
        "PidFile": record.request.lifecycle.pidfile.clone().unwrap_or_default(),
        "Name": record.name.as_str(),
        "RestartCount": container.live.as_ref().map(|live| live.restarts).or(container.exit.as_ref().map(|exit| exit.restarts)).unwrap_or(0),
        "Driver": "overlay",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "EffectiveCaps": names(process.map(|process| process.sets.effective)),
        "BoundingCaps": names(process.map(|process| process.sets.bounding)),
        "ExecIDs": sessions,
        "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": directory.join("upper").display().to_string(), "WorkDir": directory.join("work").display().to_string()}},
        "Mounts": mounts(&record.request, planned),
        "Dependencies": [],
        "NetworkSettings": network_settings(network_key(container, planned)),
        "Namespace": "",
        "IsInfra": false,
        "IsService": false,
        "KubeExitCodePropagation": "invalid",
        "lockNumber": 0,
        "Config": config(container, planned),
        "HostConfig": host_config(context, container, planned),
    }))
}

fn state(container: &Container, plan: Option<&Plan>) -> Value {
    let exit = container.exit.as_ref();
    let live = container.live.as_ref();
    let started =
        live.map(|live| live.started.clone()).or_else(|| exit.map(|exit| exit.started.clone())).unwrap_or_else(|| NEVER.to_owned());
    json!({
        "OciVersion": "1.2.0",
        "Status": container.status.as_str(),
        "Running": container.status == Status::Running,
        "Paused": container.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": exit.is_some_and(|exit| exit.out_of_memory),
        "Dead": false,
        "Pid": live.map_or(0, |live| live.init.pid),
        "ConmonPid": live.map_or(0, |live| live.monitor.pid),
        "ExitCode": if live.is_some() { 0 } else { exit.map_or(0, |exit| exit.code) },
        "Error": exit.filter(|_| live.is_none()).map(|exit| exit.error.clone()).unwrap_or_default(),
        "StartedAt": started,
        "FinishedAt": exit.filter(|_| live.is_none()).map_or_else(|| NEVER.to_owned(), |exit| exit.finished.clone()),
        "Checkpointed": false,
        "CgroupPath": plan.and_then(|plan| plan.cgroup.path.clone()).unwrap_or_default(),
        "CheckpointedAt": NEVER,
        "RestoredAt": NEVER,
        "StoppedByUser": exit.is_some_and(|exit| exit.stopped_by_user),
    })
}

/// Sorted names; none at all is null, as Podman's encoder has it.
fn names(set: Option<selkie_caps::CapSet>) -> Value {
    match set {
        Some(set) if !set.is_empty() => json!(set.sorted_names()),
        _ => Value::Null,
    }
}

/// The mounts that the user asked for.
fn mounts(request: &Request, plan: Option<&Plan>) -> Vec<Value> {
    let label = |destination: &str| request.mounts.binds().find(|bind| bind.destination == destination).and_then(label);
    let binds = plan.into_iter().flat_map(|plan| &plan.mounts).filter_map(|mount| match &mount.source {
        MountSource::Bind { path, recursive } => Some((mount, path, *recursive)),
        _ => None,
    });
    binds
        .filter(|(mount, ..)| !["/sys", "/proc", "/sys/fs/cgroup"].contains(&mount.destination.as_str()))
        .map(|(mount, path, recursive)| {
            let propagation = serde_json::to_value(mount.propagation).unwrap_or(Value::Null);
            json!({
                "Type": "bind",
                "Source": path,
                "Destination": mount.destination,
                "Driver": "",
                "Mode": label(&mount.destination).unwrap_or_default(),
                "Options": [if recursive { "rbind" } else { "bind" }],
                "RW": !mount.readonly,
                "Propagation": propagation,
            })
        })
        .collect()
}

/// How SELinux labels the source.
fn label(bind: &BindMount) -> Option<&'static str> {
    bind.relabel.map(|relabel| match relabel {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    })
}

/// A bind as `--volume` takes it, with all of its options.
fn bind(bind: &BindMount) -> String {
    let propagation = serde_json::to_value(bind.propagation).unwrap_or_default();
    let options = [
        if bind.readonly { "ro" } else { "rw" },
        if bind.nosuid { "nosuid" } else { "" },
        if bind.nodev { "nodev" } else { "" },
        if bind.noexec { "noexec" } else { "" },
        label(bind).unwrap_or_default(),
        propagation.as_str().unwrap_or_default(),
        if bind.not_recursive { "bind" } else { "rbind" },
    ];
    let options: Vec<&str> = options.into_iter().filter(|option| !option.is_empty()).collect();
    format!("{}:{}:{}", bind.source, bind.destination, options.join(","))
}

/// No address is given to a container yet: the fields are there, and empty, for templates that ask for them.
fn network_settings(key: String) -> Value {
    json!({
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "",
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": {},
        "SandboxKey": key,
        "Networks": {},
    })
}

fn network_key(container: &Container, plan: Option<&Plan>) -> String {
    match (plan.map(|plan| &plan.namespaces.network), &container.live) {
        (Some(Namespace::Private), Some(live)) => format!("/proc/{}/ns/net", live.init.pid),
        (Some(Namespace::Path(path)), _) => path.clone(),
        _ => String::new(),
    }
}

fn config(container: &Container, plan: Option<&Plan>) -> Value {
    let record = &container.record;
    let request = &record.request;
    let process = plan.map(|plan| &plan.process);
    let command = if request.command.is_empty() { record.image_config.cmd.clone() } else { request.command.clone() };
    let signal =
        request.process.stop_signal.or_else(|| selkie_plan::value::parse_signal(&record.image_config.stop_signal).ok()).unwrap_or(15);
    let mut shown = json!({
        "Hostname": plan.and_then(|plan| plan.hostname.clone()).unwrap_or_default(),
        "Domainname": "",
        "User": request.process.user.clone().unwrap_or_else(|| record.image_config.user.clone()),
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": request.process.tty,
        "OpenStdin": request.process.interactive,
        "StdinOnce": false,
        "Env": process.map(|process| process.env.clone()).unwrap_or_default(),
        "Cmd": command,
        "Image": ps::image(container),
        "Volumes": null,
        "WorkingDir": process.map_or_else(|| "/".to_owned(), |process| process.cwd.clone()),
        "Entrypoint": request.process.entrypoint.clone().unwrap_or_else(|| record.image_config.entrypoint.clone()),
        "OnBuild": null,
        "Labels": ps::label_field(container),
        "Annotations": annotations(container, plan),
        "StopSignal": signal_name(signal),
        "CreateCommand": record.create_command,
        "Timezone": request.process.timezone.clone().unwrap_or_default(),
        "Umask": process.map_or_else(String::new, |process| format!("{:04o}", process.user.umask)),
        "Timeout": request.lifecycle.timeout.unwrap_or(0),
        "StopTimeout": request.lifecycle.stop_timeout.unwrap_or(10),
        "Passwd": true,
        "sdNotifyMode": "container",
    });
    if let Some(object) = shown.as_object_mut().filter(|_| request.process.timezone.is_none()) {
        // Podman leaves it out where it is the image's.
        object.shift_remove("Timezone");
    }
    shown
}

fn signal_name(number: u32) -> String {
    const NAMES: [&str; 15] =
        ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM"];
    let known = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).and_then(|index| NAMES.get(index));
    known.map_or_else(|| number.to_string(), |name| format!("SIG{name}"))
}

fn annotations(container: &Container, plan: Option<&Plan>) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        container.record.request.annotations.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    if plan.is_some_and(|plan| plan.privileged) {
        all.insert("io.podman.annotations.privileged".to_owned(), Value::from("TRUE"));
    }
    all
}

fn host_config(context: &Context, container: &Container, plan: Option<&Plan>) -> Value {
    let request = &container.record.request;
    let lifecycle = &request.lifecycle;
    let limits = plan.map(|plan| plan.cgroup.clone()).unwrap_or_default();
    let privileged = plan.is_some_and(|plan| plan.privileged);
    let bounding = plan.map(|plan| plan.process.sets.bounding).unwrap_or_default();
    let configured = context.engine.conf().default_capabilities.as_deref();
    // A bad name in containers.conf has been refused when the container was planned.
    let defaults = configured.and_then(|names| normalise(names, 63).ok()).map_or(DEFAULT_CAPABILITIES, |named| named.set);
    let (cap_add, cap_drop) = cap_add_drop(bounding, defaults, privileged);
    let spaces = plan.map(|plan| &plan.namespaces);
    let asked = &request.namespaces;
    let devices: Vec<Value> = if privileged {
        Vec::new()
    } else {
        request
            .devices
            .devices
            .iter()
            .map(|device| json!({"PathOnHost": device.host, "PathInContainer": device.container, "CgroupPermissions": ""}))
            .collect()
    };
    let tmpfs: Map<String, Value> = plan
        .into_iter()
        .flat_map(|plan| &plan.mounts)
        .filter(|mount| mount.source == MountSource::Tmpfs && !["/dev", "/dev/shm"].contains(&mount.destination.as_str()))
        .map(|mount| (mount.destination.clone(), Value::from(tmpfs_options(mount))))
        .collect();
    let mut shown = json!({
        "Binds": request.mounts.binds().map(bind).collect::<Vec<_>>(),
        "CgroupManager": "cgroupfs",
        "CgroupMode": mode(context, &asked.cgroup, spaces.map(|spaces| &spaces.cgroup)),
        "ContainerIDFile": lifecycle.cidfile.clone().unwrap_or_default(),
        "LogConfig": {"Type": log_driver(lifecycle.log_driver), "Config": null, "Path": context.engine.log_path(container).display().to_string(), "Tag": "", "Size": "0B"},
        "NetworkMode": network_mode(context, &asked.network, spaces.map(|spaces| &spaces.network)),
        "PortBindings": {},
        "RestartPolicy": restart_policy(lifecycle.restart),
        "AutoRemove": lifecycle.remove,
        "Annotations": annotations(container, plan),
        "VolumeDriver": "",
        "VolumesFrom": null,
        "CapAdd": cap_add,
        "CapDrop": cap_drop,
        "Dns": request.network.dns,
        "DnsOptions": request.network.dns_options,
        "DnsSearch": request.network.dns_search,
        "ExtraHosts": request.network.add_hosts.iter().flat_map(|entry| entry.names.iter().map(move |name| format!("{name}:{}", entry.address))).collect::<Vec<_>>(),
        "GroupAdd": request.process.group_add,
        "IpcMode": ipc_mode(context, &asked.ipc, spaces.map(|spaces| &spaces.ipc)),
        "Cgroup": "",
        "Cgroups": if limits.path.is_some() { "default" } else { "disabled" },
        "Links": null,
        "OomScoreAdj": plan.and_then(|plan| plan.process.oom_score_adj).unwrap_or(0),
        "PidMode": mode(context, &asked.pid, spaces.map(|spaces| &spaces.pid)),
        "Privileged": privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": plan.is_some_and(|plan| plan.root.readonly),
        "SecurityOpt": security_options(container, plan),
        "Tmpfs": tmpfs,
        "UTSMode": mode(context, &asked.uts, spaces.map(|spaces| &spaces.uts)),
        "UsernsMode": user_mode(context, container, spaces.map(|spaces| &spaces.user)),
        "IDMappings": spaces.and_then(|spaces| spaces.user.maps()).map(id_mappings),
        "ShmSize": request.mounts.shm_size.unwrap_or(65_536_000),
        "Runtime": "oci",
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "Memory": limits.memory.unwrap_or(0),
        "NanoCpus": nano_cpus(&limits),
        "CgroupParent": request.limits.cgroup_parent.clone().unwrap_or_default(),
        "BlkioWeight": 0,
        "BlkioWeightDevice": null,
        "BlkioDeviceReadBps": null,
        "BlkioDeviceWriteBps": null,
        "BlkioDeviceReadIOps": null,
        "BlkioDeviceWriteIOps": null,
        "CpuPeriod": limits.cpu_period.unwrap_or(0),
        "CpuQuota": limits.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": limits.cpuset_cpus.unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.unwrap_or_default(),
        "Devices": devices,
        "DiskQuota": 0,
        "KernelMemory": 0,
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "MemorySwap": limits.memory_swap.unwrap_or(0),
        "MemorySwappiness": limits.memory_swappiness.map_or(Value::from(0), Value::from),
        "OomKillDisable": false,
        "Init": plan.is_some_and(|plan| plan.mounts.iter().any(|mount| mount.source == MountSource::Engine)),
        "PidsLimit": limits.pids.unwrap_or(0),
        "Ulimits": plan.into_iter().flat_map(|plan| &plan.process.rlimits).map(|limit| json!({"Name": format!("RLIMIT_{}", limit.resource.to_ascii_uppercase()), "Soft": limit.soft.cast_signed(), "Hard": limit.hard.cast_signed()})).collect::<Vec<_>>(),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "CgroupConf": null,
    });
    if let Some(object) = shown.as_object_mut().filter(|object| object.get("IDMappings") == Some(&Value::Null)) {
        // Podman leaves it out where ids are the host's.
        object.shift_remove("IDMappings");
    }
    shown
}

/// The options of a tmpfs, those that were not given too.
fn tmpfs_options(mount: &Mount) -> String {
    let mut options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
    options.extend([if mount.readonly { "ro" } else { "rw" }, "rprivate"]);
    let switches = [(mount.nosuid, "nosuid"), (mount.nodev, "nodev"), (mount.noexec, "noexec")];
    options.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, name)| name));
    options.join(",")
}

/// `container:ID`, `ns:PATH`, `private`, or nothing for the engine's own.
fn user_mode(context: &Context, container: &Container, space: Option<&UserNamespace>) -> String {
    match (space, &container.record.request.namespaces.user) {
        (Some(UserNamespace::Path { .. }), UsernsMode::Container(name)) => owner(context, name),
        (Some(UserNamespace::Path { path, .. }), _) => format!("ns:{path}"),
        (Some(UserNamespace::Private(_)), _) => "private".to_owned(),
        (Some(UserNamespace::Host) | None, _) => String::new(),
    }
}

fn id_mappings(maps: &IdMaps) -> Value {
    let texts = |maps: &[IdMap]| maps.iter().map(|map| format!("{}:{}:{}", map.container, map.host, map.size)).collect::<Vec<_>>();
    json!({"UidMap": texts(&maps.uids), "GidMap": texts(&maps.gids)})
}

/// `container:ID`, as long as there is one of that name.
fn owner(context: &Context, name: &str) -> String {
    let id = context.engine.store().find(name).map_or_else(|_| name.to_owned(), |id| id.to_string());
    format!("container:{id}")
}

/// A network of its own has `lo` alone: Podman's word for that is `none`.
fn network_mode(context: &Context, asked: &NetworkMode, space: Option<&Namespace>) -> String {
    match (space, asked) {
        (Some(Namespace::Host), _) => "host".to_owned(),
        (Some(Namespace::Path(_)), NetworkMode::Container(name)) => owner(context, name),
        (Some(Namespace::Path(path)), _) => format!("ns:{path}"),
        _ => "none".to_owned(),
    }
}

/// Others may join it, unless that was excluded.
fn ipc_mode(context: &Context, asked: &NamespaceMode, space: Option<&Namespace>) -> String {
    let by_configuration = context.engine.conf().ipcns.as_deref() == Some("private");
    match (space, asked) {
        (Some(Namespace::Private), NamespaceMode::Default) if by_configuration => "private".to_owned(),
        (Some(Namespace::Private), NamespaceMode::Default | NamespaceMode::Shareable) => "shareable".to_owned(),
        (Some(Namespace::Private), NamespaceMode::None) => "none".to_owned(),
        _ => mode(context, asked, space),
    }
}

/// `host`, `container:ID`, `ns:PATH` or `private`.
fn mode(context: &Context, asked: &NamespaceMode, space: Option<&Namespace>) -> String {
    match (space, asked) {
        (Some(Namespace::Host), _) => "host".to_owned(),
        (Some(Namespace::Path(_)), NamespaceMode::Container(name)) => owner(context, name),
        (Some(Namespace::Path(path)), _) => format!("ns:{path}"),
        _ => "private".to_owned(),
    }
}

fn nano_cpus(limits: &selkie_plan::Cgroup) -> i64 {
    match (limits.cpu_quota, limits.cpu_period) {
        (Some(quota), Some(period)) if quota > 0 && period > 0 => {
            quota.saturating_mul(1_000_000_000) / i64::try_from(period).unwrap_or(i64::MAX)
        }
        _ => 0,
    }
}

fn log_driver(driver: Option<LogDriver>) -> &'static str {
    match driver.unwrap_or(LogDriver::K8sFile) {
        LogDriver::K8sFile => "k8s-file",
        LogDriver::JsonFile => "json-file",
        LogDriver::Journald => "journald",
        LogDriver::None => "none",
        LogDriver::Passthrough => "passthrough",
    }
}

fn restart_policy(policy: RestartPolicy) -> Value {
    let (name, retries) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::OnFailure { retries } => ("on-failure", retries.unwrap_or(0)),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
    };
    json!({"Name": name, "MaximumRetryCount": retries})
}

/// In Podman's order: no-new-privileges, label, seccomp, apparmor, unmask.
fn security_options(container: &Container, plan: Option<&Plan>) -> Vec<String> {
    let options = &container.record.request.security.options;
    let mut list = Vec::new();
    if plan.is_some_and(|plan| plan.process.no_new_privileges) {
        list.push("no-new-privileges".to_owned());
    }
    list.extend(options.iter().filter_map(|option| match option {
        SecurityOpt::Seccomp(value) => Some(format!("seccomp={value}")),
        _ => None,
    }));
    if plan.is_some_and(|plan| plan.masked_paths.is_empty()) {
        list.push("unmask=all".to_owned());
    }
    list
}
