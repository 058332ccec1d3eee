//! Gives up everything that the plan does not grant: one function for the first process and for every one that `exec` adds.
//!
//! The order is the kernel's: the bounding set needs `CAP_SETPCAP`, so it comes before the ids; the filter needs
//! `CAP_SYS_ADMIN` unless no_new_privs is set, so it comes before the last capset(2), and behind it nothing but
//! capset, prctl and execve is called; with no_new_privs the filter comes last of all. A filter that shows calls to a tracer goes
//! in right before the plan's, which may forbid seccomp(2).

use selkie_caps::{CapSet, Capability, FiveSets};
use selkie_plan::User;
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Errno, SyscallError, capability, process, seccomp};

use crate::error::{During, Error};

/// What to become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confinement<'a> {
    pub(crate) user: &'a User,
    pub(crate) sets: &'a FiveSets,
    pub(crate) no_new_privileges: bool,
    pub(crate) filter: Option<&'a [Instruction]>,
    /// A filter that asks the tracer, which has to be there: without one, calls fail with `ENOSYS`.
    pub(crate) trace: Option<&'a [Instruction]>,
}

/// Becomes it, for good, and checks that the kernel agrees before any foreign code runs.
///
/// # Errors
/// The first step that the kernel refused, or a set that is not the plan's afterwards. The caller must not go on.
pub(crate) fn confine(wanted: Confinement<'_>) -> Result<(), Error> {
    let Confinement { user, sets, no_new_privileges, filter, trace } = wanted;
    let filters = [trace, filter];
    let own = capability::read().during(|| "capabilities")?;
    let lacking = sets.permitted.difference(own.permitted).union(sets.bounding.difference(own.bounding));
    if !lacking.is_empty() {
        return Err(Error::refused("capabilities", format!("the engine itself lacks {lacking}, which the container has")));
    }
    capability::set_keep_caps(true).during(|| "keep capabilities over the change of user")?;
    capability::drop_bounding(own.bounding.difference(sets.bounding)).during(|| "bounding set")?;
    set_ids(user)?;
    if !no_new_privileges && filters.iter().any(Option::is_some) {
        // Leaving uid 0 has cleared the effective set; what is permitted is still there.
        let held = capability::held().during(|| "capabilities")?;
        if !held.effective.contains(Capability::SysAdmin) {
            let needed = CapSet::EMPTY.with(Capability::SysAdmin).with(Capability::Setpcap).intersection(held.permitted);
            capability::set(needed, held.permitted, held.inheritable).during(|| "capabilities for the filter")?;
        }
        install(filters)?;
    }
    set_capabilities(sets)?;
    if no_new_privileges {
        capability::set_no_new_privileges().during(|| "no_new_privs")?;
        verify(sets)?;
        return install(filters);
    }
    verify(sets)
}

fn set_ids(user: &User) -> Result<(), Error> {
    match process::set_ids(user.uid, user.gid, Some(&user.groups)) {
        Err(SyscallError { errno: Errno::INVAL, call }) => {
            Err(Error::refused("user", format!("{call} failed: the id is not mapped in the container's user namespace")))
        }
        done => done.during(|| "user"),
    }
}

fn install(filters: [Option<&[Instruction]>; 2]) -> Result<(), Error> {
    filters.into_iter().flatten().try_for_each(|program| seccomp::install(program).during(|| "seccomp filter"))
}

fn set_capabilities(sets: &FiveSets) -> Result<(), Error> {
    capability::set(sets.effective, sets.permitted, sets.inheritable).during(|| "capabilities")?;
    capability::set_ambient(sets.ambient).during(|| "ambient capabilities")
}

/// Compares what the kernel says with the plan: a runtime that got its own order wrong must not hand out the difference.
fn verify(sets: &FiveSets) -> Result<(), Error> {
    let held = capability::read().during(|| "check of the capabilities")?;
    if held == *sets {
        return Ok(());
    }
    let pairs = [
        ("inheritable", sets.inheritable, held.inheritable),
        ("permitted", sets.permitted, held.permitted),
        ("effective", sets.effective, held.effective),
        ("bounding", sets.bounding, held.bounding),
        ("ambient", sets.ambient, held.ambient),
    ];
    let differences: Vec<String> = pairs
        .into_iter()
        .filter(|(_, planned, held)| planned != held)
        .map(|(name, planned, held)| format!("{name} lacks {} and has {} too many", planned.difference(held), held.difference(planned)))
        .collect();
    Err(Error::refused(
        "check of the capabilities",
        format!("the kernel's sets are not the plan's: {}; refusing to start", differences.join(", ")),
    ))
}
