//! `selkie attach`

use std::process::ExitCode;

use clap::Args;

use crate::commands::run::attach_options;
use crate::context::Context;
use crate::ui::attach::{Options, parse_detach_keys, serve, terminal_size};
use crate::ui::error::Failure;

/// Connect the terminal to a running container.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Name or id.
    container: Option<String>,
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// Keys that detach.
    #[arg(long)]
    detach_keys: Option<String>,
    /// Do not pass standard input on.
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    sig_proxy: bool,
}

impl Attach {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let container = match (&self.container, self.latest) {
            (Some(name), false) => context.container(name)?,
            (None, true) => context.latest()?,
            (Some(_), true) => return Err(Failure::engine("--latest and containers cannot be used together")),
            (None, false) => return Err(Failure::engine("\"selkie attach\" requires a name, id, or the \"--latest\" flag")),
        };
        let attached = context.engine.attach(&container)?;
        let keys = parse_detach_keys(self.detach_keys.as_deref().unwrap_or("ctrl-p,ctrl-q"))?;
        let mut options = Options { watches_reader: true, ..attach_options(&container.record.request, keys) };
        options.interactive &= !self.no_stdin;
        options.proxy &= self.sig_proxy;
        if let (true, Some((rows, columns))) = (options.tty, terminal_size()) {
            attached.resize(rows, columns);
        }
        Ok(serve(&attached, &options, &mut |signal| drop(context.engine.kill(&container, signal)))?.code())
    }
}
