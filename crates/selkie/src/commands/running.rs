//! The processes of this host and the containers that run: the kernel tells of the ones while another thread reads of the others.
//!
//! ```text
//! this thread     every process -----------> their cgroups ---> placed -+--------------------> census
//! one beside it   names, files of engines - - - (asks, and waits) - - -+--> ours, if open --->
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use selkie_engine::{Container, ContainerId, Error};
use selkie_host::containers::{self, Census, Found, Scope, find};
use selkie_host::{Placed, Procfs, Row, Status};

use crate::commands::members::{Api, known};
use crate::commands::processes::{Processes, Source};
use crate::context::Context;
use crate::ui::error::{Failure, warn};

/// Processes, and whose they are.
pub(crate) struct Running {
    /// In the order of their numbers.
    pub(crate) rows: Vec<Row>,
    pub(crate) census: Census,
    /// The names of our own containers, by their ids.
    pub(crate) names: HashMap<String, String>,
}

impl Running {
    /// Reads the processes that `keep` wants, and of containers what cgroups do not tell.
    pub(crate) fn read(
        context: &Context,
        procfs: &Procfs,
        source: Source,
        api: Api,
        keep: impl Fn(u32, &Status) -> bool + Sync,
    ) -> Result<Self, Failure> {
        let placed = OnceLock::new();
        let (rows, files) = std::thread::scope(|scope| {
            let beside = || {
                let files = Files::read(context, &placed);
                // By the number of threads the iterator over processes tells whether it has seen all: none ends meanwhile.
                placed.wait();
                files
            };
            let beside = selkie_sys::thread::beside(scope, beside);
            let awaited = Awaited(&placed);
            let Processes { rows, cgroups } = Processes::read(source, procfs, keep)?;
            awaited.is(Placed::by_paths(cgroups));
            let files = beside.and_then(|beside| beside.join().ok()).unwrap_or_else(|| Files::read(context, &placed))?;
            Ok::<_, Failure>((rows, files))
        })?;
        let Files { mut found, ours, names } = files;
        api.complete(&mut found)?;
        let census = Census::over(procfs, placed.into_inner().unwrap_or_default(), found, known(context, &ours)?);
        Ok(Self { rows, census, names })
    }
}

/// What will be told of cgroups; nothing when this goes out of scope before, so that nobody waits for ever.
struct Awaited<'a>(&'a OnceLock<Placed>);

impl Awaited<'_> {
    fn is(&self, placed: Placed) {
        // Nobody else says it.
        let _ = self.0.set(placed);
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.is(Placed::default());
    }
}

/// What files say of containers.
struct Files {
    found: Found,
    /// Ours in a cgroup of the user's choice, or in none.
    ours: Vec<Container>,
    names: HashMap<String, String>,
}

impl Files {
    fn read(context: &Context, placed: &OnceLock<Placed>) -> Result<Self, Failure> {
        let store = context.engine.store();
        let names = store.names();
        let running = containers::Running::new(placed);
        // Whoever may not look everywhere is told where not.
        let scope = if rustix::process::geteuid().is_root() { Scope::Running(&running) } else { Scope::All };
        let found = find(Path::new("/"), scope)?;
        let mut ours = Vec::new();
        for id in store.with_run_state().iter().filter(|id| !running.is_placed(id.as_str())) {
            match ContainerId::parse(id).map(|id| Container::load(store, &id)) {
                Some(Ok(container)) => ours.push(container),
                Some(Err(Error::NoSuchContainer { .. })) | None => {}
                Some(Err(error)) => warn(&Failure::from(error).line()),
            }
        }
        Ok(Self { found, ours, names })
    }
}
