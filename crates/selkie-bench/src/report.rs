//! Tables of times: median, smallest, largest, and how many times the reference.

use std::fmt::Write;
use std::time::Duration;

use crate::measure::Times;

/// Everything that was measured.
pub(crate) struct Report {
    text: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { text: String::new() }
    }

    /// Adds a table in which `reference` is 1.
    pub(crate) fn table(&mut self, title: &str, reference: &str, all: &[Times]) {
        let base = all.iter().find(|times| times.name == reference).and_then(Times::median);
        let mut text = format!("### {title}\n\n| | median ms | min ms | max ms | times {reference} |\n|---|--:|--:|--:|--:|\n");
        for times in all {
            let line = match (times.median(), times.min(), times.max(), base) {
                (Some(median), Some(min), Some(max), Some(base)) if times.failure.is_none() => {
                    format!(
                        "| {} | {} | {} | {} | {:.2} |",
                        times.name,
                        ms(median),
                        ms(min),
                        ms(max),
                        median.as_secs_f64() / base.as_secs_f64()
                    )
                }
                _ => format!("| {} | did not run: {} | | | |", times.name, times.failure.as_deref().unwrap_or("no times")),
            };
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        eprint!("{text}");
        self.text.push_str(&text);
    }

    /// Adds a table that has been made.
    pub(crate) fn text(&mut self, table: &str) {
        eprintln!("{table}");
        let _ = writeln!(self.text, "{table}");
    }

    /// Adds a sentence.
    pub(crate) fn note(&mut self, sentence: &str) {
        eprintln!("{sentence}\n");
        let _ = writeln!(self.text, "{sentence}\n");
    }

    pub(crate) fn render(&self) -> String {
        format!("{}\n{}", facts(), self.text)
    }

    /// The page for the documentation.
    pub(crate) fn page(&self) -> String {
        format!(
            "# Performance\n\nWritten by `make bench`, which runs everything in one session and in turns. Ratios count; milliseconds are this machine's.\n\n{}\n{}",
            facts(),
            self.text
        )
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// What kind of machine it was.
fn facts() -> String {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
        .unwrap_or_default();
    format!(
        "Machine: Linux {release}, {cores} cores ({model}), cgroup {}, load average {} at the end.\n",
        if unified { "v2" } else { "v1 or hybrid" },
        load.split(' ').next().unwrap_or_default()
    )
}
