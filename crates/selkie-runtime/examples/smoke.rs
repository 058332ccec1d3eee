//! Smoke test during development: smoke ROOTFS CMD...
use selkie_plan::*;
use selkie_runtime::*;
use std::os::fd::AsFd;
fn main() {
    let mut args = std::env::args().skip(1);
    let rootfs = args.next().unwrap();
    let args: Vec<String> = args.collect();
    let caps = selkie_caps::CapSet::from_bits(0x800405fb);
    let m = |d: &str, s, o: &[&str]| Mount {
        destination: d.into(),
        source: s,
        readonly: false,
        nosuid: true,
        nodev: d != "/dev",
        noexec: true,
        propagation: Default::default(),
        options: o.iter().map(|s| s.to_string()).collect(),
    };
    let dev = |p: &str, maj, min| Device { path: p.into(), kind: DeviceKind::Char, major: maj, minor: min, mode: 0o666, uid: 0, gid: 0 };
    let mut devpts = m("/dev/pts", MountSource::Devpts, &["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]);
    devpts.nodev = false;
    let plan = Plan {
        process: Process {
            args,
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: User { uid: 0, gid: 0, groups: vec![], umask: 0o22 },
            sets: selkie_caps::FiveSets { permitted: caps, effective: caps, bounding: caps, ..selkie_caps::FiveSets::NONE },
            no_new_privileges: false,
            terminal: false,
            rlimits: vec![],
            oom_score_adj: None,
        },
        root: Root { readonly: false },
        hostname: Some("smoke".into()),
        namespaces: Namespaces {
            pid: Namespace::Private,
            network: Namespace::Private,
            ipc: Namespace::Private,
            uts: Namespace::Private,
            cgroup: Namespace::Private,
            user: UserNamespace::Host,
        },
        mounts: vec![
            m("/proc", MountSource::Proc, &[]),
            m("/dev", MountSource::Tmpfs, &["mode=755", "size=65536k"]),
            devpts,
            m("/dev/mqueue", MountSource::Mqueue, &[]),
            m("/dev/shm", MountSource::Tmpfs, &["mode=1777", "size=65536k"]),
            Mount { readonly: true, ..m("/sys", MountSource::Sysfs, &[]) },
            Mount { readonly: true, ..m("/sys/fs/cgroup", MountSource::Cgroup, &[]) },
        ],
        files: vec![],
        devices: vec![
            dev("/dev/null", 1, 3),
            dev("/dev/zero", 1, 5),
            dev("/dev/full", 1, 7),
            dev("/dev/random", 1, 8),
            dev("/dev/urandom", 1, 9),
            dev("/dev/tty", 5, 0),
        ],
        device_rules: vec![
            DeviceRule { allow: false, kind: None, major: None, minor: None, access: "rwm".into() },
            DeviceRule { allow: true, kind: Some(DeviceKind::Char), major: Some(1), minor: Some(3), access: "rwm".into() },
        ],
        masked_paths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"].map(String::from).to_vec(),
        readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].map(String::from).to_vec(),
        sysctls: [("net.ipv4.ping_group_range".to_string(), "0 0".to_string())].into(),
        seccomp: Seccomp::Unconfined,
        cgroup: Cgroup { path: Some("/selkie/smoke".into()), pids: Some(2048), ..Default::default() },
        privileged: false,
        reasons: vec![],
        warnings: vec![],
    };
    let t = std::time::Instant::now();
    let proof = selkie_sys::process::SingleThreaded::check().unwrap();
    let root = selkie_sys::mount::clone_path(std::path::Path::new(&rootfs), true).unwrap();
    std::fs::create_dir_all("/run/selkie-smoke/root").unwrap();
    let files = std::fs::File::open("/run/selkie-smoke").unwrap();
    let layout = cgroup::Layout::detect();
    let (cg, missing) = cgroup::Cgroup::create(&layout, &plan.cgroup).unwrap();
    eprintln!("{missing:?} {:?}", t.elapsed());
    let started = launch(
        proof,
        Launch {
            id: "smoke",
            plan: &plan,
            filter: None,
            root: root.as_fd(),
            staging: "/run/selkie-smoke/root".as_ref(),
            files: "/run/selkie-smoke".as_ref(),
            engine: "/proc/self/exe".as_ref(),
            cgroup: Some(&cg),
            hierarchies: &layout.used(&plan.cgroup),
            stdio: Stdio::Descriptors {
                stdin: std::io::stdin().as_fd(),
                stdout: std::io::stdout().as_fd(),
                stderr: std::io::stderr().as_fd(),
            },
            start: None,
            preserve: 0,
        },
    )
    .unwrap();
    match started.executed() {
        Ok((child, _)) => {
            eprintln!("executed {:?}", t.elapsed());
            println!("{:?} {:?}", selkie_sys::process::wait(&child.pidfd), t.elapsed())
        }
        Err(e) => println!("{e} {e:?}"),
    }
    cg.remove().unwrap();
    eprintln!("removed {:?}", t.elapsed());
}
