//! The controls of others, and our own: a manifest for each, and the finding that it has to give. For each bad one a good one.
//!
//! PSS: kubernetes.io, "Pod Security Standards"; `CKV_K8S`: checkov's policy index; KICS: its queries for compose files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use selkie_audit::{DropIn, Entry, Finding, Rule, Severity, check, read, read_unit};
use selkie_caps::{CapSet, Capability};

/// A file that breaks a control, or keeps it.
struct Case {
    control: &'static str,
    file: &'static str,
    text: String,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

fn findings(file: &str, text: &str) -> BTreeSet<String> {
    let read = read(file, text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let of_subjects = read.subjects.iter().flat_map(|subject| check(subject, &[]));
    of_subjects.chain(read.findings.clone()).map(|finding| finding.rule.id().to_owned()).collect()
}

fn assert_all(cases: Vec<Case>) {
    let mut failures = Vec::new();
    for case in cases {
        let found = findings(case.file, &case.text);
        for rule in case.has.iter().filter(|rule| !found.contains(**rule)) {
            failures.push(format!("{}: `{rule}` is not found in\n{}found: {found:?}", case.control, case.text));
        }
        for rule in case.lacks.iter().filter(|rule| found.contains(**rule)) {
            failures.push(format!("{}: `{rule}` is found in\n{}", case.control, case.text));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A pod with these lines in its spec, in its container, and in the container's security context.
fn pod(spec: &str, container: &str, context: &str) -> String {
    let context = if context.is_empty() { String::new() } else { format!("    securityContext:\n{}", indent(context, 6)) };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n{}  containers:\n  - name: c\n    image: i\n{}{context}",
        indent(spec, 2),
        indent(container, 4)
    )
}

fn service(lines: &str) -> String {
    format!("services:\n  web:\n    image: i\n{}", indent(lines, 4))
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

fn case(control: &'static str, file: &'static str, text: String, has: &'static [&'static str], lacks: &'static [&'static str]) -> Case {
    Case { control, file, text, has, lacks }
}

fn kube(control: &'static str, parts: [&str; 3], has: &'static [&'static str], lacks: &'static [&'static str]) -> Case {
    case(control, "pod.yaml", pod(parts[0], parts[1], parts[2]), has, lacks)
}

fn compose(control: &'static str, lines: &str, has: &'static [&'static str], lacks: &'static [&'static str]) -> Case {
    case(control, "compose.yaml", service(lines), has, lacks)
}

#[test]
fn pod_security_standards_baseline_is_covered() {
    assert_all(vec![
        kube("PSS baseline HostProcess", ["", "", "windowsOptions: {hostProcess: true}"], &["host-process"], &[]),
        kube(
            "PSS baseline HostProcess of the pod",
            ["securityContext: {windowsOptions: {hostProcess: true}}", "", ""],
            &["host-process"],
            &[],
        ),
        kube("PSS baseline HostProcess, good", ["", "", "windowsOptions: {hostProcess: false}"], &[], &["host-process"]),
        kube("PSS baseline Host Namespaces, network", ["hostNetwork: true", "", ""], &["host-network"], &["host-pid", "host-ipc"]),
        kube("PSS baseline Host Namespaces, PID", ["hostPID: true", "", ""], &["host-pid"], &["host-network"]),
        kube("PSS baseline Host Namespaces, IPC", ["hostIPC: true", "", ""], &["host-ipc"], &[]),
        kube("PSS baseline Host Namespaces, good", ["hostPID: false", "", ""], &[], &["host-pid", "host-ipc", "host-network"]),
        kube("PSS baseline Privileged", ["", "", "privileged: true"], &["privileged"], &[]),
        kube("PSS baseline Privileged, good", ["", "", "privileged: false"], &[], &["privileged"]),
        kube("PSS baseline Capabilities", ["", "", "capabilities: {add: [NET_ADMIN]}"], &["capability-outside"], &[]),
        kube("PSS baseline Capabilities, ALL", ["", "", "capabilities: {add: [ALL]}"], &["capability-all"], &[]),
        kube(
            "PSS baseline Capabilities, good",
            ["", "", "capabilities: {add: [CHOWN]}"],
            &["capability-redundant"],
            &["capability-outside", "capability-host-root"],
        ),
        kube("PSS baseline HostPath", ["volumes: [{name: v, hostPath: {path: /data}}]", "", ""], &["host-path"], &[]),
        kube("PSS baseline HostPath, good", ["volumes: [{name: v, emptyDir: {}}]", "", ""], &[], &["host-path", "volume-type"]),
        kube("PSS baseline Host Ports", ["", "ports: [{containerPort: 80, hostPort: 80}]", ""], &["host-port"], &[]),
        kube("PSS baseline Host Ports, good", ["", "ports: [{containerPort: 80, hostPort: 0}]", ""], &[], &["host-port"]),
        kube("PSS baseline Host Probes", ["", "livenessProbe: {httpGet: {host: 10.0.0.1, port: 80}}", ""], &["probe-host"], &[]),
        kube("PSS baseline Lifecycle Hooks", ["", "lifecycle: {preStop: {tcpSocket: {host: db, port: 80}}}", ""], &["probe-host"], &[]),
        kube(
            "PSS baseline Host Probes, of the node",
            ["", "livenessProbe: {tcpSocket: {host: 127.0.0.1, port: 80}}", ""],
            &["probe-host"],
            &[],
        ),
        kube("PSS baseline Host Probes, by name", ["", "startupProbe: {httpGet: {host: localhost, port: 80}}", ""], &["probe-host"], &[]),
        kube("PSS baseline Host Probes, of IPv6", ["", "readinessProbe: {httpGet: {host: '::1', port: 80}}", ""], &["probe-host"], &[]),
        kube("PSS baseline Host Probes, good", ["", "livenessProbe: {httpGet: {host: '', port: 80}}", ""], &[], &["probe-host"]),
        kube("PSS baseline Host Probes, good", ["", "livenessProbe: {httpGet: {port: 80}}", ""], &[], &["probe-host"]),
        kube("PSS baseline AppArmor", ["", "", "appArmorProfile: {type: Unconfined}"], &["apparmor-unconfined"], &[]),
        kube("PSS baseline AppArmor, good", ["", "", "appArmorProfile: {type: RuntimeDefault}"], &[], &["apparmor-unconfined"]),
        kube("PSS baseline SELinux type", ["", "", "seLinuxOptions: {type: spc_t}"], &["selinux-options"], &[]),
        kube("PSS baseline SELinux user", ["securityContext: {seLinuxOptions: {user: root}}", "", ""], &["selinux-options"], &[]),
        kube("PSS baseline SELinux, good", ["", "", "seLinuxOptions: {type: container_t}"], &[], &["selinux-options"]),
        kube("PSS baseline /proc Mount Type", ["", "", "procMount: Unmasked"], &["proc-unmasked"], &[]),
        kube("PSS baseline /proc Mount Type, good", ["", "", "procMount: Default"], &[], &["proc-unmasked"]),
        kube("PSS baseline Seccomp", ["", "", "seccompProfile: {type: Unconfined}"], &["seccomp-unconfined"], &["seccomp-not-set"]),
        kube(
            "PSS baseline Seccomp of the pod",
            ["securityContext: {seccompProfile: {type: Unconfined}}", "", ""],
            &["seccomp-unconfined"],
            &[],
        ),
        kube("PSS baseline Sysctls", ["securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}", "", ""], &["unsafe-sysctl"], &[]),
        kube(
            "PSS baseline Sysctls, good",
            ["securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}]}", "", ""],
            &[],
            &["unsafe-sysctl"],
        ),
    ]);
}

#[test]
fn apparmor_annotation_of_one_container_counts_for_it() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: {container.apparmor.security.beta.kubernetes.io/c: unconfined}\nspec: {containers: [{name: c}]}\n";
    assert!(findings("pod.yaml", text).contains("apparmor-unconfined"));
}

#[test]
fn pod_security_standards_restricted_is_covered() {
    assert_all(vec![
        kube("PSS restricted Volume Types", ["volumes: [{name: v, nfs: {server: s, path: /}}]", "", ""], &["volume-type"], &[]),
        kube(
            "PSS restricted Volume Types, good",
            ["volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]", "", ""],
            &[],
            &["volume-type"],
        ),
        kube("PSS restricted Privilege Escalation", ["", "", "allowPrivilegeEscalation: true"], &["privilege-escalation"], &[]),
        kube("PSS restricted Privilege Escalation, not said", ["", "", ""], &["privilege-escalation"], &[]),
        kube("PSS restricted Privilege Escalation, good", ["", "", "allowPrivilegeEscalation: false"], &[], &["privilege-escalation"]),
        kube("PSS restricted Running as Non-root", ["", "", ""], &["may-run-as-root"], &[]),
        kube(
            "PSS restricted Running as Non-root, false",
            ["securityContext: {runAsNonRoot: true}", "", "runAsNonRoot: false"],
            &["may-run-as-root"],
            &[],
        ),
        kube("PSS restricted Running as Non-root, good", ["securityContext: {runAsNonRoot: true}", "", ""], &[], &["may-run-as-root"]),
        kube("PSS restricted Non-root user", ["", "", "runAsUser: 0"], &["runs-as-root"], &[]),
        kube("PSS restricted Non-root user, good", ["securityContext: {runAsUser: 0}", "", "runAsUser: 1000"], &[], &["runs-as-root"]),
        kube("PSS restricted Seccomp", ["", "", ""], &["seccomp-not-set"], &[]),
        kube(
            "PSS restricted Seccomp, good",
            ["", "", "seccompProfile: {type: RuntimeDefault}"],
            &[],
            &["seccomp-not-set", "seccomp-unconfined"],
        ),
        kube(
            "PSS restricted Seccomp, good of the pod",
            ["securityContext: {seccompProfile: {type: Localhost, localhostProfile: a.json}}", "", ""],
            &[],
            &["seccomp-not-set"],
        ),
        kube("PSS restricted Capabilities", ["", "", ""], &["capabilities-not-dropped"], &[]),
        kube("PSS restricted Capabilities, some", ["", "", "capabilities: {drop: [NET_RAW]}"], &["capabilities-not-dropped"], &["net-raw"]),
        kube(
            "PSS restricted Capabilities, good",
            ["", "", "capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}"],
            &[],
            &["capabilities-not-dropped", "net-raw", "capability-added"],
        ),
        kube("PSS restricted Capabilities, one more", ["", "", "capabilities: {drop: [ALL], add: [IPC_LOCK]}"], &["capability-added"], &[]),
    ]);
}

#[test]
fn pod_that_keeps_the_restricted_standard_has_no_finding() {
    let context = "allowPrivilegeEscalation: false\nrunAsNonRoot: true\nreadOnlyRootFilesystem: true\ncapabilities: {drop: [ALL]}\nseccompProfile: {type: RuntimeDefault}";
    assert_eq!(findings("pod.yaml", &pod("", "", context)), BTreeSet::new());
}

#[test]
fn checkov_kubernetes_is_covered() {
    let socket = "volumes: [{name: v, hostPath: {path: /var/run/docker.sock}}]";
    assert_all(vec![
        kube("CKV_K8S_16", ["", "", "privileged: true"], &["privileged"], &[]),
        kube("CKV_K8S_17", ["hostPID: true", "", ""], &["host-pid"], &[]),
        kube("CKV_K8S_18", ["hostIPC: true", "", ""], &["host-ipc"], &[]),
        kube("CKV_K8S_19", ["hostNetwork: true", "", ""], &["host-network"], &[]),
        kube("CKV_K8S_20", ["", "", "allowPrivilegeEscalation: true"], &["privilege-escalation"], &[]),
        kube("CKV_K8S_22", ["", "", ""], &["root-writable"], &[]),
        kube("CKV_K8S_22, good", ["", "", "readOnlyRootFilesystem: true"], &[], &["root-writable"]),
        kube("CKV_K8S_23", ["", "", "runAsUser: 0"], &["runs-as-root"], &[]),
        kube("CKV_K8S_25", ["", "", "capabilities: {add: [SYS_TIME]}"], &["capability-outside"], &[]),
        kube("CKV_K8S_26", ["", "ports: [{hostPort: 8080}]", ""], &["host-port"], &[]),
        kube("CKV_K8S_27", [socket, "volumeMounts: [{name: v, mountPath: /s}]", ""], &["engine-socket"], &["host-path"]),
        kube("CKV_K8S_28", ["", "", ""], &["net-raw"], &[]),
        kube("CKV_K8S_28, good", ["", "", "capabilities: {drop: [NET_RAW]}"], &[], &["net-raw"]),
        kube("CKV_K8S_31", ["", "", ""], &["seccomp-not-set"], &[]),
        kube("CKV_K8S_37", ["", "", ""], &["capabilities-not-dropped"], &[]),
        kube("CKV_K8S_39", ["", "", "capabilities: {add: [CAP_SYS_ADMIN]}"], &["capability-host-root"], &[]),
        kube("CKV_K8S_40", ["", "", "runAsUser: 0"], &["runs-as-root"], &[]),
    ]);
}

#[test]
fn kics_compose_is_covered() {
    assert_all(vec![
        compose("KICS Privileged Containers Enabled", "privileged: true", &["privileged"], &[]),
        compose("KICS Privileged Containers Enabled, good", "privileged: false", &[], &["privileged"]),
        compose(
            "KICS Docker Socket Mounted In Container",
            "volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']",
            &["engine-socket"],
            &[],
        ),
        compose(
            "KICS Docker Socket Mounted In Container, long",
            "volumes: [{type: bind, source: /run/podman/podman.sock, target: /s}]",
            &["engine-socket"],
            &[],
        ),
        compose(
            "KICS Docker Socket Mounted In Container, good",
            "volumes: ['data:/var/lib/data']",
            &[],
            &["engine-socket", "host-directory"],
        ),
        compose("KICS Host Namespace is Shared", "pid: host", &["host-pid"], &[]),
        compose("KICS Host Namespace is Shared, good", "pid: 'service:db'", &[], &["host-pid"]),
        compose("KICS Shared Host Network Namespace", "network_mode: host", &["host-network"], &[]),
        compose("KICS Shared Host Network Namespace, good", "network_mode: bridge", &[], &["host-network"]),
        compose("KICS Shared Host IPC Namespace", "ipc: host", &["host-ipc"], &[]),
        compose("CIS Docker 5.21", "uts: host", &["host-uts"], &[]),
        compose("KICS Shared Host User Namespace", "userns_mode: host", &["host-users"], &[]),
        compose("the host's view of cgroups", "cgroup: host", &["host-cgroup"], &[]),
        compose("KICS Container Capabilities Unrestricted", "cap_add: [ALL]", &["capability-all"], &[]),
        compose("KICS Container Capabilities Unrestricted, not dropped", "", &["capabilities-not-dropped"], &[]),
        compose("KICS Container Capabilities Unrestricted, good", "cap_drop: [all]", &[], &["capabilities-not-dropped", "net-raw"]),
        compose("KICS Default Seccomp Profile Disabled", "security_opt: ['seccomp:unconfined']", &["seccomp-unconfined"], &[]),
        compose("KICS Default Seccomp Profile Disabled, good", "security_opt: ['seccomp=p.json']", &[], &["seccomp-unconfined"]),
        compose("KICS No New Privileges Not Set", "", &["privilege-escalation"], &[]),
        compose("KICS No New Privileges Not Set, good", "security_opt: [no-new-privileges:true]", &[], &["privilege-escalation"]),
        compose("KICS Volume Has Sensitive Host Directory", "volumes: ['/etc:/host/etc']", &["host-directory"], &[]),
        compose("KICS Volume Has Sensitive Host Directory, /", "volumes: ['/:/host']", &["host-root"], &[]),
        compose("KICS Volume Has Sensitive Host Directory, hidden", "volumes: ['/srv/../:/host']", &["host-root"], &[]),
        compose("KICS Volume Has Sensitive Host Directory, good", "volumes: ['./conf:/etc/app:ro']", &[], &["host-root", "host-directory"]),
        compose("CIS Docker 5.2", "security_opt: ['apparmor=unconfined']", &["apparmor-unconfined"], &[]),
        compose("CIS Docker 5.3", "security_opt: ['label=disable']", &["selinux-options"], &[]),
        compose("CIS Docker 5.13, good", "read_only: true", &[], &["root-writable"]),
        compose("CIS Docker 5.18", "devices: ['/dev/sda:/dev/sda']", &["host-device"], &[]),
        compose("CIS Docker 5.18, rule", "device_cgroup_rules: ['a *:* rwm']", &["device-rule-all"], &[]),
        compose("CIS Docker 5.18, good", "devices: ['/dev/null:/dev/null']", &[], &["host-device"]),
        compose("KICS Volume Mounted In Multiple Containers", "volumes: ['/data:/data:shared']", &["mount-propagation"], &[]),
        compose(
            "CIS Docker 5.20, long",
            "volumes: [{type: bind, source: /d, target: /d, bind: {propagation: rshared}}]",
            &["mount-propagation"],
            &[],
        ),
        compose("CIS Docker 4.1", "user: root", &["runs-as-root"], &[]),
        compose("CIS Docker 4.1, good", "user: '1000:1000'", &[], &["runs-as-root", "may-run-as-root"]),
        compose("PSS baseline /proc Mount Type", "security_opt: ['systempaths=unconfined']", &["proc-unmasked"], &[]),
        compose("PSS baseline Sysctls", "sysctls: {kernel.core_pattern: x}", &["unsafe-sysctl"], &[]),
        compose("PSS baseline Sysctls, good", "sysctls: [net.core.somaxconn=1024]", &[], &["unsafe-sysctl"]),
    ]);
}

#[test]
fn combinations_that_open_the_host_are_found() {
    assert_all(vec![
        compose("SYS_ADMIN without a filter", "cap_add: [SYS_ADMIN]\nsecurity_opt: ['seccomp=unconfined']", &["escape-sys-admin"], &[]),
        compose("SYS_ADMIN without AppArmor", "cap_add: [SYS_ADMIN]\nsecurity_opt: ['apparmor=unconfined']", &["escape-sys-admin"], &[]),
        compose("SYS_ADMIN with both", "cap_add: [SYS_ADMIN]", &["capability-host-root"], &["escape-sys-admin"]),
        compose("SYS_PTRACE with host PIDs", "cap_add: [SYS_PTRACE]\npid: host", &["escape-ptrace"], &[]),
        compose("SYS_PTRACE alone", "cap_add: [SYS_PTRACE]", &[], &["escape-ptrace"]),
        compose("DAC_READ_SEARCH with a host mount", "cap_add: [DAC_READ_SEARCH]\nvolumes: ['./a:/a']", &["escape-file-handle"], &[]),
        compose("DAC_READ_SEARCH alone", "cap_add: [DAC_READ_SEARCH]", &["capability-host-root", "escape-file-handle"], &[]),
        compose("NET_ADMIN in the host's network", "cap_add: [NET_ADMIN]\nnetwork_mode: host", &["escape-network"], &[]),
        compose("/proc of the host", "volumes: ['/proc:/host/proc']", &["escape-procfs"], &[]),
        compose("/proc of the host, read only", "volumes: ['/proc:/host/proc:ro']", &["host-directory"], &["escape-procfs"]),
        compose("SYS_MODULE", "cap_add: [SYS_MODULE]", &["capability-host-root"], &[]),
        case(
            "a named volume that is the host's /",
            "compose.yaml",
            "services:\n  web:\n    volumes: ['all:/host']\nvolumes:\n  all:\n    driver_opts: {type: none, o: bind, device: /}\n"
                .to_owned(),
            &["host-root"],
            &[],
        ),
    ]);
}

#[test]
fn own_rules_are_found() {
    assert_all(vec![
        compose("unknown name", "cap_add: [NET_ADMN]", &["capability-unknown"], &[]),
        compose("known names in any form", "cap_add: [cap_net_admin, Sys_Time]", &[], &["capability-unknown"]),
        compose("redundant", "cap_add: [CHOWN]", &["capability-redundant"], &[]),
        compose("not redundant after ALL", "cap_drop: [ALL]\ncap_add: [CHOWN]", &[], &["capability-redundant"]),
        compose("drop after ALL", "cap_drop: [ALL, NET_RAW]", &["drop-after-all"], &[]),
        compose("added and dropped", "cap_add: [SYS_TIME]\ncap_drop: [SYS_TIME]", &["capability-added-and-dropped"], &[]),
        compose("no effect", "user: '1000'\ncap_add: [NET_ADMIN]", &["capability-no-effect"], &[]),
        compose("effect for root", "user: root\ncap_add: [NET_ADMIN]", &[], &["capability-no-effect"]),
        kube(
            "no effect in Kubernetes",
            ["", "", "runAsUser: 1000\ncapabilities: {add: [NET_BIND_SERVICE]}"],
            &["capability-no-effect"],
            &[],
        ),
        compose("ptrace of its own", "cap_add: [SYS_PTRACE]", &["capability-added"], &["capability-host-root"]),
        compose("ptrace of the host's", "cap_add: [SYS_PTRACE]\npid: host", &["capability-host-root"], &["capability-added"]),
        compose("wrong type", "privileged: maybe", &["wrong-type"], &["privileged"]),
        compose("variable with a default", "privileged: ${P:-true}", &["known-only-later", "privileged"], &[]),
        compose("extends", "extends: {file: base.yaml, service: web}", &["known-only-later"], &[]),
        compose("twice", "privileged: false\nprivileged: true", &["duplicate-key", "privileged"], &[]),
        kube("quoted truth", ["", "", "privileged: 'true'"], &["wrong-type"], &[]),
    ]);
}

#[test]
fn directories_with_sockets_and_programs_of_root_are_found() {
    let mount = |control, volume: &str, has, lacks| compose(control, &format!("volumes: ['{volume}:/x']"), has, lacks);
    assert_all(vec![
        mount("all of /run", "/var/run", &["engine-socket"], &["host-directory"]),
        compose("read-only", "volumes: ['/run/dbus:/x:ro']", &["engine-socket"], &[]),
        mount("an engine's own", "/run/containerd", &["engine-socket"], &[]),
        mount("a user's", "/run/user/1000", &["engine-socket"], &[]),
        mount("another service's", "/run/postgresql", &[], &["engine-socket", "host-directory"]),
        mount("modules", "/lib/modules", &["host-directory"], &[]),
        compose("modules to look at", "volumes: ['/lib/modules:/x:ro']", &[], &["host-directory"]),
        mount("plugins of the node", "/opt/cni/bin", &["host-directory"], &[]),
    ]);
}

#[test]
fn drop_without_names_takes_back_what_lxc_drops_before() {
    let dropped = |lines: &str| {
        let text = format!("lxc.include = /usr/share/lxc/config/common.conf\nlxc.rootfs.path = /x\n{lines}");
        let read = read("c.conf", text.as_bytes(), None).unwrap();
        CapSet::KNOWN.difference(read.subjects[0].capabilities())
    };
    let time = CapSet::EMPTY.with(Capability::SysTime);
    assert_eq!((dropped("").len(), dropped("lxc.cap.drop =\nlxc.cap.drop = sys_time\n")), (5, time));
}

#[test]
fn quadlet_is_read() {
    let container = |lines: &str| format!("[Container]\nImage=i\n{lines}\n");
    let quadlet = |control, lines: &str, has, lacks| case(control, "web.container", container(lines), has, lacks);
    assert_all(vec![
        quadlet("PodmanArgs", "PodmanArgs=--privileged", &["privileged"], &[]),
        quadlet("PodmanArgs false", "PodmanArgs=--privileged=false --cap-add SYS_MODULE", &["capability-host-root"], &["privileged"]),
        quadlet("AddCapability", "AddCapability=CAP_SYS_ADMIN NET_ADMIN", &["capability-host-root", "capability-outside"], &[]),
        quadlet(
            "DropCapability",
            "DropCapability=all\nNoNewPrivileges=true\nUser=1000\nReadOnly=true",
            &[],
            &["capabilities-not-dropped", "privilege-escalation", "may-run-as-root", "root-writable"],
        ),
        quadlet("SeccompProfile", "SeccompProfile=unconfined", &["seccomp-unconfined"], &[]),
        quadlet("SecurityLabelDisable", "SecurityLabelDisable=true", &["selinux-options"], &[]),
        quadlet("Unmask", "Unmask=ALL", &["proc-unmasked"], &[]),
        quadlet("Network", "Network=host", &["host-network"], &[]),
        quadlet("Volume", "Volume=/run/podman/podman.sock:/s", &["engine-socket"], &[]),
        quadlet("Volume of a specifier", "Volume=%t/podman/podman.sock:/s:ro", &["engine-socket"], &[]),
        quadlet("named volume of a specifier", "Volume=%p/podman.sock:/s", &[], &["engine-socket"]),
        case("kube", "a.kube", "[Kube]\nYaml=pod.yaml\n".to_owned(), &["known-only-later"], &[]),
        case("network", "a.network", "[Network]\nSubnet=10.0.0.0/24\n".to_owned(), &[], &["known-only-later"]),
        quadlet("AddDevice", "AddDevice=/dev/kmsg", &["host-device"], &[]),
        quadlet("UserNS lowers", "UserNS=auto\nAddCapability=SYS_MODULE", &["capability-host-root"], &[]),
        quadlet("[Service] bounds the engine", "[Service]\nCapabilityBoundingSet=CAP_CHOWN", &["bounds-the-engine"], &[]),
    ]);
}

#[test]
fn units_without_a_container_are_asked_for_what_they_give() {
    let found = |file: &str, text: &str| {
        let read = read(file, text.as_bytes(), None).unwrap();
        assert!(read.subjects.is_empty());
        let shown = |finding: Finding| {
            let place = finding.place.unwrap();
            format!("{} {} {} {}:{}", finding.severity.word(), finding.rule, finding.subject, place.line, place.column)
        };
        read.judge(&[]).into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(found("all.volume", "[Volume]\nDevice=/\nType=none\nOptions=bind\n"), ["critical host-root all 2:8"]);
    assert_eq!(found("all.volume", "[Volume]\nDevice=/\nOptions=rbind,ro\n"), ["high host-root all 2:8"]);
    assert_eq!(found("all.volume", "[Volume]\nPodmanArgs=--opt device=/etc --opt=o=bind\n"), ["high host-directory all 2:18"]);
    assert_eq!(found("all.volume", "[Volume]\nDevice=tmpfs\nType=tmpfs\n"), [""; 0]);
    assert_eq!(
        found("i.build", "[Build]\nImageTag=i\nPodmanArgs=--cap-add=all\nNetwork=host\n"),
        ["critical capability-all i 3:12", "critical escape-file-handle i 3:12", "high escape-network i 3:12", "medium host-network i 4:9"]
    );
    assert_eq!(found("i.build", "[Build]\nImageTag=i\n"), [""; 0]);
}

#[test]
fn other_units_of_a_container_are_known_only_later() {
    let container = |line: &str| findings("w.container", &format!("[Container]\nImage=i\n{line}\n")).contains("known-only-later");
    assert_eq!(["Volume=all.volume:/x", "Pod=p.pod", "Network=d.container"].map(container), [true; 3]);
    assert_eq!(["Volume=./all.volume:/x", "Volume=all:/x", "Network=n.network"].map(container), [false; 3]);
}

#[test]
fn quadlet_pod_is_asked_only_for_what_a_pod_says() {
    let text = "[Pod]\nNetwork=host\nVolume=/etc:/host\n";
    assert_eq!(findings("web.pod", text), BTreeSet::from(["host-directory".to_owned(), "host-network".to_owned()]));
}

#[test]
fn oci_containers_conf_lxc_and_nspawn_are_read() {
    let oci = |capabilities: &str, linux: &str| {
        format!(
            "{{\"ociVersion\": \"1.0.2\", \"process\": {{\"user\": {{\"uid\": 0}}, \"capabilities\": {{\"bounding\": [{capabilities}]}}}}, \"linux\": {{{linux}}}}}"
        )
    };
    let own = "\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}], \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\"}, \"maskedPaths\": [\"/proc/kcore\"]";
    assert_all(vec![
        case("OCI, good", "config.json", oci("\"CAP_CHOWN\"", own), &["runs-as-root"], &["host-pid", "seccomp-unconfined", "proc-unmasked", "privileged", "capability-host-root"]),
        case("OCI capabilities", "config.json", oci("\"CAP_SYS_ADMIN\"", own), &["capability-host-root"], &[]),
        case("OCI walls", "config.json", oci("\"CAP_SYS_ADMIN\"", ""), &["host-pid", "host-network", "seccomp-unconfined", "proc-unmasked", "escape-sys-admin"], &[]),
        case("containers.conf", "containers.conf", "[containers]\nprivileged = true\nseccomp_profile = \"unconfined\"\npidns = \"host\"\n".to_owned(), &["privileged", "seccomp-unconfined", "host-pid"], &[]),
        case("default_capabilities", "containers.conf", "[containers]\ndefault_capabilities = [\"CHOWN\", \"SYS_ADMIN\"]\n".to_owned(), &["default-capabilities", "capability-host-root"], &["capability-redundant"]),
        case("LXC", "config", "lxc.uts.name = a\nlxc.cap.drop =\nlxc.apparmor.profile = unconfined\nlxc.cgroup2.devices.allow = a\nlxc.mount.entry = / host none bind 0 0\n".to_owned(), &["no-user-namespace", "apparmor-unconfined", "device-rule-all", "host-root", "capability-host-root"], &[]),
        case("LXC, good", "config", "lxc.include = /usr/share/lxc/config/common.conf\nlxc.idmap = u 0 100000 65536\n".to_owned(), &[], &["no-user-namespace"]),
        case("LXC keep", "config", "lxc.cap.keep = chown sys_module\nlxc.idmap = u 0 1 2\n".to_owned(), &["capability-host-root"], &[]),
        case("nspawn", "web.nspawn", "[Exec]\nCapability=CAP_SYS_MODULE\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\n[Files]\nBind=/run/docker.sock\n".to_owned(), &["capability-host-root", "no-user-namespace", "host-network", "engine-socket"], &[]),
        case("nspawn, good", "web.nspawn", "[Exec]\nPrivateUsers=pick\nDropCapability=all\n".to_owned(), &[], &["no-user-namespace", "host-network"]),
    ]);
}

#[test]
fn every_kind_of_workload_is_read() {
    let spec = "spec: {containers: [{name: c, securityContext: {privileged: true}}]}";
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController"];
    for kind in kinds {
        let text = format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: p}}\nspec: {{template: {{{spec}}}}}\n");
        assert!(findings("x.yaml", &text).contains("privileged"), "{kind}");
    }
    let cron = format!("apiVersion: batch/v1\nkind: CronJob\nspec: {{jobTemplate: {{spec: {{template: {{{spec}}}}}}}}}\n");
    assert!(findings("x.yaml", &cron).contains("privileged"));
    let list = format!("apiVersion: v1\nkind: List\nitems: [{{kind: Pod, {spec}}}]\n");
    assert!(findings("x.yaml", &list).contains("privileged"));
}

#[test]
fn items_of_a_list_are_of_its_kind() {
    let names = |kind: &str, item: &str| {
        let text = format!("apiVersion: v1\nkind: {kind}\nitems:\n- {item}\n");
        let read = read("x.yaml", text.as_bytes(), None).unwrap();
        let privileged = read.judge(&[]).iter().filter(|finding| finding.rule.id() == "privileged").count();
        (read.subjects.into_iter().map(|subject| subject.name).collect::<Vec<_>>(), privileged)
    };
    let spec = "spec: {containers: [{name: c, securityContext: {privileged: true}}]}";
    let pod = format!("{{metadata: {{name: p}}, {spec}}}");
    let template = format!("{{metadata: {{name: d}}, spec: {{template: {{{spec}}}}}}}");
    assert_eq!(names("PodList", &pod), (vec!["Pod/p:c".to_owned()], 1));
    assert_eq!(names("DeploymentList", &template), (vec!["Deployment/d:c".to_owned()], 1));
    assert_eq!(names("RolloutList", &template), (vec!["Rollout/d:c".to_owned()], 1));
    let own = format!("{{kind: Pod, metadata: {{name: p}}, {spec}}}");
    assert_eq!(names("List", &own), (vec!["Pod/p:c".to_owned()], 1));
    assert_eq!(names("List", &format!("{{kind: PodList, items: [{pod}]}}")), (vec!["Pod/p:c".to_owned()], 1));
}

#[test]
fn pods_of_kinds_that_others_have_defined_are_read() {
    let spec = "spec: {containers: [{name: c, securityContext: {privileged: true}}]}";
    for (kind, version) in
        [("Rollout", "argoproj.io/v1alpha1"), ("Service", "serving.knative.dev/v1"), ("DeploymentConfig", "apps.openshift.io/v1")]
    {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: p}}\nspec: {{template: {{{spec}}}}}\n");
        assert!(findings("x.yaml", &text).contains("privileged"), "{kind}");
    }
    let cron = format!("apiVersion: x.io/v1\nkind: Cron\nspec: {{jobTemplate: {{spec: {{template: {{{spec}}}}}}}}}\n");
    assert!(findings("x.yaml", &cron).contains("privileged"));
}

#[test]
fn template_that_is_of_no_pod_is_left_alone() {
    let others = [
        "spec: {template: {metadata: {name: s}, type: Opaque}}",
        "spec: {template: {spec: {domain: {cpu: 1}}}}",
        "spec: {template: '<html>'}",
        "spec: {template: {spec: {containers: 3}}}",
        "spec: {template: {spec: {containers: [x]}}}",
        "spec: [template]",
        "data: {template: x}",
    ];
    for other in others {
        let text = format!("apiVersion: x.io/v1\nkind: Other\nmetadata: {{name: p}}\n{other}\n");
        let read = read("x.yaml", text.as_bytes(), None).unwrap();
        assert_eq!((read.subjects.len(), read.findings.len()), (0, 0), "{other}");
    }
}

#[test]
fn another_user_is_the_fix_for_root() {
    let of_root = |context: &str| {
        let read = read("pod.yaml", pod("", "", context).as_bytes(), None).unwrap();
        let found = read.judge(&[]).into_iter().find(|finding| finding.rule.id() == "runs-as-root").unwrap();
        (found.message, found.fix.text)
    };
    let fix = "runAsUser: 1000".to_owned();
    assert_eq!(of_root("runAsUser: 0"), ("it runs as root".to_owned(), fix.clone()));
    let refused = "it is told to run as root, and by `runAsNonRoot: true` refused for it".to_owned();
    assert_eq!(of_root("runAsUser: 0\nrunAsNonRoot: true"), (refused, fix));
}

#[test]
fn bidirectional_mount_of_a_volume_of_any_type_shows_on_the_node() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  volumes: [{name: d, emptyDir: {}}, {name: h, hostPath: {path: /d}}]\n  containers:\n  - name: c\n    volumeMounts:\n    - {name: d, mountPath: /d, mountPropagation: Bidirectional}\n    - {name: h, mountPath: /h, mountPropagation: Bidirectional}\n    - {name: h, mountPath: /i, mountPropagation: HostToContainer}\n";
    let read = read("x.yaml", text.as_bytes(), None).unwrap();
    let found: Vec<(String, usize)> = check(&read.subjects[0], &[])
        .into_iter()
        .filter(|finding| finding.rule == selkie_audit::Rule::MountPropagation)
        .map(|finding| (finding.message, finding.place.unwrap().line))
        .collect();
    assert_eq!(found, [("mounts below /d show on the node".to_owned(), 9), ("mounts below /h show on the node".to_owned(), 10)]);
}

#[test]
fn volume_that_no_container_mounts_is_the_pods_and_opens_none() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  volumes:\n  - {name: s, hostPath: {path: /var/run/docker.sock}}\n  - {name: n, nfs: {server: a}}\n  containers: [{name: c}]\n";
    let read = read("x.yaml", text.as_bytes(), None).unwrap();
    let of_pod: Vec<String> = read
        .judge(&[])
        .into_iter()
        .filter(|finding| finding.subject == "Pod/p")
        .map(|finding| format!("{} {} {}: {}", finding.severity.word(), finding.rule, finding.place.unwrap().line, finding.message))
        .collect();
    let wanted = [
        "medium host-path 6: /var/run/docker.sock of the node is a volume, which no container mounts",
        "low volume-type 7: a volume of type `nfs` is none of the restricted standard, and no container mounts it",
    ];
    assert_eq!(of_pod, wanted);
    assert!(read.subjects[0].mounts.is_empty());
}

#[test]
fn init_and_ephemeral_containers_are_read() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n}\nspec:\n  initContainers: [{name: i}]\n  ephemeralContainers: [{name: e}]\n  containers: [{name: c}]\n";
    let read = read("x.yaml", text.as_bytes(), None).unwrap();
    let names: Vec<&str> = read.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["n/Pod/p:i", "n/Pod/p:c", "n/Pod/p:e"]);
}

#[test]
fn way_out_is_placed_at_what_opens_it() {
    let places = |lines: &str, rule: &str| {
        let read = read("compose.yaml", service(lines).as_bytes(), None).unwrap();
        let found = read.judge(&[]).into_iter().filter(|finding| finding.rule.id() == rule);
        found
            .map(|finding| (finding.place.map_or((0, 0), |place| (place.line, place.column)), finding.fix.changes.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(places("volumes: ['/sys/fs/cgroup:/cg', '/proc/sys:/ps']", "escape-procfs"), [((4, 37), 0)]);
    assert_eq!(places("volumes: ['/sys:/s', '/proc/sys/net:/n', '/:/h', '/proc:/p']", "escape-procfs"), [((4, 54), 0)]);
    assert_eq!(places("volumes: ['/sys/fs/cgroup:/cg']\nsecurity_opt: ['systempaths=unconfined']", "escape-procfs"), [((5, 20), 0)]);
    assert_eq!(places("pid: host\ncap_add: [ALL]", "escape-ptrace"), [((5, 15), 0)]);
    assert_eq!(places("pid: host\ncap_add: [ALL, SYS_PTRACE]", "escape-ptrace"), [((5, 20), 1)]);
}

/// The findings above low of a unit with its drop-ins, as `RULE FILE:LINE:COLUMN`.
fn with_drop_ins(unit: &str, drop_ins: &[(&str, &str)]) -> Vec<String> {
    let drop_ins: Vec<DropIn> =
        drop_ins.iter().map(|(name, text)| DropIn { name: (*name).to_owned(), bytes: text.as_bytes().to_vec() }).collect();
    let file = read_unit("w.container", unit.as_bytes(), None, &drop_ins).unwrap();
    assert_eq!(file.subjects.iter().map(|subject| subject.name.as_str()).collect::<Vec<_>>(), ["w"]);
    let found = file.judge(&[]).into_iter().filter(|finding| finding.severity > Severity::Low);
    found
        .map(|finding| {
            let place = finding.place.unwrap();
            assert!(finding.file.is_none() || finding.fix.changes.is_empty());
            format!("{} {}:{}:{}", finding.rule, finding.file.as_deref().unwrap_or("w.container"), place.line, place.column)
        })
        .collect()
}

#[test]
fn drop_ins_count_behind_their_unit_and_are_placed_in_their_own_file() {
    // A last line without an end, or one that goes on, is of its own file only.
    let found =
        with_drop_ins("[Container]\nImage=i\nAddCapability=SYS_MODULE", &[("d/x.conf", "# c\n\n[Container]\nPodmanArgs=--privileged")]);
    assert_eq!(found, ["privileged d/x.conf:4:12"]);
    let found = with_drop_ins(
        "[Container]\nVolume=/:/h\nUser=0 \\\n",
        &[("a.conf", "Image=x\n[Service]\nUser=7\n"), ("b.conf", "[Container]\nVolume=/etc:/e\nUser=7\n")],
    );
    assert_eq!(found, ["host-root w.container:2:8", "host-directory b.conf:2:8"]);
}

#[test]
fn empty_value_of_a_drop_in_takes_back_what_its_unit_says() {
    let unit = "[Container]\nVolume=/:/h\nPodmanArgs=--privileged\nAddCapability=SYS_MODULE\nUnmask=ALL\nSecurityLabelDisable=true\n";
    let back = "[Container]\nVolume=\nPodmanArgs=\nAddCapability=\nUnmask=\nSecurityLabelDisable=false\n";
    assert_eq!(with_drop_ins(unit, &[("x.conf", back)]), [""; 0]);
    assert_eq!(with_drop_ins(unit, &[("x.conf", back), ("y.conf", "[Container]\nPodmanArgs=--privileged\n")]), ["privileged y.conf:2:12"]);
}

#[test]
fn broken_drop_in_is_named() {
    let drop_in = DropIn { name: "x.conf".to_owned(), bytes: b"[Container]\nwhat\n".to_vec() };
    let error = read_unit("w.container", b"[Container]\nImage=i\n", None, &[drop_in]).unwrap_err();
    assert_eq!(error.to_string(), "x.conf: line 2, column 1: not a unit file: a line without `=` that is no section and no comment");
    let text = DropIn { name: "y.conf".to_owned(), bytes: vec![0xff] };
    assert!(read_unit("w.container", b"[Container]\n", None, &[text]).unwrap_err().to_string().starts_with("y.conf: line 1: byte 0"));
}

#[test]
fn drop_in_alone_is_of_its_unit_and_not_all_of_it() {
    let file = read("q/w.container.d/x.conf", b"[Container]\nPodmanArgs=--privileged\n", None).unwrap();
    let found: Vec<String> = file.judge(&[]).iter().map(|finding| format!("{} {}", finding.subject, finding.rule)).collect();
    assert_eq!((file.subjects[0].name.as_str(), found.contains(&"w privileged".to_owned())), ("w", true));
    assert!(found.contains(&"w known-only-later".to_owned()), "{found:?}");
    assert!(read("q/w.container.d/x.conf", b"[Unit]\nAfter=a\n", None).unwrap().subjects.is_empty());
}

/// A config.json with these namespaces beside those of its own, with this filter and these mounts.
fn bundle(namespaces: &str, seccomp: &str, mounts: &str) -> String {
    format!(
        r#"{{"ociVersion": "1.0.2", "process": {{"user": {{"uid": 0}}}}, "mounts": [{mounts}], "linux": {{
  "namespaces": [{{"type": "uts"}}, {{"type": "mount"}}{namespaces}], "seccomp": {seccomp}, "maskedPaths": ["/proc/kcore"]}}}}"#
    )
}

const FILTER: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#;

#[test]
fn oci_namespaces_with_a_path_are_the_hosts_or_not_known() {
    let with = |control, pid: &str, network: &str, has, lacks| {
        let own = |kind: &str, path: &str| {
            format!(r#", {{"type": "{kind}"{}}}"#, if path.is_empty() { String::new() } else { format!(r#", "path": "{path}""#) })
        };
        let namespaces = own("pid", pid) + &own("network", network) + &own("ipc", "") + &own("cgroup", "");
        case(control, "config.json", bundle(&namespaces, FILTER, ""), has, lacks)
    };
    assert_all(vec![
        with("none", "", "", &[], &["host-pid", "host-network", "host-cgroup", "known-only-later"]),
        with("of the first process", "/proc/1/ns/pid", "/proc/./self/../1/ns/net", &["host-pid", "host-network"], &["known-only-later"]),
        with("of the runtime", "/proc/self/ns/pid", "/proc/thread-self/ns/net", &["host-pid", "host-network"], &["known-only-later"]),
        with("of another process", "/proc/123/ns/pid", "", &["known-only-later"], &["host-pid", "host-network"]),
        with("of a name", "", "/run/netns/x", &["known-only-later"], &["host-network"]),
        case(
            "users of the host",
            "config.json",
            bundle(r#", {"type": "user", "path": "/proc/1/ns/user"}"#, FILTER, ""),
            &["host-pid"],
            &["known-only-later"],
        ),
        case(
            "mounts of the host",
            "config.json",
            bundle(r#", {"type": "mount", "path": "/proc/1/ns/mnt"}"#, FILTER, ""),
            &["host-root"],
            &[],
        ),
        case("no part for Linux", "config.json", "{\"ociVersion\": \"1.0.2\"}".to_owned(), &["host-pid", "seccomp-unconfined"], &[]),
    ]);
}

#[test]
fn oci_user_namespace_of_a_path_makes_nothing_milder() {
    let text = |path: &str| bundle(&format!(r#", {{"type": "user"{path}}}"#), FILTER, "");
    let is_own = |path: &str| read("config.json", text(path).as_bytes(), None).unwrap().subjects[0].has_own_users();
    assert_eq!([is_own(""), is_own(r#", "path": "/proc/1/ns/user""#), is_own(r#", "path": "/run/users/x""#)], [true, false, false]);
}

#[test]
fn oci_filter_that_refuses_nothing_is_none() {
    let filter = |control, seccomp: &str, has, lacks| case(control, "config.json", bundle("", seccomp, ""), has, lacks);
    let off = &["seccomp-unconfined"][..];
    assert_all(vec![
        filter("by default", FILTER, &[], off),
        filter("all allowed", r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#, off, &[]),
        filter("all logged", r#"{"defaultAction": "SCMP_ACT_LOG", "syscalls": []}"#, off, &[]),
        filter("no default", "{}", off, &[]),
        filter(
            "a rule that allows",
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ALLOW"}]}"#,
            off,
            &[],
        ),
        filter(
            "a rule of no call",
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}"#,
            off,
            &[],
        ),
        filter(
            "a rule",
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}"#,
            &[],
            off,
        ),
    ]);
}

#[test]
fn oci_cgroups_that_can_be_written_without_a_namespace_are_the_hosts() {
    let mounted = |control, namespaces: &str, options: &str, has, lacks| {
        let mount = format!(r#"{{"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup", "options": [{options}]}}"#);
        case(control, "config.json", bundle(namespaces, FILTER, &mount), has, lacks)
    };
    let own = r#", {"type": "cgroup"}"#;
    assert_all(vec![
        mounted("writable", "", r#""nosuid""#, &["host-cgroup"], &[]),
        mounted("read-only", "", r#""nosuid", "ro""#, &[], &["host-cgroup"]),
        mounted("writable, of its own", own, r#""rw""#, &[], &["host-cgroup"]),
        mounted("the host's by name", r#", {"type": "cgroup", "path": "/proc/1/ns/cgroup"}"#, r#""ro""#, &["host-cgroup"], &[]),
    ]);
}

/// Keeps everything of the host out: what a case adds is all that is found.
const LXC: &str = "lxc.uts.name = a\nlxc.cap.keep = chown\nlxc.seccomp.profile = /x\nlxc.idmap = u 0 100000 65536\n";

#[test]
fn lxc_without_an_include_has_only_what_it_says() {
    let is_off = |lines: &str| findings("config", &format!("lxc.uts.name = a\n{lines}")).contains("seccomp-unconfined");
    let cases = [
        ("", true),
        ("lxc.include = /usr/share/lxc/config/userns.conf\n", true),
        ("lxc.include = /usr/share/lxc/config/common.conf\nlxc.seccomp.profile =\n", true),
        ("lxc.seccomp.profile = /x\n", false),
        ("lxc.include = /usr/share/lxc/config/common.conf\n", false),
        ("lxc.include = /srv/mine.conf\n", false),
        ("lxc.seccomp.profile =\nlxc.include = /srv/mine.conf\n", false),
    ];
    assert_eq!(cases.map(|(lines, _)| is_off(lines)), cases.map(|(_, off)| off));
}

#[test]
fn lxc_that_is_open_is_privileged_as_it_is_when_it_runs() {
    let judged = |lines: &str| {
        let file = read("config", format!("lxc.uts.name = a\n{lines}").as_bytes(), None).unwrap();
        let findings = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
        let entry = Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings };
        (entry.subjects[0].is_privileged(), entry.verdicts()[0].word())
    };
    let cases = [
        ("lxc.apparmor.profile = unconfined\n", (Some(true), "open")),
        ("lxc.apparmor.profile = unchanged\nlxc.cap.keep = sys_admin\n", (Some(true), "open")),
        ("lxc.apparmor.profile = unconfined\nlxc.idmap =\n", (Some(true), "open")),
        ("lxc.apparmor.profile = unconfined\nlxc.cap.keep = sys_admin\nlxc.seccomp.profile = /x\n", (Some(false), "exposed")),
        ("lxc.include = /srv/mine.conf\n", (None, "exposed")),
        ("lxc.idmap = u 0 100000 65536\nlxc.cap.keep = chown\n", (Some(false), "exposed")),
        ("lxc.idmap = u 0 100000 65536\nlxc.cap.keep = chown\nlxc.seccomp.profile = /x\n", (Some(false), "confined")),
    ];
    assert_eq!(cases.map(|(lines, _)| judged(lines)), cases.map(|(_, wanted)| wanted));
}

#[test]
fn lxc_mounts_namespaces_and_devices_of_the_host_are_found() {
    let lxc = |lines: &str, has, lacks| case("LXC", "config", format!("{LXC}{lines}\n"), has, lacks);
    let root = |lines: &str, has, lacks| case("LXC", "config", format!("{LXC}lxc.idmap =\n{lines}\n"), has, lacks);
    let procfs = &["escape-procfs", "proc-unmasked"][..];
    assert_all(vec![
        root("lxc.mount.auto = proc:rw", procfs, &[]),
        root("lxc.mount.auto = proc:rw sys:mixed\nlxc.mount.auto = proc:mixed", &[], procfs),
        root("lxc.mount.auto = proc:rw\nlxc.mount.auto =", &[], procfs),
        root("lxc.mount.entry = proc proc proc nodev,noexec 0 0", procfs, &[]),
        root("lxc.mount.entry = proc proc proc ro 0 0", &[], procfs),
        root("lxc.mount.auto = sys:rw", &["proc-unmasked"], &["escape-procfs"]),
        lxc("lxc.mount.auto = proc:rw", &["proc-unmasked"], &["escape-procfs"]),
        lxc("", &[], &["host-network", "host-pid", "host-root", "known-only-later", "host-device", "seccomp-unconfined"]),
        lxc("lxc.namespace.share.net = 1", &["host-network"], &["known-only-later"]),
        lxc("lxc.namespace.share.pid = 42", &["known-only-later"], &["host-pid"]),
        lxc("lxc.namespace.share.ipc = c3", &["known-only-later"], &["host-ipc"]),
        lxc("lxc.namespace.share.mnt = 1", &["host-root"], &[]),
        lxc("lxc.namespace.share.user = 1", &["host-users"], &[]),
        lxc("lxc.namespace.keep = net uts", &["host-network", "host-uts"], &["host-pid"]),
        lxc("lxc.namespace.clone = mnt net cgroup uts", &["host-pid", "host-ipc"], &["host-network", "host-root"]),
        lxc("lxc.net.1.type = none", &["host-network"], &[]),
        lxc("lxc.cgroup2.devices.allow = b 8:0 rwm", &["host-device"], &["device-rule-all"]),
        lxc("lxc.cgroup.devices.allow = b 259:* r", &["host-device"], &[]),
        lxc("lxc.cgroup.devices.allow = c 1:1 rw", &["host-device"], &[]),
        lxc("lxc.cgroup2.devices.allow = a", &["device-rule-all"], &["host-device"]),
        lxc(
            "lxc.cgroup2.devices.allow = b *:* m\nlxc.cgroup2.devices.allow = c 1:3 rwm\nlxc.cgroup2.devices.allow = c 136:* rwm",
            &[],
            &["host-device", "device-rule-all"],
        ),
    ]);
}

#[test]
fn rule_that_allows_a_disk_is_as_bad_as_what_makes_its_node() {
    let worst = |lines: &str| {
        let text = format!("lxc.uts.name = a\nlxc.apparmor.profile = unconfined\nlxc.cgroup2.devices.allow = b 8:0 rwm\n{lines}");
        let subject = read("config", text.as_bytes(), None).unwrap().subjects.remove(0);
        check(&subject, &[]).into_iter().find(|finding| finding.rule == Rule::HostDevice).unwrap().severity.word()
    };
    let cases = ["", "lxc.cap.drop = mknod\n", "lxc.seccomp.profile = /x\n", "lxc.idmap = u 0 1 2\n"];
    assert_eq!(cases.map(worst), ["critical", "high", "high", "medium"]);
}

#[test]
fn containers_conf_mounts_and_names_are_read() {
    let conf = |line: &str, has, lacks| case("containers.conf", "containers.conf", format!("[containers]\n{line}\n"), has, lacks);
    assert_all(vec![
        conf("mounts = [\"type=bind,source=/,destination=/e\"]", &["host-root"], &[]),
        conf("mounts = [\"type=glob,src=/etc/*,dst=/e,ro\"]", &["host-directory"], &[]),
        conf("mounts = [\"type=tmpfs,destination=/e\"]\nvolumes = [\"/run/podman:/e\"]", &["engine-socket"], &["host-root"]),
        conf("default_capabilities = [\"ALL\"]", &["capability-unknown"], &["capability-all"]),
        conf("default_capabilities = [\"CHOWN\"]", &[], &["capability-unknown"]),
    ]);
}

#[test]
fn all_is_a_name_only_where_an_engine_has_it() {
    let refused = |file: &str, text: &str| findings(file, text).contains("capability-unknown");
    let lxc = ["keep", "drop"].map(|key| refused("config", &format!("lxc.cap.{key} = all\n")));
    let oci = refused("config.json", r#"{"ociVersion": "1", "process": {"capabilities": {"bounding": ["ALL"]}}}"#);
    assert_eq!((lxc, oci, refused("compose.yaml", &service("cap_add: [ALL]\ncap_drop: [all]"))), ([true; 2], true, false));
}
