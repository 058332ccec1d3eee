//! `selkie untag`

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// Take names from an image; without any, all of them.
#[derive(Debug, Args)]
pub(crate) struct Untag {
    /// Name or id.
    image: String,
    /// The names.
    names: Vec<String>,
}

impl Untag {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        context.engine.images().untag(&self.image, &self.names)?;
        Ok(ExitCode::SUCCESS)
    }
}
