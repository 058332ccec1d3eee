//! `selkie caps ps`: every process with capabilities on this host, and whose container it is in. pscap(8) for containers.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use selkie_caps::{CapSet, Capability};
use selkie_engine::Container;
use selkie_host::containers::Census;
use selkie_host::{Accounts, Buffer, Engine, Owner, Procfs, Row, Status, TICKS_A_SECOND, scan};
use serde_json::{Value, json};

use crate::commands::members::{census, say_hidden};
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text, watch};

/// List processes with capabilities, and the containers that they are in.
///
/// The last column is pscap's: the permitted set, then ` @` with ambient capabilities and ` +` with any left in the
/// bounding set. A `*` behind the command marks a process in a child user namespace, whose capabilities count only there.
///
/// Examples:
///   selkie caps ps
///   selkie caps ps --container web --tree
///   selkie caps ps --engine docker --since 10m
///   selkie caps ps --watch=2
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
    /// Only processes of this engine's containers, or `all`.
    #[arg(long, value_name = "NAME|all")]
    engine: Option<String>,
    /// Only processes that were started within this time: 90s, 10m, 2h, 1d.
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Under each process those that it started.
    #[arg(long)]
    tree: bool,
    /// Again every so many seconds (2), until interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    watch: Option<u64>,
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
        let wanted = Wanted {
            held: self.wanted()?,
            engine: self.engine.as_deref().map(wanted_engine).transpose()?.flatten(),
            in_container: self.engine.is_some(),
            since: self.since.as_deref().map(since).transpose()?,
        };
        let Some(seconds) = self.watch else {
            out::print(&self.once(context, &wanted)?)?;
            return Ok(ExitCode::SUCCESS);
        };
        watch::every(Duration::from_secs(seconds.max(1)), || self.once(context, &wanted))
    }

    fn once(&self, context: &Context, wanted: &Wanted) -> Result<String, Failure> {
        let procfs = procfs()?;
        let containers = context.containers()?;
        let mut census = census(context, &containers, &procfs)?;
        let (all, any) = (self.all, wanted.held);
        let mut rows = processes(self.source, &procfs, |_, status| {
            let held = status.sets.permitted.union(status.sets.effective);
            (all || !held.is_empty()) && (any.is_empty() || !held.intersection(any).is_empty())
        })?;
        if rustix::process::geteuid().is_root() {
            census.sandboxes(&procfs, &rows);
        } else {
            census.complete(&procfs, &rows);
        }
        if self.watch.is_none() {
            say_hidden(&census);
        }
        if let Some(ticks) = wanted.since {
            let now = uptime();
            let mut buffer = Buffer::new();
            rows.retain(|row| {
                let stat = procfs.stat(row.pid, &mut buffer).ok().flatten();
                stat.is_some_and(|stat| stat.start_time.saturating_add(ticks) >= now)
            });
        }
        let mut view = View::new(containers, census, &procfs, &rows)?;
        rows.retain(|row| {
            let engine = view.census.of(row.pid).map(|container| container.owner.engine);
            (!wanted.in_container || engine.is_some()) && (wanted.engine.is_none() || engine == wanted.engine)
        });
        rows.retain(|row| self.container.is_empty() || self.container.iter().any(|name| view.is_in(row, name)));
        if self.tree {
            (rows, view.depths) = tree(rows);
        }
        match self.format.as_deref() {
            Some(format) if format != "table" => {
                let values: Vec<Value> = rows.iter().map(|row| view.value(row)).collect();
                template::list(format, "caps ps", &values, &[], !self.noheading)
            }
            _ => Ok(view.table(&rows, !self.noheading)),
        }
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

/// Which processes are meant.
struct Wanted {
    held: CapSet,
    engine: Option<Engine>,
    in_container: bool,
    /// Clock ticks.
    since: Option<u64>,
}

/// Reads the value of `--engine`; `None` is every one.
pub(crate) fn wanted_engine(word: &str) -> Result<Option<Engine>, Failure> {
    if word == "all" {
        return Ok(None);
    }
    Engine::parse(word).map(Some).ok_or_else(|| {
        let words: Vec<&str> = Engine::ALL.into_iter().map(Engine::word).collect();
        Failure::engine(format!("--engine {word}: no such engine, expected all, {}", words.join(", ")))
    })
}

/// Reads a duration, in clock ticks.
fn since(text: &str) -> Result<u64, Failure> {
    let invalid = || Failure::engine(format!("--since {text}: expected a number with s, m, h or d behind it"));
    let at = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(at).ok_or_else(invalid)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(invalid()),
    };
    let number: u64 = number.parse().map_err(|_| invalid())?;
    number.checked_mul(seconds).and_then(|seconds| seconds.checked_mul(TICKS_A_SECOND)).ok_or_else(invalid)
}

/// Returns the clock ticks since boot.
pub(crate) fn uptime() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(TICKS_A_SECOND) + u64::try_from(now.tv_nsec).unwrap_or(0) / (1_000_000_000 / TICKS_A_SECOND)
}

/// Returns the processes with children behind their parents, and how deep each lies. What has no parent in the list is a root.
fn tree(rows: Vec<Row>) -> (Vec<Row>, HashMap<u32, usize>) {
    let there: HashSet<u32> = rows.iter().map(|row| row.pid).collect();
    let mut children: HashMap<u32, Vec<Row>> = HashMap::new();
    let mut stack: Vec<(Row, usize)> = Vec::new();
    for row in rows.into_iter().rev() {
        if there.contains(&row.status.parent) && row.status.parent != row.pid {
            children.entry(row.status.parent).or_default().push(row);
        } else {
            stack.push((row, 0));
        }
    }
    let (mut ordered, mut depths) = (Vec::new(), HashMap::new());
    while let Some((row, depth)) = stack.pop() {
        depths.insert(row.pid, depth);
        stack.extend(children.remove(&row.pid).unwrap_or_default().into_iter().map(|child| (child, depth + 1)));
        ordered.push(row);
    }
    // Numbers may be given anew while they are read: a ring of parents hangs on nothing, and is not lost.
    ordered.extend(children.into_values().flatten());
    (ordered, depths)
}

/// Everything that turns a row into text.
struct View {
    names: HashMap<String, String>,
    census: Census,
    /// How deep each process lies in the tree; nothing without one.
    depths: HashMap<u32, usize>,
    accounts: Accounts,
    ceiling: CapSet,
    user_namespace: Option<u64>,
}

impl View {
    fn new(containers: Vec<Container>, census: Census, procfs: &Procfs, rows: &[Row]) -> Result<Self, Failure> {
        // Names are looked up only when a row needs one: root's is known.
        let others = rows.iter().any(|row| row.status.uids[1] != 0);
        let accounts = if others { std::fs::File::open("/").map(Accounts::beneath)? } else { Accounts::parse(b"root:x:0:", b"") };
        Ok(Self {
            names: containers.iter().map(|container| (container.id().to_string(), container.record.name.to_string())).collect(),
            census,
            depths: HashMap::new(),
            accounts,
            ceiling: CapSet::up_to(selkie_sys::capability::last_capability()),
            user_namespace: procfs.user_namespace(std::process::id()),
        })
    }

    fn is_in(&self, row: &Row, name: &str) -> bool {
        self.census.placements.of(row.pid).is_some_and(|owner| owner.id.starts_with(name) || self.name(owner) == Some(name))
    }

    fn name(&self, owner: &Owner) -> Option<&str> {
        let ours = || self.names.get(&owner.id).map(String::as_str);
        ours().or_else(|| self.census.container(owner).and_then(|container| container.name.as_deref()))
    }

    /// Fit for one line of a table; in JSON names are as they are.
    fn container(&self, row: &Row) -> Cow<'static, str> {
        let owner = self.census.placements.of(row.pid);
        // Most processes are in none, and cost nothing here.
        owner.map_or(Cow::Borrowed("-"), |owner| text::one_line(self.name(owner).unwrap_or_else(|| owner.short())).into())
    }

    fn engine(&self, row: &Row) -> &'static str {
        self.census.placements.of(row.pid).map_or("-", |owner| owner.engine.word())
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
        let container = width(9, &mut rows.iter().map(|row| self.container(row).chars().count()));
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
            let indent = "  ".repeat(self.depths.get(&row.pid).copied().unwrap_or(0).min(20));
            let mut command = indent + &text::one_line(&row.status.name.to_text());
            if self.in_child(row) {
                command.push_str(" *");
            }
            let (parent, pid) = (row.status.parent.to_string(), row.pid.to_string());
            line(&parent, &pid, &self.user(row), &command, (&self.container(row), self.engine(row)), caps);
        }
        table
    }

    fn value(&self, row: &Row) -> Value {
        let names = |set: CapSet| set.iter().map(Capability::name).collect::<Vec<_>>();
        let (status, sets) = (&row.status, &row.status.sets);
        let owner = self.census.placements.of(row.pid);
        json!({
            "Ppid": status.parent,
            "Pid": row.pid,
            "Uid": status.uids[1],
            "User": self.user(row),
            "Command": status.name.to_text(),
            "Container": owner.map_or("-", |owner| self.name(owner).unwrap_or_else(|| owner.short())),
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
