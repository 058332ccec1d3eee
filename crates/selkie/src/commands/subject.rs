//! Whom a command looks at: its own process, any process, or a container's.

use std::path::Path;

use selkie_engine::Container;
use selkie_host::containers::{Filter, HostContainer};
use selkie_host::privileged::Configured;
use selkie_host::{Buffer, Procfs};
use selkie_plan::Seccomp;

use crate::commands::members::{foreign, own};
use crate::context::Context;
use crate::ui::error::Failure;

/// Whom to look at.
#[derive(Debug)]
pub(crate) enum Subject {
    /// The process that runs the command.
    Own,
    /// The process with this number.
    Process(u32),
    /// A container of ours.
    Container(Box<Container>),
    /// A container of another engine.
    Foreign(Box<HostContainer>),
}

impl Subject {
    /// Finds what `name` means. A number is a process if there is one with it; everything else is a container,
    /// one of ours before one of another engine.
    pub(crate) fn find(context: &Context, name: Option<&str>, is_own: bool) -> Result<Self, Failure> {
        let Some(name) = name.filter(|_| !is_own) else { return Ok(Self::Own) };
        if let Ok(pid) = name.parse::<u32>()
            && procfs()?.status(pid, &mut Buffer::new())?.is_some()
        {
            return Ok(Self::Process(pid));
        }
        if let Some(container) = own(context, name)? {
            return Ok(Self::Container(Box::new(container)));
        }
        match foreign(context, name, &procfs()?)? {
            Some(container) => Ok(Self::Foreign(Box::new(container))),
            None if name.bytes().all(|byte| byte.is_ascii_digit()) && name.len() < 12 => {
                Err(Failure::engine(format!("no process and no container {name:?} found: no such container")))
            }
            None => Err(selkie_engine::Error::NoSuchContainer { name: name.to_owned() }.into()),
        }
    }

    /// Returns the process to look at; the first one of a container.
    pub(crate) fn pid(&self) -> Result<u32, Failure> {
        match self {
            Self::Own => Ok(std::process::id()),
            Self::Process(pid) => Ok(*pid),
            Self::Foreign(container) => container.pid.ok_or_else(|| {
                let (engine, id) = (container.owner.engine, container.owner.short());
                Failure::engine(format!("container {id} of {engine} does not run: it has no process to look at"))
            }),
            Self::Container(container) => {
                let live = container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok());
                live.ok_or_else(|| {
                    let (id, status) = (container.id().short(), container.status.as_str());
                    Failure::engine(format!("container {id} is {status}: it has no process to look at"))
                })
            }
        }
    }
}

/// Returns what a container of ours was told to be.
pub(crate) fn configured(context: &Context, container: &Container) -> Result<Configured, Failure> {
    let plan = container.plan(context.engine.store())?;
    // A profile of the user's may have changed since it was put in force, so that only the built-in one is known.
    let built_in = plan.as_ref().filter(|plan| matches!(plan.seccomp, Seccomp::Default { .. }));
    let filter = built_in.and_then(|plan| selkie_engine::resolved_filter(plan).ok().flatten());
    Ok(Configured {
        bounding: plan.as_ref().map(|plan| plan.process.sets.bounding),
        privileged: plan.map(|plan| plan.privileged),
        filter: filter.map(|resolved| Filter::of(&selkie_seccomp::to_oci(&resolved))),
    })
}

/// Opens this machine's procfs.
pub(crate) fn procfs() -> Result<Procfs, Failure> {
    Ok(Procfs::open(Path::new("/proc"))?)
}
