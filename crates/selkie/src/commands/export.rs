//! `selkie export`

use std::process::ExitCode;

use clap::Args;
use selkie_engine::learn;
use selkie_engine::profile::Profile;
use selkie_plan::export::{Evidence, Format, Subject, export};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;
use crate::ui::text::one_line;

/// Write what was learned in the form in which people keep their configuration.
///
/// The text is on standard output; what the format cannot express is said on standard error.
///
/// Formats: podman, quadlet, compose, kube, oci, label, systemd, json.
///
/// Examples:
///   selkie export web --to podman
///   selkie export web --to quadlet > /etc/containers/systemd/web.container
///   selkie export web --to kube > web.yaml
///   selkie export web --to compose --zero 2 > compose.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    /// The format.
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,
    /// Podman's: the file of the archive.
    #[arg(long, short = 'o', hide = true)]
    output: Option<std::path::PathBuf>,
    /// With the changes of this proposal of the path to zero, counted from 1 as `profile show` lists them.
    #[arg(long, value_name = "N")]
    zero: Option<usize>,
    /// Export a profile that is not proven.
    #[arg(long)]
    unproven: bool,
    /// The profile.
    name: String,
}

impl Export {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (Some(to), None) = (&self.to, &self.output) else {
            return Err(Failure::engine("export of a container's file system: not supported yet; a profile is exported with --to FORMAT"));
        };
        let format = Format::parse(to).map_err(|error| Failure::engine(error.to_string()))?;
        let profile = Profile::load(context.engine.store(), &self.name)?;
        let report = &profile.report;
        if !(report.proven && report.complete || self.unproven) {
            return Err(Failure::engine(format!("profile {:?} is not proven: {}", self.name, report.problems.join("; ")))
                .with_hint("learn it again, or export it as it is with --unproven"));
        }
        let mut request = profile.request.clone();
        let mut set = report.set();
        let mut ends_non_root = report.facts.non_root;
        if let Some(number) = self.zero {
            let none = || {
                Failure::engine(format!(
                    "profile {:?} has no proposal {number} of a path to zero, it has {}",
                    self.name,
                    report.path_to_zero.len()
                ))
            };
            let zero = report.path_to_zero.get(number.wrapping_sub(1)).ok_or_else(none)?;
            learn::change(&mut request, &zero.flags)?;
            set = zero.needs.iter().fold(selkie_caps::CapSet::EMPTY, |set, capability| set.with(*capability));
            ends_non_root = if zero.flags.iter().any(|flag| flag == "--user") { Some(true) } else { ends_non_root };
        }
        let image = context.engine.image_config(&request).unwrap_or_default();
        let subject = Subject {
            request: &request,
            image: &image,
            digest: report.relative_to.digest.as_deref(),
            capabilities: set,
            facts: Evidence { ends_non_root, no_new_privileges: report.facts.no_new_privileges, read_only_root: report.facts.read_only },
            sysctls: &[],
        };
        let exported = export(&subject, format).map_err(|error| Failure::engine(error.to_string()))?;
        out::print(&exported.text)?;
        for note in &exported.notes {
            crate::ui::progress::say(&format!("note: {}", one_line(note)));
        }
        Ok(ExitCode::SUCCESS)
    }
}
