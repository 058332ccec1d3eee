//! From the choice of a plan to the instructions that the kernel runs at every system call of the container.

use selkie_plan::{Plan, Seccomp};
use selkie_seccomp::{Arch, DefaultOptions, Facts, KernelVersion, Profile, Resolved, compile, resolve};

use crate::error::{Error, Result};

/// The rules of the plan's filter that count on this host; `None` without a filter.
///
/// # Errors
/// A profile that cannot be read, is not one, or a machine that no table of system calls is known for.
pub fn resolved(plan: &Plan) -> Result<Option<Resolved>> {
    let (profile, name) = match &plan.seccomp {
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
    let facts = Facts { capabilities: plan.process.sets.bounding, arch, kernel: KernelVersion::parse(&release) };
    Ok(Some(resolve(&profile, &facts)))
}

fn read(path: &str) -> Result<Profile> {
    let failed = |problem: String| Error::Seccomp { profile: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    Profile::parse(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        failed(format!("{error}{cause}"))
    })
}

/// Compiles the plan's filter to the bytes that a monitor reads: `struct sock_filter` after `struct sock_filter`, little-endian.
pub(crate) fn compiled(plan: &Plan) -> Result<Option<Vec<u8>>> {
    let Some(resolved) = resolved(plan)? else { return Ok(None) };
    let program =
        compile(&resolved).map_err(|error| Error::Seccomp { profile: "of the container".to_owned(), problem: error.to_string() })?;
    let mut bytes = Vec::with_capacity(program.instructions().len() * 8);
    for instruction in program.instructions() {
        bytes.extend(instruction.code.to_le_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_le_bytes());
    }
    Ok(Some(bytes))
}
