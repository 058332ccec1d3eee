//! From the choice of a plan to the instructions that the kernel runs at every system call of the container.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use selkie_caps::CapSet;
use selkie_plan::{Plan, Seccomp};
use selkie_seccomp::{Arch, DefaultOptions, Facts, KernelVersion, Profile, Program, Resolved, compile, resolve, trace_filter};

use crate::error::{Error, Result, with_causes};
use crate::files;
use crate::store::Store;

/// Which filter: a profile, and the capabilities that it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) seccomp: &'a Seccomp,
    pub(crate) capabilities: CapSet,
}

/// The rules of the plan's filter that count on this host; `None` without a filter.
///
/// # Errors
/// A profile that cannot be read, is not one, or a machine that no table of system calls is known for.
pub fn resolved(plan: &Plan) -> Result<Option<Resolved>> {
    resolved_for(Filter { seccomp: &plan.seccomp, capabilities: plan.process.sets.bounding })
}

pub(crate) fn resolved_for(filter: Filter<'_>) -> Result<Option<Resolved>> {
    let (profile, name) = match filter.seccomp {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default { nested_userns } => {
            let options = DefaultOptions { nested_userns: *nested_userns, ..DefaultOptions::default() };
            (Profile::default_profile_with(options), "built-in".to_owned())
        }
        Seccomp::File(path) => (read(path)?, path.clone()),
    };
    let Some(arch) = Arch::native() else {
        return Err(Error::Seccomp { profile: name, problem: "this machine's architecture is not supported".to_owned() });
    };
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let facts = Facts { capabilities: filter.capabilities, arch, kernel: KernelVersion::parse(&release) };
    Ok(Some(resolve(&profile, &facts)))
}

fn read(path: &str) -> Result<Profile> {
    let failed = |problem: String| Error::Seccomp { profile: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|source| Error::SeccompFile { path: path.to_owned(), source })?;
    Profile::parse(&text).map_err(|error| failed(with_causes(&error)))
}

/// How many compiled filters are kept. More than one belongs to containers with other capabilities than the usual ones.
const KEPT: usize = 64;

/// Makes `name` in `directory` the plan's filter, in the form that a monitor reads; returns whether the plan has one.
///
/// A filter of the built-in profile follows from the capabilities, this program and the kernel: it is compiled once a boot, and
/// containers have links to it.
///
/// # Errors
/// As [`resolved`], or a file that cannot be written.
pub(crate) fn place(filter: Filter<'_>, store: &Store, binary: &Path, (directory, name): (&Path, &str)) -> Result<bool> {
    let file = directory.join(name);
    let kept = kept(filter, binary).map(|name| store.filters().join(name));
    if kept.as_ref().is_some_and(|kept| std::fs::hard_link(kept, &file).is_ok()) {
        return Ok(true);
    }
    let Some(compiled) = compiled(filter)? else { return Ok(false) };
    files::write_new(directory, name, &compiled, 0o600)?;
    if let Some(kept) = kept {
        // Whole from the first moment, as it is linked when it is written.
        keep(&file, &store.filters(), &kept)?;
    }
    Ok(true)
}

/// Returns under which name the filter is kept; `None` for one of a profile that may change.
fn kept(filter: Filter<'_>, binary: &Path) -> Option<String> {
    let Seccomp::Default { nested_userns } = *filter.seccomp else { return None };
    let program = std::fs::metadata(binary).ok()?;
    let kind = if nested_userns { "nested" } else { "plain" };
    Some(format!("{:x}-{kind}-{:x}-{:x}-{:x}", filter.capabilities, program.ino(), program.size(), program.mtime_nsec()))
}

fn keep(file: &Path, directory: &Path, kept: &Path) -> Result<()> {
    files::make_directories(directory)?;
    let others: Vec<_> = std::fs::read_dir(directory).into_iter().flatten().flatten().collect();
    if others.len() >= KEPT {
        others.iter().try_for_each(|other| files::remove_file(&other.path()))?;
    }
    match std::fs::hard_link(file, kept) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::File { action: "link", path: kept.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

/// Compiles the plan's filter to the bytes that a monitor reads: `struct sock_filter` after `struct sock_filter`, little-endian.
fn compiled(filter: Filter<'_>) -> Result<Option<Vec<u8>>> {
    let Some(resolved) = resolved_for(filter)? else { return Ok(None) };
    let program =
        compile(&resolved).map_err(|error| Error::Seccomp { profile: "of the container".to_owned(), problem: error.to_string() })?;
    Ok(Some(bytes(&program)))
}

/// Makes `name` in `directory` the filter that shows calls to a tracer, in the form that a monitor reads.
///
/// # Errors
/// A machine that no table of system calls is known for, or a file that cannot be written.
pub(crate) fn place_trace((directory, name): (&Path, &str)) -> Result<()> {
    let failed = |problem: String| Error::Seccomp { profile: "for the tracer".to_owned(), problem };
    let arch = Arch::native().ok_or_else(|| failed("this machine's architecture is not supported".to_owned()))?;
    let program = trace_filter(arch).map_err(|error| failed(error.to_string()))?;
    files::write_new(directory, name, &bytes(&program), 0o600)
}

fn bytes(program: &Program) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.instructions().len() * 8);
    for instruction in program.instructions() {
        bytes.extend(instruction.code.to_le_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_le_bytes());
    }
    bytes
}
