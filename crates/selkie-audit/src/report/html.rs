//! The report as one page: no script, nothing from elsewhere, legible without colour and on paper.
//!
//! ```text
//! counts | what could not be read | what has changed | escape paths | containers x capabilities | findings by rule | accepted
//! ```
//!
//! Everything that is not ours passes through maud, which escapes it; characters that no page may have, and those that turn text
//! around, become U+FFFD all over the page. Long lists are cut, and say so: JSON has all of it.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use selkie_caps::{CapSet, Capability, Danger};

use super::{Entry, Report, Verdict};
use crate::{Basis, Finding, Rule, Severity, Subject, UNKNOWN_OF_STOPPED};

const STYLE: &str = include_str!("page.css");
/// How many places of one rule are listed.
pub(super) const PLACES: usize = 100;
/// How many rows the matrix has.
const ROWS: usize = 2000;
/// Side of a cell of the matrix.
const CELL: usize = 12;
/// Room on the right of the cells, over which the longest name leans.
const LEAN: usize = 48;

/// Returns the page.
#[must_use]
pub fn html(report: &Report) -> String {
    let files = report.entries.iter().filter(|entry| entry.kind.is_some()).count();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Audit of " (many(report.containers(), "container")) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Audit of " (many(report.containers(), "container")) }
                    p.soft { @if files > 0 { (many(files, "file")) ", " } "selkie " (report.version) }
                }
                main {
                    (counts(report))
                    (unreadable(report))
                    (super::trend::section(report))
                    (escapes(report))
                    (matrix(report))
                    (findings(report))
                    (accepted(report))
                }
                footer { p.soft { "What each finding means, and how to allow it: docs/findings.md of selkie." } }
            }
        }
    };
    page.into_string().chars().map(harmless).collect()
}

/// A character as a page may have it: HTML, "Preprocessing the input stream"; explicit directional formatting is out as in the table.
const fn harmless(character: char) -> char {
    match character {
        '\n' => character,
        '\t' => ' ',
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ if character as u32 & 0xfffe == 0xfffe => '\u{fffd}',
        _ => character,
    }
}

pub(super) const fn class(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "c",
        Severity::High => "h",
        Severity::Medium => "m",
        Severity::Low => "l",
    }
}

fn many(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn counts(report: &Report) -> Markup {
    html! {
        h2 { "Findings by severity" }
        ul.tiles {
            @for severity in Severity::ALL {
                li { b class=(class(severity)) { (severity.sign()) " " (report.count(severity)) } (severity.word()) }
            }
            li { b { (report.accepted()) } "accepted" }
            @if !report.unreadable.is_empty() { li { b.c { "✗ " (report.unreadable.len()) } "unreadable" } }
        }
    }
}

fn unreadable(report: &Report) -> Markup {
    html! {
        @if !report.unreadable.is_empty() {
            h2 { "What could not be read" }
            ul.at {
                @for (name, problem) in report.unreadable.iter().take(PLACES) { li { code { (name) } ": " (problem.text) } }
                (more(report.unreadable.len(), PLACES))
            }
        }
    }
}

fn escapes(report: &Report) -> Markup {
    // What was started as privileged in a user namespace of its own is not: that finding is high, and no way out.
    let leads_out = |finding: &Finding| match finding.rule {
        Rule::Privileged => finding.severity == Severity::Critical,
        rule => rule.is_escape() && finding.severity >= Severity::High,
    };
    let paths: Vec<_> = report.open().filter(|(_, finding)| leads_out(finding)).collect();
    html! {
        h2 { "Ways out of a container" }
        @if paths.is_empty() {
            p.ok { "✓ None is open by what is written alone." }
        } @else {
            ul.at {
                @for (file, finding) in paths.iter().take(PLACES) {
                    li { b class=(class(finding.severity)) { (finding.severity.sign()) " " (finding.subject) } " → host: " (prose(&finding.message)) " " (at(file, finding)) }
                }
                (more(paths.len(), PLACES))
            }
        }
    }
}

fn matrix(report: &Report) -> Markup {
    let rows: Vec<(&Entry, &Subject, Verdict)> = report
        .entries
        .iter()
        .flat_map(|entry| entry.subjects.iter().zip(entry.verdicts()).map(move |(subject, verdict)| (entry, subject, verdict)))
        .collect();
    let used = rows.iter().fold(CapSet::EMPTY, |set, (_, subject, _)| set.union(subject.capabilities()));
    let columns: Vec<Capability> = used.iter().collect();
    html! {
        h2 { "Containers and capabilities" }
        @if rows.is_empty() { p { "There is no container." } } @else {
            p.soft { "▢ inside the container only · ▲ reaches outside of it · ■ becomes root of the host. Blank: not held." }
            div.scroll tabindex="0" role="region" aria-label="Containers and their capabilities" {
                table {
                    thead { tr {
                        th scope="col" { "Container" }
                        th scope="col" { "Verdict" }
                        th scope="col" { "Held" }
                        th scope="col" { (head(&columns)) }
                    } }
                    tbody {
                        @for (entry, subject, verdict) in rows.iter().take(ROWS) { (row(entry, subject, *verdict, &columns)) }
                    }
                }
            }
            @if rows.iter().any(|(_, subject, _)| subject.basis == Basis::Stopped) {
                p.soft { "Of a container of another engine that does not run, its files say the flag and the capabilities at most. Not known: " (UNKNOWN_OF_STOPPED.join(", ")) "." }
            }
            @if rows.len() > ROWS { p.soft { "and " (rows.len() - ROWS) " more, which the JSON report has." } }
        }
    }
}

/// The names of the columns, each standing on its cells.
fn head(columns: &[Capability]) -> Markup {
    let width = columns.len() * CELL + LEAN;
    let names: Vec<&str> = columns.iter().map(|capability| capability.short_name()).collect();
    html! {
        svg width=(width) height="122" viewBox=(format!("0 0 {width} 122")) role="img" aria-label=(format!("Capabilities, from left to right: {}", names.join(", "))) {
            @for (number, name) in names.iter().enumerate() {
                text transform=(format!("translate({} 120) rotate(-70)", number * CELL + 8)) { (name) }
            }
        }
    }
}

fn row(entry: &Entry, subject: &Subject, verdict: Verdict, columns: &[Capability]) -> Markup {
    let (held, known) = (subject.capabilities(), subject.knows_capabilities());
    let verdict_class = match verdict {
        Verdict::Open => "c",
        Verdict::Exposed => "h",
        Verdict::Weakened => "m",
        Verdict::Confined => "ok",
        Verdict::Unknown => "l",
    };
    html! {
        tr {
            th scope="row" title=(entry.name) { (subject.name) @if matches!(subject.basis, Basis::Planned | Basis::Stopped) { span.soft { " stopped" } } }
            td class=(verdict_class) { (verdict.sign()) " " (verdict.word()) }
            td { @if subject.is_privileged() == Some(true) { "privileged" } @else if known { (held.len()) } @else { "not known" } }
            td { @if known { (cells(held, columns)) } }
        }
    }
}

/// The cells of a row as three paths, one a shape: a mark for each cell would make a large page.
fn cells(held: CapSet, columns: &[Capability]) -> Markup {
    let (mut plain, mut outside, mut root) = (String::new(), String::new(), String::new());
    let mut names = String::new();
    for (number, capability) in columns.iter().enumerate().filter(|(_, capability)| held.contains(**capability)) {
        let x = number * CELL;
        match danger(*capability) {
            Danger::Critical => root.push_str(&format!("M{} 1h10v10h-10z", x + 1)),
            Danger::High => outside.push_str(&format!("M{} 1l5 10h-10z", x + 6)),
            Danger::Moderate | Danger::Low => plain.push_str(&format!("M{} 3h6v6h-6z", x + 3)),
        }
        names.push_str(if names.is_empty() { "" } else { ", " });
        names.push_str(capability.short_name());
    }
    // On paper both are made narrower, in step.
    let width = columns.len() * CELL + LEAN;
    let label = match held {
        CapSet::EMPTY => "none".to_owned(),
        CapSet::KNOWN => "all capabilities".to_owned(),
        _ => names,
    };
    html! {
        svg width=(width) height=(CELL) viewBox=(format!("0 0 {width} {CELL}")) role="img" aria-label=(label) {
            @if !plain.is_empty() { path.d d=(plain) {} }
            @if !outside.is_empty() { path.t d=(outside) {} }
            @if !root.is_empty() { path.q d=(root) {} }
        }
    }
}

/// How dangerous a capability is; read once a page, since the texts behind it are parsed.
fn danger(capability: Capability) -> Danger {
    static DANGERS: std::sync::OnceLock<Vec<Danger>> = std::sync::OnceLock::new();
    let all = DANGERS.get_or_init(|| Capability::ALL.iter().map(|capability| capability.knowledge().danger).collect());
    all.get(usize::from(capability.number())).copied().unwrap_or(Danger::Critical)
}

/// Findings with their files, the worst rules first.
type ByRule<'a> = BTreeMap<(std::cmp::Reverse<Severity>, Rule), Vec<(&'a str, &'a Finding)>>;

fn findings(report: &Report) -> Markup {
    let mut rules: ByRule = BTreeMap::new();
    for (file, finding) in report.open() {
        rules.entry((std::cmp::Reverse(finding.severity), finding.rule)).or_default().push((file, finding));
    }
    html! {
        h2 { "Findings" }
        @if rules.is_empty() { p.ok { "✓ Nothing was found." } }
        @for ((severity, rule), list) in &rules {
            @let about = rule.about();
            section {
                h3 class=(class(severity.0)) { (severity.0.sign()) " " (severity.0.word()) ": " (rule.id()) " (" (list.len()) ")" }
                p { (about.what) }
                dl {
                    dt { "Why" } dd { (prose(about.why)) }
                    dt { "Fix" } dd { (prose(about.fix)) }
                    dt { "Covers" } dd { (about.covers()) }
                }
                ul.at {
                    @for (file, finding) in list.iter().take(PLACES) {
                        li { b { (finding.subject) } " " (prose(&finding.message)) " " (at(file, finding)) }
                    }
                    (more(list.len(), PLACES))
                }
            }
        }
    }
}

fn accepted(report: &Report) -> Markup {
    let list: Vec<(&str, &Finding, &str)> = report
        .entries
        .iter()
        .flat_map(|entry| entry.findings.iter().map(move |finding| (entry.name.as_str(), finding)))
        .filter_map(|(file, finding)| Some((file, finding, finding.accepted.as_deref()?)))
        .collect();
    html! {
        @if !list.is_empty() {
            h2 { "Accepted" }
            ul.at {
                @for (file, finding, reason) in list.iter().take(PLACES) {
                    li { (finding.severity.sign()) " " (finding.rule.id()) " " b { (finding.subject) } ": " (reason) " " (at(file, finding)) }
                }
                (more(list.len(), PLACES))
            }
        }
    }
}

/// Shows what stands between backticks as code; of backticks that make no pairs nothing can be told.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (number, part) in parts.iter().enumerate() {
                @if number % 2 == 0 { (part) } @else { code { (part) } }
            }
        } @else { (text) }
    }
}

pub(super) fn at(file: &str, finding: &Finding) -> Markup {
    html! { code { (finding.file.as_deref().unwrap_or(file)) @if let Some(place) = finding.place { ":" (place.line) ":" (place.column) } } }
}

pub(super) fn more(count: usize, shown: usize) -> Markup {
    html! { @if count > shown { li.soft { "and " (count - shown) " more, which the JSON report has" } } }
}
