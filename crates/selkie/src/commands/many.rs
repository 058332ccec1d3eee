//! Commands on several containers: every one is tried, every error is shown, the last one is the command's.

use clap::{Arg, Args};
use selkie_engine::{Container, Status};

use crate::context::Context;
use crate::ui::error::{Failure, show};
use crate::ui::filter::Filters;
use crate::ui::out;

/// Which containers.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// All of them.
    #[arg(long, short = 'a')]
    pub(crate) all: bool,
    /// The one that was created last.
    #[arg(long, short = 'l')]
    pub(crate) latest: bool,
    /// Those whose ids are in these files.
    #[arg(long)]
    pub(crate) cidfile: Vec<std::path::PathBuf>,
    /// Those that fit, as with `ps --filter`.
    #[arg(long)]
    pub(crate) filter: Vec<String>,
    /// Names or ids.
    #[arg(value_name = "CONTAINER")]
    pub(crate) names: Vec<String>,
}

/// Gives `--filter` the short form that it has where `-f` is not `--force`.
pub(crate) fn short_filter(filter: Arg) -> Arg {
    filter.short('f')
}

/// A container and how the user called it.
pub(crate) struct Selected {
    pub(crate) called: String,
    pub(crate) container: Result<Container, Failure>,
}

/// One that nobody has named is called by its id.
impl From<Container> for Selected {
    fn from(container: Container) -> Self {
        Self { called: container.id().to_string(), container: Ok(container) }
    }
}

impl Selection {
    /// Finds the containers; with `--all` those whose state `fits`.
    pub(crate) fn containers(&self, context: &Context, fits: impl Fn(Status) -> bool) -> Result<Vec<Selected>, Failure> {
        if !self.filter.is_empty() {
            let chosen = Filters::parse(&self.filter)?.choose(context, context.containers()?)?;
            return Ok(chosen.into_iter().map(Selected::from).collect());
        }
        if self.all {
            let chosen = context.containers()?.into_iter().filter(|container| fits(container.status));
            return Ok(chosen.map(Selected::from).collect());
        }
        if self.latest {
            return Ok(vec![Selected::from(context.latest()?)]);
        }
        let mut names = self.names.clone();
        for file in &self.cidfile {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::engine(format!("reading CIDFile: open {}: {error}", file.display())))?;
            names.push(text.lines().next().unwrap_or_default().to_owned());
        }
        if names.is_empty() {
            return Err(Failure::engine("you must provide at least one name or id"));
        }
        Ok(names.into_iter().map(|called| Selected { container: context.container(&called), called }).collect())
    }
}

/// Does `action` with each, prints how each was called on success, and returns the last error.
pub(crate) fn each(selected: Vec<Selected>, mut action: impl FnMut(&Container) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut last: Option<Failure> = None;
    for Selected { called, container } in selected {
        match container.and_then(|container| action(&container)) {
            Ok(()) => out::line(&called)?,
            Err(failure) => {
                if let Some(earlier) = last.replace(failure) {
                    show(&earlier);
                }
            }
        }
    }
    last.map_or(Ok(()), Err)
}
