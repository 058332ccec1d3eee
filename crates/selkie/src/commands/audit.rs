//! `selkie audit`: what is wrong with containers: those that run, of every engine, and those that files describe.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selkie_audit::{Baseline, Entry, FILE_LIMIT, FileType, Learned, Older, Report, Severity, Trend};
use selkie_engine::profile::Profile;

use crate::cli::Globals;
use crate::commands::members;
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::{Failure, show as show_failure, warn};
use crate::ui::{out, style::Style};

mod files;
mod fix;
mod own;
mod running;
mod show;

/// Find what is wrong with containers, and say how to fix it.
///
/// Reads compose files, Kubernetes YAML, Quadlet units with the drop-ins beside them, OCI config.json, containers.conf, LXC and
/// nspawn configuration; `-` is standard input. A name that is no file is a container's, of any engine, or the beginning of its
/// id. Without either, the containers of selkie and of all other engines are audited. Whether one that runs is privileged is what
/// `selkie privileged` says. One that does not run is judged by its plan or the file that configures it, or by its flag and
/// capabilities, where no more is known of it. Images of which a profile was learned are held against it: by their digests, or
/// where these differ or are not known by their names, which the finding says. What each finding means is in docs/findings.md.
///
/// Exit status: 0 nothing at or above --fail-on, 1 findings, 2 a file could not be read, 125 an error of usage.
///
/// Examples:
///   selkie audit
///   selkie audit web compose.yaml
///   selkie audit --fail-on medium --format sarif --output audit.sarif deploy/*.yaml
///   selkie audit --baseline audit-baseline.json compose.yaml
///   selkie audit --fix compose.yaml
///   selkie audit --compare june.json --compare july.json --format html --output audit.html
///   helm template chart | selkie audit --format html - > audit.html
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Audit {
    /// Print as `table`, `json`, `sarif` or `html`.
    #[arg(long, default_value = "table", value_parser = ["table", "json", "sarif", "html"])]
    format: String,
    /// Write to this file in place of standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// The severity from which on the exit status is 1: `critical`, `high`, `medium`, `low`, or `none`.
    #[arg(long, default_value = "high", value_parser = ["critical", "high", "medium", "low", "none"], value_name = "SEVERITY")]
    fail_on: String,
    /// Accept the findings that this file names, each with its reason.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write a baseline of all present findings, whose reasons have to be filled in.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Say what has changed since this older result, a file of --format json. Several, the oldest first, make a picture of the page.
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    compare: Vec<PathBuf>,
    /// Show what would be changed in the files, and change it once that is confirmed.
    #[arg(long)]
    fix: bool,
    /// With --fix: change the files without asking.
    #[arg(long, short = 'y', requires = "fix")]
    yes: bool,
    /// What the files are: compose, kubernetes, quadlet, oci, containers.conf, lxc, nspawn (default: told by name and content).
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    api: members::Api,
    /// Files and containers.
    #[arg(value_name = "FILE|CONTAINER")]
    subjects: Vec<String>,
}

impl Audit {
    /// Audits files also where the configuration cannot be read: it may be the file that is audited. `None` without files.
    pub(crate) fn alone(&self, globals: &Globals) -> Option<Result<ExitCode, Failure>> {
        if self.subjects.is_empty() || !self.subjects.iter().all(|name| is_file(name)) {
            return None;
        }
        let learned = globals.context().and_then(|context| learned(&context)).unwrap_or_else(|failure| {
            warn(&format!("learned profiles are left out: {}", failure.line()));
            Vec::new()
        });
        Some(self.report(Vec::new(), &learned))
    }

    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let learned = learned(context)?;
        self.report(self.living(context, &learned)?, &learned)
    }

    /// Audits the containers that are named; all if nothing is.
    fn living(&self, context: &Context, learned: &[Learned]) -> Result<Vec<Entry>, Failure> {
        let procfs = procfs()?;
        let mut entries = Vec::new();
        if self.subjects.is_empty() {
            entries.push(own::entry(context, &procfs, context.containers()?, learned)?);
            entries.extend(running::entries(context, &procfs, learned, self.api)?);
        }
        for name in self.subjects.iter().filter(|name| !is_file(name)) {
            if let Some(container) = members::own(context, name)? {
                entries.push(own::entry(context, &procfs, vec![container], learned)?);
                continue;
            }
            let found = members::foreign(context, name, &procfs)?;
            let found = found.ok_or_else(|| Failure::engine(format!("{name}: neither a file nor a container")))?;
            let entry = running::entry(&found, &procfs, learned)?;
            entries.push(entry.ok_or_else(|| Failure::engine(format!("{name} has ended, or may not be looked into")))?);
        }
        running::say_stopped(&entries);
        Ok(entries)
    }

    fn report(&self, living: Vec<Entry>, learned: &[Learned]) -> Result<ExitCode, Failure> {
        let kind = self.kind()?;
        let baseline = self.baseline.as_deref().map(read_baseline).transpose()?;
        let older = self.older()?;
        let mut report = Report { version: env!("CARGO_PKG_VERSION").to_owned(), ..Report::default() };
        report.entries.extend(living);
        let joined = self.joined(kind);
        let is_joined = |name: &str| !joined.is_empty() && std::fs::canonicalize(name).is_ok_and(|path| joined.contains(&path));
        for name in self.subjects.iter().filter(|name| is_file(name) && !is_joined(name)) {
            self.file(&mut report, name, kind, learned);
        }
        accept(&mut report, baseline.as_ref());
        report.trend = Trend::of(&report, &older);
        if let Some(path) = &self.write_baseline {
            write_baseline(path, &report)?;
        }
        if self.fix {
            // A file that was changed is read again, so that the exit status is about what it says now.
            for name in fix::run(&report, kind, self.yes)? {
                let mut again = Report::default();
                self.file(&mut again, &name, kind, learned);
                accept(&mut again, baseline.as_ref());
                report.unreadable.append(&mut again.unreadable);
                for (old, new) in report.entries.iter_mut().filter(|entry| entry.name == name).zip(again.entries) {
                    *old = new;
                }
            }
        } else {
            self.print(&report)?;
        }
        Ok(self.status(&report))
    }

    /// Returns the drop-ins of the units that are named: they are read with these, and are no containers of their own.
    fn joined(&self, kind: Option<FileType>) -> BTreeSet<PathBuf> {
        let units = self.subjects.iter().filter(|name| is_file(name));
        let beside =
            units.filter_map(|name| files::beside(name, kind).ok()).flat_map(|beside| beside.read.into_iter().chain(beside.hidden));
        beside.filter_map(|path| std::fs::canonicalize(path).ok()).collect()
    }

    /// Reads the older results; of all but the last the counts are enough.
    fn older(&self) -> Result<Vec<Older>, Failure> {
        let mut all: Vec<Older> = Vec::new();
        for path in &self.compare {
            let one = read_older(path)?;
            if let Some(before) = all.last_mut() {
                before.keep_counts();
            }
            all.push(one);
        }
        Ok(all)
    }

    fn kind(&self) -> Result<Option<FileType>, Failure> {
        let Some(name) = &self.kind else { return Ok(None) };
        let unknown = || {
            let all = FileType::ALL.map(FileType::name).join(", ");
            Failure::engine(format!("--type {name}: not a kind of file, expected one of {all}"))
        };
        FileType::parse(name).map(Some).ok_or_else(unknown)
    }

    /// Adds what one file says; what cannot be read is said at once, and kept for the report.
    fn file(&self, report: &mut Report, name: &str, kind: Option<FileType>, learned: &[Learned]) {
        match files::read(name, FILE_LIMIT).and_then(|bytes| files::parse(name, &bytes, kind)) {
            Ok(file) => {
                let findings = file.judge(learned);
                report.entries.push(Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings });
            }
            Err(unreadable) => {
                show_failure(&unreadable.failure(name));
                report.unreadable.push((name.to_owned(), unreadable.problem));
            }
        }
    }

    fn print(&self, report: &Report) -> Result<(), Failure> {
        let text = match self.format.as_str() {
            "json" => pretty(&selkie_audit::json(report))?,
            "sarif" => pretty(&selkie_audit::sarif(report))?,
            "html" => selkie_audit::html(report),
            _ if self.output.is_some() => show::table(report, Style::none()),
            _ => return out::painted(&show::table(report, Style::stdout())),
        };
        match &self.output {
            Some(path) => files::write(path, text.as_bytes()),
            None => out::print(&text),
        }
    }

    fn status(&self, report: &Report) -> ExitCode {
        let limit = Severity::parse(&self.fail_on);
        match () {
            () if !report.unreadable.is_empty() => ExitCode::from(2),
            () if limit.is_some_and(|limit| report.worst().is_some_and(|worst| worst >= limit)) => ExitCode::from(1),
            () => ExitCode::SUCCESS,
        }
    }
}

/// Tells a file from a container: what has a slash or a dot in it is no id, and no name that is often given.
fn is_file(name: &str) -> bool {
    // A link that leads to itself does not exist, and is a file all the same.
    let is_there = |path: &std::path::Path| match path.metadata() {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()),
    };
    let path = std::path::Path::new(name);
    name == "-" || name.contains('/') || is_there(path) || path.extension().is_some()
}

fn pretty(value: &serde_json::Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::engine(error.to_string()))?;
    Ok(text + "\n")
}

/// Returns the profiles that can be held against containers: those that are proven.
fn learned(context: &Context) -> Result<Vec<Learned>, Failure> {
    let (profiles, damaged) = Profile::all(context.engine.store())?;
    for error in damaged {
        warn(&Failure::from(error).line());
    }
    let proven = profiles.into_iter().filter(|profile| profile.report.proven && profile.report.complete);
    let learned = |profile: Profile| Learned {
        needs: profile.report.set(),
        digest: profile.report.relative_to.digest,
        image: profile.request.image,
        profile: profile.name,
    };
    Ok(proven.map(learned).collect())
}

fn read_baseline(path: &std::path::Path) -> Result<Baseline, Failure> {
    let name = path.display().to_string();
    let bytes =
        files::read(&name, FILE_LIMIT).map_err(|unreadable| Failure::engine(format!("--baseline {name}: {}", unreadable.problem.text)))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::engine(format!("--baseline {name}: not UTF-8 text")))?;
    Baseline::parse(&text).map_err(|error| Failure::engine(format!("--baseline {name}: {error}")))
}

/// Larger results are not read: a thousand containers take a few megabytes.
const RESULT_LIMIT: usize = 64 << 20;

fn read_older(path: &std::path::Path) -> Result<Older, Failure> {
    let name = path.display().to_string();
    let wrong = |problem: String| Failure::engine(format!("--compare {name}: {problem}"));
    if name == "-" {
        return Err(wrong("standard input is no older result".to_owned()));
    }
    let bytes = files::read(&name, RESULT_LIMIT).map_err(|unreadable| wrong(unreadable.problem.text))?;
    if bytes.len() > RESULT_LIMIT {
        return Err(wrong(format!("larger than {} MiB", RESULT_LIMIT >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text".to_owned()))?;
    // What people know it by, on a page that may be read elsewhere.
    let short = path.file_name().map_or_else(|| name.clone(), |short| short.to_string_lossy().into_owned());
    Older::parse(&short, &text).map_err(|error| wrong(error.to_string()))
}

/// Marks what the baseline accepts, and says what of it has ended or matches nothing.
fn accept(report: &mut Report, baseline: Option<&Baseline>) {
    let Some(baseline) = baseline else { return };
    // RFC 3339 begins with the day, that of UTC.
    let today: String = jiff::Timestamp::now().to_string().chars().take(10).collect();
    let mut used = BTreeSet::new();
    for entry in &mut report.entries {
        used.extend(baseline.apply(&entry.name, &mut entry.findings, &today));
    }
    for (number, exception) in baseline.exceptions.iter().enumerate() {
        let about = format!("baseline: exception {} (`{}`: {})", number + 1, exception.rule, exception.reason);
        if exception.has_ended(&today) {
            warn(&format!("{about} has ended on {}", exception.expires.as_deref().unwrap_or_default()));
        } else if !used.contains(&number) {
            warn(&format!("{about} matches nothing any more"));
        }
    }
}

fn write_baseline(path: &std::path::Path, report: &Report) -> Result<(), Failure> {
    let baseline = Baseline::of(report.open());
    let value = serde_json::to_value(&baseline).map_err(|error| Failure::engine(error.to_string()))?;
    files::write(path, pretty(&value)?.as_bytes())?;
    crate::ui::progress::say(&format!(
        "{} exceptions written to {}; each needs its reason before --baseline takes it",
        baseline.exceptions.len(),
        path.display()
    ));
    Ok(())
}
