//! `selkie image exists`

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// Answers with exit code 0 if an image exists, 1 if not.
#[derive(Debug, Args)]
pub(crate) struct ImageExists {
    /// Name or id.
    image: String,
}

impl ImageExists {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match context.engine.images().find(&self.image) {
            Ok(_) => Ok(ExitCode::SUCCESS),
            Err(selkie_image::Error::NotKnown { .. } | selkie_image::Error::Reference { .. }) => Ok(ExitCode::from(1)),
            Err(error) => Err(error.into()),
        }
    }
}
