//! The report for people: the containers as a table, then each finding with its place and what to do.

use selkie_audit::{Basis, Finding, Named, Past, Report, Severity, Trend};

use crate::ui::style::Style;
use crate::ui::text::one_line;
use crate::ui::{table, wrap};

/// Lays the report out. Everything that is not ours is made fit for a terminal.
pub(super) fn table(report: &Report, style: Style) -> String {
    let mut text = containers(report);
    for (file, finding) in report.open() {
        text.push('\n');
        text.push_str(&one(file, finding, style));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(report));
    if let Some(trend) = &report.trend {
        text.push_str(&since(report, trend));
    }
    text
}

/// What has changed, in short: JSON and the page have all of it.
fn since(report: &Report, trend: &Trend) -> String {
    const SHOWN: usize = 10;
    let capability = |name: &str| if name.is_empty() { String::new() } else { format!(" {name}") };
    let new: Vec<String> = report
        .added()
        .into_iter()
        .map(|(file, finding)| {
            let name = finding.capability.map_or("", selkie_caps::Capability::short_name);
            format!(
                "{} {}  {}{}  {}  {file}",
                finding.severity.sign(),
                finding.severity.word(),
                finding.rule,
                capability(name),
                finding.subject
            )
        })
        .collect();
    let fixed: Vec<String> = trend
        .fixed
        .iter()
        .map(|Past { severity, key }| {
            format!("{} {}  {}{}  {}  {}", severity.sign(), severity.word(), key.rule, capability(&key.capability), key.container, key.file)
        })
        .collect();
    let shifted: Vec<String> = report
        .shifted()
        .into_iter()
        .map(|(file, finding, was)| {
            let name = finding.capability.map_or("", selkie_caps::Capability::short_name);
            let (was, now) = (was.word(), finding.severity.word());
            format!("{was} → {now}  {}{}  {}  {file}", finding.rule, capability(name), finding.subject)
        })
        .collect();
    let named = |named: &Named| format!("{}  {}", named.container, named.file);
    let changed = trend.changed.iter().map(|changed| format!("{}: {}", named(&changed.named), changed.phrases().join("; "))).collect();
    let lists = [
        ("new", new),
        ("fixed", fixed),
        ("worse or milder", shifted),
        ("containers that came", trend.came.iter().map(named).collect()),
        ("containers that have gone", trend.gone.iter().map(named).collect()),
        ("containers that changed", changed),
    ];
    let mut text = format!(
        "Since {}: {} new, {} fixed, {} worse or milder; containers: {} came, {} gone, {} changed\n",
        one_line(trend.since()),
        trend.new.len(),
        trend.fixed.len(),
        trend.shifted.len(),
        trend.came.len(),
        trend.gone.len(),
        trend.changed.len()
    );
    for (what, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        text.push_str(&format!("  {what}\n"));
        let mut shown = 0;
        for alike in list.chunk_by(|one, other| one == other).take(SHOWN) {
            let Some(line) = alike.first() else { continue };
            let times = if alike.len() == 1 { String::new() } else { format!("  ({} times)", alike.len()) };
            text.push_str(&format!("    {}{times}\n", one_line(line)));
            shown += alike.len();
        }
        if list.len() > shown {
            text.push_str(&format!("    and {} more, which --format json has\n", list.len() - shown));
        }
    }
    text
}

fn containers(report: &Report) -> String {
    let head = ["CONTAINER", "ENGINE", "PRIVILEGED", "CAPS", "VERDICT", "FILE"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for entry in &report.entries {
        for (subject, verdict) in entry.subjects.iter().zip(entry.verdicts()) {
            let privileged = match subject.is_privileged() {
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            };
            let sign = format!("{} {}", verdict.sign(), verdict.word());
            let caps = if subject.knows_capabilities() { subject.capabilities().len().to_string() } else { "?".to_owned() };
            // The entry of containers that no file describes is their engine.
            let (engine, file) = match subject.basis {
                Basis::File => (subject.engine.name(), entry.name.as_str()),
                Basis::Running(_) => (entry.name.as_str(), "-"),
                Basis::Planned | Basis::Stopped => (entry.name.as_str(), "(stopped)"),
            };
            rows.push(vec![subject.name.clone(), engine.to_owned(), privileged.to_owned(), caps, sign, file.to_owned()]);
        }
    }
    if rows.len() == 1 { String::new() } else { table::layout(&rows) }
}

fn one(file: &str, finding: &Finding, style: Style) -> String {
    let word = format!("{} {}", finding.severity.sign(), finding.severity.word());
    let word = if finding.severity >= Severity::High { style.bad(&word) } else { word };
    let place = finding.place.map_or_else(String::new, |place| format!(":{}:{}", place.line, place.column));
    let subject = if finding.subject.is_empty() { String::new() } else { format!("  {}", one_line(&finding.subject)) };
    let file = one_line(finding.file.as_deref().unwrap_or(file));
    let head = format!("{word}  {}{}  {file}{place}\n", style.strong(finding.rule.id()), subject);
    let message = wrap::paragraph(&one_line(&finding.message), 4, wrap::width());
    let patch = if finding.fix.changes.is_empty() { "" } else { " [--fix]" };
    let fix = wrap::hanging(&format!("    fix: {}{patch}", one_line(&finding.fix.text)), 9, wrap::width());
    format!("{head}{message}{fix}\n")
}

fn summary(report: &Report) -> String {
    let number = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let counts: Vec<String> = Severity::ALL
        .iter()
        .map(|severity| (report.count(*severity), severity.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let (all, accepted) = (report.open().count(), report.accepted());
    let of = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    let accepted = if accepted == 0 { String::new() } else { format!(", {accepted} accepted") };
    format!("{}{of} in {}{accepted}\n", number(all, "finding"), number(report.containers(), "container"))
}
