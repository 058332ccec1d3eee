//! `selkie rmi`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::{Container, StopOptions};
use selkie_image::Error;

use crate::context::Context;
use crate::ui::error::{Failure, show};
use crate::ui::out;

/// Remove images.
///
/// One with several names loses the one that is given, and goes with the last.
#[derive(Debug, Args)]
pub(crate) struct Rmi {
    /// All images.
    #[arg(long, short = 'a')]
    all: bool,
    /// Also those with several names or with containers, which are removed too.
    #[arg(long, short = 'f')]
    force: bool,
    /// No error for an image that does not exist.
    #[arg(long, short = 'i')]
    ignore: bool,
    /// Keep parents without a name (as Podman; there are none).
    #[arg(long, hide = true)]
    no_prune: bool,
    /// Names or ids.
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

impl Rmi {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let images: Vec<String> = match (self.all, self.images.is_empty()) {
            (true, true) => context.engine.images().images()?.0.into_iter().map(|image| image.id).collect(),
            (true, false) => return Err(Failure::engine("when using the --all switch, you may not pass any images names or IDs")),
            (false, true) => return Err(Failure::engine("image name or ID must be specified")),
            (false, false) => {
                // One that is named twice is removed once.
                let mut seen = std::collections::BTreeSet::new();
                self.images.iter().filter(|image| seen.insert(image.as_str())).cloned().collect()
            }
        };
        // Podman: 1 when all of them were missing, 2 when one is in use, otherwise 125.
        let mut code = 1;
        let mut failures: Vec<Failure> = Vec::new();
        let mut untagged = Vec::new();
        let mut deleted = Vec::new();
        for image in &images {
            match self.remove(context, image) {
                Err(Error::NotKnown { .. }) if self.ignore || self.force => {}
                Err(error) => {
                    code = code.max(exit_code(&error));
                    failures.push(error.into());
                }
                Ok(removed) => {
                    untagged.extend(removed.untagged);
                    deleted.extend(removed.deleted);
                }
            }
        }
        untagged.iter().try_for_each(|name| out::line(&format!("Untagged: {name}")))?;
        deleted.iter().try_for_each(|id| out::line(&format!("Deleted: {id}")))?;
        joined(failures).map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.with_code(code)))
    }

    fn remove(&self, context: &Context, image: &str) -> selkie_image::Result<selkie_image::Removed> {
        let store = context.engine.images();
        loop {
            let removed =
                store.remove(image, self.force || self.all, |id| Ok(user(context, id).map(|container| container.id().to_string())));
            match removed {
                Err(Error::InUse { container }) if self.force => {
                    match context
                        .container(&container)
                        .and_then(|container| Ok(context.engine.remove(&container, Some(StopOptions::default())).map(drop)?))
                    {
                        Ok(()) => {}
                        Err(failure) => {
                            show(&failure);
                            return Err(Error::InUse { container });
                        }
                    }
                }
                removed => return removed,
            }
        }
    }
}

/// Returns a container that needs the image `id`.
fn user(context: &Context, id: &str) -> Option<Container> {
    let (containers, _) = Container::all(context.engine.store()).unwrap_or_default();
    containers.into_iter().find(|container| container.record.image.as_ref().is_some_and(|image| image.id == id))
}

/// One failure as it is, several as Podman joins them.
fn joined(mut failures: Vec<Failure>) -> Option<Failure> {
    if failures.len() < 2 {
        return failures.pop();
    }
    let lines: String = failures.iter().map(|failure| format!("\n\t* {}", failure.line())).collect();
    Some(Failure::engine(format!("{} errors occurred:{lines}", failures.len())))
}

const fn exit_code(error: &Error) -> u8 {
    match error {
        Error::NotKnown { .. } => 1,
        Error::InUse { .. } => 2,
        _ => 125,
    }
}
