//! `selkie run`

use std::cell::RefCell;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use selkie_engine::watch::Watcher;
use selkie_engine::{Attached, Container, Hold, StartOptions};
use selkie_learn::evidence;
use selkie_plan::{Request, Stream};

use crate::commands::create::{check_files, dry_run, warn_all, write_id};
use crate::commands::enforce::EnforceFlags;
use crate::commands::why;
use crate::context::Context;
use crate::exit;
use crate::flags::{RunFlags, System};
use crate::ui::attach::{End, Options, parse_detach_keys, serve, terminal_size};
use crate::ui::error::{Failure, warn};
use crate::ui::out;

/// Run a command in a new container.
///
/// Examples:
///   selkie run -it --rm centos bash
///   selkie run -d --name web --cap-drop all --cap-add net_bind_service nginx
///   selkie run --rm host: id
///   selkie run --dry-run --cap-drop all centos
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    /// Watch the container, and say at its end what it was refused and why (`selkie why` says it meanwhile and later).
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    enforce: EnforceFlags,
    #[command(flatten)]
    flags: RunFlags,
}

impl Run {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let mut request = self.flags.request(&System)?;
        self.enforce.apply(context, &mut request)?;
        if let Some(form) = self.flags.dry_run {
            return dry_run(context, request, form);
        }
        check_files(&request)?;
        let detach_keys = parse_detach_keys(request.lifecycle.detach_keys.as_deref().unwrap_or("ctrl-p,ctrl-q"))?;
        let process = request.process.clone();
        if process.tty && process.interactive && !request.lifecycle.detach && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
        }
        let watcher = self.why.then(|| Watcher::start(&context.engine)).transpose()?.map(RefCell::new);
        let created = context.engine.create(request, std::env::args().collect(), true)?;
        let record = created.record.clone();
        warn_all(created.plan.as_ref());
        write_id(&record)?;
        let lifecycle = &record.request.lifecycle;
        let attach = !lifecycle.detach;
        let filter = if self.why { created.plan.as_ref().map(selkie_engine::resolved_filter).transpose()?.flatten() } else { None };
        let records = context.engine.store().records(&record.id);
        let hold = |pid: i32| watcher.as_ref().map_or(Ok(()), |watcher| watcher.borrow_mut().watch(pid, &records));
        let options = StartOptions {
            hold: watcher.is_some().then_some(Hold(&hold)),
            trace: watcher.as_ref().is_some_and(|watcher| !watcher.borrow().rung.sees_checks()),
            attach,
            size: if process.tty { terminal_size() } else { None },
            preserve: preserved(process.preserve_fds)?,
            ..StartOptions::default()
        };
        let attached = match context.engine.start_created(created, &options) {
            Ok(attached) => attached,
            Err(error) => {
                // A file capability above the bounding set lets nothing start: that is told, and kept for `why`.
                if let Some(trace) = watcher.and_then(|watcher| watcher.into_inner().trace()) {
                    tell(&why::show(&evidence(&trace, filter.as_ref()), false));
                }
                return Err(error.into());
            }
        };
        if !attach {
            out::line(record.id.as_str())?;
            return Ok(ExitCode::SUCCESS);
        }
        let end = serve(&attached, &attach_options(&record.request, detach_keys), &mut |signal| {
            // A container that has just ended needs no signal any more.
            let _ = Container::load(context.engine.store(), &record.id).map(|container| context.engine.kill(&container, signal));
        })?;
        match end {
            End::Detached | End::Unread => Ok(end.code()),
            End::Exited(code) => {
                if lifecycle.remove {
                    remove(context, &record.id, &attached)?;
                }
                if let Some(trace) = watcher.and_then(|watcher| watcher.into_inner().trace()) {
                    tell(&why::show(&evidence(&trace, filter.as_ref()), false));
                } else if code != 0 && !process.tty && std::io::IsTerminal::is_terminal(&std::io::stderr()) {
                    tell("Hint: if something was refused, `selkie run --why` says what and why\n");
                }
                Ok(exit::of_status(code))
            }
        }
    }
}

/// Says something after the container's own output; a reader that is gone is no error.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(crate::ui::text::printable(text).as_bytes());
}

/// Returns the caller's descriptors 3, 4, ... that the program gets.
pub(crate) fn preserved(count: u32) -> Result<Vec<std::os::fd::BorrowedFd<'static>>, Failure> {
    (3..3_i32.saturating_add_unsigned(count))
        .map(|number| {
            let fd = selkie_sys::process::kept(number);
            match rustix::io::fcntl_getfd(fd) {
                Ok(_) => Ok(fd),
                Err(_) => Err(Failure::engine(format!(
                    "file descriptor {number} is not available - the preserve-fds option requires that file descriptors must be passed"
                ))),
            }
        })
        .collect()
}

/// Removes the container that this client has waited for.
pub(crate) fn remove(context: &Context, id: &selkie_engine::ContainerId, attached: &Attached) -> Result<(), Failure> {
    match context.engine.remove_ended(id, attached) {
        // Somebody else was quicker.
        Err(selkie_engine::Error::NoSuchContainer { .. }) => Ok(()),
        removed => Ok(removed?),
    }
}

/// Returns how a client of a container made by `request` behaves.
pub(crate) fn attach_options(request: &Request, detach_keys: Vec<u8>) -> Options {
    let streams = &request.lifecycle.attach;
    let wanted = |stream: Stream| streams.is_empty() || streams.contains(&stream);
    Options {
        interactive: request.process.interactive && wanted(Stream::Stdin),
        tty: request.process.tty,
        detach_keys,
        proxy: request.lifecycle.sig_proxy.unwrap_or(true)
            && !(request.process.tty && request.process.interactive && std::io::IsTerminal::is_terminal(&std::io::stdin())),
        stdout: wanted(Stream::Stdout),
        stderr: wanted(Stream::Stderr),
        watches_reader: false,
    }
}
