//! `selkie rename`

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// Give a container another name.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Name or id.
    container: String,
    /// The new name.
    name: String,
}

impl Rename {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        context.engine.rename(&context.container(&self.container)?, &self.name)?;
        Ok(ExitCode::SUCCESS)
    }
}
