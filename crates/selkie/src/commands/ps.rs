//! `selkie ps`

mod foreign;
mod order;

use std::process::ExitCode;

use clap::Args;
use order::{Order, Place};
use selkie_caps::CapSet;
use selkie_engine::{Container, Status};
use serde_json::{Value, json};

use crate::commands::members::Api;
use crate::context::Context;
use crate::ui::error::{Failure, warn};
use crate::ui::{filter, out, table, template, time};

/// List containers.
///
/// Examples:
///   selkie ps -a
///   selkie ps --caps
///   selkie ps --engine all --caps --filter privileged=true
///   selkie ps --filter status=exited --format '{{.Names}} {{.Status}}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Podman's")]
pub(crate) struct Ps {
    /// Those that do not run, too.
    #[arg(long, short = 'a')]
    all: bool,
    /// Only those that fit: id, name, label, status, exited, ancestor, before, since, until, volume, privileged, cap.
    #[arg(long, short = 'f')]
    filter: Vec<String>,
    /// Print as `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long)]
    format: Option<String>,
    /// The last so many that were created, in whatever state.
    #[arg(long, short = 'n', allow_negative_numbers = true)]
    last: Option<i64>,
    /// The one that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// Do not shorten ids and commands.
    #[arg(long)]
    no_trunc: bool,
    /// Without the line of headings.
    #[arg(long)]
    noheading: bool,
    /// Only ids.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// With sizes (as Podman; not measured yet).
    #[arg(long, short = 's')]
    size: bool,
    /// In which order: command, created (the default; with --engine, engine by engine), id, image, names, runningfor, size, status.
    #[arg(long)]
    sort: Option<String>,
    /// Also whether each is privileged and which capabilities it may use.
    #[arg(long)]
    caps: bool,
    /// Also containers of this other engine, or of `all`, with a column ENGINE.
    #[arg(long, value_name = "NAME|all")]
    engine: Option<String>,
    #[command(flatten)]
    api: Api,
    /// Look at the kernel again (as Podman; selkie always does).
    #[arg(long, hide = true)]
    sync: bool,
    /// Containers of other tools on the same storage (as Podman; there are none).
    #[arg(long, hide = true)]
    external: bool,
    /// With pods (as Podman; there are none).
    #[arg(long, short = 'p', hide = true)]
    pod: bool,
}

impl Ps {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.size {
            return Err(Failure::engine("--size: not supported yet"));
        }
        if self.latest && self.last.is_some_and(|count| count >= 0) {
            return Err(Failure::engine("last and latest are mutually exclusive"));
        }
        let order = self.sort.as_deref().map(Order::parse).transpose()?;
        if let Some(word) = &self.engine {
            let list = foreign::List {
                all: self.all,
                caps: self.caps,
                no_trunc: self.no_trunc,
                heading: !self.noheading,
                quiet: self.quiet,
                order,
                last: self.last(),
                api: self.api,
            };
            return list.run(context, word, &self.filter, self.format.as_deref());
        }
        if self.api.engine_api {
            return Err(Failure::engine("--engine-api is for --engine: nobody is asked about our own containers"));
        }
        let mut containers = context.containers()?;
        let filters = filter::Filters::parse(&self.filter)?;
        let filtered_by_status = filters.mentions("status") || filters.mentions("exited");
        let everything = self.all || self.last().is_some() || filtered_by_status;
        let known: Vec<Container> = if filters.is_empty() { Vec::new() } else { containers.clone() };
        containers.retain(|container| everything || matches!(container.status, Status::Running | Status::Paused));
        let mut kept = Vec::with_capacity(containers.len());
        for container in containers {
            if filters.accept(context, &container, &known)? {
                kept.push(container);
            }
        }
        // They come in the order in which they were created, as in Podman.
        if let Some(count) = self.last() {
            kept.drain(..kept.len().saturating_sub(count));
        }
        if let Some(order) = order {
            kept.sort_by_cached_key(|container| order.key(&Place::of(container)));
        }
        self.print(context, &kept)?;
        Ok(ExitCode::SUCCESS)
    }

    /// How many of those created last are wanted, whether they run or not. Podman takes 0 and less for no wish.
    fn last(&self) -> Option<usize> {
        if self.latest { Some(1) } else { self.last.filter(|count| *count > 0).and_then(|count| usize::try_from(count).ok()) }
    }

    fn print(&self, context: &Context, containers: &[Container]) -> Result<(), Failure> {
        // A format says more than `--quiet`.
        if self.quiet && self.format.is_none() {
            let ids = containers
                .iter()
                .map(|container| format!("{}\n", if self.no_trunc { container.id().as_str() } else { container.id().short() }));
            return out::print(&ids.collect::<String>());
        }
        match self.format.as_deref() {
            Some(format) if format.trim() == "json" => {
                let list: Vec<Value> = containers.iter().map(|container| json_object(context, container)).collect::<Result<_, _>>()?;
                out::json(&list)
            }
            Some(format) => {
                let rows: Vec<Value> = containers.iter().map(|container| self.view(context, container)).collect::<Result<_, _>>()?;
                out::print(&template::list(&dialect(format), "ps", &rows, &headings(), !self.noheading)?)
            }
            None => self.table(context, containers),
        }
    }

    fn table(&self, context: &Context, containers: &[Container]) -> Result<(), Failure> {
        let mut rows = Vec::with_capacity(containers.len() + 1);
        if !self.noheading {
            let mut heading = vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
            if self.caps {
                heading.extend(["PRIVILEGED", "CAPS"]);
            }
            rows.push(heading.into_iter().map(str::to_owned).collect());
        }
        for container in containers {
            let id = if self.no_trunc { container.id().as_str() } else { container.id().short() };
            let mut row = vec![
                id.to_owned(),
                image(container),
                command(container, self.no_trunc),
                time::ago(&container.record.created),
                status(container),
                String::new(),
                container.record.name.to_string(),
            ];
            if self.caps {
                let privileges = Privileges::of(context, container);
                row.extend([privileges.privileged.to_string(), privileges.summary()]);
            }
            rows.push(row);
        }
        out::print(&table::layout(&rows))
    }

    /// The names that Podman's templates know.
    fn view(&self, context: &Context, container: &Container) -> Result<Value, Failure> {
        let record = &container.record;
        let privileges = Privileges::of(context, container);
        let exit = container.exit.as_ref();
        let id = if self.no_trunc { container.id().as_str() } else { container.id().short() };
        let image_id = record.image.as_ref().map(|image| image.id.clone()).unwrap_or_default();
        Ok(json!({
            "AutoRemove": record.request.lifecycle.remove,
            "CIDFile": record.request.lifecycle.cidfile.clone().unwrap_or_default(),
            "Caps": privileges.summary(),
            "Cgroup": "",
            "Command": command(container, self.no_trunc),
            "Created": time::full(&record.created),
            "CreatedAt": time::full(&record.created),
            "CreatedHuman": time::ago(&record.created),
            "Engine": "selkie",
            "ExitCode": exit.map_or(0, |exit| exit.code),
            "Exited": container.status == Status::Exited,
            "ExitedAt": exited_at(container),
            "ExposedPorts": record.image_config.exposed_ports,
            "ID": id,
            "Image": image(container),
            "ImageID": if self.no_trunc { image_id } else { image_id.get(..12).unwrap_or_default().to_owned() },
            "IsInfra": false,
            "IPC": "",
            "Labels": label_field(container),
            "MNT": "",
            "Mounts": Vec::<String>::new(),
            "NET": "",
            "Names": record.name.as_str(),
            "Namespaces": {"Cgroup": "", "IPC": "", "MNT": "", "NET": "", "PIDNS": "", "User": "", "UTS": ""},
            "Networks": "",
            "PIDNS": "",
            "Pid": container.live.as_ref().map_or(0, |live| live.init.pid),
            "Pod": "",
            "PodName": "",
            "Ports": "",
            "Privileged": privileges.privileged,
            "Restarts": restarts(container),
            "RunningFor": time::ago(&record.created),
            "Size": "",
            "StartedAt": started_at(container),
            "State": container.status.as_str(),
            "Status": status(container),
            "UTS": "",
            "User": "",
        }))
    }
}

impl<'a> Place<'a> {
    fn of(container: &'a Container) -> Self {
        Self {
            id: container.id().as_str(),
            name: container.record.name.as_str(),
            image: image(container),
            command: command(container, true),
            created: Some(&container.record.created),
            started: started_at(container),
            status: container.status as u8,
        }
    }
}

/// Headings of `--format 'table ...'`, where they are not the field in capitals.
fn headings() -> Vec<(&'static str, &'static str)> {
    vec![
        ("ID", "CONTAINER ID"),
        ("CreatedHuman", "CREATED"),
        ("Pod", "POD ID"),
        ("PodName", "PODNAME"),
        ("User", "USERNS"),
        ("Cgroup", "CGROUPNS"),
    ]
}

/// A label is asked for by a method of Podman's, which no field of ours can be: it is a function here.
fn dialect(format: &str) -> String {
    format.replace(" .Label ", " label . ").replace("{{.Label ", "{{label . ").replace("(.Label ", "(label . ")
}

/// What a container may use: what its plan says, for tables.
struct Privileges {
    privileged: bool,
    granted: CapSet,
    planned: bool,
}

impl Privileges {
    /// A damaged plan is said and hides no container: what it grants is then not known.
    fn of(context: &Context, container: &Container) -> Self {
        let plan = container.plan(context.engine.store()).unwrap_or_else(|error| {
            warn(&Failure::from(error).line());
            None
        });
        Self {
            privileged: plan.as_ref().is_some_and(|plan| plan.privileged),
            granted: plan.as_ref().map(|plan| plan.process.sets.bounding).unwrap_or_default(),
            planned: plan.is_some(),
        }
    }

    fn summary(&self) -> String {
        if !self.planned {
            return String::new();
        }
        few(self.granted)
    }
}

/// Returns the names of a set while they are few, else how many they are: the column CAPS.
fn few(set: CapSet) -> String {
    let names: Vec<String> = set.iter().map(|capability| capability.short_name().to_ascii_lowercase()).collect();
    match names.len() {
        0 => "none".to_owned(),
        1..=4 => names.join(","),
        count => count.to_string(),
    }
}

/// Returns the image as the user knows it.
pub(crate) fn image(container: &Container) -> String {
    match (&container.record.image, &container.record.request.image) {
        (Some(image), _) => image.name.clone(),
        (None, Some(reference)) => reference.clone(),
        (None, None) => String::new(),
    }
}

/// Returns the command line, shortened as Podman does.
pub(crate) fn command(container: &Container, whole: bool) -> String {
    let record = &container.record;
    let words = if record.request.command.is_empty() { &record.image_config.cmd } else { &record.request.command };
    let text = words.join(" ");
    if whole { text } else { shortened(text) }
}

/// Shortens a command line as Podman does.
fn shortened(text: String) -> String {
    if text.chars().count() <= 20 { text } else { format!("{}...", text.chars().take(17).collect::<String>()) }
}

/// Returns the state in words: `Up 4 seconds`.
pub(crate) fn status(container: &Container) -> String {
    match (container.status, &container.live, &container.exit) {
        (Status::Running, Some(live), _) => format!("Up {}", time::human_duration(time::seconds_since(&live.started))),
        (Status::Paused, ..) => "Paused".to_owned(),
        (Status::Exited, _, Some(exit)) => format!("Exited ({}) {}", exit.code, time::ago(&exit.finished)),
        _ => "Created".to_owned(),
    }
}

/// Seconds since 1970; those of Go's first second for one that has not ended.
fn exited_at(container: &Container) -> i64 {
    container.exit.as_ref().and_then(|exit| time::parse(&exit.finished)).map_or(-62_135_596_800, jiff::Timestamp::as_second)
}

fn started_at(container: &Container) -> i64 {
    let started = container.live.as_ref().map(|live| &live.started).or_else(|| container.exit.as_ref().map(|exit| &exit.started));
    started.and_then(|started| time::parse(started)).map_or(0, jiff::Timestamp::as_second)
}

fn restarts(container: &Container) -> u32 {
    container.live.as_ref().map(|live| live.restarts).or_else(|| container.exit.as_ref().map(|exit| exit.restarts)).unwrap_or(0)
}

/// Labels of the image and the user's, which win.
pub(crate) fn labels(container: &Container) -> std::collections::BTreeMap<String, String> {
    let mut labels = container.record.image_config.labels.clone();
    labels.extend(container.record.request.labels.clone());
    labels
}

/// The same as a field of JSON: Podman's is `null` where there are none.
pub(crate) fn label_field(container: &Container) -> Value {
    let labels = labels(container);
    if labels.is_empty() { Value::Null } else { json!(labels) }
}

fn json_object(context: &Context, container: &Container) -> Result<Value, Failure> {
    let record = &container.record;
    let privileges = Privileges::of(context, container);
    let words = if record.request.command.is_empty() { &record.image_config.cmd } else { &record.request.command };
    Ok(json!({
        "AutoRemove": record.request.lifecycle.remove,
        "CIDFile": record.request.lifecycle.cidfile.clone().unwrap_or_default(),
        "Command": words,
        "CreatedAt": time::ago(&record.created),
        "ExitCode": container.exit.as_ref().map_or(0, |exit| exit.code),
        "Exited": container.status == Status::Exited,
        "ExitedAt": exited_at(container),
        "Id": container.id(),
        "Image": image(container),
        "ImageID": record.image.as_ref().map(|image| image.id.clone()).unwrap_or_default(),
        "IsInfra": false,
        "Labels": label_field(container),
        "Mounts": [],
        "Names": [record.name.as_str()],
        "Namespaces": {},
        "Networks": [],
        "Pid": container.live.as_ref().map_or(0, |live| live.init.pid),
        "Pod": "",
        "PodName": "",
        "Ports": null,
        "Privileged": privileges.privileged,
        "BoundingCaps": privileges.granted.sorted_names(),
        "Restarts": restarts(container),
        "Size": null,
        "StartedAt": started_at(container),
        "State": container.status.as_str(),
        "Status": status(container),
        "Created": time::parse(&record.created).map_or(0, jiff::Timestamp::as_second),
    }))
}
