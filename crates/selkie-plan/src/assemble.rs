//! Puts the parts together: each part is computed once, from the inputs and from parts before it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::part::{Inputs, capabilities, devices, files, limits, mounts, namespaces, process, seccomp, security, sysctls, user};
use crate::part::{Notes, mounts::Place};
use crate::{HostFacts, ImageConfig, Mount, MountSource, Namespace, Plan, PlanError, Process, Request, Root};

/// Computes everything that the runtime is going to do.
///
/// # Errors
/// [`PlanError`] for what cannot be done or makes no sense; its [`PlanError::exit_code`] is Podman's.
pub fn plan(request: &Request, image: &ImageConfig, facts: &HostFacts) -> Result<Plan, PlanError> {
    let inputs = Inputs { request, image, facts };
    let mut notes = Notes::default();
    let namespaces = namespaces::part(&inputs)?;
    // Podman finds a bad capability when it makes the container and a bad user when it starts it.
    let probe = capabilities::part(&inputs, 0)?;
    let security = security::part(&inputs, &namespaces)?;
    let seccomp = seccomp::part(&inputs, &mut notes)?;
    let limits = limits::part(&inputs)?;
    let hostname = process::hostname(&inputs, &namespaces.namespaces.uts)?;
    let files = files::part(&inputs, &namespaces, &hostname)?;
    let init = request.process.init.unwrap_or(facts.conf.init);
    let mut mounts = mounts::part(&inputs, &namespaces, &files, init)?;
    let devices = devices::part(&inputs, &namespaces.namespaces, probe.sets.bounding)?;
    let sysctls = sysctls::part(&inputs, &namespaces.namespaces, probe.sets.bounding, &mut notes)?;
    let user = user::part(&inputs, namespaces.keep)?;
    user::check_mapped(&user.user, &namespaces.namespaces.user)?;
    let capabilities = capabilities::part(&inputs, user.user.uid)?;
    let program = process::part(&inputs, files.home.as_deref().unwrap_or(&user.home), &hostname, &namespaces.namespaces.pid)?;

    for mount in devices.mounts {
        mounts.mounts.entry(Place::of(&mount.destination)).or_insert(mount);
    }
    for part in [user.notes, program.notes, capabilities.notes, namespaces.notes, security.notes, limits.notes, mounts.notes, devices.notes]
    {
        notes.reasons.extend(part.reasons);
        notes.warnings.extend(part.warnings);
    }
    // What the image says is made, and what lies on a mount, which is there only then; a mistyped `--workdir` is not.
    let on_mount = |mount: &Mount| Path::new(&program.cwd).starts_with(&mount.destination);
    let makes_cwd = request.process.workdir.is_none() || mounts.mounts.values().any(on_mount);
    let process = Process {
        args: program.args,
        env: program.env,
        cwd: program.cwd,
        user: user.user,
        sets: capabilities.sets,
        no_new_privileges: security.no_new_privileges,
        terminal: request.process.tty,
        rlimits: limits.rlimits,
        oom_score_adj: limits.oom_score_adj,
    };
    Ok(Plan {
        process,
        root: Root { readonly: inputs.read_only(), makes_cwd },
        hostname: (namespaces.namespaces.uts == Namespace::Private).then_some(hostname),
        namespaces: namespaces.namespaces,
        files: files.files,
        devices: if has_own_dev(&mounts.mounts) { Vec::new() } else { devices.devices },
        mounts: mounts.mounts.into_values().collect(),
        device_rules: devices.rules,
        masked_paths: security.masked,
        readonly_paths: security.readonly,
        sysctls,
        seccomp,
        cgroup: limits.cgroup,
        privileged: inputs.privileged(),
        reasons: notes.reasons,
        warnings: notes.warnings,
    })
}

/// Returns whether `/dev` is a directory of the user's, which has nodes of its own.
fn has_own_dev(mounts: &BTreeMap<Place, Mount>) -> bool {
    mounts.get(&Place::of("/dev")).is_some_and(|mount| matches!(mount.source, MountSource::Bind { .. }))
}
