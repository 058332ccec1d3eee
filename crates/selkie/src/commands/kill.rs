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
    #[arg(long, short = 's', default_value = "KILL", allow_hyphen_values = true)]
    signal: String,
}

impl Kill {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        // As for kill(1), `-9` is 9.
        let text = self.signal.strip_prefix('-').unwrap_or(&self.signal);
        if text.parse::<i64>().is_ok_and(|number| !(1..=64).contains(&number)) {
            return Err(Failure::engine("valid signals are 1 through 64"));
        }
        let signal = i32::try_from(parse_signal(text)?).map_err(|_| Failure::engine(format!("invalid signal: {text}")))?;
        let selected = self.selection.existing(context, |status| matches!(status, Status::Running | Status::Paused))?;
        each(selected, |container| Ok(context.engine.kill(container, signal)?))?;
        Ok(ExitCode::SUCCESS)
    }
}
