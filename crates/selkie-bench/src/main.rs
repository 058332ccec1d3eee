//! `selkie-bench`: times selkie, the bare floor and its peers side by side, in one session and in turns, so that whatever
//! else the machine does falls on all alike. It prints ratios; nothing here is a test, and no number fails a build.
//!
//! ```text
//! selkie-bench [--rounds N] [--selkie PATH] [--workloads ROOT] [--write FILE]
//! selkie-bench floor ROOT COMMAND...       the floor itself: the namespaces, pivot_root, exec, and nothing else
//! selkie-bench learn --root DIR [--observer NAME] [--only NAME] [--write FILE]      the workloads, each learned
//! selkie-bench run [the flags above]       only `run --rm` and what is below it
//! selkie-bench memory [the flags above]    only what a monitor takes
//! selkie-bench checks                      what watching capability checks costs a system call
//! selkie-bench nginx [the flags above]     nginx under load, observed and not; what learning it takes
//! selkie-bench audit [the flags above]     reports of a thousand containers
//! selkie-bench processes [the flags above]  `caps ps` of thousands of processes
//! selkie-bench loop                        the bare loop over the status files of all processes
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod audit;
mod checks;
mod engines;
mod floor;
mod learn;
mod measure;
mod nginx;
mod processes;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::engines::Setup;
use crate::report::Report;

/// Any failure: a benchmark that cannot run says why and stops.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == "floor" => floor::main(rest),
        Some((first, rest)) if first == "learn" => learn::main(rest),
        Some((first, _)) if first == "loop" => processes::main(false),
        Some((first, _)) if first == "loop-namespaces" => processes::main(true),
        Some((first, rest)) if first == "run" => Options::parse(rest).and_then(|options| {
            let mut report = Report::new();
            engines::run_and_remove(&Setup::new(&options.selkie)?, options.rounds, &mut report)?;
            print!("{}", report.render());
            Ok(())
        }),
        Some((first, rest)) if first == "memory" => Options::parse(rest).and_then(|options| {
            let mut report = Report::new();
            engines::memory(&Setup::new(&options.selkie)?, &mut report)?;
            print!("{}", report.render());
            Ok(())
        }),
        Some((first, _)) if first == "checks" => checks::table(&mut Report::new()),
        Some((first, rest)) if first == "audit" => {
            Options::parse(rest).and_then(|options| audit::formats(&options.selkie, options.rounds, &mut Report::new()))
        }
        Some((first, rest)) if first == "processes" => Options::parse(rest).and_then(|options| {
            let mut report = Report::new();
            processes::scan(&Setup::new(&options.selkie)?, &mut report)?;
            print!("{}", report.render());
            Ok(())
        }),
        Some((first, rest)) if first == "nginx" => Options::parse(rest).and_then(|options| {
            let setup = Setup::new(&options.selkie)?;
            nginx(&setup, &options, &mut Report::new())
        }),
        Some((first, rest)) if first == "checks-hold" => checks::held(rest),
        Some((first, rest)) if first == "checks-loop" => checks::loops(rest),
        _ => Options::parse(&arguments).and_then(|options| run(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("Error: {problem}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    rounds: usize,
    selkie: PathBuf,
    workloads: PathBuf,
    write: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("selkie");
        let mut options = Self { rounds: 20, selkie: beside, workloads: nginx::usual_root(), write: None };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--rounds" => options.rounds = value.parse().map_err(|_| format!("{value:?} is no number of rounds"))?,
                "--selkie" => options.selkie = PathBuf::from(value),
                "--workloads" => options.workloads = PathBuf::from(value),
                "--write" => options.write = Some(PathBuf::from(value)),
                _ => return Err(format!("unknown flag {word}")),
            }
        }
        Ok(options)
    }
}

fn nginx(setup: &Setup, options: &Options, report: &mut Report) -> Result<()> {
    let root = std::path::absolute(&options.workloads).map_err(|error| error.to_string())?;
    nginx::throughput(setup, &root, report)?;
    nginx::learning(setup, &root, report)
}

fn run(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err("the benchmarks make containers, which needs root in this version".to_owned());
    }
    let setup = Setup::new(&options.selkie)?;
    let mut report = Report::new();
    // Of what is measured here it is the one with most that is done at the same time, and so with the widest spread.
    engines::run_and_remove(&setup, options.rounds * 2, &mut report)?;
    engines::exec(&setup, options.rounds, &mut report)?;
    engines::start_and_stop(&setup, options.rounds / 2, &mut report)?;
    engines::look(&setup, options.rounds, &mut report)?;
    engines::parallel(&setup, &mut report)?;
    engines::memory(&setup, &mut report)?;
    processes::scan(&setup, &mut report)?;
    audit::formats(&options.selkie, options.rounds / 2, &mut report)?;
    checks::table(&mut report)?;
    nginx(&setup, options, &mut report)?;
    let text = report.render();
    print!("{text}");
    if let Some(path) = &options.write {
        std::fs::write(path, report.page()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
