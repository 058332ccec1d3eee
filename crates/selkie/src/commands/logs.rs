//! `selkie logs`

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use selkie_engine::{Container, LogEntry, read_log};

use crate::context::Context;
use crate::exit;
use crate::ui::error::Failure;
use crate::ui::{reader, time};

/// Show the output of containers.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on showing what comes, until the container ends.
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only the last so many lines.
    #[arg(long, allow_negative_numbers = true, default_value = "-1", hide_default_value = true)]
    tail: String,
    /// With the time of each line.
    #[arg(long, short = 't')]
    timestamps: bool,
    /// Only since then: RFC 3339, seconds since 1970, or a duration such as 10m.
    #[arg(long)]
    since: Option<String>,
    /// Only until then; a duration is from now on, as in Podman: with --follow, for so long.
    #[arg(long)]
    until: Option<String>,
    /// Of several containers: with the name on each line, not the id.
    #[arg(long, short = 'n')]
    names: bool,
    /// Of several containers: the ids or names in colours.
    #[arg(long)]
    color: bool,
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// Names or ids.
    containers: Vec<String>,
}

impl Logs {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let containers = match (self.containers.as_slice(), self.latest) {
            ([], true) => vec![context.latest()?],
            ([], false) => return Err(Failure::engine("specify at least one container name or ID to log")),
            (names, _) => names.iter().map(|name| context.container(name)).collect::<Result<_, _>>()?,
        };
        let tail = if self.tail == "all" {
            -1
        } else {
            self.tail.parse::<i64>().map_err(|_| {
                Failure::usage(format!(
                    "invalid argument {0:?} for \"--tail\" flag: strconv.ParseInt: parsing {0:?}: invalid syntax",
                    self.tail
                ))
            })?
        };
        let window = (time::moment("--since", self.since.as_deref())?, time::coming("--until", self.until.as_deref())?);
        for (number, container) in containers.iter().enumerate() {
            // Of one alone it is known whose lines they are.
            let whose = if containers.len() > 1 { self.label(container, number) } else { String::new() };
            let whose = Whose { container, label: &whose };
            if self.show(context, &whose, usize::try_from(tail).ok(), window)? == Reader::Gone {
                return Ok(ExitCode::from(exit::UNREAD));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Returns what stands before each line of a container when there are several.
    fn label(&self, container: &Container, number: usize) -> String {
        let name = if self.names { container.record.name.as_str() } else { container.id().short() };
        match COLOURS.get(number % COLOURS.len()).filter(|_| self.color) {
            Some(colour) => format!("\x1b[{colour}m{name}\x1b[0m "),
            None => format!("{name} "),
        }
    }

    fn show(&self, context: &Context, whose: &Whose<'_>, tail: Option<usize>, window: Window) -> Result<Reader, Failure> {
        let container = whose.container;
        let driver = container.record.request.lifecycle.log_driver;
        if driver == Some(selkie_plan::LogDriver::None) {
            return Err(Failure::engine(
                "this container is using the 'none' log driver, cannot read logs: this container is not logging output",
            ));
        }
        let Some(file) = self.open(context, container)? else {
            let is_gone = self.follow && reader::is_gone(std::io::stdout());
            return Ok(if is_gone { Reader::Gone } else { Reader::There });
        };
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        while let Some(entry) = read_log(&mut reader)? {
            if within(&entry, window) {
                match tail {
                    Some(_) => entries.push(entry),
                    None if self.print(whose, &entry)? == Reader::Gone => return Ok(Reader::Gone),
                    None => {}
                }
            }
        }
        let skipped = tail.map_or(0, |tail| entries.len().saturating_sub(tail));
        for entry in entries.iter().skip(skipped) {
            if self.print(whose, entry)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        if self.follow { self.follow(context, whose, &mut reader, window) } else { Ok(Reader::There) }
    }

    /// Opens the log, which begins with the first output: `None` if there was none, and none is waited for any more.
    fn open(&self, context: &Context, container: &Container) -> Result<Option<File>, Failure> {
        let path = context.engine.log_path(container);
        loop {
            let is_over = !self.follow || is_over(context, container);
            match File::open(&path) {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::engine(format!("cannot read `{}`: {error}", path.display())));
                }
                Err(_) if is_over || pause() == Reader::Gone => return Ok(None),
                Err(_) => {}
            }
        }
    }

    /// Shows what comes until nothing can come any more.
    fn follow(&self, context: &Context, whose: &Whose<'_>, reader: &mut impl BufRead, window: Window) -> Result<Reader, Failure> {
        loop {
            let is_over = is_over(context, whose.container);
            while let Some(entry) = read_log(reader)? {
                if within(&entry, window) && self.print(whose, &entry)? == Reader::Gone {
                    return Ok(Reader::Gone);
                }
            }
            if is_over || window.1.is_some_and(|until| jiff::Timestamp::now() >= until) {
                return Ok(Reader::There);
            }
            if pause() == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
    }

    fn print(&self, whose: &Whose<'_>, entry: &LogEntry) -> Result<Reader, Failure> {
        let mut line = whose.label.as_bytes().to_vec();
        if self.timestamps {
            line.extend(format!("{} ", entry.time).bytes());
        }
        line.extend(&entry.content);
        let written = if entry.is_error { std::io::stderr().lock().write_all(&line) } else { std::io::stdout().lock().write_all(&line) };
        match written {
            Ok(()) => Ok(Reader::There),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whoever reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    There,
    /// There is nobody to go on for, as after `head -1`.
    Gone,
}

/// A container and what stands before its lines.
struct Whose<'a> {
    container: &'a Container,
    label: &'a str,
}

/// Podman's, in its order.
const COLOURS: [u8; 6] = [37, 31, 33, 34, 35, 36];

/// How long to wait for more.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for more.
fn pause() -> Reader {
    let began = Instant::now();
    if reader::is_gone_within(std::io::stdout(), PAUSE) {
        return Reader::Gone;
    }
    // What is neither pipe nor socket may have ended the wait at once.
    std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
    Reader::There
}

/// Returns whether the container has ended and the last that it said is in its log: its monitor is gone, too.
fn is_over(context: &Context, container: &Container) -> bool {
    let loaded = Container::load(context.engine.store(), container.id()).ok();
    let live = loaded.and_then(|container| container.live).or_else(|| container.live.clone());
    live.is_none_or(|live| !live.init.is_alive() && !live.monitor.is_alive())
}

/// Seconds and nanoseconds since 1970, from and to.
type Window = (Option<jiff::Timestamp>, Option<jiff::Timestamp>);

fn within(entry: &LogEntry, (since, until): Window) -> bool {
    let Some(then) = time::parse(&entry.time) else { return true };
    since.is_none_or(|since| then >= since) && until.is_none_or(|until| then <= until)
}
