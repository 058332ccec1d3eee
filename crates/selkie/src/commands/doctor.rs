//! `selkie doctor`: what this engine can and cannot do on this machine.

use std::process::ExitCode;

use clap::Args;
use selkie_host::doctor::{self, Check, Level};
use serde_json::{Value, json};

use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text, wrap};

/// Say what this engine can and cannot do on this machine, and how to change that.
///
/// Exit status 0 unless something fails, without which no container works; then 1.
///
/// Examples:
///   selkie doctor
///   selkie doctor --format json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Doctor {
    /// Print as `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long, short = 'f')]
    format: Option<String>,
}

impl Doctor {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let facts = doctor::read(&procfs()?, context.engine.store().root(), cfg!(target_feature = "crt-static"))?;
        let mut checks = doctor::checks(&facts);
        checks.push(rung(&selkie_observe::standing()));
        match self.format.as_deref() {
            Some(format) => {
                let values: Vec<Value> = checks.iter().map(value).collect();
                out::print(&template::list(format, "doctor", &values, &[], true)?)?;
            }
            None => {
                let width = wrap::width();
                out::print(&checks.iter().map(|check| line(check, width)).collect::<String>())?;
            }
        }
        Ok(ExitCode::from(u8::from(checks.iter().any(|check| check.level == Level::Fail))))
    }
}

/// How capability checks are seen here, and why not by something better.
fn rung(standing: &selkie_observe::Standing) -> Check {
    let (used, missed) = super::observe::rungs(standing);
    let found = std::iter::once(used).chain(missed).collect::<Vec<_>>().join("; not by ");
    let fix = standing.rung.is_none().then(|| "root, or CAP_BPF and CAP_PERFMON, and a kernel with BTF".to_owned());
    Check { about: "checks seen by", level: if fix.is_some() { Level::Warn } else { Level::Ok }, found, fix }
}

/// Columns before the text.
const INDENT: usize = 24;

fn line(check: &Check, width: usize) -> String {
    let body = |text: &str| wrap::paragraph(&text::one_line(text), INDENT, width);
    let found = body(&check.found);
    let mut lines = format!("{:<6}{:<18}{}", check.level.word(), check.about, found.trim_start());
    if let Some(fix) = &check.fix {
        lines.push_str(&body(&format!("fix: {fix}")));
    }
    lines
}

fn value(check: &Check) -> Value {
    json!({"About": check.about, "Level": check.level.word(), "Found": check.found, "Fix": check.fix.clone().unwrap_or_default()})
}
