//! Trends on the page: counts of older results as a picture with its numbers in a table, and what has changed since the last.

use maud::{Markup, html};

use super::html::{PLACES, class, more};
use super::{Report, Trend};
use crate::Severity;
use crate::trend::{Named, Past};

/// How many results the picture shows, the newest: as many as a phone shows legibly.
const SHOWN: usize = 12;
/// Width of a bar with its gap, and the room for words before the bars.
const BAR: usize = 30;
const WORDS: usize = 88;
/// Height of a severity's band, and of its bars at most.
const BAND: usize = 58;
const TALL: usize = 32;

pub(super) fn section(report: &Report) -> Markup {
    let Some(trend) = &report.trend else { return html! {} };
    html! {
        h2 { "Since " (trend.since()) }
        ul.tiles {
            li { b { "+ " (trend.new.len()) } "new" }
            li { b { "− " (trend.fixed.len()) } "fixed" }
            li { b { "≠ " (trend.shifted.len()) } "worse or milder" }
            @for (sign, count, what) in [("+", trend.came.len(), "came"), ("−", trend.gone.len(), "gone"), ("≠", trend.changed.len(), "changed")] {
                li { b { (sign) " " (count) } (if count == 1 { "container " } else { "containers " }) (what) }
            }
        }
        (picture(trend))
        (numbers(trend))
        (new(report, trend))
        (fixed(&trend.fixed))
        (shifted(report))
        (containers("Containers that came", &trend.came))
        (containers("Containers that have gone", &trend.gone))
        @if !trend.changed.is_empty() {
            h3 { "Containers that changed (" (trend.changed.len()) ")" }
            ul.at {
                @for changed in trend.changed.iter().take(PLACES) {
                    li { b { (changed.named.container) } " " (changed.phrases().join("; ")) " " code { (changed.named.file) } }
                }
                (more(trend.changed.len(), PLACES))
            }
        }
    }
}

/// A band of bars for each severity: told by place, sign, word and number, not by colour.
fn picture(trend: &Trend) -> Markup {
    let points = trend.points.get(trend.points.len().saturating_sub(SHOWN)..).unwrap_or_default();
    let (width, height) = (WORDS + points.len() * BAR + 8, BAND * Severity::ALL.len());
    let said: Vec<String> = Severity::ALL
        .iter()
        .enumerate()
        .map(|(band, severity)| {
            format!("{}: {}", severity.word(), points.iter().map(|point| count(point, band).to_string()).collect::<Vec<_>>().join(", "))
        })
        .collect();
    html! {
        svg.trend width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(format!("Findings in each result, from the oldest to now. {}", said.join("; "))) {
            @for (band, severity) in Severity::ALL.into_iter().enumerate() {
                @let bottom = (band + 1) * BAND - 8;
                @let most = points.iter().map(|point| count(point, band)).max().unwrap_or_default().max(1);
                g class=(class(severity)) {
                    text x="0" y=(bottom) { (severity.sign()) " " (severity.word()) }
                    @for (number, point) in points.iter().enumerate() {
                        @let tall = (count(point, band) * TALL).div_ceil(most);
                        @let left = WORDS + number * BAR;
                        rect x=(left) y=(bottom - tall) width=(BAR - 6) height=(tall) {}
                        text x=(left + (BAR - 6) / 2) y=(bottom - tall - 3) text-anchor="middle" { (count(point, band)) }
                    }
                }
                path.base d=(format!("M{WORDS} {bottom}.5h{}", points.len() * BAR)) {}
            }
        }
        p.soft { "Findings in each result, the last one of now. Each severity has a scale of its own." }
        @if trend.points.len() > SHOWN { p.soft { "The picture has the last " (SHOWN) " of " (trend.points.len()) " results." } }
    }
}

fn count(point: &crate::trend::Point, band: usize) -> usize {
    point.counts.get(band).copied().unwrap_or_default()
}

fn numbers(trend: &Trend) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Findings of each result" {
            table {
                thead { tr {
                    th scope="col" { "Result" }
                    th scope="col" { "Containers" }
                    @for severity in Severity::ALL { th scope="col" { (severity.sign()) " " (severity.word()) } }
                } }
                tbody {
                    @for point in &trend.points {
                        tr {
                            th scope="row" { @if point.name.is_empty() { "now" } @else { (point.name) } }
                            td { (point.containers) }
                            @for count in point.counts { td { (count) } }
                        }
                    }
                }
            }
        }
    }
}

fn new(report: &Report, trend: &Trend) -> Markup {
    let list = report.added();
    html! {
        h3 { "New findings (" (list.len()) ")" }
        @if list.is_empty() { p.ok { "✓ None since " (trend.since()) "." } }
        ul.at {
            @for (file, finding) in list.iter().take(PLACES) {
                li { b class=(class(finding.severity)) { (finding.severity.sign()) " " (finding.rule.id()) } " " b { (finding.subject) } " " (super::html::prose(&finding.message)) " " (super::html::at(file, finding)) }
            }
            (more(list.len(), PLACES))
        }
    }
}

fn fixed(list: &[Past]) -> Markup {
    html! {
        @if !list.is_empty() {
            h3 { "Fixed findings (" (list.len()) ")" }
            ul.at {
                @let alike: Vec<&[Past]> = list.chunk_by(|one, other| one == other).take(PLACES).collect();
                @for (past, times) in alike.iter().filter_map(|alike| Some((alike.first()?, alike.len()))) {
                    li {
                        (past.severity.sign()) " " (past.key.rule) " " b { (past.key.container) } " " (past.key.capability) " " code { (past.key.file) }
                        @if times > 1 { " (" (times) " times)" }
                    }
                }
                (more(list.len(), alike.iter().map(|alike| alike.len()).sum::<usize>().max(PLACES)))
            }
        }
    }
}

fn shifted(report: &Report) -> Markup {
    let list = report.shifted();
    html! {
        @if !list.is_empty() {
            h3 { "Findings that are worse or milder (" (list.len()) ")" }
            ul.at {
                @for (file, finding, was) in list.iter().take(PLACES) {
                    li {
                        (was.sign()) " " (was.word()) " → " b class=(class(finding.severity)) { (finding.severity.sign()) " " (finding.severity.word()) } " "
                        (finding.rule.id()) " " b { (finding.subject) } " " (super::html::prose(&finding.message)) " " (super::html::at(file, finding))
                    }
                }
                (more(list.len(), PLACES))
            }
        }
    }
}

fn containers(title: &str, list: &[Named]) -> Markup {
    html! {
        @if !list.is_empty() {
            h3 { (title) " (" (list.len()) ")" }
            ul.at {
                @for named in list.iter().take(PLACES) { li { b { (named.container) } " " code { (named.file) } } }
                (more(list.len(), PLACES))
            }
        }
    }
}
