//! The learning benchmark: every workload of `workloads/` is learned, and the result is compared with the set that was proven by
//! hand, and with what rules that run nothing would have made of the same checks.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

struct Options {
    root: PathBuf,
    workloads: PathBuf,
    selkie: PathBuf,
    observer: String,
    only: Option<String>,
    write: Option<PathBuf>,
}

/// What a workload is, by its first lines.
struct Workload {
    name: String,
    needs: BTreeSet<String>,
    flags: Vec<String>,
    remark: String,
}

/// What was learned of it.
struct Learned {
    granted: BTreeSet<String>,
    audited: BTreeSet<String>,
    own: BTreeSet<String>,
    proven: BTreeSet<String>,
    is_proven: bool,
    runs: u64,
    seconds: f64,
    failure: String,
}

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let mut table = String::new();
    let mut sums = Sums::default();
    for workload in workloads(&options)? {
        let learned = learn(&options, &workload)?;
        let line = sums.add(&workload, &learned);
        println!("{line}");
        table.push_str(&line);
        table.push('\n');
    }
    let end = sums.lines();
    println!("{end}");
    if let Some(path) = &options.write {
        let page = page(&options, &table, &end);
        std::fs::write(path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("selkie");
        let mut options = Self {
            root: PathBuf::from("target/learn-data/root"),
            workloads: PathBuf::from("workloads"),
            selkie: beside,
            observer: "auto".to_owned(),
            only: None,
            write: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--root" => options.root = PathBuf::from(value),
                "--workloads" => options.workloads = PathBuf::from(value),
                "--selkie" => options.selkie = PathBuf::from(value),
                "--observer" => options.observer.clone_from(value),
                "--only" => options.only = Some(value.clone()),
                "--write" => options.write = Some(PathBuf::from(value)),
                _ => return Err(format!("unknown flag {word}")),
            }
        }
        options.workloads = std::path::absolute(&options.workloads).map_err(|error| error.to_string())?;
        Ok(options)
    }
}

fn workloads(options: &Options) -> Result<Vec<Workload>> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", options.workloads.display());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&options.workloads).map_err(failed)?.flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sh")) else { continue };
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        all.push(Workload::parse(name, &std::fs::read_to_string(&path).map_err(failed)?)?);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

impl Workload {
    fn parse(name: &str, text: &str) -> Result<Self> {
        let head = || text.lines().skip(1).map_while(|line| line.strip_prefix("# "));
        let field = |key: &str| head().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let needs = field("needs:").or_else(|| text.lines().any(|line| line == "# needs:").then_some(""));
        let needs = needs.ok_or_else(|| format!("workload {name} does not say what it needs"))?;
        let is_remark = |line: &&str| !["needs:", "or:", "flags:"].iter().any(|key| line.starts_with(key));
        Ok(Self {
            name: name.to_owned(),
            needs: words(needs).into_iter().collect(),
            flags: field("flags:").map(words).unwrap_or_default(),
            remark: text
                .lines()
                .skip(1)
                .take_while(|line| line.starts_with('#'))
                .filter_map(|line| line.strip_prefix("# "))
                .filter(is_remark)
                .collect::<Vec<_>>()
                .join("; "),
        })
    }
}

fn learn(options: &Options, workload: &Workload) -> Result<Learned> {
    let output = Command::new(&options.selkie)
        .args(["learn", "--format", "json", "--no-save", "--no-zero", "--observer", &options.observer, "--cap-add", "all"])
        .args(&workload.flags)
        .arg("--rootfs")
        .arg("-v")
        .arg(format!("{}:/workloads:ro", options.workloads.display()))
        .arg(format!("{}:O", absolute(&options.root)?.display()))
        .args(["bash", &format!("/workloads/{}.sh", workload.name)])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot execute {}: {error}", options.selkie.display()))?;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let names = |list: &Value| -> BTreeSet<String> {
        let short = |name: &Value| name.as_str().map(|name| name.trim_start_matches("CAP_").to_owned());
        list.as_array().into_iter().flatten().filter_map(|entry| short(entry).or_else(|| entry.get("capability").and_then(short))).collect()
    };
    let of = |pointer: &str| report.pointer(pointer).unwrap_or(&Value::Null);
    Ok(Learned {
        granted: names(of("/observed/granted")),
        audited: names(of("/observed/audited")),
        own: names(of("/observed/own")),
        proven: names(of("/required")),
        is_proven: *of("/proven") == true,
        runs: of("/runs").as_u64().unwrap_or(0),
        seconds: of("/seconds").as_f64().unwrap_or(0.0),
        failure: String::from_utf8_lossy(&output.stderr)
            .lines()
            .rev()
            .find(|line| line.starts_with("Error"))
            .unwrap_or_default()
            .to_owned(),
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| error.to_string())
}

/// Sums over all workloads, for precision and recall.
#[derive(Default)]
struct Sums {
    workloads: usize,
    right: usize,
    needed: usize,
    runs: u64,
    seconds: f64,
    /// Of the four rules: how many they name, and how many of those are needed.
    rules: [(usize, usize); 4],
}

impl Sums {
    fn add(&mut self, workload: &Workload, learned: &Learned) -> String {
        let rules = [&learned.granted, &learned.audited, &learned.own, &learned.proven];
        for (sum, named) in self.rules.iter_mut().zip(rules) {
            sum.0 += named.len();
            sum.1 += named.intersection(&workload.needs).count();
        }
        let is_right = learned.is_proven && learned.proven == workload.needs;
        self.workloads += 1;
        self.right += usize::from(is_right);
        self.needed += workload.needs.len();
        self.runs += learned.runs;
        self.seconds += learned.seconds;
        let words =
            |set: &BTreeSet<String>| if set.is_empty() { "none".to_owned() } else { set.iter().cloned().collect::<Vec<_>>().join(" ") };
        let verdict = match (is_right, learned.is_proven) {
            (true, _) => "as expected".to_owned(),
            (false, true) => format!("expected {}", words(&workload.needs)),
            (false, false) => format!("not proven {}", learned.failure),
        };
        let remark = if workload.remark.is_empty() { verdict } else { format!("{verdict}; {}", workload.remark) };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {:.1} | {remark} |",
            workload.name,
            learned.granted.len(),
            learned.audited.len(),
            learned.own.len(),
            learned.proven.len(),
            words(&learned.proven),
            learned.runs,
            learned.seconds,
        )
    }

    fn lines(&self) -> String {
        let mut text = format!(
            "| **all {}** | {} | {} | {} | {} | {} right | {} | {:.1} | |\n",
            self.workloads, self.rules[0].0, self.rules[1].0, self.rules[2].0, self.rules[3].0, self.right, self.runs, self.seconds
        );
        let percent = |part: usize, whole: usize| if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 };
        text.push_str("| precision |");
        for (named, needed) in self.rules {
            let _ = write!(text, " {:.0} % |", percent(needed, named));
        }
        text.push_str(" | | | |\n| recall |");
        for (_, needed) in self.rules {
            let _ = write!(text, " {:.0} % |", percent(needed, self.needed));
        }
        text.push_str(" | | | |\n");
        text
    }
}

fn page(options: &Options, table: &str, end: &str) -> String {
    let uname = rustix::system::uname();
    format!(
        "# Learning benchmark\n\n\
        Written by `make bench-learn`: each workload of [workloads](../workloads/README.md) is learned with every capability given, on Linux {} ({}), observer `{}`. \
        The columns count capabilities:\n\n\
        * *granted*: every one that the kernel granted in the first run. This is what a tracer of `cap_capable` shows.\n\
        * *audited*: without checks that leave no audit record, the rule of bcc's `capable` and of the security profiles operator.\n\
        * *own*: without checks made with borrowed credentials too, the rule of Inspektor Gadget.\n\
        * *proven*: what selkie proves: the set passes, and without any one of it the workload was seen failing.\n\n\
        The rules are applied to our own trace; the tools themselves were not run. Precision: how much of what a column names is needed. \
        Recall: how much of what is needed it names. What is needed was worked out by hand, with every removal seen failing.\n\n\
        | workload | granted | audited | own | proven | the proven set | runs | seconds | |\n|---|--:|--:|--:|--:|---|--:|--:|---|\n{table}{end}",
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
        options.observer,
    )
}
