//! Which processes are in which container, of every engine on this host.

use std::path::Path;

use clap::Args;
use selkie_engine::{Container, Error, short_list};
use selkie_host::containers::{Census, Found, HostContainer, Known, Scope, ask, find};
use selkie_host::{Engine, Owner, Placed, Placements, Procfs};

use crate::commands::processes::{Processes, Source};
use crate::context::Context;
use crate::ui::error::{Failure, warn};
use crate::ui::text;

/// Whether engines are asked, too.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Api {
    /// Also ask Podman and Docker, of root and of users, over the sockets of their interfaces, if they have any.
    #[arg(long)]
    pub(crate) engine_api: bool,
}

impl Api {
    /// Adds what engines say, and says who has not answered.
    pub(crate) fn complete(self, found: &mut Found) -> Result<(), Failure> {
        if !self.engine_api {
            return Ok(());
        }
        let answers = ask(Path::new("/"))?;
        for (socket, problem) in &answers.problems {
            warn(&format!("{}: {problem}", text::one_line(socket)));
        }
        if answers.engines == 0 && answers.problems.is_empty() {
            warn("no engine has a socket: /run/podman/podman.sock and /run/docker.sock are not there");
        }
        found.complete(answers.containers);
        Ok(())
    }
}

/// Finds out which containers there are, stopped ones and sandboxes too, and which processes are in them. Ours are known by their own
/// records.
pub(crate) fn whole_census(context: &Context, containers: &[Container], procfs: &Procfs, api: Api) -> Result<Census, Failure> {
    let Processes { rows, cgroups } = Processes::read(Source::Auto, procfs, |_, _| true)?;
    let mut found = find(Path::new("/"), Scope::All)?;
    api.complete(&mut found)?;
    let mut census = Census::over(procfs, Placed::by_paths(cgroups), found, known(context, containers)?);
    census.complete(procfs, &rows);
    Ok(census)
}

/// Says, once and beside the data, what may not be looked at: running containers, and directories that may tell of more.
pub(crate) fn say_hidden(census: &Census) {
    match census.hidden() {
        0 => {}
        1 => warn("1 container hidden: run as root"),
        count => warn(&format!("{count} containers hidden: run as root")),
    }
    say_denied(census);
}

fn say_denied(census: &Census) {
    const SHOWN: usize = 3;
    let denied = census.denied();
    let more = match denied.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if !denied.is_empty() {
        let shown = denied.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        warn(&format!("containers and names may be missing: {shown}{more} may not be read: run as root"));
    }
}

/// Finds out which processes are in which container, without the files of other engines.
pub(crate) fn placements(context: &Context, containers: &[Container], procfs: &Procfs) -> Result<Placements, Failure> {
    Ok(Census::take(procfs, Found::default(), known(context, containers)?)?.placements)
}

pub(crate) fn known(context: &Context, containers: &[Container]) -> Result<Known, Failure> {
    let mut known = Known::default();
    for container in containers.iter().filter(|container| container.live.is_some()) {
        if let Some(path) = container.plan(context.engine.store())?.and_then(|plan| plan.cgroup.path) {
            known.cgroups.insert(path, owner(container));
        }
        // Containers without cgroups, as of users who may make none, are told by their namespaces.
        if let Some(pid) = init(container) {
            known.pids.insert(pid, owner(container));
        }
    }
    Ok(known)
}

/// Finds the container of ours that `name` means; `None` when there is none.
///
/// # Errors
/// When it is the beginning of several ids, which are said, or a record is damaged.
pub(crate) fn own(context: &Context, name: &str) -> Result<Option<Container>, Failure> {
    match Container::find(context.engine.store(), name) {
        Ok(container) => Ok(Some(container)),
        Err(Error::NoSuchContainer { .. } | Error::EmptyName) => Ok(None),
        Err(Error::Ambiguous { candidates, .. }) => {
            Err(several(name, candidates.iter().map(|id| format!("{} {}", Engine::Selkie, id.short()))))
        }
        Err(error) => Err(error.into()),
    }
}

fn several(name: &str, list: impl ExactSizeIterator<Item = String>) -> Failure {
    Failure::engine(format!("more than one container is meant by {name:?}: {}", short_list(list)))
}

/// Finds the container of another engine that `name` means; `None` when there is none.
///
/// # Errors
/// When there are several.
pub(crate) fn foreign(context: &Context, name: &str, procfs: &Procfs) -> Result<Option<HostContainer>, Failure> {
    let ours = context.containers()?;
    let census = whole_census(context, &ours, procfs, Api::default())?;
    let found: Vec<&HostContainer> = census.find(name).into_iter().filter(|found| !is_ours(found, &ours)).collect();
    match found.as_slice() {
        [] => {
            say_denied(&census);
            Ok(None)
        }
        [one] => Ok(Some((*one).clone())),
        found => Err(several(name, found.iter().map(|one| format!("{} {}", one.owner.engine, one.owner.short())))),
    }
}

/// Whether it is one of `ours`; those in another store, or another user's, are as foreign as any other engine's.
pub(crate) fn is_ours(found: &HostContainer, ours: &[Container]) -> bool {
    found.owner.engine == Engine::Selkie && ours.iter().any(|container| container.id().as_str() == found.owner.id)
}

pub(crate) fn owner(container: &Container) -> Owner {
    Owner { engine: Engine::Selkie, id: container.id().to_string() }
}

fn init(container: &Container) -> Option<u32> {
    container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok())
}
