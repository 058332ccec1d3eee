//! `selkie why`

use std::process::ExitCode;

use clap::Args;
use selkie_learn::{Evidence, Explanation, evidence};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// Say what a container was refused, why, and what to do about it.
///
/// One line a refused operation, capabilities first: the process, the call with its arguments, its result, what the kernel asked
/// for; then the fix, and how to do without the capability. What is not a missing capability says so. This takes a container that was
/// started with `run --why`.
///
/// Of any other container that was started while `selkie observe status` said that something is loaded, the kernel has counted which
/// checks it denied, and in which system calls. Whether those calls failed is not known then.
///
/// Examples:
///   selkie run -d --why --name web --cap-drop all nginx
///   selkie why web
///   selkie why --format json web
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Why {
    /// Print as `json` or a Go template.
    #[arg(long)]
    format: Option<String>,
    /// Everything that was refused, also what programs are used to.
    #[arg(long, short = 'a')]
    all: bool,
    /// The container that was made last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// The container.
    #[arg(required_unless_present = "latest", conflicts_with = "latest")]
    container: Option<String>,
}

/// How many refusals that are not about capabilities are shown.
const OTHERS: usize = 5;

impl Why {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let container = match &self.container {
            Some(name) => context.container(name)?,
            None => context.latest()?,
        };
        let store = context.engine.store();
        let trace = container.trace(store)?.map_or_else(|| container.counted(), |trace| Ok(Some(trace)))?.ok_or_else(|| {
            Failure::engine(format!("container {} was not watched", container.id())).with_hint(
                "start it with `selkie run --why`; after `selkie observe load` every container is recorded that is started from then on",
            )
        })?;
        let filter = container.plan(store)?.map(|plan| selkie_engine::resolved_filter(&plan)).transpose()?.flatten();
        let shown = evidence(&trace, filter.as_ref());
        match self.format.as_deref() {
            Some(format) => {
                let values = shown.refused.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
                out::print(&template::render(format, "why", &values.map_err(|error| Failure::engine(error.to_string()))?)?)?;
            }
            None => out::print(&show(&shown, self.all))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns what was refused as lines for a person.
pub(crate) fn show(shown: &Evidence, all: bool) -> String {
    let (mut missing, others): (Vec<&Explanation>, Vec<&Explanation>) =
        shown.refused.iter().partition(|explanation| explanation.is_missing_capability || !explanation.capabilities.is_empty());
    missing.sort_by_key(|explanation| !explanation.is_missing_capability);
    let most = if all { others.len() } else { OTHERS.min(others.len()) };
    let mut lines = Vec::new();
    for explanation in missing.into_iter().chain(others.iter().take(most).copied()) {
        let times = if explanation.count > 1 { format!(" ({} times)", explanation.count) } else { String::new() };
        lines.push(format!("{}{times}", explanation.sentence));
        let fix = if explanation.is_result_known() { "fix" } else { "if it failed" };
        lines.extend(explanation.fix.iter().map(|flags| format!("  {fix}: {flags}")));
        lines.extend(explanation.without.iter().map(|without| format!("  without a capability: {without}")));
    }
    if others.len() > most {
        lines.push(format!("and {} more that are not about capabilities (--all)", others.len() - most));
    }
    if lines.is_empty() {
        let nothing = if shown.only_denials { "no capability was denied; other refusals were not recorded" } else { "nothing was refused" };
        lines.push(nothing.to_owned());
    }
    if !shown.complete {
        lines.push("some evidence was lost: this list is not complete".to_owned());
    }
    lines.iter().map(|line| format!("{}\n", text::one_line(line))).collect()
}
