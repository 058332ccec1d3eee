//! The reports of a thousand containers: time of the whole command, from the file to the report, and size. The goal of the page is
//! a second and two megabytes.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::measure::{Contestant, in_turns, run};
use crate::report::Report;

const COUNT: usize = 1000;
const FORMATS: [&str; 4] = ["html", "json", "sarif", "table"];

pub(crate) fn formats(selkie: &Path, rounds: usize, report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("compose.yaml"), services(COUNT)).map_err(|error| error.to_string())?;
    let audit = |format: &str, words: &[&str]| {
        let mut command = Command::new(selkie);
        command.current_dir(directory.path()).args(["audit", "--fail-on", "none", "--format", format, "--output", format]);
        // What the machine's own engine is set up with does not matter.
        run(command.args(words).arg("compose.yaml").env("CONTAINERS_CONF", "/dev/null").env("HOME", directory.path()))
    };
    audit("json", &[])?;
    std::fs::rename(path("json"), path("older.json")).map_err(|error| error.to_string())?;
    let mut list: Vec<Contestant<'_>> = FORMATS.iter().map(|format| Contestant::new(format, || audit(format, &[]))).collect();
    list.push(Contestant::new("html, compared with an older result", || audit("html", &["--compare", "older.json"])));
    report.table(&format!("audit of {COUNT} containers of a file"), "html", &in_turns(rounds, &list));
    let mut sizes = Vec::new();
    for format in FORMATS {
        let size = std::fs::metadata(path(format)).map_err(|error| error.to_string())?.len();
        sizes.push(format!("{format} {:.2} MB", size as f64 / 1e6));
    }
    report.note(&format!("Sizes, of html the one with what has changed: {}.", sizes.join(", ")));
    Ok(())
}

/// Containers that are each somewhat different.
fn services(count: usize) -> String {
    const NAMES: [&str; 6] = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "IPC_LOCK", "NET_ADMN", "ALL"];
    let mut text = "services:\n".to_owned();
    for (number, added) in (0..count).zip(NAMES.into_iter().cycle()) {
        let privileged = number % 7 == 0;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  service-with-a-name-{number}:\n    image: registry.example/i:{number}\n    privileged: {privileged}\n    cap_add: [{added}]\n    pid: host"
        );
    }
    text
}
