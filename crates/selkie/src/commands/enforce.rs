//! `--profile` and `--caps` of `run` and `create`: what was learned, enforced.

use clap::Args;
use selkie_engine::profile::Profile;
use selkie_plan::Request;

use crate::context::Context;
use crate::ui::error::Failure;

/// What was learned, enforced.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EnforceFlags {
    /// Give exactly the capabilities of this profile.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// `learned`: give exactly the capabilities that were learned from this image.
    #[arg(long, value_name = "learned")]
    caps: Option<String>,
}

impl EnforceFlags {
    /// Gives `request` the capabilities of the profile that is meant, if one is.
    pub(crate) fn apply(&self, context: &Context, request: &mut Request) -> Result<(), Failure> {
        let wanted = match (&self.profile, self.caps.as_deref()) {
            (None, None) => return Ok(()),
            (Some(name), None) => Profile::load(context.engine.store(), name)?,
            (None, Some("learned")) => learned_from(context, request)?,
            (None, Some(other)) => return Err(Failure::engine(format!("invalid value {other:?} for --caps: expected learned"))),
            (Some(_), Some(_)) => return Err(Failure::engine("--profile and --caps cannot be used together")),
        };
        let security = &request.security;
        if security.privileged == Some(true) || !security.cap_add.is_empty() || !security.cap_drop.is_empty() {
            return Err(Failure::engine(
                "a profile gives exactly its capabilities: --privileged, --cap-add and --cap-drop cannot be used with it",
            )
            .with_hint(format!("selkie export {} --to podman prints them as flags", wanted.name)));
        }
        let set = wanted.enforced(digest(context, request)?.as_deref())?;
        request.security.cap_drop = vec!["all".to_owned()];
        request.security.cap_add = set.iter().map(|capability| capability.short_name().to_owned()).collect();
        Ok(())
    }
}

/// The digest of the image to run, if it has one.
fn digest(context: &Context, request: &Request) -> Result<Option<String>, Failure> {
    match request.image.as_deref() {
        None | Some("host:") => Ok(None),
        Some(reference) => Ok(Some(context.engine.images().find(reference)?.digest)),
    }
}

/// The newest profile of the image with the same command line.
fn learned_from(context: &Context, request: &Request) -> Result<Profile, Failure> {
    let digest = digest(context, request)?;
    let (profiles, _) = Profile::all(context.engine.store())?;
    let fits = |profile: &Profile| {
        profile.report.relative_to.digest == digest
            && profile.request.command == request.command
            && profile.request.rootfs == request.rootfs
    };
    let newest = profiles.into_iter().filter(fits).max_by(|one, other| one.learned.cmp(&other.learned));
    newest.ok_or_else(|| {
        Failure::engine("nothing was learned from this image with this command").with_hint("selkie learn, with the same words, learns it")
    })
}
