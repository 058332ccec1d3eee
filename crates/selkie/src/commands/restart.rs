//! `selkie restart`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::{StartOptions, Status};

use crate::commands::many::{Selection, each, short_filter};
use crate::commands::stop::{options, tell};
use crate::context::Context;
use crate::ui::error::Failure;

/// Stop containers and start them again.
#[derive(Debug, Args)]
#[command(mut_arg("filter", short_filter))]
pub(crate) struct Restart {
    #[command(flatten)]
    selection: Selection,
    /// Seconds until SIGKILL.
    #[arg(long, short = 't', visible_alias = "timeout", allow_negative_numbers = true)]
    time: Option<i64>,
    /// Only those that run.
    #[arg(long)]
    running: bool,
}

impl Restart {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let mut selection = self.selection.clone();
        selection.all |= self.running;
        let selected = selection.existing(context, |status| !self.running || status == Status::Running)?;
        each(selected, |container| {
            tell(container, context.engine.stop(container, options(self.time))?);
            let stopped = context.container(container.id().as_str())?;
            context.engine.start(&stopped, &StartOptions::default())?;
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
