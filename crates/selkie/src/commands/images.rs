//! `selkie images`

use std::process::ExitCode;

use clap::Args;
use selkie_image::{Image, Reference};
use serde_json::{Value, json};

use crate::context::Context;
use crate::ui::error::{Failure, warn};
use crate::ui::{image_filter, out, size, template, time};

/// List images.
///
/// Examples:
///   selkie images
///   selkie images --filter dangling=true -q
///   selkie images --format '{{.Repository}}:{{.Tag}} {{.Size}}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Podman's")]
pub(crate) struct Images {
    /// All images (as Podman; there are no hidden ones).
    #[arg(long, short = 'a')]
    all: bool,
    /// With the digests of manifests.
    #[arg(long)]
    digests: bool,
    /// Only those that fit: reference, dangling, label, before, since, id.
    #[arg(long, short = 'f')]
    filter: Vec<String>,
    /// Print as `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long)]
    format: Option<String>,
    /// With earlier names.
    #[arg(long)]
    history: bool,
    /// Do not shorten ids.
    #[arg(long)]
    no_trunc: bool,
    /// Without the line of headings.
    #[arg(long, short = 'n', alias = "no-heading")]
    noheading: bool,
    /// Only ids.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// In which order: created, id, repository, size, tag.
    #[arg(long, default_value = "created")]
    sort: String,
    /// Only images of this name.
    image: Option<String>,
}

/// One line: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    name: Option<&'a str>,
    containers: usize,
}

impl Images {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.image.is_some() && !self.filter.is_empty() {
            return Err(Failure::engine("cannot specify an image and a filter(s)"));
        }
        let order = Order::parse(&self.sort)?;
        let filters = image_filter::Filters::parse(&self.filter)?;
        let (images, damaged) = context.engine.images().images()?;
        filters.check(&images)?;
        damaged.into_iter().for_each(|error| warn(&Failure::from(error).line()));
        let (containers, _) = selkie_engine::Container::all(context.engine.store())?;
        let is_wanted = |image: &Image| self.image.as_deref().is_none_or(|wanted| is_called(image, wanted));
        let kept = images.iter().filter(|image| is_wanted(image) && filters.accept(image, &images));
        let mut rows: Vec<Row<'_>> = kept
            .flat_map(|image| {
                let users = containers.iter().filter(|user| user.record.image.as_ref().is_some_and(|used| used.id == image.id)).count();
                let names: Vec<Option<&str>> =
                    if image.names.is_empty() { vec![None] } else { image.names.iter().map(|name| Some(name.as_str())).collect() };
                names.into_iter().map(move |name| Row { image, name, containers: users })
            })
            .collect();
        order.sort(&mut rows);
        out::print(&self.text(&rows)?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self, rows: &[Row<'_>]) -> Result<String, Failure> {
        if self.quiet {
            let mut ids: Vec<String> = Vec::new();
            for row in rows {
                let id = self.id(row);
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            return Ok(ids.into_iter().map(|id| id + "\n").collect());
        }
        let format = self.format.as_deref().unwrap_or(match (self.digests, self.history) {
            (true, _) => "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Created}}\t{{.Size}}",
            (false, true) => "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Created}}\t{{.Size}}\t{{.History}}",
            _ => "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Created}}\t{{.Size}}",
        });
        if template::is_json(format) {
            let objects: Vec<Value> = rows.iter().map(Row::json).collect();
            return json_array(&objects);
        }
        let values: Vec<Value> = rows.iter().map(|row| self.view(row)).collect();
        template::list(format, "images", &values, &[("ID", "IMAGE ID"), ("CreatedSince", "CREATED")], !self.noheading)
    }

    fn id(&self, row: &Row<'_>) -> String {
        if self.no_trunc { format!("sha256:{}", row.image.id) } else { row.image.id.chars().take(12).collect() }
    }

    /// The fields of templates.
    fn view(&self, row: &Row<'_>) -> Value {
        let (repository, tag) = row.repository_and_tag();
        let image = row.image;
        json!({
            "ID": self.id(row),
            "Id": image.id,
            "Repository": repository,
            "Tag": tag,
            "Digest": image.digest,
            "Created": time::ago(&image.created),
            "CreatedSince": time::ago(&image.created),
            "CreatedAt": created_at(&image.created),
            "CreatedTime": created_at(&image.created),
            "Size": size::human(image.size),
            "VirtualSize": size::human(image.size),
            "Containers": row.containers,
            "Dangling": image.names.is_empty(),
            "Names": image.names,
            "RepoTags": image.names,
            "RepoDigests": repository_digests(image),
            "History": image.names_history.join(", "),
            "Labels": labels(image),
            "ParentId": "",
            "ReadOnly": false,
            "SharedSize": "0 B",
        })
    }
}

impl Row<'_> {
    fn repository_and_tag(&self) -> (&str, &str) {
        self.name.and_then(|name| name.rsplit_once(':')).unwrap_or(("<none>", "<none>"))
    }

    /// The fields of `--format json`: one object for each name, as Podman.
    fn json(&self) -> Value {
        let image = self.image;
        let created = time::parse(&image.created).map_or(0, |time| time.as_second());
        json!({
            "Id": image.id,
            "ParentId": "",
            "RepoTags": Value::Null,
            "RepoDigests": repository_digests(image),
            "Size": image.size,
            "SharedSize": 0,
            "VirtualSize": image.size,
            "Labels": labels(image),
            "Containers": self.containers,
            "Names": image.names,
            "Digest": image.digest,
            "History": image.names_history,
            "Created": created,
            "CreatedAt": time::parse(&image.created).map(|time| format!("{time:.0}")).unwrap_or_default(),
        })
    }
}

/// Whether `wanted` is a name of the image, its repository, or the end of that behind a `/`; or the beginning of its id.
fn is_called(image: &Image, wanted: &str) -> bool {
    let Ok(reference) = Reference::parse(wanted) else { return false };
    let path = reference.repository();
    let by_name = image.names.iter().any(|name| {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, ""));
        let tag_fits = reference.tag.as_deref().is_none_or(|wanted| wanted == tag);
        tag_fits && (repository == path || repository.ends_with(&format!("/{path}")))
    });
    let digest_fits = reference.digest.as_ref().is_none_or(|digest| digest.to_string() == image.digest);
    (by_name && digest_fits) || image.id.starts_with(wanted)
}

/// Returns the names of an image with its digest in place of tags, sorted.
pub(crate) fn repository_digests(image: &Image) -> Vec<String> {
    let repositories = image.names.iter().map(|name| name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository));
    let mut digests: Vec<String> = repositories.map(|repository| format!("{repository}@{}", image.digest)).collect();
    digests.sort();
    digests.dedup();
    digests
}

fn labels(image: &Image) -> Value {
    image.config.get("config").and_then(|config| config.get("Labels")).cloned().unwrap_or(Value::Null)
}

fn created_at(created: &str) -> String {
    time::parse(created).map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

/// Four blanks a level, as Podman prints lists.
fn json_array(objects: &[Value]) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    serde::Serialize::serialize(objects, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| Failure::engine(error.to_string()))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Clone, Copy)]
enum Order {
    Created,
    Id,
    Repository,
    Size,
    Tag,
}

impl Order {
    fn parse(text: &str) -> Result<Self, Failure> {
        Ok(match text {
            "created" => Self::Created,
            "id" => Self::Id,
            "repository" => Self::Repository,
            "size" => Self::Size,
            "tag" => Self::Tag,
            _ => {
                let problem = format!("{text:?} is not a valid field for sorting. Choose from: created, id, repository, size, tag");
                return Err(Failure::engine(problem));
            }
        })
    }

    /// Sorts rows, which come with the newest first and keep that order among equals.
    fn sort(self, rows: &mut [Row<'_>]) {
        match self {
            Self::Created => {}
            Self::Id => rows.sort_by(|a, b| a.image.id.cmp(&b.image.id)),
            Self::Repository => rows.sort_by(|a, b| a.repository_and_tag().cmp(&b.repository_and_tag())),
            Self::Size => rows.sort_by_key(|row| row.image.size),
            Self::Tag => rows.sort_by(|a, b| a.repository_and_tag().1.cmp(b.repository_and_tag().1)),
        }
    }
}
