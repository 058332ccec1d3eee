//! `ps --engine`: containers of every engine in one table.

use std::process::ExitCode;

use selkie_caps::{CapSet, Capability};
use selkie_host::containers::HostContainer;
use selkie_host::privileged::{self, Subject};
use selkie_host::{Buffer, Engine, Procfs, TICKS_A_SECOND};
use serde_json::{Value, json};

use super::order::{Order, Place};
use super::{command as own_command, few, image as own_image, shortened};
use crate::commands::caps::{uptime, wanted_engine};
use crate::commands::members::{Api, is_ours, owner, say_hidden, whole_census};
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, table, template, time};

/// How the list is to look.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Podman's")]
pub(super) struct List {
    pub(super) all: bool,
    pub(super) caps: bool,
    pub(super) no_trunc: bool,
    pub(super) heading: bool,
    pub(super) quiet: bool,
    /// By engines and ids, if nothing is said.
    pub(super) order: Option<Order>,
    /// How many of those that were created last.
    pub(super) last: Option<usize>,
    pub(super) api: Api,
}

/// A line of the list.
struct Line {
    container: HostContainer,
    /// `None` when neither kernel nor files tell.
    privileged: Option<bool>,
    bounding: Option<CapSet>,
    /// For how many seconds its first process has run.
    age: Option<i64>,
}

impl List {
    pub(super) fn run(self, context: &Context, word: &str, filters: &[String], format: Option<&str>) -> Result<ExitCode, Failure> {
        let engine = wanted_engine(word)?;
        let filters: Vec<Filter> = filters.iter().map(|text| Filter::parse(text)).collect::<Result<_, _>>()?;
        let procfs = procfs()?;
        let ours = context.containers()?;
        let census = whole_census(context, &ours, &procfs, self.api)?;
        let mut found: Vec<HostContainer> = census.containers().filter(|container| !is_ours(container, &ours)).cloned().collect();
        for container in &ours {
            let plan = container.plan(context.engine.store())?;
            found.push(HostContainer {
                name: Some(container.record.name.to_string()),
                image: Some(own_image(container)),
                privileged: plan.as_ref().map(|plan| plan.privileged),
                bounding: plan.map(|plan| plan.process.sets.bounding),
                command: vec![own_command(container, true)],
                created: Some(container.record.created.clone()),
                pid: container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok()),
                ..HostContainer::unknown(Engine::Selkie, owner(container).id)
            });
        }
        found.sort_by_key(|container| container.owner.engine);
        found.retain(|container| {
            engine.is_none_or(|engine| engine == container.owner.engine) && (self.all || self.last.is_some() || container.pid.is_some())
        });
        let mut lines: Vec<Line> = found.into_iter().map(|container| Line::new(&procfs, container)).collect::<Result<_, _>>()?;
        lines.retain(|line| filters.iter().all(|filter| filter.accepts(line)));
        if let Some(count) = self.last {
            lines.sort_by_cached_key(|line| Order::Created.key(&line.place()));
            lines.drain(..lines.len().saturating_sub(count));
        }
        match (self.order, self.last) {
            (Some(order), _) => lines.sort_by_cached_key(|line| order.key(&line.place())),
            // Engine by engine, and in each in the order in which Podman has its own.
            (None, None) => lines.sort_by_cached_key(|line| (line.container.owner.engine, Order::Created.key(&line.place()))),
            (None, Some(_)) => {}
        }
        self.print(&lines, format)?;
        say_hidden(&census);
        Ok(ExitCode::SUCCESS)
    }

    fn print(self, lines: &[Line], format: Option<&str>) -> Result<(), Failure> {
        if self.quiet {
            return out::print(&lines.iter().map(|line| format!("{}\n", line.id(self.no_trunc))).collect::<String>());
        }
        if let Some(format) = format {
            let values: Vec<Value> = lines.iter().map(|line| line.value(self.no_trunc)).collect();
            return out::print(&template::list(format, "ps", &values, &super::headings(), self.heading)?);
        }
        let mut rows = Vec::with_capacity(lines.len() + 1);
        if self.heading {
            let mut heading = vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES", "ENGINE"];
            if self.caps {
                heading.extend(["PRIVILEGED", "CAPS"]);
            }
            rows.push(heading.into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
        for line in lines {
            let value = line.value(self.no_trunc);
            let mut fields = vec!["ID", "Image", "Command", "CreatedHuman", "Status", "Ports", "Names", "Engine"];
            if self.caps {
                fields.extend(["Privileged", "Caps"]);
            }
            rows.push(fields.into_iter().map(|field| text(value.get(field))).collect());
        }
        out::print(&table::layout(&rows))
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

impl Line {
    /// Of what runs the kernel is asked; of what does not, the engine's files say what they say.
    fn new(procfs: &Procfs, mut container: HostContainer) -> Result<Self, Failure> {
        let mut age = None;
        let (mut privileged, mut bounding) = (container.privileged, container.bounding);
        if let Some(pid) = container.pid {
            if let Some(facts) = privileged::read(procfs, Subject::Process { pid, configured: container.configured() })? {
                privileged = Some(privileged::verdict(&facts).privileged);
                bounding = Some(facts.sets.bounding);
            }
            let mut buffer = Buffer::new();
            age = procfs
                .stat(pid, &mut buffer)?
                .and_then(|stat| i64::try_from(uptime().saturating_sub(stat.start_time) / TICKS_A_SECOND).ok());
            if container.command.is_empty() {
                let line = procfs.command_line(pid, &mut buffer)?.unwrap_or_default();
                let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
                container.command = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            }
        }
        Ok(Self { container, privileged, bounding, age })
    }

    fn place(&self) -> Place<'_> {
        Place {
            id: &self.container.owner.id,
            name: self.container.title(),
            image: self.container.image.clone().unwrap_or_default(),
            command: self.container.command.join(" "),
            created: self.container.created.as_deref(),
            started: self.age.map_or(0, |age| time::now().saturating_sub(age)),
            status: u8::from(self.container.pid.is_none()),
        }
    }

    fn id(&self, whole: bool) -> &str {
        if whole { &self.container.owner.id } else { self.container.owner.short() }
    }

    /// As Podman has it for its own, as far as it is known of others.
    fn status(&self) -> String {
        let paused = if self.container.state == Some("paused") { " (Paused)" } else { "" };
        match self.age {
            Some(age) => format!("Up {}{paused}", time::human_duration(age)),
            None if self.container.pid.is_some() => "Up".to_owned(),
            None => "Stopped".to_owned(),
        }
    }

    fn caps(&self) -> String {
        self.bounding.map(few).unwrap_or_default()
    }

    /// The names that `ps` has for the same things.
    fn value(&self, whole: bool) -> Value {
        let container = &self.container;
        let command = container.command.join(" ");
        // The kernel says whether it runs, its engine in which way.
        let state = match (container.pid, container.state) {
            (Some(_), Some("paused")) => "paused",
            (Some(_), _) => "running",
            (None, Some(state)) if !matches!(state, "running" | "paused") => state,
            (None, _) => "stopped",
        };
        json!({
            "BoundingCaps": self.bounding.map(CapSet::sorted_names),
            "Caps": self.caps(),
            "Command": if whole { command } else { shortened(command) },
            "CreatedAt": container.created,
            "CreatedHuman": container.created.as_deref().map_or_else(String::new, time::ago),
            "Engine": container.owner.engine.word(),
            "ID": self.id(whole),
            "Image": container.image.as_deref().unwrap_or_default(),
            "Names": container.title(),
            "Namespace": container.namespace.as_deref().unwrap_or_default(),
            "Pid": container.pid.unwrap_or(0),
            "PodName": container.pod.as_deref().unwrap_or_default(),
            "Ports": "",
            "Privileged": self.privileged,
            "State": state,
            "Status": self.status(),
            "User": container.user,
        })
    }
}

/// The filters that mean something for every engine.
enum Filter {
    Privileged(bool),
    Cap(Capability),
    Name(String),
    Id(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = || Failure::engine(format!("{text} is an invalid filter with --engine, expected id=, name=, privileged= or cap="));
        let (key, value) = text.split_once('=').ok_or_else(invalid)?;
        Ok(match key {
            "privileged" => Self::Privileged(
                value
                    .parse()
                    .map_err(|_| Failure::engine(format!("{text} is an invalid filter: expected privileged=true or privileged=false")))?,
            ),
            "cap" => Self::Cap(Capability::parse_name(value).map_err(|error| Failure::engine(error.to_string()))?),
            "name" => Self::Name(value.to_owned()),
            "id" => Self::Id(value.to_owned()),
            _ => return Err(invalid()),
        })
    }

    fn accepts(&self, line: &Line) -> bool {
        match self {
            Self::Privileged(wanted) => line.privileged == Some(*wanted),
            Self::Cap(wanted) => line.bounding.is_some_and(|set| set.contains(*wanted)),
            Self::Name(part) => line.container.title().contains(part.as_str()),
            Self::Id(start) => line.container.owner.id.starts_with(start.as_str()),
        }
    }
}
