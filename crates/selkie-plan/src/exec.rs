//! A further process of a running container, as Podman's `exec` computes it.
//!
//! ```text
//! who                              bounding              effective = permitted    inheritable = ambient
//! uid 0                            the container's (*)   bounding                 -
//! other, the container's own user  the container's (*)   the container's          the container's effective
//! other                            the container's (*)   -                        -
//! (*) with --privileged: the engine's own
//! ```
//! Ours: `--cap-add` and `--cap-drop`, within that bounding set. The system call filter, no_new_privs and masks
//! of the container hold for the new process as well.

use std::collections::BTreeMap;

use selkie_caps::{CapSet, FiveSets};

use crate::part::capabilities::{Named, ceiling, normalise, sorted};
use crate::part::process::{no_nul, working_directory};
use crate::part::user::{Wanted, check_mapped, resolve};
use crate::{ExecRequest, HostFacts, ImageConfig, Plan, PlanError, Process, Request, User};

/// The container that the process is added to.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// What was asked for it.
    pub request: &'a Request,
    /// What its image said.
    pub image: &'a ImageConfig,
    /// What was planned for it.
    pub plan: &'a Plan,
}

/// Computes the process that `exec` adds.
///
/// # Errors
/// [`PlanError`] for a user, directory, variable or capability that cannot be.
pub fn plan_exec(request: &ExecRequest, running: &Running, facts: &HostFacts) -> Result<Process, PlanError> {
    let container = &running.plan.process;
    if request.command.is_empty() {
        return Err(PlanError::NoExecCommand);
    }
    no_nul("command", &request.command)?;
    let configured = running.request.process.user.as_deref().unwrap_or(&running.image.user);
    let same_user = request.user.as_deref().is_none_or(|user| user == configured);
    let (user, home) = user(request, running, facts)?;
    check_mapped(&user, &running.plan.namespaces.user)?;
    Ok(Process {
        args: request.command.clone(),
        env: environment(request, running, &home)?,
        cwd: request.workdir.as_deref().filter(|path| !path.is_empty()).map_or_else(|| Ok(container.cwd.clone()), working_directory)?,
        sets: sets(request, container, facts, user.uid, same_user)?,
        user,
        no_new_privileges: container.no_new_privileges,
        terminal: request.tty,
        rlimits: container.rlimits.clone(),
        oom_score_adj: container.oom_score_adj,
    })
}

/// Returns the identity and the home directory: the container's own, or that of `--user`, with groups as `run` has them.
fn user(request: &ExecRequest, running: &Running, facts: &HostFacts) -> Result<(User, String), PlanError> {
    let container = &running.plan.process;
    let own = format!("{}:{}", container.user.uid, container.user.gid);
    let asked = request.user.as_deref();
    let group_add = running.request.process.group_add.as_slice();
    let resolved = resolve(&Wanted { user: asked.unwrap_or(&own), group_add, umask: container.user.umask }, facts)?;
    Ok((if asked.is_some() { resolved.user } else { container.user.clone() }, resolved.home))
}

/// Returns the container's variables and those of `--env`; `HOME` is the user's unless somebody set it.
fn environment(request: &ExecRequest, running: &Running, home: &str) -> Result<Vec<String>, PlanError> {
    let pairs = running.plan.process.env.iter().filter_map(|text| text.split_once('='));
    let mut env: BTreeMap<String, String> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let process = &running.request.process;
    let by_user = process.env.iter().chain(&process.host_env).any(|(key, _)| key == "HOME");
    let by_image = !process.unset_env_all && running.image.env.iter().any(|text| text.starts_with("HOME="));
    if !by_user && !by_image {
        env.insert(String::from("HOME"), home.to_owned());
    }
    if request.tty {
        env.entry(String::from("TERM")).or_insert_with(|| String::from("xterm"));
    }
    env.extend(request.env.iter().cloned());
    let env: Vec<String> = env.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    no_nul("--env", &env)?;
    Ok(env)
}

fn sets(request: &ExecRequest, container: &Process, facts: &HostFacts, uid: u32, same_user: bool) -> Result<FiveSets, PlanError> {
    let last = facts.kernel.last_cap;
    let privileged = request.privileged.unwrap_or(facts.conf.privileged);
    let limit = if privileged { ceiling(facts) } else { container.sets.bounding };
    let drops = normalise(&request.cap_drop, last)?;
    let adds = normalise(&request.cap_add, last)?;
    if drops.all && adds.all {
        return Err(PlanError::AllAddedAndDropped);
    }
    if !drops.all
        && !adds.all
        && let Some(both) = sorted(adds.set.intersection(drops.set)).first()
    {
        return Err(PlanError::AddedAndDropped { name: both.name().to_owned() });
    }
    if let Some(beyond) = sorted(adds.set.difference(limit)).first() {
        let name = beyond.name().to_owned();
        return Err(if privileged { PlanError::BeyondEngine { name } } else { PlanError::BeyondContainer { name } });
    }
    let bounding = change(limit, adds, drops, limit);
    if uid == 0 {
        return Ok(FiveSets { bounding, permitted: bounding, effective: bounding, ..FiveSets::NONE });
    }
    let own = if same_user { container.sets.effective.intersection(limit) } else { CapSet::EMPTY };
    let kept = change(own, adds, drops, limit);
    let ambient = if facts.kernel.ambient { kept } else { CapSet::EMPTY };
    Ok(FiveSets { bounding, permitted: kept, effective: kept, inheritable: ambient, ambient })
}

fn change(base: CapSet, adds: Named, drops: Named, all: CapSet) -> CapSet {
    match (drops.all, adds.all) {
        (true, _) => adds.set,
        (false, true) => all.difference(drops.set),
        (false, false) => base.difference(drops.set).union(adds.set),
    }
}
