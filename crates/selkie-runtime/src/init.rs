//! Init: the container's first process between clone3(2) and execve(2). Every step is one call into a module.
//!
//! ```text
//! session -> id maps, joined namespaces -> mounts, devices -> cgroups -> masks, pivot -> names, limits -> confine -> execve
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::process::Pid;
use selkie_plan::{Mount, MountSource, Namespace, Plan, Process, Rlimit, UserNamespace, usual_devices};
use selkie_sys::mount::{self as sys, Attributes};
use selkie_sys::process::{self, SingleThreaded};
use selkie_sys::{Context, Errno, keyring, network, root, signal, terminal};

use crate::confine::{Confinement, confine};
use crate::error::{During, Error, Kind, Stage};
use crate::launch::{Launch, Stdio, join_if_there};
use crate::mounts::{self, Sources, Tree};
use crate::program::Program;
use crate::{devices, mask, report, sysctl};

/// Becomes the container's program, or says why not and ends. `there` are the kinds of namespaces that were made ahead, and are set
/// up.
pub(crate) fn run(launch: &Launch<'_>, proof: SingleThreaded, there: u64, report: &OwnedFd) -> ! {
    let plan = launch.plan;
    let program = prepare(launch, proof, there, report.as_fd()).unwrap_or_else(|error| end(report.as_fd(), &error));
    // From here on no descriptor has an owner any more.
    let report = arrange_descriptors(launch.preserve, report.as_fd()).unwrap_or_else(|error| end(report.as_fd(), &error));
    // Whoever writes down what runs had all the time that it took to make it.
    let held = match (launch.is_seen(), launch.held) {
        (true, _) => Ok(()),
        (false, true) => report::ready(report),
        (false, false) => report::await_go(report),
    };
    if let Err(error) = held.and_then(|()| report::made(report)) {
        end(report, &error);
    }
    let confined = confine(Confinement {
        user: &plan.process.user,
        sets: &plan.process.sets,
        no_new_privileges: plan.process.no_new_privileges,
        filter: launch.filter,
        trace: launch.trace,
    });
    let error = confined.map_or_else(|error| error, |()| program.execute());
    end(report, &error)
}

/// Tells the parent why init ends, and ends.
fn end(report: BorrowedFd<'_>, error: &Error) -> ! {
    report::fail(report, error);
    process::exit_now(if error.kind == Kind::NotFound { 127 } else { 126 })
}

/// Makes everything that the program will find, short of its confinement.
fn prepare(launch: &Launch<'_>, proof: SingleThreaded, there: u64, report: BorrowedFd<'_>) -> Result<Program, Error> {
    let plan = launch.plan;
    signal::reset_all();
    process::set_name(c"selkie:init");
    process::set_dumpable(false).during(|| "container init")?;
    rustix::process::setsid().call(|| "setsid()").during(|| "container init")?;
    rustix::process::umask(Mode::empty());
    let host = Host::take(launch, there)?;
    enter_namespaces(plan, proof, there, report)?;
    // A quota of keys that is used up must not keep a container from starting; it then has no session keyring of its own,
    // and the default filter keeps it from using the caller's.
    let _ = keyring::join_session(&format!("_ses.{}", launch.id));

    let program = Program::new(&plan.process)?;
    let terminal = set_up_root(launch, host.for_root, proof, report)?;
    names_and_limits(plan, &host.proc)?;
    attach_stdio(launch, terminal)?;
    enter_directory(&plan.process.cwd)?;
    rustix::process::umask(Mode::from_raw_mode(plan.process.user.umask));
    Ok(program)
}

/// Puts `preserve` behind the standard streams and leaves nothing else open but `report`, which closes at the execve(2).
fn arrange_descriptors(preserve: &[BorrowedFd<'_>], report: BorrowedFd<'_>) -> Result<BorrowedFd<'static>, Error> {
    let stage = || "descriptors";
    let mut keep: Vec<BorrowedFd<'_>> = (0..3).map(process::kept).collect();
    keep.extend_from_slice(preserve);
    keep.push(report);
    process::keep_descriptors(&keep).during(stage)?;
    let number = i32::try_from(keep.len() - 1).unwrap_or(i32::MAX);
    process::close_above_on_exec(number.cast_unsigned()).during(stage)?;
    Ok(process::kept(number))
}

fn enter_namespaces(plan: &Plan, proof: SingleThreaded, there: u64, report: BorrowedFd<'_>) -> Result<(), Error> {
    let spaces = &plan.namespaces;
    if spaces.user != UserNamespace::Host {
        report::await_go(report)?;
        // Root of the namespace, with every capability over it and none outside.
        process::set_ids(0, 0, Some(&[])).during(|| "user namespace")?;
    }
    for (name, space) in [("network", &spaces.network), ("ipc", &spaces.ipc), ("uts", &spaces.uts), ("cgroup", &spaces.cgroup)] {
        join_if_there(proof, name, space)?;
    }
    if spaces.network == Namespace::Private && there & process::NEW_NETWORK == 0 {
        network::bring_up_loopback().during(|| "loopback device")?;
    }
    Ok(())
}

/// What init needs of the host's tree, taken while it can still reach it as the engine's user.
struct Host {
    proc: OwnedFd,
    for_root: ForRoot,
}

/// What the container's root is built with.
struct ForRoot {
    staging: OwnedFd,
    /// One for each mount of the plan: what it binds, or its file system if that was made ahead.
    sources: Vec<Option<OwnedFd>>,
    covers: Option<mask::Covers>,
}

impl Host {
    fn take(launch: &Launch<'_>, spaces: u64) -> Result<Self, Error> {
        let sources = Sources { files: launch.files, engine: launch.engine };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let staging = rustix::fs::open(launch.staging, flags, Mode::empty())
            .call(|| format!("open({:?})", launch.staging))
            .during(|| "root file system")?;
        let plan = launch.plan;
        let ahead = launch.ahead.filter(|_| plan.namespaces.user == UserNamespace::Host);
        let made = |planned: &Mount| {
            let made = ahead.map(|ahead| ahead.filesystem(planned, plan, spaces)).transpose();
            made.map(Option::flatten).during(|| format!("mount `{}`", planned.destination))
        };
        let source = |planned: &Mount| mounts::take(planned, sources)?.map_or_else(|| made(planned), |taken| Ok(Some(taken)));
        let for_root = ForRoot {
            staging,
            sources: plan.mounts.iter().map(source).collect::<Result<_, _>>()?,
            covers: if plan.masked_paths.is_empty() { None } else { Some(mask::Covers::new()?) },
        };
        Ok(Self { proc: procfs()?, for_root })
    }
}

/// Opens the procfs of the host, through which sysctls of the namespaces of this process are written.
fn procfs() -> Result<OwnedFd, Error> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    let stage = || "procfs";
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/proc\")")
        .during(stage)?;
    let kind = rustix::fs::fstatfs(&proc).call(|| "fstatfs(\"/proc\")").during(stage)?.f_type;
    if kind == PROC_SUPER_MAGIC { Ok(proc) } else { Err(Error::refused(stage(), "/proc of the host is not a procfs")) }
}

/// Builds the container's root and makes it this process's; returns the replica of its terminal, if it has one.
fn set_up_root(launch: &Launch<'_>, host: ForRoot, proof: SingleThreaded, report: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Error> {
    let plan = launch.plan;
    let stage = || "root file system";
    sys::set_propagation_of_all(sys::Propagation::Private).during(stage)?;
    sys::attach(launch.root, host.staging, "rootfs").during(stage)?;

    let mut tree = Tree::new(launch.root);
    let mut devpts = None;
    let mut dev_readonly = false;
    let mut cgroups = Vec::new();
    for (planned, taken) in plan.mounts.iter().zip(host.sources) {
        if planned.source == MountSource::Cgroup {
            cgroups.push(planned);
        } else if planned.destination == "/dev" && planned.source == MountSource::Tmpfs {
            // Read-only only when everything is in it.
            let there = if taken.is_some() { usual_devices() } else { Vec::new() };
            let made = mounts::make(&tree, &Mount { readonly: false, ..planned.clone() }, taken, &[])?;
            let missing = plan.devices.iter().filter(|device| !there.contains(device));
            devices::make(&made, missing, plan.namespaces.user != UserNamespace::Host)?;
            if there.is_empty() {
                devices::link(&made)?;
            }
            tree.add("/dev", made);
            dev_readonly = planned.readonly;
        } else {
            let made = mounts::make(&tree, planned, taken, &[])?;
            if is_devpts(planned) {
                devpts = Some(made);
            } else if is_kernels(planned) {
                tree.add(&planned.destination, made);
            }
        }
    }
    let terminal = match devpts {
        Some(devpts) if plan.process.terminal => Some(console(launch, &tree, &devpts, report)?),
        _ => None,
    };
    if dev_readonly {
        sys::set_attributes(tree.look_up("/dev").0, Attributes::READ_ONLY, None, false).during(|| "/dev")?;
    }
    if launch.is_seen() {
        report::ready(report)?;
    } else if launch.cgroup.is_some() {
        report::await_entry(report)?.enter()?;
        if launch.init_enforces_devices() {
            launch.enforce_devices()?;
        }
    }
    if plan.namespaces.cgroup == Namespace::Private {
        // From within the container's cgroups: the new namespace has its root where its maker is.
        process::unshare(proof, process::NEW_CGROUP).during(|| "cgroup namespace")?;
    }
    for planned in cgroups {
        mounts::make(&tree, planned, None, launch.hierarchies)?;
    }
    for path in &plan.readonly_paths {
        mask::protect(&tree, path)?;
    }
    if let Some(mut covers) = host.covers {
        for path in &plan.masked_paths {
            covers.mask(&tree, path)?;
        }
    }
    make_working_directory(launch)?;
    if plan.root.readonly {
        sys::set_attributes(launch.root, Attributes::READ_ONLY, None, false).during(stage)?;
    }
    sys::pivot(launch.root).during(stage)?;
    Ok(terminal)
}

fn is_devpts(planned: &Mount) -> bool {
    planned.destination == "/dev/pts" && planned.source == MountSource::Devpts
}

/// Returns whether a mount shows what masked and read-only paths are about: a new file system, or the host's where the
/// kernel refuses a new one.
fn is_kernels(planned: &Mount) -> bool {
    match &planned.source {
        MountSource::Proc | MountSource::Sysfs => true,
        MountSource::Bind { path, .. } => *path == planned.destination && matches!(path.as_str(), "/proc" | "/sys"),
        _ => false,
    }
}

/// Makes the working directory for the container's user, as Podman does, through the image's links but never out of its root.
fn make_working_directory(launch: &Launch<'_>) -> Result<(), Error> {
    let Process { cwd, user, .. } = &launch.plan.process;
    match root::place(launch.root, Path::new(cwd)) {
        Err(error) if error.errno == Errno::NOENT && launch.plan.root.makes_cwd => {
            let (owner, group) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            root::make_directory(launch.root, Path::new(cwd))
                .and_then(|made| {
                    rustix::fs::chownat(&made, "", Some(owner), Some(group), AtFlags::EMPTY_PATH).call(|| format!("fchownat({cwd:?})"))
                })
                .map_err(|error| working_directory(cwd, &error))
        }
        Err(error) if error.errno == Errno::NOENT => Err(Error {
            kind: Kind::NotExecutable,
            stage: Stage(format!("workdir {cwd:?}")),
            message: "does not exist in the container".to_owned(),
            errno: Some(error.errno),
        }),
        Err(error) => Err(working_directory(cwd, &error)),
        Ok(_) => Ok(()),
    }
}

fn working_directory(cwd: &str, error: &selkie_sys::SyscallError) -> Error {
    Error {
        kind: Kind::NotExecutable,
        stage: Stage(format!("working directory `{cwd}`")),
        message: error.to_string(),
        errno: Some(error.errno),
    }
}

/// Enters the working directory without following a link of procfs: `/proc/self/fd/7` could be a directory of the host.
pub(crate) fn enter_directory(cwd: &str) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat2(rustix::fs::CWD, cwd, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .call(|| format!("openat2({cwd:?})"))
        .and_then(|directory| rustix::process::fchdir(&directory).call(|| format!("fchdir({cwd:?})")));
    directory.map_err(|error| working_directory(cwd, &error))?;
    // A directory outside the root has no path from here; the kernel says so.
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        _ => Err(Error::refused(format!("working directory `{cwd}`"), "is outside the container's root")),
    }
}

/// Opens the terminal, binds it to `/dev/console`, and returns its replica.
fn console(launch: &Launch<'_>, tree: &Tree<'_>, devpts: &OwnedFd, report: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let stage = || "terminal";
    let (master, replica, _number) = terminal::open_pair(devpts).during(stage)?;
    if let Stdio::Terminal { size: Some((rows, columns)) } = launch.stdio {
        terminal::resize(&master, rows, columns).during(stage)?;
    }
    report::send_master(report, &master)?;
    let copy = sys::clone_tree(&replica, Path::new(""), false).during(stage)?;
    let (dev, name) = tree.look_up("/dev/console");
    let target = root::make_file(dev, name).during(stage)?;
    sys::attach(copy, target, "/dev/console").during(stage)?;
    Ok(replica)
}

fn names_and_limits(plan: &Plan, proc: &OwnedFd) -> Result<(), Error> {
    if let Some(hostname) = &plan.hostname {
        rustix::system::sethostname(hostname.as_bytes()).call(|| format!("sethostname({hostname:?})")).during(|| "host name")?;
    }
    for (name, value) in &plan.sysctls {
        sysctl::set(proc, name, value)?;
    }
    if let Some(adjustment) = plan.process.oom_score_adj {
        let stage = || format!("oom_score_adj {adjustment}");
        let file = rustix::fs::openat(proc, "self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| "open(\"/proc/self/oom_score_adj\")")
            .during(stage)?;
        rustix::io::write(&file, adjustment.to_string().as_bytes())
            .call(|| format!("write(\"oom_score_adj\", {adjustment})"))
            .during(stage)?;
    }
    set_limits(&plan.process.rlimits)
}

/// Names of resource limits in the kernel's order: `asm-generic/resource.h`.
const LIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

pub(crate) fn set_limits(limits: &[Rlimit]) -> Result<(), Error> {
    for limit in limits {
        let stage = || format!("limit `{}={}:{}`", limit.resource, limit.soft, limit.hard);
        process::set_limit(None, number(limit)?, limit.soft, limit.hard).during(stage)?;
    }
    Ok(())
}

/// Raises the hard limits of `process` (`None`: this one) to what `limits` will ask for.
///
/// No right inside a user namespace raises one, so this is for those outside, before it sets its limits itself.
pub(crate) fn allow_limits(process: Option<Pid>, limits: &[Rlimit]) -> Result<(), Error> {
    for limit in limits {
        let stage = || format!("limit `{}={}:{}`", limit.resource, limit.soft, limit.hard);
        let (soft, hard) = process::limit(process, number(limit)?).during(stage)?;
        if limit.hard > hard {
            process::set_limit(process, number(limit)?, soft, limit.hard).during(stage)?;
        }
    }
    Ok(())
}

/// The kernel's number of a limit.
fn number(limit: &Rlimit) -> Result<u32, Error> {
    let place = LIMITS.iter().position(|name| *name == limit.resource);
    place
        .and_then(|place| u32::try_from(place).ok())
        .ok_or_else(|| Error::refused(format!("limit `{}`", limit.resource), "unknown resource"))
}

fn attach_stdio(launch: &Launch<'_>, replica: Option<OwnedFd>) -> Result<(), Error> {
    match (launch.stdio, replica) {
        (Stdio::Terminal { .. }, Some(replica)) => use_terminal(&replica),
        (Stdio::Terminal { .. }, None) => Err(Error::refused("terminal", "the container has no devpts of its own at /dev/pts")),
        (Stdio::Descriptors { stdin, stdout, stderr }, _) => use_descriptors(stdin, stdout, stderr),
    }
}

/// Makes `replica` standard input, output and error, and the controlling terminal.
pub(crate) fn use_terminal(replica: &OwnedFd) -> Result<(), Error> {
    terminal::make_controlling(replica).during(|| "terminal")?;
    use_descriptors(replica.as_fd(), replica.as_fd(), replica.as_fd())
}

/// Makes the three descriptors 0, 1 and 2.
pub(crate) fn use_descriptors(stdin: impl AsFd, stdout: impl AsFd, stderr: impl AsFd) -> Result<(), Error> {
    let stage = || "standard streams";
    rustix::stdio::dup2_stdin(stdin).call(|| "dup2(0)").during(stage)?;
    rustix::stdio::dup2_stdout(stdout).call(|| "dup2(1)").during(stage)?;
    rustix::stdio::dup2_stderr(stderr).call(|| "dup2(2)").during(stage)
}
