//! `selkie caps explain`: the manual page of a capability, for machines without `man capabilities`.

use std::process::ExitCode;

use clap::Args;
use selkie_caps::{Capability, Knowledge, Operation};
use serde_json::{Value, json};

use crate::ui::error::Failure;
use crate::ui::{out, template, wrap};

/// Explain capabilities: what each allows, how dangerous it is, what asks for it, and how to do without it.
///
/// Examples:
///   selkie caps explain net_admin
///   selkie caps explain CAP_SETUID setgid
///   selkie caps explain all --format json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Explain {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// Names in any case, with or without `CAP_`, numbers, or `all`.
    #[arg(required = true, value_name = "CAP")]
    capabilities: Vec<String>,
}

impl Explain {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let mut wanted = Vec::new();
        for text in self.capabilities.iter().flat_map(|text| text.split(',')).map(str::trim) {
            wanted.extend(parse(text)?);
        }
        let text = match self.format.as_deref() {
            Some(format) => {
                let values: Vec<Value> = wanted.iter().map(|capability| value(&capability.knowledge())).collect();
                template::render(format, "caps explain", &values)?
            }
            None => {
                let width = wrap::width();
                wanted.iter().map(|capability| page(&capability.knowledge(), width)).collect::<Vec<_>>().join("\n")
            }
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn parse(text: &str) -> Result<Vec<Capability>, Failure> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Capability::ALL.to_vec());
    }
    if let Ok(number) = text.parse::<u8>() {
        let known = Capability::from_number(number).map(|capability| vec![capability]);
        return known.ok_or_else(|| Failure::engine(format!("no capability has the number {number}: they go from 0 to 40")));
    }
    Capability::parse_name(text)
        .map(|capability| vec![capability])
        .map_err(|error| Failure::engine(error.to_string()).with_hint("`selkie caps list` shows every name"))
}

/// Lays out one page, at most `width` columns wide.
fn page(knowledge: &Knowledge, width: usize) -> String {
    let capability = knowledge.capability;
    let mut page = format!("{} ({}), since Linux {}\n", capability.name(), capability.number(), capability.since());
    page.push_str(&wrap::paragraph(knowledge.summary, 4, width));
    let danger = match knowledge.host_root {
        Some(_) => format!("{}: it becomes root on the host.", knowledge.danger.word()),
        None => format!("{}; by itself it does not become root on the host.", knowledge.danger.word()),
    };
    let sections = [("ALLOWS", knowledge.allows), ("DANGER", danger.as_str()), ("HOW IT BECOMES ROOT", knowledge.host_root.unwrap_or(""))];
    for (title, text) in sections.into_iter().filter(|(_, text)| !text.is_empty()) {
        page.push_str(&section(title, &wrap::paragraph(text, 4, width)));
    }
    let operations: String = knowledge.operations.iter().map(|operation| entry(operation, width)).collect();
    page.push_str(&section("WHAT ASKS FOR IT", &operations));
    page.push_str(&section("WITHOUT IT", &wrap::paragraph(knowledge.cheaper, 4, width)));
    page
}

fn section(title: &str, body: &str) -> String {
    format!("\n{title}\n{body}")
}

fn entry(operation: &Operation, width: usize) -> String {
    let mut entry = wrap::paragraph(operation.what, 4, width);
    if !operation.syscalls.is_empty() {
        entry.push_str(&wrap::paragraph(&format!("system calls: {}", operation.syscalls.join(", ")), 8, width));
    }
    if !operation.sites.is_empty() {
        entry.push_str(&wrap::paragraph(&format!("in the kernel: {}", operation.sites.join(", ")), 8, width));
    }
    entry
}

fn value(knowledge: &Knowledge) -> Value {
    let operations: Vec<Value> = knowledge
        .operations
        .iter()
        .map(|operation| json!({"What": operation.what, "Syscalls": operation.syscalls, "KernelSites": operation.sites}))
        .collect();
    json!({
        "Number": knowledge.capability.number(),
        "Name": knowledge.capability.name(),
        "Since": knowledge.capability.since(),
        "Summary": knowledge.summary,
        "Allows": knowledge.allows,
        "Danger": knowledge.danger.word(),
        "HostRoot": knowledge.host_root,
        "Operations": operations,
        "Cheaper": knowledge.cheaper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_of_every_capability_fits_the_width() {
        for capability in Capability::ALL {
            for width in [40, 80] {
                let page = page(&capability.knowledge(), width);
                // The title stands as it is, and so does a long name of a kernel function.
                assert!(page.lines().skip(1).all(|line| line.chars().count() <= width || !line.trim().contains(' ')), "{page}");
            }
        }
    }

    #[test]
    fn parse_takes_names_and_numbers() {
        assert_eq!(parse("net_admin").unwrap(), [Capability::NetAdmin]);
        assert_eq!(parse("12").unwrap(), [Capability::NetAdmin]);
        assert_eq!(parse("ALL").unwrap().len(), 41);
    }

    #[test]
    fn parse_of_a_misspelt_name_suggests_another() {
        assert_eq!(parse("net_admim").unwrap_err().line(), "`net_admim` is not a capability (did you mean `CAP_NET_ADMIN`?)");
        assert_eq!(parse("41").unwrap_err().line(), "no capability has the number 41: they go from 0 to 40");
    }
}
