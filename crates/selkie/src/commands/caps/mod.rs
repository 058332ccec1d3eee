//! `selkie caps`: capabilities explained, decoded, and shown on whoever holds them.

mod decode;
mod explain;
mod files;
mod list;
mod ps;
mod show;

pub(crate) use ps::{uptime, wanted_engine};

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::ui::error::Failure;

/// Explain, decode and show capabilities.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Caps {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Decode(decode::Decode),
    Explain(explain::Explain),
    Files(files::Files),
    #[command(visible_alias = "ls")]
    List(list::List),
    Ps(ps::Ps),
    Show(show::Show),
}

impl Caps {
    /// Does what needs no engine; `None` for everything else.
    pub(crate) fn alone(&self) -> Option<Result<ExitCode, Failure>> {
        match &self.verb {
            Verb::Decode(verb) => Some(verb.run()),
            Verb::Explain(verb) => Some(verb.run()),
            Verb::List(verb) => Some(verb.run()),
            Verb::Show(verb) => verb.alone(),
            Verb::Files(_) | Verb::Ps(_) => None,
        }
    }

    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Files(verb) => verb.run(context),
            Verb::Ps(verb) => verb.run(context),
            Verb::Show(verb) => verb.run(context),
            Verb::Decode(_) | Verb::Explain(_) | Verb::List(_) => self.alone().unwrap_or(Ok(ExitCode::SUCCESS)),
        }
    }
}
