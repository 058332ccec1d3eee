//! `selkie privileged`: whether something is privileged, and why. From outside, or from inside a container.

use std::process::ExitCode;

use clap::Args;
use selkie_host::privileged::{self, Verdict};
use serde_json::{Value, json};

use crate::commands::subject::{Subject, procfs};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// Say whether a container or process is privileged, and why.
///
/// Exit status 0 is yes, 1 is no, 125 is an error. `!` decides, `-` is a wall that is missing, `+` one that stands, and
/// `?` is what cannot be seen from here.
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
        self.answer(match &subject {
            Subject::Own => privileged::Subject::Own,
            Subject::Process(pid) => privileged::Subject::Process { pid: *pid, flag: None },
            Subject::Container(container) => {
                let plan = container.plan(context.engine.store())?;
                privileged::Subject::Process { pid: subject.pid()?, flag: plan.map(|plan| plan.privileged) }
            }
        })
    }

    fn answer(&self, subject: privileged::Subject) -> Result<ExitCode, Failure> {
        let facts = privileged::read(&procfs()?, subject)?.ok_or_else(|| Failure::engine("the process has ended"))?;
        let verdict = privileged::verdict(&facts);
        match self.format.as_deref() {
            _ if self.quiet => {}
            Some(format) if template::is_json(format) => out::json(&value(&verdict))?,
            Some(format) => out::print(&template::render(format, "privileged", &[value(&verdict)])?)?,
            None => out::print(&show(&verdict))?,
        }
        Ok(ExitCode::from(u8::from(!verdict.privileged)))
    }
}

fn show(verdict: &Verdict) -> String {
    let answer = if verdict.privileged { "yes" } else { "no" };
    let mut lines = format!("{answer}: {}\n", text::one_line(&verdict.summary.join(", ")));
    for finding in &verdict.findings {
        lines.push_str(&format!("  {} {:<16}{}\n", finding.weight.sign(), finding.about, text::one_line(&finding.text)));
    }
    lines
}

fn value(verdict: &Verdict) -> Value {
    let findings: Vec<Value> = verdict
        .findings
        .iter()
        .map(|finding| json!({"About": finding.about, "Weight": finding.weight.word(), "Text": finding.text}))
        .collect();
    json!({"Privileged": verdict.privileged, "Summary": verdict.summary, "Findings": findings})
}
