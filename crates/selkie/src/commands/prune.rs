//! `selkie container prune`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;

use crate::commands::many::{Selected, each};
use crate::context::Context;
use crate::ui::error::Failure;

/// Remove every container that does not run.
#[derive(Debug, Args)]
pub(crate) struct ContainerPrune {
    /// Do not ask.
    #[arg(long, short = 'f')]
    force: bool,
}

impl ContainerPrune {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if !self.force && !confirmed()? {
            return Ok(ExitCode::SUCCESS);
        }
        let ended = context.containers()?.into_iter().filter(|container| container.live.is_none());
        let selected = ended.map(|container| Selected { called: container.id().to_string(), container: Ok(container) }).collect();
        each(selected, |container| Ok(context.engine.remove(container, false)?))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks on the terminal; without one nobody can say yes.
fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::engine("containers are removed without asking only with --force"));
    }
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(b"WARNING! This will remove all non running containers.\nAre you sure you want to continue? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
