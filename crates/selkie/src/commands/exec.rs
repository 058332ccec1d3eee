//! `selkie exec`

use std::process::ExitCode;

use clap::Args;

use crate::commands::run::preserved;
use crate::context::Context;
use crate::exit;
use crate::flags::{ExecFlags, System};
use crate::ui::attach::{Options, parse_detach_keys, serve, terminal_size};
use crate::ui::error::{Failure, warn};
use crate::ui::out;

/// Run a process in a running container.
///
/// Examples:
///   selkie exec -it web sh
///   selkie exec --cap-drop all web id
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Exec {
    #[command(flatten)]
    flags: ExecFlags,
}

impl Exec {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let request = self.flags.request(&System)?;
        let container = match (self.flags.container(), &request.cidfile) {
            (Some(name), _) => context.container(name)?,
            (None, Some(file)) => {
                let text =
                    std::fs::read_to_string(file).map_err(|error| Failure::engine(format!("reading CIDFile: open {file}: {error}")))?;
                context.container(text.lines().next().unwrap_or_default())?
            }
            (None, None) => context.latest()?,
        };
        let keys = parse_detach_keys(request.detach_keys.as_deref().unwrap_or("ctrl-p,ctrl-q"))?;
        if request.tty && request.interactive && !request.detach && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
        }
        let size = if request.tty { terminal_size() } else { None };
        let (session, attached) =
            context.engine.exec(&container, &request, size, &preserved(request.preserve_fds)?).map_err(|error| match error {
                // Podman's answer for a container that does not run.
                selkie_engine::Error::State { .. } => Failure::from(error).with_code(255),
                // What is not waited for says nothing of the program by its code.
                error if request.detach => Failure::from(error).with_code(exit::ENGINE),
                error => Failure::from(error),
            })?;
        if request.detach {
            out::line(&session)?;
            return Ok(ExitCode::SUCCESS);
        }
        let options = Options {
            interactive: request.interactive,
            tty: request.tty,
            detach_keys: keys,
            stdout: true,
            stderr: true,
            ..Options::default()
        };
        Ok(serve(&attached, &options, &mut |_| {})?.code())
    }
}
