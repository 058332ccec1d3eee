//! `selkie container exists`

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// Answers with exit code 0 if a container exists, 1 if not.
#[derive(Debug, Args)]
pub(crate) struct ContainerExists {
    /// Name or id.
    container: String,
    /// Containers of other users of the storage too (as Podman; there are none).
    #[arg(long)]
    external: bool,
}

impl ContainerExists {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match context.engine.store().find(&self.container) {
            Ok(_) => Ok(ExitCode::SUCCESS),
            Err(selkie_engine::Error::NoSuchContainer { .. }) => Ok(ExitCode::from(1)),
            Err(error) => Err(error.into()),
        }
    }
}
