//! `selkie tag`

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;

/// Give an image more names.
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Name or id.
    image: String,
    /// The names; a short one is in `localhost`, one without a tag is `latest`.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Tag {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        context.engine.images().tag(&self.image, &self.names)?;
        Ok(ExitCode::SUCCESS)
    }
}
