//! `selkie inspect`: containers and images as JSON, with Podman's field names.

mod container;
mod image;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::context::Context;
use crate::ui::error::{Failure, show};
use crate::ui::{out, template};

/// Show everything about containers and images.
///
/// Examples:
///   selkie inspect web
///   selkie inspect --format '{{.HostConfig.Privileged}}' web
///   selkie inspect --format '{{.EffectiveCaps}}' web
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Inspect {
    /// A Go template, or `json`.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// What the names are.
    #[arg(long, short = 't', value_enum, default_value = "all")]
    r#type: Kind,
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// With sizes (as Podman; not measured yet).
    #[arg(long, short = 's')]
    size: bool,
    /// Names or ids.
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    All,
    Container,
    Image,
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.size {
            return Err(Failure::engine("--size: not supported yet"));
        }
        let mut objects = Vec::new();
        let mut failures = Vec::new();
        if self.latest {
            objects.push(container::object(context, &context.latest()?)?);
        } else if self.names.is_empty() {
            return Err(Failure::engine("no names or ids specified"));
        }
        for name in &self.names {
            match self.object(context, name) {
                Ok(object) => objects.push(object),
                Err(failure) => failures.push(failure),
            }
        }
        match self.format.as_deref() {
            Some(format) if !template::is_json(format) => {
                objects.iter_mut().for_each(fill);
                out::print(&template::render(&dialect(format), "inspect", &objects)?)?;
            }
            _ => out::print(&array(&objects)?)?,
        }
        let last = failures.pop();
        for failure in &failures {
            show(failure);
        }
        last.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    fn object(&self, context: &Context, name: &str) -> Result<Value, Failure> {
        if self.r#type != Kind::Image {
            match context.engine.store().find(name) {
                Ok(id) => return container::object(context, &selkie_engine::Container::load(context.engine.store(), &id)?),
                Err(error) if self.r#type == Kind::Container || matches!(error, selkie_engine::Error::Ambiguous { .. }) => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        match context.engine.images().find(name) {
            Ok(image) => Ok(image::object(context.engine.images(), &image)?),
            Err(error) if self.r#type == Kind::Image => Err(error.into()),
            Err(_) => Err(Failure::engine(format!("no such object: {name:?}"))),
        }
    }
}

/// Fields that are lists, and tables, in Podman: where there is nothing, their JSON is `null`, and a template sees an empty one.
const LISTS: [&str; 5] = ["BoundingCaps", "EffectiveCaps", "Links", "OnBuild", "VolumesFrom"];
const TABLES: [&str; 4] = ["CgroupConf", "Config", "Labels", "Volumes"];

/// Makes lists and tables of what is `null` for want of anything in it.
fn fill(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Null if LISTS.contains(&name.as_str()) => *field = Value::Array(Vec::new()),
                    Value::Null if TABLES.contains(&name.as_str()) => *field = Value::Object(serde_json::Map::new()),
                    _ => fill(field),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(fill),
        _ => {}
    }
}

/// Podman takes a few field names that are not those of its own output.
fn dialect(format: &str) -> String {
    [(".ID}", ".Id}"), (".ID ", ".Id "), (".ImageID", ".Image"), (".Src", ".Source"), (".Dst", ".Destination")]
        .iter()
        .fold(format.to_owned(), |format, (theirs, ours)| format.replace(theirs, ours))
}

/// Prints `objects` as Podman does: an array, five blanks a level.
fn array(objects: &[Value]) -> Result<String, Failure> {
    if objects.is_empty() {
        return Ok("[]\n".to_owned());
    }
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"     ");
    serde::Serialize::serialize(&objects, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| Failure::engine(error.to_string()))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
