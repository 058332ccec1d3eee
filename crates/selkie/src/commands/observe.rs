//! `selkie observe`: what is kept loaded in the kernel to watch capability checks, and its end.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use selkie_observe::{Pinned, Standing, Status};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template};

/// Load, show or remove what watches capability checks in the kernel.
///
/// The first command that learns loads BPF programs and pins them in /sys/fs/bpf/selkie, so that the next ones need not. They count
/// the checks of watched containers and do next to nothing for anybody else. While they are loaded, the denied checks of every
/// container that is started are counted too, which `selkie why` shows.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Observe {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is loaded, who uses it, and how checks can be seen on this machine.
    Status(StatusOf),
    /// Load the programs now, so that containers are recorded from their next start on.
    Load,
    /// Remove what is loaded, and what has been counted; whoever uses it keeps it until they are done.
    Unload,
}

#[derive(Debug, Args)]
struct StatusOf {
    /// Print as `json`, or as a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
}

impl Observe {
    /// Does what the verb says; no engine is needed.
    pub(crate) fn alone(&self, globals: &Globals) -> Result<ExitCode, Failure> {
        // Where no configuration can be read there are no containers to ask for either.
        if let Ok(context) = globals.context() {
            context.engine.sweep_recorded()?;
        }
        self.act()
    }

    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        self.act()
    }

    fn act(&self) -> Result<ExitCode, Failure> {
        match &self.verb {
            Verb::Status(arguments) => arguments.run(),
            Verb::Load => load(),
            Verb::Unload => unload(),
        }
    }
}

impl StatusOf {
    fn run(&self) -> Result<ExitCode, Failure> {
        let status = selkie_observe::status()?;
        let standing = selkie_observe::standing();
        match self.format.as_deref() {
            Some(format) => out::print(&template::render(format, "observe status", &[value(&status, &standing)])?)?,
            None => out::print(&text(&status, &standing))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn load() -> Result<ExitCode, Failure> {
    let rung = selkie_observe::load()?;
    out::print(&format!("{}\n", rung.name()))?;
    Ok(ExitCode::SUCCESS)
}

fn unload() -> Result<ExitCode, Failure> {
    for path in selkie_observe::unload()? {
        out::print(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how checks are seen and why not better, one line each.
pub(crate) fn rungs(standing: &Standing) -> (String, Vec<String>) {
    let used = standing.rung.map_or("ptrace, which sees refused calls and no checks".to_owned(), |rung| rung.name().to_owned());
    (used, standing.missed.iter().map(|(rung, reason)| format!("{}: {reason}", rung.name())).collect())
}

fn text(status: &Status, standing: &Standing) -> String {
    let (used, missed) = rungs(standing);
    let mut text = format!("Rung:    {used}\n");
    for line in missed {
        let _ = writeln!(text, "Missed:  {line}");
    }
    if !status.mounted {
        text.push_str("Loaded:  nothing, and no BPF file system on /sys/fs/bpf\n");
    } else if status.pinned.is_empty() {
        text.push_str("Loaded:  nothing\n");
    }
    for pinned in &status.pinned {
        let _ = writeln!(text, "Loaded:  {}", pinned.path.display());
        if pinned.processes {
            text.push_str("Lists:   processes, for `caps ps`\n");
            continue;
        }
        let calls = if pinned.calls_attached { "attached to every system call" } else { "not attached" };
        let _ = writeln!(text, "Calls:   {calls}");
        for (pid, count) in &pinned.watchers {
            let _ = writeln!(text, "Watches: process {pid}, {count} container{}", if *count == 1 { "" } else { "s" });
        }
        if pinned.recorded > 0 {
            let _ = writeln!(text, "Records: {} container{}", pinned.recorded, if pinned.recorded == 1 { "" } else { "s" });
        }
    }
    text
}

fn value(status: &Status, standing: &Standing) -> Value {
    let missed: Vec<Value> = standing.missed.iter().map(|(rung, reason)| json!({"Rung": rung.name(), "Reason": reason})).collect();
    json!({
        "Rung": standing.rung.unwrap_or(selkie_observe::Rung::Ptrace).name(),
        "Missed": missed,
        "Mounted": status.mounted,
        "Loaded": status.pinned.iter().map(pinned_value).collect::<Vec<Value>>(),
    })
}

fn pinned_value(pinned: &Pinned) -> Value {
    let watchers: Vec<Value> = pinned.watchers.iter().map(|(pid, count)| json!({"Pid": pid, "Containers": count})).collect();
    json!({
        "Path": pinned.path.display().to_string(),
        "Rung": pinned.rung.map(selkie_observe::Rung::name),
        "Processes": pinned.processes,
        "CallsAttached": pinned.calls_attached,
        "Watchers": watchers,
        "Recorded": pinned.recorded,
    })
}

#[cfg(test)]
mod tests {
    use selkie_observe::Rung;

    use super::*;

    fn standing() -> Standing {
        Standing { rung: Some(Rung::Fexit), missed: vec![(Rung::TpBtf, "no tracepoint".to_owned())] }
    }

    #[test]
    fn text_says_what_is_used_and_why_not_better() {
        let pinned = Pinned {
            path: "/sys/fs/bpf/selkie/1-fexit".into(),
            rung: Some(Rung::Fexit),
            processes: false,
            watchers: vec![(7, 1)],
            recorded: 2,
            calls_attached: true,
        };
        let lists = Pinned { path: "/p".into(), rung: None, processes: true, watchers: vec![], recorded: 0, calls_attached: false };
        let status = Status { mounted: true, pinned: vec![pinned, lists] };
        let wanted = "Rung:    fexit\nMissed:  tp-btf: no tracepoint\nLoaded:  /sys/fs/bpf/selkie/1-fexit\n\
                      Calls:   attached to every system call\nWatches: process 7, 1 container\nRecords: 2 containers\n\
                      Loaded:  /p\nLists:   processes, for `caps ps`\n";
        assert_eq!(text(&status, &standing()), wanted);
    }

    #[test]
    fn value_without_bpf_names_ptrace() {
        let none = Standing { rung: None, missed: Vec::new() };
        let wanted = json!({"Rung": "ptrace", "Missed": [], "Mounted": false, "Loaded": []});
        assert_eq!(value(&Status::default(), &none), wanted);
    }
}
