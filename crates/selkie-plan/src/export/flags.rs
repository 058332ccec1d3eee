//! A request as the flags of `podman run` that make it: the form in which every format looks for what it can express.
//!
//! Every field is taken apart by name, so that a new one does not compile until it has its flag here; and what a format does not take
//! out of the list becomes a note. So nothing is ever dropped in silence.

use crate::value::{
    AutoUserns, BindMount, Label, LimitValue, NamespaceMode, NetworkMode, Relabel, RestartPolicy, SecurityOpt, TmpfsMount, Ulimit,
    UserMount, UsernsMode, signal_name,
};
use crate::{
    DeviceKind, DeviceRule, DevicesRequest, IdMap, ImageVolumes, Lifecycle, LimitsRequest, LogDriver, MountsRequest, NamespacesRequest,
    NetworkRequest, ProcessRequest, Propagation, PullPolicy, Request, SecurityRequest, Stream,
};

/// A flag without its dashes. A switch has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
}

impl Flag {
    /// Returns it as one word of a command line, not quoted.
    pub(super) fn word(&self) -> String {
        match &self.value {
            Some(value) => format!("--{}={value}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Returns the value; of a switch that is on, the empty text.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// Returns whether a switch is on.
    pub(super) fn is_on(&self) -> bool {
        self.value.as_deref().is_none_or(|value| value == "true")
    }
}

/// The list while it is made.
#[derive(Default)]
struct Flags(Vec<Flag>);

impl Flags {
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(Flag { name, value: Some(value.into()) });
    }

    fn texts<T: Into<String>>(&mut self, name: &'static str, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.text(name, value));
    }

    fn pairs<'a>(&mut self, name: &'static str, pairs: impl IntoIterator<Item = (&'a String, &'a String)>) {
        self.texts(name, pairs.into_iter().map(|(key, value)| format!("{key}={value}")));
    }

    fn number<T: ToString>(&mut self, name: &'static str, value: Option<T>) {
        self.texts(name, value.map(|value| value.to_string()));
    }

    fn switch(&mut self, name: &'static str, on: bool) {
        if on {
            self.0.push(Flag { name, value: None });
        }
    }

    fn choice(&mut self, name: &'static str, on: Option<bool>) {
        match on {
            Some(true) => self.switch(name, true),
            Some(false) => self.text(name, "false"),
            None => {}
        }
    }
}

/// Returns the flags of `request` but for its image, its command and its capabilities.
pub(super) fn flags(request: &Request) -> Vec<Flag> {
    let Request {
        image: _,
        rootfs: _,
        command: _,
        name,
        labels,
        annotations,
        process: first,
        security: rights,
        namespaces: spaces,
        mounts: tree,
        devices: nodes,
        limits: bounds,
        sysctls,
        network: names,
        lifecycle: around,
    } = request;
    let mut flags = Flags::default();
    lifecycle(&mut flags, around);
    flags.texts("name", name);
    process(&mut flags, first);
    security(&mut flags, rights);
    namespaces(&mut flags, spaces);
    network(&mut flags, names);
    mounts(&mut flags, tree);
    devices(&mut flags, nodes);
    limits(&mut flags, bounds);
    flags.pairs("sysctl", sysctls.iter().map(|(key, value)| (key, value)));
    flags.pairs("label", labels);
    flags.pairs("annotation", annotations);
    flags.0
}

fn process(flags: &mut Flags, request: &ProcessRequest) {
    let ProcessRequest {
        entrypoint,
        workdir,
        env,
        // The caller's own variables follow from `--env-host` and `--http-proxy`.
        host_env: _,
        env_host,
        http_proxy,
        unset_env,
        unset_env_all,
        interactive,
        tty,
        user,
        group_add,
        umask,
        init,
        stop_signal,
        timezone,
        preserve_fds,
        passwd,
    } = request;
    flags.switch("interactive", *interactive);
    flags.switch("tty", *tty);
    flags.texts("user", user);
    flags.texts("group-add", group_add);
    flags.texts("entrypoint", entrypoint.as_ref().map(|words| entrypoint_text(words)));
    flags.texts("workdir", workdir);
    flags.switch("env-host", *env_host);
    flags.choice("http-proxy", *http_proxy);
    flags.switch("unsetenv-all", *unset_env_all);
    flags.texts("unsetenv", unset_env);
    flags.pairs("env", env.iter().map(|(key, value)| (key, value)));
    flags.texts("umask", umask.map(|umask| format!("{umask:04o}")));
    flags.choice("init", *init);
    flags.texts("stop-signal", stop_signal.map(signal_name));
    flags.texts("tz", timezone);
    flags.choice("passwd", *passwd);
    flags.number("preserve-fds", Some(*preserve_fds).filter(|count| *count > 0));
}

/// The empty list resets the image's; anything but one plain word is a JSON list.
fn entrypoint_text(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] if !word.is_empty() && !word.starts_with('[') => word.clone(),
        words => serde_json::Value::from(words).to_string(),
    }
}

fn security(flags: &mut Flags, request: &SecurityRequest) {
    // The capabilities are those that were proven; `--privileged` is more than them, which its note says.
    let SecurityRequest { cap_add: _, cap_drop: _, privileged: _, options, seccomp_from_image } = request;
    for option in options {
        flags.text("security-opt", security_option(option));
    }
    if *seccomp_from_image {
        flags.text("seccomp-policy", "image");
    }
}

fn security_option(option: &SecurityOpt) -> String {
    match option {
        SecurityOpt::NoNewPrivileges(true) => "no-new-privileges".to_owned(),
        SecurityOpt::NoNewPrivileges(false) => "no-new-privileges=false".to_owned(),
        SecurityOpt::Seccomp(profile) => format!("seccomp={profile}"),
        SecurityOpt::Apparmor(profile) => format!("apparmor={profile}"),
        SecurityOpt::Label(Label::Disable) => "label=disable".to_owned(),
        SecurityOpt::Label(Label::Nested) => "label=nested".to_owned(),
        SecurityOpt::Label(Label::Part(key, value)) => format!("label={key}:{value}"),
        SecurityOpt::Mask(paths) => format!("mask={}", paths.join(":")),
        SecurityOpt::Unmask(paths) => format!("unmask={}", paths.join(":")),
        SecurityOpt::ProcOpts(options) => format!("proc-opts={}", options.join(",")),
        SecurityOpt::NestedUserns(on) => format!("nested-userns={on}"),
    }
}

fn namespaces(flags: &mut Flags, request: &NamespacesRequest) {
    let NamespacesRequest { network, pid, ipc, uts, cgroup, user, uid_map, gid_map, hostname } = request;
    flags.texts("network", network_mode(network));
    for (name, mode) in [("pid", pid), ("ipc", ipc), ("uts", uts), ("cgroupns", cgroup)] {
        flags.texts(name, namespace_mode(mode));
    }
    flags.texts("userns", userns_mode(user));
    flags.texts("uidmap", uid_map.iter().map(id_map));
    flags.texts("gidmap", gid_map.iter().map(id_map));
    flags.texts("hostname", hostname);
}

fn namespace_mode(mode: &NamespaceMode) -> Option<String> {
    Some(match mode {
        NamespaceMode::Default => return None,
        NamespaceMode::Private => "private".to_owned(),
        NamespaceMode::Shareable => "shareable".to_owned(),
        NamespaceMode::None => "none".to_owned(),
        NamespaceMode::Host => "host".to_owned(),
        NamespaceMode::Container(name) => format!("container:{name}"),
        NamespaceMode::Path(path) => format!("ns:{path}"),
    })
}

fn network_mode(mode: &NetworkMode) -> Option<String> {
    Some(match mode {
        NetworkMode::Default => return None,
        NetworkMode::Private => "private".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(name) => format!("container:{name}"),
        NetworkMode::Path(path) => format!("ns:{path}"),
    })
}

fn userns_mode(mode: &UsernsMode) -> Option<String> {
    let with = |mode: &str, options: Vec<String>| {
        if options.is_empty() { mode.to_owned() } else { format!("{mode}:{}", options.join(",")) }
    };
    let option = |name: &str, value: &Option<u32>| value.map(|value| format!("{name}={value}"));
    Some(match mode {
        UsernsMode::Default => return None,
        UsernsMode::Host => "host".to_owned(),
        UsernsMode::Private => "private".to_owned(),
        UsernsMode::KeepId { uid, gid, size } => {
            with("keep-id", [option("uid", uid), option("gid", gid), option("size", size)].into_iter().flatten().collect())
        }
        UsernsMode::Auto(AutoUserns { size, uid_map, gid_map }) => {
            let mut options: Vec<String> = option("size", size).into_iter().collect();
            options.extend(uid_map.iter().map(|map| format!("uidmapping={}", id_map(map))));
            options.extend(gid_map.iter().map(|map| format!("gidmapping={}", id_map(map))));
            with("auto", options)
        }
        UsernsMode::NoMap => "nomap".to_owned(),
        UsernsMode::Container(name) => format!("container:{name}"),
        UsernsMode::Path(path) => format!("ns:{path}"),
    })
}

fn id_map(map: &IdMap) -> String {
    format!("{}:{}:{}", map.container, map.host, map.size)
}

fn mounts(flags: &mut Flags, request: &MountsRequest) {
    let MountsRequest { volumes, mounts, tmpfs, read_only, read_only_tmpfs, shm_size, image_volumes } = request;
    for volume in volumes {
        bind(flags, volume);
    }
    for mount in mounts {
        match mount {
            UserMount::Bind(volume) => bind(flags, volume),
            UserMount::Tmpfs(mount) => tmpfs_mount(flags, mount),
            UserMount::Devpts(mount) => {
                let words = ["type=devpts".to_owned(), format!("destination={}", mount.destination)];
                flags.text("mount", csv(words.into_iter().chain(mount.options.iter().cloned())));
            }
        }
    }
    for mount in tmpfs {
        tmpfs_mount(flags, mount);
    }
    flags.choice("read-only", *read_only);
    flags.choice("read-only-tmpfs", *read_only_tmpfs);
    flags.texts("shm-size", shm_size.map(|bytes| format!("{bytes}b")));
    match image_volumes {
        ImageVolumes::Keep => {}
        ImageVolumes::Tmpfs => flags.text("image-volume", "tmpfs"),
        ImageVolumes::Ignore => flags.text("image-volume", "ignore"),
    }
}

fn bind(flags: &mut Flags, mount: &BindMount) {
    let options = bind_options(mount);
    if [&mount.source, &mount.destination].iter().any(|path| path.contains(':')) {
        let words = ["type=bind".to_owned(), format!("source={}", mount.source), format!("destination={}", mount.destination)];
        let relabel = mount.relabel.map(|relabel| match relabel {
            Relabel::Shared => "relabel=shared".to_owned(),
            Relabel::Private => "relabel=private".to_owned(),
        });
        let options = options.into_iter().filter(|option| !matches!(*option, "z" | "Z")).map(|option| match option {
            "bind" => "bind-nonrecursive=true".to_owned(),
            "private" | "shared" | "rshared" | "slave" | "rslave" => format!("bind-propagation={option}"),
            other => other.to_owned(),
        });
        return flags.text("mount", csv(words.into_iter().chain(options).chain(relabel)));
    }
    let suffix = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    flags.text("volume", format!("{}:{}{suffix}", mount.source, mount.destination));
}

/// Returns the options that are not the default, as `--volume` has them.
pub(super) fn bind_options(mount: &BindMount) -> Vec<&'static str> {
    let BindMount { source: _, destination: _, readonly, nosuid, nodev, noexec, not_recursive, propagation, relabel, give } = mount;
    let mut options = Vec::new();
    let switches = [("ro", *readonly), ("nosuid", *nosuid), ("nodev", *nodev), ("noexec", *noexec), ("bind", *not_recursive), ("U", *give)];
    options.extend(switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| name));
    options.extend(match propagation {
        Propagation::Rprivate => None,
        Propagation::Private => Some("private"),
        Propagation::Slave => Some("slave"),
        Propagation::Rslave => Some("rslave"),
        Propagation::Shared => Some("shared"),
        Propagation::Rshared => Some("rshared"),
    });
    options.extend(relabel.map(|relabel| match relabel {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    }));
    options
}

fn tmpfs_mount(flags: &mut Flags, mount: &TmpfsMount) {
    let options = tmpfs_options(mount);
    if mount.destination.contains(':') {
        let words = ["type=tmpfs".to_owned(), format!("destination={}", mount.destination)];
        let options = options.into_iter().map(|option| match option.split_once('=') {
            Some(("size", size)) => format!("tmpfs-size={size}"),
            Some(("mode", mode)) => format!("tmpfs-mode={mode}"),
            _ => option,
        });
        return flags.text("mount", csv(words.into_iter().chain(options)));
    }
    let suffix = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    flags.text("tmpfs", format!("{}{suffix}", mount.destination));
}

/// Returns the options that are not the default.
pub(super) fn tmpfs_options(mount: &TmpfsMount) -> Vec<String> {
    let TmpfsMount { destination: _, readonly, nosuid, nodev, noexec, options } = mount;
    let defaults = TmpfsMount::default();
    let switches = [
        ("ro", *readonly, true),
        ("suid", !*nosuid, defaults.nosuid),
        ("nosuid", *nosuid, !defaults.nosuid),
        ("dev", !*nodev, defaults.nodev),
        ("nodev", *nodev, !defaults.nodev),
        ("exec", !*noexec, defaults.noexec),
        ("noexec", *noexec, !defaults.noexec),
    ];
    let words = switches.into_iter().filter(|(_, on, differs)| *on && *differs).map(|(name, ..)| name.to_owned());
    words.chain(options.iter().cloned()).collect()
}

/// Joins words as Go's encoding/csv reads them back.
fn csv(words: impl IntoIterator<Item = String>) -> String {
    let quoted = |word: String| {
        if word.contains([',', '"', '\n', '\r']) { format!("\"{}\"", word.replace('"', "\"\"")) } else { word }
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

fn devices(flags: &mut Flags, request: &DevicesRequest) {
    let DevicesRequest { devices, rules } = request;
    flags.texts("device", devices.iter().map(|device| format!("{}:{}:{}", device.host, device.container, device.access)));
    flags.texts("device-cgroup-rule", rules.iter().map(|rule| device_rule(&rule.0)));
}

fn device_rule(rule: &DeviceRule) -> String {
    let kind = match rule.kind {
        None => 'a',
        Some(DeviceKind::Block) => 'b',
        Some(DeviceKind::Char) => 'c',
    };
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}

fn limits(flags: &mut Flags, request: &LimitsRequest) {
    let LimitsRequest {
        memory,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        cpu_quota,
        cpu_period,
        cpu_shares,
        cpuset_cpus,
        cpuset_mems,
        pids,
        unified,
        ulimits,
        oom_score_adj,
        cgroups_disabled,
        cgroup_parent,
    } = request;
    flags.texts("memory", memory.map(|bytes| format!("{bytes}b")));
    flags.texts("memory-reservation", memory_reservation.map(|bytes| format!("{bytes}b")));
    flags.texts("memory-swap", memory_swap.map(|bytes| if bytes < 0 { bytes.to_string() } else { format!("{bytes}b") }));
    flags.number("memory-swappiness", *memory_swappiness);
    flags.number("cpu-period", *cpu_period);
    flags.number("cpu-quota", *cpu_quota);
    flags.number("cpu-shares", *cpu_shares);
    flags.texts("cpuset-cpus", cpuset_cpus);
    flags.texts("cpuset-mems", cpuset_mems);
    flags.number("pids-limit", *pids);
    flags.pairs("cgroup-conf", unified);
    for limit in ulimits {
        flags.text(
            "ulimit",
            match limit {
                Ulimit::Host => "host".to_owned(),
                Ulimit::Set { resource, soft, hard } => format!("{resource}={}:{}", limit_text(*soft), limit_text(*hard)),
            },
        );
    }
    flags.number("oom-score-adj", *oom_score_adj);
    if *cgroups_disabled {
        flags.text("cgroups", "disabled");
    }
    flags.texts("cgroup-parent", cgroup_parent);
}

fn limit_text(value: LimitValue) -> String {
    if value == u64::MAX { "-1".to_owned() } else { value.to_string() }
}

fn network(flags: &mut Flags, request: &NetworkRequest) {
    let NetworkRequest { add_hosts, dns, dns_search, dns_options, no_hosts, no_hostname, expose } = request;
    flags.texts("add-host", add_hosts.iter().map(|entry| format!("{}:{}", entry.names.join(";"), entry.address)));
    flags.texts("dns", dns);
    flags.texts("dns-search", dns_search);
    flags.texts("dns-option", dns_options);
    flags.choice("no-hosts", *no_hosts);
    flags.switch("no-hostname", *no_hostname);
    flags.texts("expose", expose);
}

fn lifecycle(flags: &mut Flags, request: &Lifecycle) {
    let Lifecycle {
        detach,
        remove,
        remove_image,
        replace,
        restart,
        pull,
        quiet,
        cidfile,
        pidfile,
        conmon_pidfile,
        log_driver,
        log_options,
        attach,
        detach_keys,
        sig_proxy,
        stop_timeout,
        timeout,
        platform,
        tls_verify,
        authfile,
    } = request;
    flags.switch("detach", *detach);
    flags.switch("rm", *remove);
    flags.switch("rmi", *remove_image);
    flags.switch("replace", *replace);
    flags.texts("restart", restart_text(restart));
    flags.texts("pull", pull_text(*pull));
    flags.switch("quiet", *quiet);
    flags.texts("cidfile", cidfile);
    flags.texts("pidfile", pidfile);
    flags.texts("conmon-pidfile", conmon_pidfile);
    flags.texts("log-driver", log_driver.map(log_driver_text));
    flags.pairs("log-opt", log_options.iter().map(|(key, value)| (key, value)));
    flags.texts(
        "attach",
        attach.iter().map(|stream| match stream {
            Stream::Stdin => "stdin",
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }),
    );
    flags.texts("detach-keys", detach_keys);
    flags.texts("sig-proxy", sig_proxy.map(|on| on.to_string()));
    flags.number("stop-timeout", *stop_timeout);
    flags.number("timeout", *timeout);
    flags.texts("platform", platform);
    flags.texts("tls-verify", tls_verify.map(|on| on.to_string()));
    flags.texts("authfile", authfile);
}

fn restart_text(policy: &RestartPolicy) -> Option<String> {
    Some(match policy {
        RestartPolicy::No => return None,
        RestartPolicy::OnFailure { retries: None } => "on-failure".to_owned(),
        RestartPolicy::OnFailure { retries: Some(retries) } => format!("on-failure:{retries}"),
        RestartPolicy::Always => "always".to_owned(),
        RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
    })
}

const fn pull_text(policy: PullPolicy) -> Option<&'static str> {
    match policy {
        PullPolicy::Missing => None,
        PullPolicy::Always => Some("always"),
        PullPolicy::Never => Some("never"),
        PullPolicy::Newer => Some("newer"),
    }
}

const fn log_driver_text(driver: LogDriver) -> &'static str {
    match driver {
        LogDriver::K8sFile => "k8s-file",
        LogDriver::JsonFile => "json-file",
        LogDriver::Journald => "journald",
        LogDriver::None => "none",
        LogDriver::Passthrough => "passthrough",
    }
}
