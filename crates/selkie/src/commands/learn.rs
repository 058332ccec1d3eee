//! `selkie learn`

mod oracle;
mod show;

pub(crate) use show::failure;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use selkie_engine::Identity;
use selkie_engine::learn::{self, Learned, Progress, Wish};
use selkie_engine::profile::Profile;
use selkie_learn::{Report, Surroundings, Trace, evidence, explain};

use crate::commands::create::check_files;
use crate::commands::subject::Subject;
use crate::context::Context;
use crate::exit;
use crate::flags::{ContainerFlags, System};
use crate::ui::error::Failure;
use crate::ui::style::Style;
use crate::ui::{out, text, wrap};

/// Find the capabilities that a workload needs by running it, and prove them.
///
/// Runs the container with what you give, then from nothing upwards, then without each capability
/// of the result. Each one that is kept comes with the run that failed without it. Every run has a
/// throw-away layer and namespaces of its own; volumes are shared between runs. Takes all flags of
/// `run`.
///
/// How it is told whether the workload works (all that are given have to hold):
///   a command that ends   its exit code is 0, or --exit-code
///   a service             --tcp, --udp, --http, --output, --notify, --health, --file, --check;
///                         without any of these what the first run does has to go on: ports
///                         that it listens on and how they answer
/// A capability that is only used when the service is used is found with --exercise.
///
/// Progress is on standard error, the result on standard output. Exit status 0 only when the set
/// is proven.
///
/// Examples:
///   selkie learn host: nginx -g 'daemon off;'
///   selkie learn --http :80/ --exercise './client-tests.sh' docker.io/library/nginx
///   selkie learn --format json host: ping -c 1 127.0.0.1
///   selkie learn --cap-add net_admin --check 'test -e /run/ready' myservice
///   selkie learn --attach web                     # evidence from what runs, no proof
///   selkie run --profile nginx nginx
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, disable_help_flag = true, args_override_self = true)]
pub(crate) struct Learn {
    #[command(flatten)]
    oracle: oracle::OracleFlags,
    #[command(flatten)]
    how: HowFlags,
    #[command(flatten)]
    container: ContainerFlags,
}

/// How it is learned.
#[derive(Debug, Args)]
#[command(next_help_heading = "Learning")]
struct HowFlags {
    /// How often the result has to pass.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Nothing may be refused that was not refused in the first run.
    #[arg(long)]
    strict: bool,
    /// Do not look for changes that need no capability.
    #[arg(long)]
    no_zero: bool,
    /// How checks are seen: `auto`, `bpf` or `ptrace`.
    #[arg(long, default_value = "auto")]
    observer: String,
    /// Keep the profile under this name (default: --name, or the name of the image or program).
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Keep no profile.
    #[arg(long, conflicts_with = "save")]
    no_save: bool,
    /// Print the result as `text` or `json`.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// Write the trace of the last run to this file.
    #[arg(long, value_name = "FILE")]
    record: Option<String>,
    /// Repeat the verdict on a trace that --record wrote; runs nothing.
    #[arg(long, value_name = "FILE")]
    from_trace: Option<String>,
}

impl Learn {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if let Some(path) = &self.how.from_trace {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::engine(format!("cannot read `{path}`: {error}")))?;
            let trace = Trace::parse(&text).map_err(|error| Failure::from_error(&error, exit::ENGINE, None).about(path))?;
            return seen(&trace, &self.how.format);
        }
        // With an image, `--attach` is the flag of `run`.
        if let ([whom], true) = (self.container.lifecycle.attach.as_slice(), self.container.words.is_empty()) {
            return attach(context, whom, &self.how);
        }
        let request = self.container.request(&System)?;
        check_files(&request)?;
        let request = anywhere(request)?;
        let oracle = self.oracle.oracle(context, &request)?;
        let wish = Wish {
            request: request.clone(),
            oracle,
            repeats: self.how.repeats,
            strict: self.how.strict,
            zero: !self.how.no_zero,
            start_from: None,
        };
        let name = self.name(&request)?;
        let quiet = self.container.lifecycle.quiet.unwrap_or(false);
        let Learned { report, trace, failure } = learned(context, &wish, &self.how.observer, quiet)?;
        if let Some(failure) = failure.as_ref().filter(|failure| !matches!(failure, learn::Failure::Interrupted)) {
            if self.how.format == "json" {
                print(&report, "json")?;
            }
            return Err(show::failure(failure));
        }
        if let Some(path) = &self.how.record {
            std::fs::write(path, trace.to_text()).map_err(|error| Failure::engine(format!("cannot write `{path}`: {error}")))?;
        }
        // What was interrupted before anything passed is nothing to keep, and no set to show.
        let has_passed = report.log.iter().any(|run| run.passed);
        if let Some(name) = name.filter(|_| has_passed)
            && self.replaces(context, &name, &report)
        {
            let Wish { request, oracle, repeats, strict, .. } = wish;
            let profile =
                Profile { name: name.clone(), request, oracle, repeats, strict, report: report.clone(), learned: selkie_engine::now() };
            profile.save(context.engine.store())?;
            let used = format!("selkie run --profile {name}, selkie export {name} --to FORMAT");
            let used = if report.proven { used } else { "not proven, and not enforced".to_owned() };
            note(&format!("kept as profile `{name}`: {used}"));
        }
        if has_passed || self.how.format == "json" {
            print(&report, &self.how.format)?;
        }
        if let Some(failure) = &failure {
            return Err(show::failure(failure));
        }
        Ok(if report.proven { ExitCode::SUCCESS } else { exit::of_status(1) })
    }

    /// Returns whether this result takes the place of what is kept under `name`, and says so: what is proven is not given away for
    /// what is not.
    fn replaces(&self, context: &Context, name: &str, report: &Report) -> bool {
        // One that cannot be read is of no use to anybody.
        let Ok(kept) = Profile::load(context.engine.store(), name) else { return true };
        if kept.report.proven && !report.proven {
            note(&format!("profile `{name}` is proven and stays; --save OTHER keeps what is not"));
            return false;
        }
        let (before, now) = (&kept.report.relative_to, &report.relative_to);
        if (&before.image, &before.command) != (&now.image, &now.command) {
            let words = selkie_plan::export::shell_words(&before.command);
            note(&format!("profile `{name}` was that of {} `{words}`; --save OTHER keeps both", before.image));
        }
        true
    }

    /// The name that the profile is kept under.
    fn name(&self, request: &selkie_plan::Request) -> Result<Option<String>, Failure> {
        if self.how.no_save {
            return Ok(None);
        }
        let said = self.how.save.clone().or_else(|| request.name.clone());
        let derived = || {
            let image = request.image.as_deref().unwrap_or_default();
            let word = match (image, request.command.first()) {
                ("host:" | "", Some(program)) => program.as_str(),
                _ => image,
            };
            profile_name(word)
        };
        let name = said.unwrap_or_else(derived);
        selkie_engine::Name::parse(&name)?;
        Ok(Some(name))
    }
}

/// Returns the name of a profile for an image or a program: without registry, directory, tag, and what no name may have.
fn profile_name(word: &str) -> String {
    let last = word.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let bare = last.split([':', '@']).next().unwrap_or_default();
    let fits = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let name: String = bare.chars().filter(|character| fits(*character)).collect();
    let name = name.trim_start_matches(['_', '.', '-']);
    if name.is_empty() { "workload".to_owned() } else { name.to_owned() }
}

/// Returns the container with the path of its root file system as it is found from everywhere: a profile outlives this directory.
fn anywhere(mut request: selkie_plan::Request) -> Result<selkie_plan::Request, Failure> {
    if let Some(rootfs) = &mut request.rootfs {
        let (path, rest) = match rootfs.strip_suffix(":O") {
            Some(path) => (path, ":O"),
            None => (rootfs.as_str(), ""),
        };
        *rootfs = format!("{}{rest}", std::path::absolute(path)?.display());
    }
    Ok(request)
}

/// Prints a result as `json` or text.
pub(crate) fn print(report: &Report, format: &str) -> Result<(), Failure> {
    if format == "json" {
        return out::json(report);
    }
    out::painted(&show::report(report))
}

/// Prints what a trace shows.
fn seen(trace: &Trace, format: &str) -> Result<ExitCode, Failure> {
    let shown = evidence(trace, None);
    if format == "json" {
        out::json(&shown)?;
    } else {
        out::print(&show::evidence(&shown))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Watches something that runs until it ends or the user has seen enough, and prints what it showed.
fn attach(context: &Context, whom: &str, how: &HowFlags) -> Result<ExitCode, Failure> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
    let pid = Subject::find(context, Some(whom), false)?.pid()?.cast_signed();
    let process = Identity::of(pid)?;
    let interrupted = interruptible()?;
    let observer = selkie_observe::choose(&how.observer)?;
    let number = u64::from(std::process::id()) << 32 | 1;
    observer.attach(selkie_observe::Subject { context: number, pid })?;
    write(&format!("watching {whom}; Ctrl-C ends it\n"));
    while !interrupted.load(Ordering::Relaxed) && process.is_alive() {
        for call in observer.poll(number)? {
            if let Some(cause) = selkie_learn::cause(&call, Surroundings { filter: None, has_stacks: true }) {
                write(&format!("{}\n", text::one_line(&explain(&call, &cause).sentence)));
            }
        }
        std::thread::sleep(PAUSE);
    }
    let trace = observer.finish(number)?;
    if let Some(path) = &how.record {
        std::fs::write(path, trace.to_text()).map_err(|error| Failure::engine(format!("cannot write `{path}`: {error}")))?;
    }
    seen(&trace, &how.format)
}

/// Learns what is wished, seen by the observer of this name, with its progress on standard error unless it is to be quiet.
pub(crate) fn learned(context: &Context, wish: &Wish, observer: &str, quiet: bool) -> Result<Learned, Failure> {
    // Before anything runs in another thread: this has to be a process of one.
    let plan = learn::prepare(&context.engine, wish)?;
    let interrupted = interruptible()?;
    let observer = selkie_observe::choose(observer)?;
    Ok(learn::learn(&context.engine, wish, &plan, observer.as_ref(), &interrupted, &mut |step| {
        if !quiet {
            show_progress(step);
        }
    })?)
}

/// Makes Ctrl-C and SIGTERM a wish to stop.
fn interruptible() -> Result<Arc<AtomicBool>, Failure> {
    const INTERRUPT: i32 = 2;
    const TERMINATE: i32 = 15;
    let signals = selkie_sys::signal::descriptor(&[INTERRUPT, TERMINATE])?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    std::thread::spawn(move || {
        let mut polled = [rustix::event::PollFd::from_borrowed_fd(signals.as_fd(), rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut polled, None).is_err() {}
        flag.store(true, Ordering::Relaxed);
    });
    Ok(interrupted)
}

/// Shows a line a run, on standard error.
fn show_progress(step: Progress) {
    let live = std::io::stderr().is_terminal();
    let style = Style::stderr();
    match step {
        // One line, whatever the terminal's width: it is overwritten.
        Progress::Begins { number, purpose, set } if live => {
            let line = format!("{number:>3}  {purpose:<26} ...  {}", show::names(set));
            let fits: String = line.chars().take(columns().saturating_sub(1)).collect();
            write(&format!("{CLEAR}{fits}"));
        }
        Progress::Begins { .. } => {}
        Progress::Ended { number, purpose, set, failure, took } => {
            let said = match failure {
                None => style.good("passed"),
                Some(reason) => format!("{}: {}", style.bad("failed"), text::one_line(&reason)),
            };
            let set = style.faint(&format!("[{}]", show::names(set)));
            progress_line(&format!("{number:>3}  {purpose:<26} {:>6.2} s  {said}  {set}", took.as_secs_f64()));
        }
        Progress::Note(text) => note(&text),
    }
}

/// Something to know, between the lines of the runs.
fn note(note: &str) {
    progress_line(&format!("     {}", text::one_line(note)));
}

/// Begins the line again and takes away what is in it.
const CLEAR: &str = "\r\x1b[K";

/// Writes a line in place of what was shown for the moment. A terminal gets it in lines that it holds.
fn progress_line(line: &str) {
    if std::io::stderr().is_terminal() {
        write(&format!("{CLEAR}{}\n", wrap::hanging(line, AFTER_NUMBER, columns().saturating_sub(1))));
    } else {
        write(&format!("{line}\n"));
    }
}

/// How far what goes on in another line is from the edge: it stands under the purpose.
const AFTER_NUMBER: usize = 5;

/// The width of the terminal that progress is shown on.
fn columns() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns }
}

/// Writes to standard error; a reader that is gone is no reason to stop learning.
fn write(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::profile_name;

    #[test]
    fn profile_name_of_any_word_is_a_name() {
        let table =
            [("docker.io/library/nginx:1.27", "nginx"), ("/usr/sbin/nginx", "nginx"), ("[", "workload"), ("_x y/", "xy"), ("", "workload")];
        for (word, expected) in table {
            assert_eq!(profile_name(word), expected);
        }
    }
}
