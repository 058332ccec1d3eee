//! `selkie start`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::{StartOptions, Status, Warn};

use crate::commands::create::say;
use crate::commands::many::{Selection, each, short_filter};
use crate::commands::run::{attach_options, remove};
use crate::context::Context;
use crate::exit;
use crate::ui::attach::{End, parse_detach_keys, serve, terminal_size};
use crate::ui::error::Failure;

/// Start containers that do not run.
#[derive(Debug, Args)]
#[command(mut_arg("filter", short_filter), mut_arg("all", |all| all.short(None)))]
pub(crate) struct Start {
    #[command(flatten)]
    selection: Selection,
    /// Show the output and wait for the end.
    #[arg(long, short = 'a')]
    attach: bool,
    /// Pass standard input on.
    #[arg(long, short = 'i')]
    interactive: bool,
    /// Keys that detach the terminal.
    #[arg(long)]
    detach_keys: Option<String>,
    /// Pass signals on, with --attach.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sig_proxy: Option<bool>,
}

impl Start {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.selection.is_empty() {
            return Err(Failure::engine("start requires at least one argument"));
        }
        let attach = self.attach;
        if self.sig_proxy == Some(true) && !attach {
            return Err(Failure::engine("you cannot use sig-proxy without --attach: invalid argument"));
        }
        if attach || self.interactive {
            return self.attached(context);
        }
        let selected = self.selection.existing(context, |status| matches!(status, Status::Created | Status::Exited))?;
        each(selected, |container| {
            if container.status == Status::Running {
                return Ok(());
            }
            context.engine.start(container, &StartOptions { warn: Some(Warn(&say)), ..StartOptions::default() })?;
            Ok(())
        })
        // Podman answers 125 whatever the reason.
        .map_err(|failure| failure.with_code(exit::ENGINE))?;
        Ok(ExitCode::SUCCESS)
    }

    fn attached(&self, context: &Context) -> Result<ExitCode, Failure> {
        let [name] = self.selection.names.as_slice() else {
            return Err(Failure::engine("you cannot start and attach multiple containers at once: invalid argument"));
        };
        let container = context.container(name)?;
        let size = if container.record.request.process.tty { terminal_size() } else { None };
        let attached =
            context.engine.start(&container, &StartOptions { attach: true, size, warn: Some(Warn(&say)), ..StartOptions::default() });
        let attached = attached.map_err(|error| Failure::from(error).with_code(exit::ENGINE))?;
        let keys = parse_detach_keys(self.detach_keys.as_deref().unwrap_or("ctrl-p,ctrl-q"))?;
        let mut options = attach_options(&container.record.request, keys);
        options.interactive &= self.interactive;
        options.proxy &= self.sig_proxy != Some(false);
        let running = context.container(container.id().as_str())?;
        let end = serve(&attached, &options, &mut |signal| drop(context.engine.kill(&running, signal)))?;
        Ok(match end {
            End::Detached | End::Unread => end.code(),
            End::Exited(code) => {
                if container.record.request.lifecycle.remove {
                    remove(context, container.id(), &attached)?;
                }
                exit::of_status(code)
            }
        })
    }
}
