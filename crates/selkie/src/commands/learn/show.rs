//! The result of learning for a person.

use std::io::IsTerminal;

use selkie_caps::{CapSet, Capability};
use selkie_engine::learn;
use selkie_learn::{Evidence, Report};
use selkie_plan::export::shell_words;

use crate::exit;
use crate::ui::error::Failure;
use crate::ui::style::Style;
use crate::ui::{text, wrap};

/// Returns what a trace shows as text: evidence, no proof.
pub(super) fn evidence(shown: &Evidence) -> String {
    let mut lines = Vec::new();
    let all: u64 = shown.classes.values().sum();
    if all > 0 {
        let classes: Vec<String> = shown.classes.iter().map(|(class, count)| format!("{count} {class}")).collect();
        let checks = if all == 1 { "check" } else { "checks" };
        lines.push(format!("{all} {checks} seen by {}: {}", shown.observer.name(), classes.join(", ")));
    }
    if !shown.granted.is_empty() {
        lines.push("granted to the workload:".to_owned());
    }
    for granted in &shown.granted {
        let join = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        let by = if granted.sites.is_empty() { String::new() } else { format!(", asked by {}", join(&granted.sites)) };
        let times = if granted.count == 1 { "time" } else { "times" };
        lines.push(format!("  {:<17} {} {times} in {}{by}", granted.capability.short_name(), granted.count, join(&granted.syscalls)));
    }
    lines.push("refused:".to_owned());
    let mut text: String = lines.iter().map(|line| format!("{}\n", text::one_line(line))).collect();
    text.push_str(&crate::commands::why::show(shown, true));
    text
}

/// Returns the names of a set, `-` for the empty one.
pub(super) fn names(set: CapSet) -> String {
    const MOST: u32 = 12;
    if set.len() > MOST {
        return format!("{} capabilities", set.len());
    }
    let names: Vec<&str> = set.iter().map(Capability::short_name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

/// Returns the report as text.
pub(super) fn report(report: &Report) -> String {
    let mut lines = Vec::new();
    let about = &report.relative_to;
    let count = match report.required.len() {
        1 => "1 capability".to_owned(),
        number => format!("{number} capabilities"),
    };
    let verdict = if report.proven { "proven" } else { "not proven" };
    lines.push(format!("{} needs {} ({verdict}, {} runs, {:.1} s)", subject(report), count, report.runs, report.seconds));
    for problem in &report.problems {
        lines.push(format!("! {problem}"));
    }
    for required in &report.required {
        let seen = match (&required.operation, &required.errno) {
            (Some(operation), Some(result)) => refused(operation, result),
            _ => "no refusal was seen".to_owned(),
        };
        let by = required.site.as_ref().map_or_else(String::new, |site| format!(", asked by {site}"));
        lines.push(format!(
            "  {:<17} without it: {seen}{by}; {} (run {})",
            required.capability.short_name(),
            required.failure,
            required.run
        ));
        if let Some(line) = &required.log_line {
            lines.push(format!("  {:<17} {line}", ""));
        }
    }
    for other in &report.alternatives {
        let (of, instead) = (other.instead_of.short_name(), other.capability.short_name());
        lines.push(format!("or {instead} in place of {of} (run {}; its danger is {})", other.run, other.danger));
    }
    if !report.degraded.is_empty() {
        lines.push("refused, and it works without:".to_owned());
        for degraded in &report.degraded {
            lines.push(format!(
                "  {:<17} {}: {}",
                degraded.capability.short_name(),
                degraded.process,
                refused(&degraded.operation, &degraded.errno)
            ));
        }
    }
    for impossible in &report.impossible {
        lines.push(format!("impossible: {}: {} ({})", impossible.capability.short_name(), impossible.reason, impossible.operation));
    }
    if !report.never_asked.is_empty() {
        let names: Vec<&str> = report.never_asked.iter().map(|never| never.capability.short_name()).collect();
        lines.push(format!("given and never asked for: {}", names.join(" ")));
    }
    for zero in &report.path_to_zero {
        let needs: Vec<&str> = zero.needs.iter().map(|capability| capability.short_name()).collect();
        let left = if needs.is_empty() { "no capability".to_owned() } else { needs.join(" ") };
        lines.push(format!("with {}", shell_words(&zero.flags)));
        lines.push(format!("  it needs {left} (run {} passed): {}", zero.run, zero.sentence));
    }
    let digest = about.digest.as_ref().map_or_else(String::new, |digest| format!(" {digest}"));
    lines.push(format!(
        "relative to: {}{digest}, `{}` as {}, Linux {}, {}, seen by {}, seccomp {}",
        about.image,
        shell_words(&about.command),
        about.user,
        about.kernel,
        about.engine,
        about.observer,
        about.seccomp
    ));
    lines.push(format!("it works: {}; exercised: {}", about.oracle, about.exercised));
    lines.push(String::new());
    lines.push(shell_words(&report.flags));
    lines.iter().map(|line| format!("{}\n", laid_out(&text::one_line(line)))).collect()
}

/// Where the text of a table of capabilities begins.
const COLUMN: usize = 20;

/// Breaks a line for a terminal and emphasises what it is about; elsewhere lines stay whole, for grep.
fn laid_out(line: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return line.to_owned();
    }
    let style = Style::stdout();
    let name = line.strip_prefix("  ").and_then(|rest| rest.split(' ').next()).filter(|word| Capability::parse_name(word).is_ok());
    let hanging = if name.is_some() || line.starts_with("                    ") { COLUMN } else { 4 };
    // Flags are to be copied.
    let is_flags = line.starts_with("--") || line.starts_with("with --");
    let wrapped = if is_flags { line.to_owned() } else { wrap::hanging(line, hanging, wrap::width()) };
    match name {
        Some(name) => wrapped.replacen(name, &style.strong(name), 1),
        None if line.contains("(not proven,") => wrapped.replacen("not proven", &style.bad("not proven"), 1),
        None if line.contains("(proven,") => wrapped.replacen("proven", &style.good("proven"), 1),
        None if line.starts_with("--") => style.strong(&wrapped),
        None if line.starts_with("relative to") || line.starts_with("it works:") => style.faint(&wrapped),
        None => wrapped,
    }
}

fn subject(report: &Report) -> String {
    let about = &report.relative_to;
    match (about.image.as_str(), about.command.first()) {
        ("host:" | "", Some(program)) => program.clone(),
        // A directory says less than the program in it.
        (image, Some(program)) if image.starts_with('/') => program.clone(),
        (image, _) => image.to_owned(),
    }
}

/// Returns why nothing was learned.
pub(crate) fn failure(failure: &learn::Failure) -> Failure {
    let said = |output: &str| if output.is_empty() { String::new() } else { format!("; its output ends with:\n{output}") };
    match failure {
        learn::Failure::NeverPasses { failure, withheld, refused, .. } if !withheld.is_empty() => {
            let mut message = format!(
                "the workload asks for {}, which reaches beyond its container and is tried only if you give it (--cap-add): {failure}",
                names(*withheld)
            );
            let about =
                |explanation: &&selkie_learn::Explanation| explanation.capabilities.iter().any(|capability| withheld.contains(*capability));
            for explanation in refused.iter().filter(about).take(5) {
                message.push_str(&format!("\n  {}", explanation.sentence));
            }
            let flags: Vec<String> = withheld.iter().map(|capability| format!("--cap-add {}", capability.short_name())).collect();
            Failure::engine(message).with_code(1).with_hint(format!("selkie learn {} runs it with that, on this machine", flags.join(" ")))
        }
        learn::Failure::NeverPasses { failure, output, processes, refused, lacking, .. } => {
            let mut message = format!("the workload does not pass with any capability: {failure}");
            if !lacking.is_empty() {
                message.push_str(&format!("; it asks for {}, which cannot be given here", names(*lacking)));
            }
            if !processes.is_empty() {
                message.push_str(&format!("\n  its processes then: {processes}"));
            }
            let about = |explanation: &&selkie_learn::Explanation| !explanation.is_missing_capability || !lacking.is_empty();
            let shown: Vec<&selkie_learn::Explanation> = refused.iter().filter(about).collect();
            // The last ones are nearest to where it stands.
            for explanation in shown.iter().skip(shown.len().saturating_sub(5)) {
                message.push_str(&format!("\n  {}", explanation.sentence));
            }
            message.push_str(&said(output));
            Failure::engine(message)
                .with_code(1)
                .with_hint("see with `selkie run` what it does; --patience gives it more time, --output, --tcp, --http say when it works")
        }
        learn::Failure::Unsteady { failure, output } => Failure::engine(format!(
            "the workload is not steady: it passed, and failed with the same capabilities: {failure}{}",
            said(output)
        ))
        .with_code(1)
        .with_hint("an oracle that does not depend on time or chance is needed"),
        learn::Failure::Interrupted => {
            Failure::engine("interrupted; what was learned up to now is not proven").with_code(exit::INTERRUPTED)
        }
    }
}

/// An operation with what it returned; netlink refuses in its answer to a call that succeeds, chmod(2) leaves a bit out.
fn refused(operation: &str, result: &str) -> String {
    if result.parse::<i64>().is_ok_and(|result| result >= 0) {
        format!("{operation} was refused, without an error of the call")
    } else {
        format!("{operation} = {result}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_of_a_call_that_succeeds() {
        let expected = "sendto(NETLINK_ROUTE, RTM_NEWLINK) was refused, without an error of the call";
        assert_eq!(refused("sendto(NETLINK_ROUTE, RTM_NEWLINK)", "40"), expected);
        assert_eq!(refused("setuid(33)", "EPERM"), "setuid(33) = EPERM");
    }
}
