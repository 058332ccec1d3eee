//! The command line: global flags, then a verb. `container VERB` and `image VERB` are the same verbs under longer names.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use selkie::flags;

use crate::commands::{Verb, unsupported};
use crate::context::Context;
use crate::ui::error::{Failure, Stop};

/// Behind the name, in Podman's words: scripts take the third one.
const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

/// Run containers with only the privileges that they need.
#[derive(Debug, Parser)]
#[command(name = "selkie", version = VERSION, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags before the verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// Directory of images and containers.
    #[arg(long)]
    pub(crate) root: Option<PathBuf>,
    /// Directory of what does not outlive a reboot.
    #[arg(long)]
    pub(crate) runroot: Option<PathBuf>,
    /// Directory of temporary files (as Podman; unused).
    #[arg(long, hide = true)]
    tmpdir: Option<PathBuf>,
    /// How much is logged (as Podman; unused).
    #[arg(long, hide = true)]
    log_level: Option<String>,
    /// Who makes cgroups: only `cgroupfs` (as Podman; unused).
    #[arg(long, hide = true)]
    cgroup_manager: Option<String>,
    /// How layers are stored: only `overlay`.
    #[arg(long, hide = true)]
    storage_driver: Option<String>,
    /// Where events go (as Podman; unused).
    #[arg(long, hide = true)]
    events_backend: Option<String>,
    /// Another OCI runtime.
    #[arg(long)]
    runtime: Option<String>,
    /// `-v`, as Podman has it beside `--version`.
    #[arg(short = 'v', hide = true, action = clap::ArgAction::Version)]
    short_version: Option<bool>,
}

impl Cli {
    /// Runs the verb.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(runtime) = self.globals.runtime.as_deref().filter(|runtime| !runtime.is_empty()) {
            return Err(Failure::engine(format!("--runtime {runtime}: not supported yet")));
        }
        if let Some(driver) = self.globals.storage_driver.as_deref().filter(|driver| !matches!(*driver, "" | "overlay")) {
            return Err(Failure::engine(format!("--storage-driver {driver}: not supported yet, only overlay is")));
        }
        self.verb.run(&self.globals)
    }
}

impl Globals {
    /// Builds the surroundings of a command.
    pub(crate) fn context(&self) -> Result<Context, Failure> {
        Context::new(self)
    }
}

/// Parses the command line.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, Stop> {
    let arguments = expand(arguments)?;
    let name = verb(&arguments);
    let build = || name.as_deref().and_then(Verb::command).map_or_else(command, with);
    let (matches, refused) = flags::parse(build, &arguments).map_err(|error| explain(&error, &arguments))?;
    if let Some(refused) = refused {
        return Err(Stop::Usage(refused.to_string()));
    }
    Cli::from_arg_matches(&matches).map_err(|error| explain(&error, &arguments))
}

/// The command line with one verb only.
fn with(verb: clap::Command) -> clap::Command {
    let root = clap::Command::new("selkie").version(VERSION).disable_help_subcommand(true).max_term_width(100);
    Globals::augment_args(root).subcommand(flowing(verb)).subcommand_required(true)
}

/// Returns the first word that is neither a global flag nor a value of one.
fn verb(arguments: &[OsString]) -> Option<String> {
    verbs(arguments).next().map(str::to_owned)
}

/// Returns the words that are neither global flags nor values of them, until one is no text.
fn verbs(arguments: &[OsString]) -> impl Iterator<Item = &str> {
    let mut words = arguments.iter().skip(1).map_while(|word| word.to_str());
    std::iter::from_fn(move || {
        loop {
            match words.next()? {
                word if WITH_VALUE.contains(&word) => _ = words.next(),
                word if word.starts_with('-') => {}
                word => return Some(word),
            }
        }
    })
}

/// Returns whether these arguments, as far as their verb tells, start a process in a container.
pub(crate) fn starts_process(arguments: &[OsString]) -> bool {
    let only_says = arguments.iter().any(|word| word == "--help" || word.as_encoded_bytes().starts_with(b"--dry-run"));
    let mut verbs = verbs(arguments);
    let verb = verbs.next().and_then(|verb| if verb == "container" { verbs.next() } else { Some(verb) });
    !only_says && matches!(verb, Some("run" | "start" | "exec"))
}

/// Returns the whole command line, for help and completions.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(flowing)
}

/// Lets the paragraphs of a command's help, and of its own commands', be as wide as the terminal.
///
/// They are taken as they stand in the source, for the sake of the examples in them: lines that are indented stay as they are.
fn flowing(command: clap::Command) -> clap::Command {
    let about = command.get_long_about().map(|about| flow(&about.to_string()));
    let mut command = match about {
        Some(about) => command.long_about(about),
        None => command,
    };
    // In the list of verbs it is a heading, whether or not more is said of the verb.
    if let Some(heading) = command.get_about().map(|about| about.to_string().trim_end_matches('.').to_owned()) {
        command = command.about(heading);
    }
    command.mut_subcommands(flowing)
}

/// Makes one line of each paragraph.
fn flow(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    let mut in_paragraph = false;
    for line in text.lines() {
        let goes_on = in_paragraph && line.starts_with(|first: char| !first.is_whitespace());
        if !flowing.is_empty() {
            flowing.push(if goes_on { ' ' } else { '\n' });
        }
        flowing.push_str(line);
        in_paragraph = line.starts_with(|first: char| !first.is_whitespace());
    }
    flowing
}

/// Global flags that take a value, so that the verb behind them is found.
const WITH_VALUE: [&str; 8] =
    ["--root", "--runroot", "--tmpdir", "--log-level", "--cgroup-manager", "--storage-driver", "--events-backend", "--runtime"];

/// Podman's groups: the verb of the group, and what it is called here.
const CONTAINER: [(&str, &[&str]); 23] = [
    ("attach", &["attach"]),
    ("cleanup", &["__cleanup"]),
    ("create", &["create"]),
    ("exec", &["exec"]),
    ("exists", &["__container-exists"]),
    ("inspect", &["inspect", "--type", "container"]),
    ("kill", &["kill"]),
    ("list", &["ps"]),
    ("logs", &["logs"]),
    ("ls", &["ps"]),
    ("pause", &["pause"]),
    ("port", &["port"]),
    ("prune", &["__container-prune"]),
    ("ps", &["ps"]),
    ("rename", &["rename"]),
    ("restart", &["restart"]),
    ("rm", &["rm"]),
    ("run", &["run"]),
    ("start", &["start"]),
    ("stop", &["stop"]),
    ("top", &["top"]),
    ("unpause", &["unpause"]),
    ("wait", &["wait"]),
];

const IMAGE: [(&str, &[&str]); 9] = [
    ("exists", &["__image-exists"]),
    ("import", &["import"]),
    ("inspect", &["inspect", "--type", "image"]),
    ("list", &["images"]),
    ("load", &["load"]),
    ("ls", &["images"]),
    ("rm", &["rmi"]),
    ("tag", &["tag"]),
    ("untag", &["untag"]),
];

/// Replaces `container VERB` and `image VERB` by the verb itself, and `help VERB` by its flag.
fn expand(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Stop> {
    let mut at = 1;
    while let Some(word) = arguments.get(at).and_then(|word| word.to_str()).filter(|word| word.starts_with('-')) {
        at += if WITH_VALUE.contains(&word) { 2 } else { 1 };
    }
    if arguments.get(at).is_some_and(|word| word == "help") {
        arguments.remove(at);
        arguments.push("--help".into());
    }
    let group: &[(&str, &[&str])] = match arguments.get(at).and_then(|word| word.to_str()) {
        Some("container") => &CONTAINER,
        Some("image") => &IMAGE,
        _ => return Ok(arguments),
    };
    let name = arguments.get(at).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(verb) = arguments.get(at + 1).map(|word| word.to_string_lossy().into_owned()) else {
        return Err(Stop::Usage(format!("missing command 'selkie {name} COMMAND'")));
    };
    if matches!(verb.as_str(), "--help" | "-h") {
        let verbs: Vec<&str> = group.iter().map(|(verb, _)| *verb).filter(|verb| *verb != "cleanup").collect();
        return Ok(vec![arguments.first().cloned().unwrap_or_default(), "__group-help".into(), name.into(), verbs.join(" ").into()]);
    }
    if unsupported::is_later(&name, &verb) {
        return Err(Stop::Usage(format!("{name} {verb}: not supported yet")));
    }
    let Some((_, words)) = group.iter().find(|(known, _)| *known == verb) else {
        return Err(unrecognized(&format!("selkie {name} {verb}"), &format!("selkie {name}")));
    };
    arguments.splice(at..=at + 1, words.iter().map(OsString::from));
    Ok(arguments)
}

fn unrecognized(command: &str, group: &str) -> Stop {
    Stop::Usage(format!("unrecognized command `{command}`\nTry '{group} --help' for more information"))
}

/// Says what is wrong in Podman's words.
fn explain(error: &clap::Error, arguments: &[OsString]) -> Stop {
    let context = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    let verb = verb_of(arguments);
    let see = |text: String| Stop::Usage(format!("{text}\nSee 'selkie{verb} --help'"));
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Answer(error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand if verb.is_empty() => {
            Stop::NoCommand(command().render_help().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            see(format!("missing command 'selkie{verb} COMMAND'"))
        }
        ErrorKind::InvalidSubcommand => {
            unrecognized(&format!("selkie{verb} {}", context(ContextKind::InvalidSubcommand)).replace("  ", " "), "selkie")
        }
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg);
            if unsupported::is_later_flag(verb.trim_start(), &flag) {
                return Stop::Usage(format!("{flag}: not supported yet"));
            }
            match flag.strip_prefix("--") {
                Some(_) => see(format!("unknown flag: {flag}")),
                None if flag.starts_with('-') => see(format!("unknown shorthand flag: '{}' in {flag}", flag.trim_start_matches('-'))),
                None if takes_nothing(verb.trim_start()) => Stop::Usage(format!("`selkie{verb}` takes no arguments")),
                None => see(format!("`selkie{verb}` takes no argument {flag:?}")),
            }
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            see(needs_argument(arguments, &context(ContextKind::InvalidArg)))
        }
        ErrorKind::ValueValidation => {
            see(invalid_argument(verb.trim_start(), &context(ContextKind::InvalidArg), &context(ContextKind::InvalidValue), error))
        }
        ErrorKind::MissingRequiredArgument => see(format!("requires more arguments: {}", context(ContextKind::InvalidArg))),
        ErrorKind::InvalidUtf8 => see("an argument is not valid UTF-8".to_owned()),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            see(first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    }
}

/// Says that a flag at the end of the line has no value.
fn needs_argument(arguments: &[OsString], flag: &str) -> String {
    let typed = arguments.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match typed.strip_prefix('-').filter(|short| !short.starts_with('-')).and_then(|short| short.chars().last()) {
        Some(letter) => format!("flag needs an argument: '{letter}' in {typed}"),
        None => format!("flag needs an argument: {}", long(flag)),
    }
}

/// Says that the value of a flag is none, with the words of Go's parser.
fn invalid_argument(verb: &str, flag: &str, value: &str, error: &clap::Error) -> String {
    let flag = long(flag);
    let all = command();
    let found =
        all.find_subcommand(verb).and_then(|verb| verb.get_arguments().find(|argument| argument.get_long() == flag.strip_prefix("--")));
    let name = found.and_then(clap::Arg::get_short).map_or_else(|| flag.to_owned(), |short| format!("-{short}, {flag}"));
    let problem = error.source().map(ToString::to_string).unwrap_or_default();
    let problem = if problem.starts_with("strconv.") { problem } else { format!("strconv.ParseInt: parsing {value:?}: invalid syntax") };
    format!("invalid argument {value:?} for {name:?} flag: {problem}")
}

/// Returns `--name` of clap's `--name <VALUE>` or `--name[=<VALUE>]`.
fn long(flag: &str) -> &str {
    flag.split([' ', '[', '=']).next().unwrap_or(flag)
}

/// Returns whether a verb has no place for words that are not flags.
fn takes_nothing(verb: &str) -> bool {
    command().find_subcommand(verb).is_some_and(|verb| verb.get_positionals().next().is_none())
}

/// Returns what is printed behind an error about a value, once it is known of which verb's flag.
pub(crate) fn see_help(arguments: &[OsString]) -> String {
    format!("See 'selkie{} --help'", verb_of(arguments))
}

/// Returns the verb with a blank before it, as the user may type it, or nothing.
fn verb_of(arguments: &[OsString]) -> String {
    let known = |name: &String| command().get_subcommands().any(|subcommand| subcommand.get_name() == name);
    let typed = |name: String| match name.strip_prefix("__") {
        Some(inner) => inner.replacen('-', " ", 1),
        None => name,
    };
    verb(arguments).filter(known).map(typed).map_or_else(String::new, |name| format!(" {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_examples_stay() {
        let text = "What it\ndoes.\n\nMore of\nit.\n\nExamples:\n  selkie a\n  selkie b\n\nThe\nend";
        assert_eq!(flow(text), "What it does.\n\nMore of it.\n\nExamples:\n  selkie a\n  selkie b\n\nThe end");
    }

    #[test]
    fn process_is_started_by_three_verbs_in_both_forms() {
        let starts = |line: &str| starts_process(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "s run x",
            "s --root /r container run x",
            "s container --x exec c",
            "s -- start c",
            "s --root=/r exec c",
            "s container start a",
        ] {
            assert!(starts(line), "{line}");
        }
        for line in
            ["s", "s ps run", "s container", "s container ls run", "s --root run ps", "s run --help", "s run --dry-run=spec x", "s pod run"]
        {
            assert!(!starts(line), "{line}");
        }
    }

    #[test]
    fn verbs_are_listed_by_their_names_and_in_one_form() {
        let all = command();
        let shown: Vec<&clap::Command> = all.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
        let names: Vec<&str> = shown.iter().map(|verb| verb.get_name()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let headings: Vec<String> = shown.iter().filter_map(|verb| verb.get_about().map(ToString::to_string)).collect();
        assert!(headings.iter().all(|heading| !heading.contains(". ") && !heading.ends_with('.')), "{headings:?}");
    }

    #[test]
    fn help_breaks_lines_only_where_they_are_full() {
        fn check(command: &mut clap::Command) {
            let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            for (line, next) in about.lines().zip(about.lines().skip(1)) {
                let broken = line.starts_with(char::is_alphanumeric) && next.starts_with(char::is_alphanumeric);
                assert!(!broken, "`{}` breaks a paragraph: {line:?}, {next:?}", command.get_name());
            }
            command.get_subcommands_mut().for_each(check);
        }
        check(&mut command());
    }
}
