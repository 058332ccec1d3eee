//! `selkie profile`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use selkie_caps::{CapSet, Capability};
use selkie_engine::learn::Wish;
use selkie_engine::profile::Profile;
use selkie_learn::Report;
use serde_json::{Value, json};

use crate::commands::learn as verb;
use crate::context::Context;
use crate::ui::error::{Failure, warn};
use crate::ui::{out, table, template, time};

/// What was learned: list it, show it, compare it, prove it again.
///
/// Examples:
///   selkie profile ls
///   selkie profile show web
///   selkie profile diff web web-2
///   selkie profile verify web --image localhost/web:new
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct ProfileVerb {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List profiles.
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Show what was learned.
    #[command(visible_alias = "inspect")]
    Show(Show),
    /// Remove profiles.
    Rm(Remove),
    /// Say how two profiles differ; exit status 1 if they do.
    Diff(Diff),
    /// Prove a profile again, against another image or another day; exit status 1 with the operation that is new.
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Ls {
    /// Print as `json` or a Go template.
    #[arg(long)]
    format: Option<String>,
    /// Only names.
    #[arg(long, short = 'q')]
    quiet: bool,
}

#[derive(Debug, Args)]
struct Show {
    /// Print as `text` or `json`.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// The profile.
    name: String,
}

#[derive(Debug, Args)]
struct Remove {
    /// No error for one that does not exist.
    #[arg(long, short = 'f')]
    force: bool,
    /// The profiles.
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct Diff {
    /// The first.
    one: String,
    /// The second.
    other: String,
}

#[derive(Debug, Args)]
struct Verify {
    /// The image to prove it against (default: the one that it was learned from, as it is now).
    #[arg(long)]
    image: Option<String>,
    /// Keep the new result in place of the old one if it holds.
    #[arg(long)]
    update: bool,
    /// How checks are seen: `auto`, `bpf` or `ptrace`.
    #[arg(long, default_value = "auto")]
    observer: String,
    /// Print the new result as `text` or `json`.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// The profile.
    name: String,
}

impl ProfileVerb {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Ls(ls) => ls.run(context),
            Verb::Show(show) => show.run(context),
            Verb::Rm(remove) => remove.run(context),
            Verb::Diff(diff) => diff.run(context),
            Verb::Verify(verify) => verify.run(context),
        }
    }
}

impl Ls {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (profiles, damaged) = Profile::all(context.engine.store())?;
        for error in damaged {
            warn(&Failure::from(error).line());
        }
        if self.quiet {
            profiles.iter().try_for_each(|profile| out::line(&profile.name))?;
            return Ok(ExitCode::SUCCESS);
        }
        let values: Vec<Value> = profiles.iter().map(row).collect();
        match self.format.as_deref() {
            Some(format) => out::print(&template::list(format, "profile ls", &values, &[], true)?)?,
            None => {
                let mut rows = vec![["NAME", "IMAGE", "CAPABILITIES", "PROVEN", "RUNS", "LEARNED"].map(str::to_owned).to_vec()];
                for profile in &profiles {
                    let report = &profile.report;
                    rows.push(vec![
                        profile.name.clone(),
                        report.relative_to.image.clone(),
                        short(report.set()),
                        if report.proven { "yes" } else { "no" }.to_owned(),
                        report.runs.to_string(),
                        time::ago(&profile.learned),
                    ]);
                }
                out::print(&table::layout(&rows))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let profile = Profile::load(context.engine.store(), &self.name)?;
        verb::print(&profile.report, &self.format)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        for name in &self.names {
            match Profile::remove(context.engine.store(), name) {
                Err(selkie_engine::Error::NoSuchProfile { .. }) if self.force => {}
                removed => {
                    removed?;
                    out::line(name)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let one = Profile::load(context.engine.store(), &self.one)?;
        let other = Profile::load(context.engine.store(), &self.other)?;
        let (before, after) = (one.report.set(), other.report.set());
        let mut lines = Vec::new();
        for capability in before.difference(after).iter() {
            lines.push(format!("- {}", with_operation(&one.report, capability)));
        }
        for capability in after.difference(before).iter() {
            lines.push(format!("+ {}", with_operation(&other.report, capability)));
        }
        let (old, new) = (&one.report.relative_to, &other.report.relative_to);
        for (what, before, after) in [
            ("image", Some(&old.image), Some(&new.image)),
            ("digest", old.digest.as_ref(), new.digest.as_ref()),
            ("user", Some(&old.user), Some(&new.user)),
            ("oracle", Some(&old.oracle), Some(&new.oracle)),
            ("exercised", Some(&old.exercised), Some(&new.exercised)),
            ("seccomp", Some(&old.seccomp), Some(&new.seccomp)),
            ("kernel", Some(&old.kernel), Some(&new.kernel)),
        ] {
            if before != after {
                let or_none = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
                lines.push(format!("  {what}: {} -> {}", or_none(before), or_none(after)));
            }
        }
        lines.iter().try_for_each(|line| out::line(&crate::ui::text::one_line(line)))?;
        Ok(if before == after { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Verify {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let profile = Profile::load(context.engine.store(), &self.name)?;
        let before = profile.report.set();
        let mut request = profile.request.clone();
        if let Some(image) = &self.image {
            request.image = Some(image.clone());
            request.rootfs = None;
        }
        let wish = Wish {
            request: request.clone(),
            oracle: profile.oracle.clone(),
            repeats: profile.repeats,
            strict: profile.strict,
            zero: false,
            start_from: Some(before),
        };
        let learned = verb::learned(context, &wish, &self.observer, false)?;
        if let Some(failure) = &learned.failure {
            return Err(verb::failure(failure));
        }
        let report = learned.report;
        verb::print(&report, &self.format)?;
        let after = report.set();
        let fresh = after.difference(before);
        for capability in fresh.iter() {
            warn(&format!("new: {}", with_operation(&report, capability)));
        }
        for capability in before.difference(after).iter() {
            warn(&format!("no longer needed: {}", capability.short_name()));
        }
        let holds = fresh.is_empty() && report.proven;
        if holds && self.update {
            Profile { request, report, learned: selkie_engine::now(), ..profile }.save(context.engine.store())?;
        }
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn row(profile: &Profile) -> Value {
    let report = &profile.report;
    json!({
        "Name": profile.name,
        "Image": report.relative_to.image,
        "Digest": report.relative_to.digest,
        "Command": report.relative_to.command,
        "Capabilities": report.set().iter().map(Capability::name).collect::<Vec<_>>(),
        "Proven": report.proven,
        "Complete": report.complete,
        "Runs": report.runs,
        "Learned": profile.learned,
    })
}

fn short(set: CapSet) -> String {
    let names: Vec<&str> = set.iter().map(Capability::short_name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// A capability with the operation that needs it.
fn with_operation(report: &Report, capability: Capability) -> String {
    let required = report.required.iter().find(|required| required.capability == capability);
    let name = capability.short_name();
    match required.and_then(|required| Some((required.operation.as_ref()?, required.errno.as_ref()?, required.process.as_ref()?))) {
        Some((operation, errno, process)) => format!("{name}: {process}: {operation} = {errno} without it"),
        None => name.to_owned(),
    }
}
