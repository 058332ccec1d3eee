//! `selkie stop`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::{Status, StopOptions};

use crate::commands::many::{Selection, each};
use crate::context::Context;
use crate::ui::error::Failure;

/// Stop containers: their stop signal first, SIGKILL after the timeout.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    selection: Selection,
    /// Seconds until SIGKILL.
    #[arg(long, short = 't', visible_alias = "timeout", allow_negative_numbers = true)]
    time: Option<i64>,
    /// No error for a container that does not exist.
    #[arg(long, short = 'i')]
    ignore: bool,
}

impl Stop {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let mut selected = self.selection.containers(context, |status| matches!(status, Status::Running | Status::Paused))?;
        if self.ignore {
            selected.retain(|selected| selected.container.is_ok());
        }
        // A negative timeout waits for ever, as in Podman.
        let timeout = self.time.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
        each(selected, |container| Ok(context.engine.stop(container, StopOptions { timeout })?))?;
        Ok(ExitCode::SUCCESS)
    }
}
