//! `selkie stop`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::{Container, Status, StopOptions, Stopped};
use selkie_plan::value::signal_name;

use crate::commands::many::{Selection, each, short_filter};
use crate::context::Context;
use crate::ui::error::{Failure, warn};

/// Stop containers: their stop signal first, SIGKILL after the timeout.
#[derive(Debug, Args)]
#[command(mut_arg("filter", short_filter))]
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
        let fits = |status| matches!(status, Status::Running | Status::Paused);
        let selected = if self.ignore {
            let mut selected = self.selection.containers(context, fits)?;
            selected.retain(|selected| selected.container.is_ok());
            selected
        } else {
            self.selection.existing(context, fits)?
        };
        each(selected, |container| {
            tell(container, context.engine.stop(container, options(self.time))?);
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns what `--time` means. A negative one waits for ever, as in Podman.
pub(super) fn options(time: Option<i64>) -> StopOptions {
    StopOptions { timeout: time.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)) }
}

/// Warns of a container that did not end in time.
pub(super) fn tell(container: &Container, stopped: Stopped) {
    if let Stopped::Killed { signal, seconds } = stopped {
        let (signal, name) = (signal_name(signal.cast_unsigned()), &container.record.name);
        warn(&format!("StopSignal {signal} failed to stop container {name} in {seconds} seconds, resorting to SIGKILL"));
    }
}
