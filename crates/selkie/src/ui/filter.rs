//! `--filter KEY=VALUE` of `ps`: several values of one key are alternatives, several labels and several keys must all fit.

use std::collections::BTreeMap;

use regex_lite::Regex;
use selkie_caps::Capability;
use selkie_engine::{Container, Status};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::time;

/// Filters of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

const KEYS: [&str; 14] = [
    "id",
    "name",
    "label",
    "label!",
    "status",
    "exited",
    "ancestor",
    "before",
    "since",
    "until",
    "volume",
    "privileged",
    "cap",
    "restart-policy",
];

/// Podman's, which this version does not have.
const LATER: [&str; 7] = ["network", "pod", "health", "ctr-names", "ctr-ids", "command", "annotation"];

impl Filters {
    /// Parses the flags.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, Failure> {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            // `label!=KEY` is the key `label!`.
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::engine(format!("invalid filter {text:?}")));
            };
            if LATER.contains(&key) {
                return Err(Failure::engine(format!("--filter {key}: not supported yet")));
            }
            if !KEYS.contains(&key) {
                return Err(Failure::engine(format!("{key} is an invalid filter")));
            }
            filters.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self(filters))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether some filter is about `key`.
    pub(crate) fn mentions(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Returns those of `containers`, which are all that there are, that fit.
    pub(crate) fn choose(&self, context: &Context, containers: Vec<Container>) -> Result<Vec<Container>, Failure> {
        let mut chosen = Vec::new();
        for container in &containers {
            if self.accept(context, container, &containers)? {
                chosen.push(container.clone());
            }
        }
        Ok(chosen)
    }

    /// Returns whether `container` fits; `known` are all containers, for those that a filter names.
    pub(crate) fn accept(&self, context: &Context, container: &Container, known: &[Container]) -> Result<bool, Failure> {
        for (key, values) in &self.0 {
            let mut fitting = 0;
            for value in values {
                fitting += usize::from(accept(context, container, known, key, value)?);
            }
            // Labels must all be there.
            let needed = if key == "label" || key == "label!" { values.len() } else { 1 };
            if fitting < needed {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns whether `name` has a part that fits the regular expression `value`. One that cannot be parsed fits nothing, as in Podman.
fn named(name: &str, value: &str) -> bool {
    Regex::new(value).is_ok_and(|pattern| pattern.is_match(name))
}

fn accept(context: &Context, container: &Container, known: &[Container], key: &str, value: &str) -> Result<bool, Failure> {
    let record = &container.record;
    let invalid = || Failure::engine(format!("{value:?} is not a valid value of the filter {key}"));
    Ok(match key {
        "id" => record.id.as_str().starts_with(value),
        "name" => named(record.name.as_str(), value),
        "label" | "label!" => {
            let labels = crate::commands::ps::labels(container);
            let is_there = match value.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
                None => labels.contains_key(value),
            };
            is_there == (key == "label")
        }
        "until" => time::parse(&record.created) < time::moment("--filter until", Some(value))?,
        "volume" => {
            let binds = record.request.mounts.volumes.iter();
            binds.into_iter().any(|bind| bind.source == value || bind.destination == value)
        }
        "status" => match value {
            "created" | "configured" => container.status == Status::Created,
            "running" => container.status == Status::Running,
            "paused" => container.status == Status::Paused,
            "exited" | "stopped" => container.status == Status::Exited,
            "removing" | "stopping" | "initialized" | "unknown" => false,
            _ => return Err(Failure::engine(format!("unknown container state: {value}: invalid argument"))),
        },
        "exited" => {
            let code: i32 = value.parse().map_err(|_| invalid())?;
            container.status == Status::Exited && container.exit.as_ref().is_some_and(|exit| exit.code == code)
        }
        "ancestor" => record.image.as_ref().is_some_and(|image| image.name.contains(value) || image.id.starts_with(value)),
        "before" | "since" => {
            let other = known.iter().find(|other| other.record.name.as_str() == value || other.id().as_str().starts_with(value));
            let other = other.ok_or_else(|| Failure::engine(format!("no container with name or ID {value:?} found: no such container")))?;
            if key == "before" { record.created < other.record.created } else { record.created > other.record.created }
        }
        "privileged" => {
            let wanted: bool = value.parse().map_err(|_| invalid())?;
            container.plan(context.engine.store())?.is_some_and(|plan| plan.privileged) == wanted
        }
        "cap" => {
            let wanted = Capability::parse_name(value).map_err(|error| Failure::engine(error.to_string()))?;
            container.plan(context.engine.store())?.is_some_and(|plan| plan.process.sets.bounding.contains(wanted))
        }
        "restart-policy" => {
            use selkie_plan::value::RestartPolicy;
            let policy = record.request.lifecycle.restart;
            policy == RestartPolicy::parse(value)?
        }
        _ => return Err(invalid()),
    })
}
