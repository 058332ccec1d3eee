//! Verbs that selkie calls itself by.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use selkie_engine::{Container, StartOptions};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Removes what an ended container has left: what its monitor becomes after `--rm`.
#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// Remove the container.
    #[arg(long)]
    rm: bool,
    /// Name or id.
    container: String,
}

impl Cleanup {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let container = context.container(&self.container)?;
        if self.rm && container.live.is_none() {
            context.engine.remove(&container, None)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts a container again after its end: what its monitor becomes with a restart policy.
#[derive(Debug, Args)]
pub(crate) struct RestartAgain {
    /// Id.
    container: String,
}

impl RestartAgain {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        /// The longest pause between two starts.
        const LONGEST: Duration = Duration::from_secs(60);
        let container = context.container(&self.container)?;
        let restarts = container.exit.as_ref().map_or(0, |exit| exit.restarts);
        // A program that ends at once must not keep the machine busy.
        let pause = Duration::from_millis(100).saturating_mul(1 << restarts.min(10)).min(LONGEST);
        std::thread::sleep(pause);
        let container = Container::load(context.engine.store(), container.id())?;
        if container.live.is_none() && !context.engine.was_stopped_by_user(&container) {
            context.engine.start(&container, &StartOptions { restarts: restarts.saturating_add(1), ..StartOptions::default() })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs one trial of `learn`, which is at the other end of the standard streams.
#[derive(Debug, Args)]
pub(crate) struct Trial {}

impl Trial {
    #[expect(clippy::unused_self, reason = "as every verb")]
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        // An error has been told to the learner.
        let ended = context.engine.trial(std::io::stdin().as_fd(), &mut std::io::stdout());
        Ok(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Watches a container for `run --why`, which is at the other end of the standard streams.
#[derive(Debug, Args)]
pub(crate) struct Watch {}

impl Watch {
    #[expect(clippy::unused_self, reason = "as every verb")]
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        let observer = selkie_observe::choose("auto");
        selkie_engine::watch::serve(observer, &mut std::io::stdin().lock(), &mut std::io::stdout())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `container` and `image` in the list of verbs. A command line with one of them is another one by the time that it is parsed.
#[derive(Debug, Args)]
pub(crate) struct Group {
    /// A verb of the group.
    command: String,
}

impl Group {
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        Err(Failure::engine(format!("unrecognized command `{}`", self.command)))
    }
}

/// Prints the verbs of `container` or `image`.
#[derive(Debug, Args)]
pub(crate) struct GroupHelp {
    group: String,
    verbs: String,
}

impl GroupHelp {
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        let mut text = format!("Usage: selkie {} COMMAND\n\nCommands, as `selkie COMMAND --help` describes them:\n", self.group);
        for verb in self.verbs.split(' ') {
            text.push_str(&format!("  {verb}\n"));
        }
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
