//! `selkie inspect`: containers and images as JSON, with Podman's field names.

mod container;
mod image;
mod known;

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::ui::error::{Failure, show};
use crate::ui::out;
use crate::ui::template::{self, Typed};

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
    /// What the names are: all, container, image.
    #[arg(long, short = 't', default_value = "all")]
    r#type: String,
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// With sizes (as Podman; not measured yet).
    #[arg(long, short = 's')]
    size: bool,
    /// Names or ids.
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    All,
    Container,
    Image,
}

impl Kind {
    fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "" | "all" => Ok(Self::All),
            "container" => Ok(Self::Container),
            "image" => Ok(Self::Image),
            "network" | "pod" | "volume" => Err(Failure::engine(format!("--type {word}: not supported yet"))),
            _ => Err(Failure::engine(format!(
                "invalid type {word:?}: must be \"image\", \"container\", \"pod\", \"network\", \"volume\", or \"all\""
            ))),
        }
    }
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.size {
            return Err(Failure::engine("--size: not supported yet"));
        }
        let kind = Kind::parse(&self.r#type)?;
        let mut objects = Vec::new();
        let mut failures = Vec::new();
        if self.latest && !self.names.is_empty() {
            return Err(Failure::engine("--latest and arguments cannot be used together"));
        }
        if self.latest {
            objects.push(container::object(context, &context.latest()?)?);
        } else if self.names.is_empty() {
            return Err(Failure::engine("no names or ids specified"));
        }
        for name in &self.names {
            match object(context, kind, name) {
                Ok(object) => objects.push(object),
                Err(failure) => failures.push(failure),
            }
        }
        match self.format.as_deref() {
            Some(format) if !template::is_json(format) => {
                let typed: Vec<Typed> =
                    objects.into_iter().map(|object| Typed { known: known::complete(object.clone()), printed: object }).collect();
                out::print(&template::render_typed(&dialect(format), "inspect", &typed, known::null)?)?;
            }
            _ => out::print(&array(&objects)?)?,
        }
        let last = failures.pop();
        for failure in &failures {
            show(failure);
        }
        last.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

fn object(context: &Context, kind: Kind, name: &str) -> Result<Value, Failure> {
    if kind != Kind::Image {
        match context.engine.store().find(name) {
            Ok(id) => return container::object(context, &selkie_engine::Container::load(context.engine.store(), &id)?),
            Err(error) if kind == Kind::Container || matches!(error, selkie_engine::Error::Ambiguous { .. }) => {
                return Err(error.into());
            }
            Err(_) => {}
        }
    }
    match context.engine.images().find(name) {
        Ok(image) => Ok(image::object(context.engine.images(), &image)?),
        Err(error) if kind == Kind::Image => Err(error.into()),
        Err(_) => Err(Failure::engine(format!("no such object: {name:?}"))),
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
