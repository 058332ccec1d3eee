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
    /// Returns whether nothing says which containers.
    pub(crate) fn is_empty(&self) -> bool {
        !self.all && !self.latest && self.cidfile.is_empty() && self.filter.is_empty() && self.names.is_empty()
    }

    /// Says what of it excludes the rest, as Podman does.
    fn check(&self) -> Result<(), Failure> {
        let named = !self.names.is_empty();
        let by_file = !self.cidfile.is_empty();
        let problem = match (self.all, self.latest) {
            _ if !self.filter.is_empty() && named => "--filter takes no arguments",
            _ if !self.filter.is_empty() => return Ok(()),
            (true, _) | (_, true) if by_file => "--all, --latest, and --cidfile cannot be used together",
            (true, true) => "--all and --latest cannot be used together",
            (true, false) if named => "no arguments are needed with --all",
            (false, true) if named => "--latest and containers cannot be used together",
            _ if by_file && named => "no arguments are needed with --latest or --cidfile",
            _ if self.is_empty() => "you must provide at least one name or id",
            _ => return Ok(()),
        };
        Err(Failure::engine(problem))
    }

    /// Finds the containers; one that does not exist is an error before anything is done with the others, as in Podman.
    pub(crate) fn existing(&self, context: &Context, fits: impl Fn(Status) -> bool) -> Result<Vec<Selected>, Failure> {
        let mut selected = self.containers(context, fits)?;
        match selected.iter().position(|selected| selected.container.is_err()) {
            Some(missing) => Err(selected.swap_remove(missing).container.err().unwrap_or_else(|| Failure::engine("no such container"))),
            None => Ok(selected),
        }
    }

    /// Finds the containers; with `--all` those whose state `fits`.
    pub(crate) fn containers(&self, context: &Context, fits: impl Fn(Status) -> bool) -> Result<Vec<Selected>, Failure> {
        self.check()?;
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
