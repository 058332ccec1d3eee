//! `selkie kill`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::Status;
use selkie_plan::value::parse_signal;

use crate::commands::many::{Selection, each};
use crate::context::Context;
use crate::ui::error::Failure;

/// Send a signal to the first process of containers.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    selection: Selection,
    /// Name or number of the signal.
    #[arg(long, short = 's', default_value = "KILL")]
    signal: String,
}

impl Kill {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let number = parse_signal(&self.signal)?;
        let signal = i32::try_from(number).map_err(|_| Failure::engine(format!("invalid signal: {}", self.signal)))?;
        let selected = self.selection.containers(context, |status| matches!(status, Status::Running | Status::Paused))?;
        each(selected, |container| Ok(context.engine.kill(container, signal)?))?;
        Ok(ExitCode::SUCCESS)
    }
}
