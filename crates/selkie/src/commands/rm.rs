//! `selkie rm`

use std::process::ExitCode;

use clap::Args;

use crate::commands::many::{Selected, Selection, each};
use crate::commands::stop::{options, tell};
use crate::context::Context;
use crate::ui::error::Failure;

/// Remove containers.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    selection: Selection,
    /// Stop those that run, and no error for those that do not exist.
    #[arg(long, short = 'f')]
    force: bool,
    /// No error for a container that does not exist.
    #[arg(long, short = 'i')]
    ignore: bool,
    /// Seconds until SIGKILL, with --force.
    #[arg(long, short = 't', allow_negative_numbers = true)]
    time: Option<i64>,
    /// Anonymous volumes too (there are none yet).
    #[arg(long, short = 'v')]
    volumes: bool,
    /// Containers that depend on them too (there are none yet).
    #[arg(long)]
    depend: bool,
}

impl Rm {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.time.is_some() && !self.force {
            return Err(Failure::engine("--force option must be specified to use the --time option"));
        }
        context.engine.store().heal()?;
        let mut selected = if self.ignore || self.force {
            self.selection.containers(context, |_| true)?
        } else {
            self.selection.existing(context, |_| true).map_err(missing_is_1)?
        };
        if self.force {
            if self.selection.all {
                selected.extend(damaged(context)?);
            }
            self.remove_damaged(context, &mut selected)?;
        }
        if self.ignore || self.force {
            selected.retain(|Selected { container, .. }| !matches!(container, Err(failure) if is_missing(failure)));
        }
        each(selected, |container| {
            context
                .engine
                .remove(container, self.force.then(|| options(self.time)))
                .map(|stopped| tell(container, stopped))
                .map_err(|error| match error {
                    selkie_engine::Error::Running { .. } => Failure::from(error).with_code(2),
                    error => error.into(),
                })
                .or_else(|failure| if (self.ignore || self.force) && is_missing(&failure) { Ok(()) } else { Err(failure) })
        })
        .map_err(missing_is_1)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Rm {
    /// Removes those whose records cannot be read: nothing else can be done about them.
    fn remove_damaged(&self, context: &Context, selected: &mut Vec<Selected>) -> Result<(), Failure> {
        let mut readable = Vec::with_capacity(selected.len());
        for selected in selected.drain(..) {
            let id = context.engine.store().find(&selected.called);
            let is_damaged = |id: &selkie_engine::ContainerId| {
                let loaded = selkie_engine::Container::load(context.engine.store(), id);
                !matches!(loaded, Ok(_) | Err(selkie_engine::Error::NoSuchContainer { .. }))
            };
            match id {
                Ok(id) if is_damaged(&id) => {
                    context.engine.remove_damaged(&id)?;
                    crate::ui::out::line(&selected.called)?;
                }
                _ => readable.push(selected),
            }
        }
        *selected = readable;
        Ok(())
    }
}

/// Those whose records cannot be read, and which `--all` means too.
fn damaged(context: &Context) -> Result<Vec<Selected>, Failure> {
    let ids = selkie_engine::Container::damaged(context.engine.store())?;
    Ok(ids.into_iter().map(|id| Selected { called: id.to_string(), container: context.container(id.as_str()) }).collect())
}

fn missing_is_1(failure: Failure) -> Failure {
    if is_missing(&failure) { failure.with_code(1) } else { failure }
}

fn is_missing(failure: &Failure) -> bool {
    failure.line().ends_with("no such container")
}
