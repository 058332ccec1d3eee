//! `selkie caps list`

use std::process::ExitCode;

use clap::Args;
use selkie_caps::Capability;
use serde_json::{Value, json};

use crate::ui::error::Failure;
use crate::ui::{out, table, template};

/// List every capability in one line.
///
/// Examples:
///   selkie caps list
///   selkie caps list --format '{{.Number}} {{.Name}}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct List {
    /// Print as `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// Without the line of headings.
    #[arg(long)]
    noheading: bool,
}

impl List {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let text = match self.format.as_deref() {
            Some(format) => {
                let values: Vec<Value> = Capability::ALL.into_iter().map(value).collect();
                template::list(format, "caps list", &values, &[], !self.noheading)?
            }
            None => {
                let heading =
                    (!self.noheading).then(|| ["NUMBER", "NAME", "SINCE", "DANGER", "WHAT IT IS FOR"].map(str::to_owned).to_vec());
                let rows: Vec<Vec<String>> = heading.into_iter().chain(Capability::ALL.into_iter().map(row)).collect();
                table::layout(&rows)
            }
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(capability: Capability) -> Vec<String> {
    let knowledge = capability.knowledge();
    vec![
        capability.number().to_string(),
        capability.name().to_owned(),
        capability.since().to_owned(),
        knowledge.danger.word().to_owned(),
        knowledge.summary.to_owned(),
    ]
}

fn value(capability: Capability) -> Value {
    let knowledge = capability.knowledge();
    json!({
        "Number": capability.number(),
        "Name": capability.name(),
        "Since": capability.since(),
        "Danger": knowledge.danger.word(),
        "HostRoot": knowledge.host_root.is_some(),
        "Summary": knowledge.summary,
    })
}
