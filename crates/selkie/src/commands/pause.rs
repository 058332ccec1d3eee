//! `selkie pause` and `selkie unpause`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::Status;

use crate::commands::many::{Selection, each, short_filter};
use crate::context::Context;
use crate::ui::error::Failure;

/// Freeze every process of containers.
#[derive(Debug, Args)]
#[command(mut_arg("filter", short_filter))]
pub(crate) struct Pause {
    #[command(flatten)]
    selection: Selection,
}

/// Let frozen containers go on.
#[derive(Debug, Args)]
#[command(mut_arg("filter", short_filter))]
pub(crate) struct Unpause {
    #[command(flatten)]
    selection: Selection,
}

impl Pause {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let selected = self.selection.existing(context, |status| status == Status::Running)?;
        each(selected, |container| Ok(context.engine.pause(container)?))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Unpause {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let selected = self.selection.existing(context, |status| status == Status::Paused)?;
        each(selected, |container| Ok(context.engine.unpause(container)?))?;
        Ok(ExitCode::SUCCESS)
    }
}
