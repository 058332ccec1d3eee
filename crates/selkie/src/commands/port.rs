//! `selkie port`: there are no published ports yet.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// List the published ports of a container.
#[derive(Debug, Args)]
pub(crate) struct Port {
    /// Of every container.
    #[arg(long, short = 'a')]
    all: bool,
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// A container.
    container: Option<String>,
    /// One port of it, with `/tcp` or `/udp`.
    port: Option<String>,
}

impl Port {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match (&self.container, &self.port) {
            (Some(_), _) if self.all => return Err(Failure::engine("no arguments are needed with --all")),
            (None, _) if !self.all && !self.latest => {
                return Err(Failure::engine("you must supply a running container name or id"));
            }
            // With --latest the only word is the port.
            _ if self.latest => drop(context.latest()?),
            (Some(name), _) => drop(context.container(name)?),
            (None, _) => {}
        }
        // Nothing is published, of which Podman says nothing either.
        Ok(ExitCode::SUCCESS)
    }
}
