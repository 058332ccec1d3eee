//! `selkie create`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::Record;
use selkie_plan::{Plan, Request, Warning};

use crate::commands::enforce::EnforceFlags;
use crate::context::Context;
use crate::flags::{CreateFlags, DryRun, System};
use crate::ui::error::{Failure, warn};
use crate::ui::out;

/// Make a container and do not start it.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    enforce: EnforceFlags,
    #[command(flatten)]
    flags: CreateFlags,
}

impl Create {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let mut request = self.flags.request(&System)?;
        self.enforce.apply(context, &mut request)?;
        if let Some(form) = self.flags.dry_run {
            return dry_run(context, request, form);
        }
        check_files(&request)?;
        let created = context.engine.create(request, std::env::args().collect(), false)?;
        warn_all(created.plan.as_ref());
        write_id(&created.record)?;
        out::line(created.record.id.as_str())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the plan of `request`.
pub(crate) fn dry_run(context: &Context, request: Request, form: DryRun) -> Result<ExitCode, Failure> {
    let plan = context.engine.dry_run(request, std::env::args().collect())?;
    match form {
        DryRun::Text => {
            out::print(&plan.render())?;
            let findings = selkie_plan::lint(&plan);
            if !findings.is_empty() {
                out::line("findings")?;
            }
            for finding in findings {
                let severity = format!("{:?}", finding.severity).to_lowercase();
                out::line(&format!("  {severity}: {} ({})", finding.message, finding.rule))?;
            }
        }
        DryRun::Json => out::json(&plan)?,
        DryRun::Spec => {
            let seccomp = selkie_engine::resolved_filter(&plan)?.map(|resolved| selkie_seccomp::to_oci(&resolved));
            out::json(&selkie_plan::spec(&plan, seccomp))?;
        }
    }
    warn_all(Some(&plan));
    Ok(ExitCode::SUCCESS)
}

/// Checks before anything is made that `--cidfile` and `--pidfile` can be written, and that no other container has the first.
pub(crate) fn check_files(request: &Request) -> Result<(), Failure> {
    if let Some(path) = request.lifecycle.cidfile.as_ref().filter(|path| std::path::Path::new(path).exists()) {
        let what = "container id file exists. Ensure another container is not using it or delete";
        return Err(Failure::engine(format!("{what} {path}")));
    }
    for path in [&request.lifecycle.cidfile, &request.lifecycle.pidfile].into_iter().flatten() {
        let directory = std::path::Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
        if directory.is_some_and(|directory| !directory.is_dir()) {
            return Err(Failure::engine(format!("cannot write `{path}`: its directory does not exist")));
        }
    }
    Ok(())
}

/// Writes the container's id to `--cidfile`.
pub(crate) fn write_id(record: &Record) -> Result<(), Failure> {
    match &record.request.lifecycle.cidfile {
        Some(path) => std::fs::write(path, record.id.as_str()).map_err(|error| Failure::engine(format!("cannot write `{path}`: {error}"))),
        None => Ok(()),
    }
}

/// Shows the warnings of a plan.
pub(crate) fn warn_all(plan: Option<&Plan>) {
    plan.iter().flat_map(|plan| &plan.warnings).for_each(say);
}

/// Shows one warning.
pub(crate) fn say(warning: &Warning) {
    match &warning.hint {
        Some(hint) => warn(&format!("{} ({hint})", warning.message)),
        None => warn(&warning.message),
    }
}
