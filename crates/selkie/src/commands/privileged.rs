//! `selkie privileged`: whether something is privileged, and why. From outside, or from inside a container.

use std::process::ExitCode;

use clap::Args;
use selkie_caps::CapSet;
use selkie_host::privileged::{self, Configured, Escape, Facts, Verdict, escapes};
use serde_json::{Value, json};

use crate::commands::subject::{Subject, configured, procfs};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// Say whether a container or process is privileged, and why.
///
/// Exit status 0 is yes, 1 is no, 125 is an error. `!` decides, `-` is a wall that is missing, `+` one that stands, and
/// `?` is what cannot be seen from here. Then the sets side by side, and the ways out of the container that are open: how
/// sure each is, why it works and what closes it. Containers of other engines are found by name, id or beginning of an id.
///
/// Examples:
///   selkie privileged web
///   selkie privileged 4711 --format json
///   selkie run -v /usr/bin/selkie:/selkie:ro fedora /selkie privileged --self
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Privileged {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// Print nothing: the exit status is the answer.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// The process that runs this command (the default): inside a container, that container.
    #[arg(long = "self")]
    own: bool,
    /// A container or a process.
    #[arg(value_name = "CONTAINER|PID", conflicts_with = "own")]
    subject: Option<String>,
}

impl Privileged {
    /// Answers for this process, if that is meant; `None` otherwise.
    pub(crate) fn alone(&self) -> Option<Result<ExitCode, Failure>> {
        (self.own || self.subject.is_none()).then(|| self.answer(privileged::Subject::Own))
    }

    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let subject = Subject::find(context, self.subject.as_deref(), self.own)?;
        let configured = match &subject {
            Subject::Own => return self.answer(privileged::Subject::Own),
            Subject::Process(_) => Configured::default(),
            Subject::Container(container) => configured(context, container)?,
            Subject::Foreign(container) => container.configured(),
        };
        self.answer(privileged::Subject::Process { pid: subject.pid()?, configured })
    }

    fn answer(&self, subject: privileged::Subject) -> Result<ExitCode, Failure> {
        let facts = privileged::read(&procfs()?, subject)?.ok_or_else(|| Failure::engine("the process has ended"))?;
        let (verdict, ways) = (privileged::verdict(&facts), escapes(&facts));
        match self.format.as_deref() {
            _ if self.quiet => {}
            Some(format) if template::is_json(format) => out::json(&value(&facts, &verdict, &ways))?,
            Some(format) => out::print(&template::render(format, "privileged", &[value(&facts, &verdict, &ways)])?)?,
            None => out::print(&show(&facts, &verdict, &ways))?,
        }
        Ok(ExitCode::from(u8::from(!verdict.privileged)))
    }
}

fn show(facts: &Facts, verdict: &Verdict, ways: &[Escape]) -> String {
    let answer = if verdict.privileged { "yes" } else { "no" };
    let mut lines = format!("{answer}: {}\n", text::one_line(&verdict.summary.join(", ")));
    for finding in &verdict.findings {
        lines.push_str(&format!("  {} {:<16}{}\n", finding.weight.sign(), finding.about, text::one_line(&finding.text)));
    }
    lines.push_str("capabilities\n");
    for (name, set) in sides(facts) {
        lines.push_str(&format!("  {name:<18}{}\n", set.map_or_else(|| "not known".to_owned(), |set| few(set, facts))));
    }
    if !ways.is_empty() {
        lines.push_str("ways out\n");
    }
    for way in ways {
        lines.push_str(&format!("  {:<9} {}: {}\n", way.sureness.word(), way.way.id(), text::one_line(&way.combination)));
        lines.push_str(&format!("            why: {}\n            closes it: {}\n", way.why, way.closes));
    }
    lines
}

/// The sets side by side: what was asked for, what is, what the host has.
fn sides(facts: &Facts) -> [(&'static str, Option<CapSet>); 5] {
    [
        ("configured", facts.configured),
        ("effective", Some(facts.sets.effective)),
        ("permitted", Some(facts.sets.permitted)),
        ("bounding", Some(facts.sets.bounding)),
        ("host's ceiling", facts.ceiling),
    ]
}

/// A set in few words, judged by what the host has.
fn few(set: CapSet, facts: &Facts) -> String {
    let ceiling = facts.ceiling.unwrap_or(facts.kernel);
    if set.is_empty() {
        "none".to_owned()
    } else if facts.ceiling.is_some() && set == ceiling {
        format!("all {} that this host can give", set.len())
    } else if set == facts.kernel {
        format!("all {} that this kernel has", set.len())
    } else if set.len() > 20 {
        format!("{}, without {}", set.len(), facts.kernel.difference(set).lower_names())
    } else {
        format!("{}: {}", set.len(), set.lower_names())
    }
}

fn value(facts: &Facts, verdict: &Verdict, ways: &[Escape]) -> Value {
    let findings: Vec<Value> = verdict
        .findings
        .iter()
        .map(|finding| json!({"About": finding.about, "Weight": finding.weight.word(), "Text": finding.text}))
        .collect();
    let escapes: Vec<Value> = ways
        .iter()
        .map(|way| {
            json!({"Id": way.way.id(), "Sureness": way.sureness.word(), "Combination": way.combination, "Why": way.why, "Closes": way.closes})
        })
        .collect();
    let names = |set: CapSet| set.sorted_names();
    json!({
        "Privileged": verdict.privileged,
        "Summary": verdict.summary,
        "Findings": findings,
        "Escapes": escapes,
        "Configured": facts.configured.map(names),
        "Effective": names(facts.sets.effective),
        "Permitted": names(facts.sets.permitted),
        "Bounding": names(facts.sets.bounding),
        "Ceiling": facts.ceiling.map(names),
    })
}
