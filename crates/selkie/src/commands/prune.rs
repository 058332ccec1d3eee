//! `selkie container prune`

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::Args;

use crate::commands::many::{Selected, each};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::filter::Filters;

/// Remove every container that does not run.
#[derive(Debug, Args)]
pub(crate) struct ContainerPrune {
    /// Do not ask.
    #[arg(long, short = 'f')]
    force: bool,
    /// Of them, those that fit, as with `ps --filter`.
    #[arg(long)]
    filter: Vec<String>,
}

impl ContainerPrune {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if !self.force && !confirmed()? {
            return Ok(ExitCode::SUCCESS);
        }
        let fitting = Filters::parse(&self.filter)?.choose(context, context.containers()?)?;
        let selected = fitting.into_iter().filter(|container| container.live.is_none()).map(Selected::from).collect();
        each(selected, |container| Ok(context.engine.remove(container, None).map(drop)?))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks; whoever answers may be a pipe, and no answer is no.
fn confirmed() -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(b"WARNING! This will remove all non running containers.\nAre you sure you want to continue? [y/N] ")?;
    stdout.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
