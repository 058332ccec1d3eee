//! nginx in a container: its throughput while it is observed and while it is not, and what learning it takes.
//!
//! Both want the root file system of the workloads (`tools/make-workload-root`), the first one wrk(1) too.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::engines::{Setup, installed};
use crate::measure::{output, run};
use crate::report::Report;

/// How it is observed.
#[derive(Clone, Copy)]
enum Case {
    Unloaded,
    Recorded,
    Watched,
}

/// The first is what the others are compared with; the second is the first once more, which tells the noise.
const CASES: [(Case, &str); 4] = [
    (Case::Unloaded, "not observed"),
    (Case::Unloaded, "not observed, again"),
    (Case::Recorded, "recorded (programs loaded)"),
    (Case::Watched, "watched (run --why)"),
];

/// Rounds, in each of which every case has its turn. Many short ones: what else the machine does changes from second to second,
/// so only what is of one round is compared.
const ROUNDS: usize = 16;
/// Debian's configuration, with one worker.
const ONE_WORKER: &str =
    "sed -i 's/worker_processes auto/worker_processes 1/' /etc/nginx/nginx.conf; exec nginx -g 'daemon off; error_log stderr;'";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times the sum of its runs' own times learning may take.
const WALL: f64 = 1.5;

/// Adds the throughput of one worker under load by wrk.
pub(crate) fn throughput(setup: &Setup, root: &Path, report: &mut Report) -> Result<()> {
    let title = "### nginx under load\n\n";
    if let Some(problem) = missing(root, &["wrk", "nsenter", "curl"]) {
        report.text(&format!("{title}did not run: {problem}\n"));
        return Ok(());
    }
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); CASES.len()];
    for round in 0..ROUNDS {
        for (place, (case, _)) in CASES.iter().enumerate() {
            // Another order each time: what a round leaves behind falls on all.
            let place = (place + round) % CASES.len();
            let case = CASES.get(place).map_or(*case, |(case, _)| *case);
            let rate = once(setup, root, case)?;
            rates.get_mut(place).ok_or("no such case")?.push(rate);
        }
    }
    selkie_observe::unload().map_err(|error| error.to_string())?;
    let base = rates.first().cloned().unwrap_or_default();
    let mut table = format!("{title}| | median requests/s | of not observed in the same round: median | quartiles |\n|---|--:|--:|--:|\n");
    for ((_, name), rates) in CASES.iter().zip(&rates) {
        let ratios = sorted(rates.iter().zip(&base).map(|(rate, base)| rate / base));
        let rates = sorted(rates.iter().copied());
        let [low, middle, high] = [1, 2, 3].map(|quarter| quartile(&ratios, quarter));
        table.push_str(&format!("| {name} | {:.0} | {middle:.3} | {low:.3} to {high:.3} |\n", quartile(&rates, 2)));
    }
    report.text(&table);
    report.note(&format!(
        "wrk -t 1 -c 16 for 1 s, {ROUNDS} rounds in turns, a new container each time; server and load share the cores. \
         What is watched is within the noise if its median lies within the quartiles of `not observed, again`."
    ));
    Ok(())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Returns the first, second or third quartile of sorted values.
fn quartile(sorted: &[f64], quarter: usize) -> f64 {
    sorted.get(sorted.len() * quarter / 4).copied().unwrap_or(0.0)
}

/// Starts nginx in one of the ways, and returns the requests a second.
fn once(setup: &Setup, root: &Path, case: Case) -> Result<f64> {
    let text = |error: selkie_observe::Error| error.to_string();
    match case {
        Case::Unloaded => drop(selkie_observe::unload().map_err(text)?),
        Case::Recorded | Case::Watched => drop(selkie_observe::load().map_err(text)?),
    }
    let place = format!("{}:O", root.display());
    let mut words = vec!["run", "-d", "--name", "nginx", "--network", "none"];
    if matches!(case, Case::Watched) {
        words.push("--why");
    }
    words.extend(["--rootfs", &place, "sh", "-c", ONE_WORKER]);
    run(&mut setup.selkie(&words))?;
    let rate = load(setup);
    run(&mut setup.selkie(&["rm", "-f", "-t", "0", "nginx"]))?;
    rate
}

fn load(setup: &Setup) -> Result<f64> {
    let pid = output(&mut setup.selkie(&["inspect", "--format", "{{.State.Pid}}", "nginx"]))?;
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &pid]).args(words);
        command
    };
    let deadline = Instant::now() + PATIENCE;
    while run(&mut inside(&["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1/"])).is_err() {
        if Instant::now() > deadline {
            return Err(format!("nginx does not answer: {}", output(&mut setup.selkie(&["logs", "nginx"]))?));
        }
    }
    let said = output(&mut inside(&["wrk", "-t", "1", "-c", "16", "-d", "1", "http://127.0.0.1/"]))?;
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")).and_then(|rate| rate.trim().parse().ok());
    rate.ok_or_else(|| format!("wrk said {said:?}"))
}

/// Adds what learning nginx takes: runs, and the whole against the sum of the runs.
pub(crate) fn learning(setup: &Setup, root: &Path, report: &mut Report) -> Result<()> {
    let title = "### learn nginx\n\n";
    if let Some(problem) = missing(root, &[]) {
        report.text(&format!("{title}did not run: {problem}\n"));
        return Ok(());
    }
    let workloads = std::path::absolute("workloads").map_err(|error| error.to_string())?;
    let (mount, place) = (format!("{}:/workloads:ro", workloads.display()), format!("{}:O", root.display()));
    let mut table = format!(
        "{title}| | runs | at most | baseline | grow | kept | repeats | seconds | sum of the runs | ratio, at most {WALL} |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for round in 1..=3 {
        let words = ["learn", "--format", "json", "--no-save", "--no-zero", "--cap-add", "all", "--rootfs", "-v", &mount, &place];
        let mut command = setup.selkie(&words);
        let said = command.args(["bash", "/workloads/nginx.sh"]).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let learned: Value = serde_json::from_slice(&said.stdout).map_err(|_| String::from_utf8_lossy(&said.stderr).into_owned())?;
        table.push_str(&row(round, &learned));
    }
    report.text(&table);
    report.note("At most: baseline, three runs to grow, one for each capability that is kept, the repeats.");
    Ok(())
}

fn row(round: usize, learned: &Value) -> String {
    let log: Vec<(&str, f64)> = learned
        .get("log")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|run| Some((run.get("purpose")?.as_str()?, run.get("seconds")?.as_f64()?)))
        .collect();
    let count = |begin: &str| log.iter().filter(|(purpose, _)| purpose.starts_with(begin)).count();
    let kept = learned.get("required").and_then(Value::as_array).map_or(0, Vec::len);
    let (seconds, sum) =
        (learned.get("seconds").and_then(Value::as_f64).unwrap_or(0.0), log.iter().map(|(_, seconds)| seconds).sum::<f64>());
    format!(
        "| {round} | {} | {} | {} | {} | {kept} | {} | {seconds:.2} | {sum:.2} | {:.2} |\n",
        learned.get("runs").and_then(Value::as_u64).unwrap_or(0),
        1 + 3 + kept + count("repeat"),
        count("baseline"),
        count("grow"),
        count("repeat"),
        seconds / sum,
    )
}

fn missing(root: &Path, programs: &[&str]) -> Option<String> {
    if !root.join("usr/sbin/nginx").exists() {
        return Some(format!("{} has no nginx; tools/make-workload-root makes it, --workloads names another", root.display()));
    }
    programs.iter().find(|program| !installed(program)).map(|program| format!("{program} is not installed"))
}

/// Where the workloads are, unless said otherwise.
pub(crate) fn usual_root() -> PathBuf {
    PathBuf::from("target/learn-data/root")
}
