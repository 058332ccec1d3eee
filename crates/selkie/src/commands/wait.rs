//! `selkie wait`

use std::process::ExitCode;

use clap::Args;

use crate::commands::many::Selection;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Wait until containers have ended, and print their exit statuses.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    selection: Selection,
    /// State to wait for: only `stopped` and `exited` yet.
    #[arg(long)]
    condition: Vec<String>,
    /// Time between two looks (as Podman; the kernel tells us at once).
    #[arg(long, short = 'i', hide = true)]
    interval: Option<String>,
    /// -1 for a container that does not exist, in place of an error.
    #[arg(long)]
    ignore: bool,
}

impl Wait {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if let Some(other) = self.condition.iter().find(|condition| !matches!(condition.as_str(), "stopped" | "exited")) {
            return Err(Failure::engine(format!("--condition {other}: not supported yet")));
        }
        for selected in self.selection.containers(context, |_| true)? {
            match selected.container {
                Ok(container) => out::line(&context.engine.wait(&container)?.to_string())?,
                Err(_) if self.ignore => out::line("-1")?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
