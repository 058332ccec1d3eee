//! `selkie caps ps`: every process with capabilities on this host, and whose container it is in. pscap(8) for containers.

use std::collections::HashMap;
use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use selkie_caps::{CapSet, Capability};
use selkie_engine::Container;
use selkie_host::{Accounts, Placements, Procfs, Row, Status, scan};
use serde_json::{Value, json};

use crate::commands::members::placements;
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// List processes with capabilities, and the containers that they are in.
///
/// The last column is pscap's: the permitted set, then ` @` with ambient capabilities and ` +` with any left in the
/// bounding set. A `*` behind the command marks a process in a child user namespace, whose capabilities count only there.
///
/// Examples:
///   selkie caps ps
///   selkie caps ps --container web
///   selkie caps ps --cap net_admin --cap sys_admin --format '{{.Pid}} {{.Command}} {{.Container}}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Ps {
    /// Processes without capabilities, too.
    #[arg(long, short = 'a')]
    all: bool,
    /// Only processes that hold one of these.
    #[arg(long, value_name = "CAP")]
    cap: Vec<String>,
    /// Only processes of these containers: names or the beginnings of ids.
    #[arg(long, value_name = "CONTAINER")]
    container: Vec<String>,
    /// Print as `table`, `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// From where: `bpf`, all at once out of the kernel; `procfs`, a file a process; or what is faster here.
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    source: Source,
    /// Without the line of headings.
    #[arg(long)]
    noheading: bool,
}

impl Ps {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let wanted = self.wanted()?;
        let procfs = procfs()?;
        let containers = context.containers()?;
        let placements = placements(context, &containers, &procfs)?;
        let (all, any) = (self.all, wanted);
        let mut rows = processes(self.source, &procfs, |_, status| {
            let held = status.sets.permitted.union(status.sets.effective);
            (all || !held.is_empty()) && (any.is_empty() || !held.intersection(any).is_empty())
        })?;
        let view = View::new(containers, placements, &procfs, &rows)?;
        rows.retain(|row| self.container.is_empty() || self.container.iter().any(|name| view.is_in(row, name)));
        let text = match self.format.as_deref() {
            Some(format) if format != "table" => {
                let values: Vec<Value> = rows.iter().map(|row| view.value(row)).collect();
                template::list(format, "caps ps", &values, &[], !self.noheading)?
            }
            _ => view.table(&rows, !self.noheading),
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn wanted(&self) -> Result<CapSet, Failure> {
        self.cap.iter().try_fold(CapSet::EMPTY, |set, text| {
            let more = CapSet::parse(text).map_err(|error| Failure::engine(format!("--cap {text}: {error}")))?;
            Ok(set.union(more))
        })
    }
}

/// From how many processes on loading the iterator takes less time than reading their files.
const MANY: usize = 1000;

/// Where processes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// By BPF where it is loaded or there are many processes, and it can be; else from procfs.
    Auto,
    /// An iterator over processes; an error where that cannot be.
    Bpf,
    /// `/proc/PID/status` of each.
    Procfs,
}

/// Reads the processes that `keep` wants.
fn processes(source: Source, procfs: &Procfs, keep: impl Fn(u32, &Status) -> bool + Sync) -> Result<Vec<Row>, Failure> {
    let at_once = match source {
        Source::Procfs => None,
        Source::Bpf => selkie_observe::processes(true)?,
        // What is missing for it is no failure: the files say the same.
        Source::Auto => match selkie_observe::processes(false) {
            Ok(None) if procfs.pids()?.len() >= MANY => selkie_observe::processes(true).unwrap_or_default(),
            found => found.unwrap_or_default(),
        },
    };
    match at_once {
        Some(found) => Ok(found.into_iter().map(|process| process.row).filter(|row| keep(row.pid, &row.status)).collect()),
        None => Ok(scan(procfs, keep)?),
    }
}

/// Everything that turns a row into text.
struct View {
    names: HashMap<String, String>,
    placements: Placements,
    accounts: Accounts,
    ceiling: CapSet,
    user_namespace: Option<u64>,
}

impl View {
    fn new(containers: Vec<Container>, placements: Placements, procfs: &Procfs, rows: &[Row]) -> Result<Self, Failure> {
        // Names are looked up only when a row needs one: root's is known.
        let others = rows.iter().any(|row| row.status.uids[1] != 0);
        let accounts = if others { std::fs::File::open("/").map(Accounts::beneath)? } else { Accounts::parse(b"root:x:0:", b"") };
        Ok(Self {
            names: containers.iter().map(|container| (container.id().to_string(), container.record.name.to_string())).collect(),
            placements,
            accounts,
            ceiling: CapSet::up_to(selkie_sys::capability::last_capability()),
            user_namespace: procfs.user_namespace(std::process::id()),
        })
    }

    fn is_in(&self, row: &Row, name: &str) -> bool {
        self.placements
            .of(row.pid)
            .is_some_and(|owner| owner.id.starts_with(name) || self.names.get(&owner.id).is_some_and(|known| known == name))
    }

    fn container(&self, row: &Row) -> &str {
        let owner = self.placements.of(row.pid);
        owner.map_or("-", |owner| self.names.get(&owner.id).map_or_else(|| owner.short(), String::as_str))
    }

    fn engine(&self, row: &Row) -> &'static str {
        self.placements.of(row.pid).map_or("-", |owner| owner.engine.word())
    }

    fn user(&self, row: &Row) -> String {
        let [_, uid, ..] = row.status.uids;
        self.accounts.user(uid).map_or_else(|| uid.to_string(), text::one_line)
    }

    fn in_child(&self, row: &Row) -> bool {
        row.user_namespace.is_some() && row.user_namespace != self.user_namespace
    }

    /// pscap's text: which are permitted, and whether there are ambient ones and any left to gain.
    fn text(&self, row: &Row) -> String {
        let sets = &row.status.sets;
        let mut text = sets.permitted.pscap(self.ceiling).to_string();
        if !sets.ambient.is_empty() {
            text.push_str(" @");
        }
        if !sets.bounding.is_empty() {
            text.push_str(" +");
        }
        text
    }

    fn table(&self, rows: &[Row], heading: bool) -> String {
        let width = |least: usize, lengths: &mut dyn Iterator<Item = usize>| lengths.fold(least, usize::max);
        let container = width(9, &mut rows.iter().map(|row| self.container(row).len()));
        let engine = width(6, &mut rows.iter().map(|row| self.engine(row).len()));
        let mut table = String::with_capacity(rows.len() * 100);
        let mut line = |ppid: &str, pid: &str, user: &str, command: &str, place: (&str, &str), caps: &str| {
            let (within, whose) = place;
            // Writing to memory cannot fail.
            let _ = writeln!(table, "{ppid:<5} {pid:<5} {user:<10}  {command:<16}  {within:<container$}  {whose:<engine$}  {caps}");
        };
        if heading {
            line("ppid", "pid", "uid", "command", ("container", "engine"), "capabilities");
        }
        // Most processes hold the same sets as others do.
        let mut texts: HashMap<_, String> = HashMap::new();
        for row in rows {
            let sets = &row.status.sets;
            let caps = texts.entry((sets.permitted, sets.ambient.is_empty(), sets.bounding.is_empty())).or_insert_with(|| self.text(row));
            let mut command = text::one_line(&row.status.name.to_text());
            if self.in_child(row) {
                command.push_str(" *");
            }
            let (parent, pid) = (row.status.parent.to_string(), row.pid.to_string());
            line(&parent, &pid, &self.user(row), &command, (self.container(row), self.engine(row)), caps);
        }
        table
    }

    fn value(&self, row: &Row) -> Value {
        let names = |set: CapSet| set.iter().map(Capability::name).collect::<Vec<_>>();
        let (status, sets) = (&row.status, &row.status.sets);
        let owner = self.placements.of(row.pid);
        json!({
            "Ppid": status.parent,
            "Pid": row.pid,
            "Uid": status.uids[1],
            "User": self.user(row),
            "Command": status.name.to_text(),
            "Container": self.container(row),
            "ContainerId": owner.map_or("", |owner| owner.id.as_str()),
            "Engine": self.engine(row),
            "Capabilities": self.text(row),
            "Effective": names(sets.effective),
            "Permitted": names(sets.permitted),
            "Inheritable": names(sets.inheritable),
            "Bounding": names(sets.bounding),
            "Ambient": names(sets.ambient),
            "ChildUserNamespace": self.in_child(row),
            "NoNewPrivileges": status.no_new_privileges,
            "Seccomp": status.seccomp,
        })
    }
}
