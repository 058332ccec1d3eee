//! `selkie caps ps`: every process with capabilities on this host, and whose container it is in. pscap(8) for containers.

mod view;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use selkie_caps::CapSet;
use selkie_host::{Buffer, Engine, Row, TICKS_A_SECOND};
use serde_json::Value;
use view::View;

use crate::commands::members::{self, say_hidden};
use crate::commands::processes::Source;
use crate::commands::running::Running;
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, watch};

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
    #[command(flatten)]
    api: members::Api,
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
            self.once(context, &wanted, &mut out::printer())?;
            return Ok(ExitCode::SUCCESS);
        };
        watch::every(Duration::from_secs(seconds.max(1)), || {
            let mut shown = String::new();
            self.once(context, &wanted, &mut |part| {
                shown.push_str(part);
                Ok(())
            })?;
            Ok(shown)
        })
    }

    /// Hands the list to `print` in parts of whole lines.
    fn once(&self, context: &Context, wanted: &Wanted, print: &mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        let procfs = procfs()?;
        let (all, any) = (self.all, wanted.held);
        let Running { mut rows, mut census, names } = Running::read(context, &procfs, self.source, self.api, |_, status| {
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
        let mut view = View::new(names, census, &procfs, &rows)?;
        if wanted.in_container {
            rows.retain(|row| {
                let engine = view.census.of(row.pid).map(|container| container.owner.engine);
                engine.is_some() && (wanted.engine.is_none() || engine == wanted.engine)
            });
        }
        // An empty list would say that such a container has no capabilities; one that is watched may still come.
        if let Some(name) = self.container.iter().find(|name| self.watch.is_none() && !view.knows(name)) {
            return Err(Failure::engine(format!("no container that runs has the name or ID {name:?}")));
        }
        rows.retain(|row| self.container.is_empty() || self.container.iter().any(|name| view.is_in(row, name)));
        if self.tree {
            (rows, view.depths) = tree(rows);
        }
        match self.format.as_deref() {
            Some(format) if format != "table" => {
                let values: Vec<Value> = rows.iter().map(|row| view.value(row)).collect();
                print(&template::list(format, "caps ps", &values, &[], !self.noheading)?)
            }
            _ => view.table(&rows, !self.noheading, print),
        }
    }

    fn wanted(&self) -> Result<CapSet, Failure> {
        self.cap.iter().try_fold(CapSet::EMPTY, |set, text| {
            let more = CapSet::parse(text).map_err(|error| Failure::engine(format!("--cap {text}: {error}")))?;
            Ok(set.union(more))
        })
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
