//! Flags about the root file system and mounts.

use clap::Args;
use selkie_plan::value::{BindMount, TmpfsMount, UserMount, parse_size};
use selkie_plan::{ImageVolumes, MountsRequest, PlanError};

use super::outside::Outside;
use super::switch::switch;

/// Mounts.
#[derive(Clone, Debug, Default, Args)]
pub struct MountFlags {
    /// Bind mount HOST-DIR:CONTAINER-DIR[:OPTIONS].
    #[arg(long = "volume", short = 'v', allow_hyphen_values = true)]
    pub volume: Vec<String>,
    /// Mount type=bind|tmpfs|devpts,KEY=VALUE,....
    #[arg(long = "mount", allow_hyphen_values = true)]
    pub mount: Vec<String>,
    /// Empty tmpfs DIR[:OPTIONS].
    #[arg(long = "tmpfs", allow_hyphen_values = true)]
    pub tmpfs: Vec<String>,
    /// Make the root file system read-only.
    #[arg(long = "read-only", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub read_only: Option<bool>,
    /// With --read-only: tmpfs on /run, /tmp, /var/tmp (default true).
    #[arg(long = "read-only-tmpfs", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm (default 65536k).
    #[arg(long = "shm-size", allow_hyphen_values = true)]
    pub shm_size: Option<String>,
    /// What becomes of volumes of the image: anonymous, tmpfs, ignore.
    #[arg(long = "image-volume", allow_hyphen_values = true)]
    pub image_volume: Option<String>,
}

impl MountFlags {
    pub(super) fn request(&self, outside: &impl Outside) -> Result<MountsRequest, PlanError> {
        let directory = outside.directory();
        let image_volumes = match self.image_volume.as_deref() {
            None | Some("" | "anonymous" | "bind") => ImageVolumes::Keep,
            Some("tmpfs") => ImageVolumes::Tmpfs,
            Some("ignore") => ImageVolumes::Ignore,
            Some(text) => return Err(PlanError::ImageVolume { text: text.to_owned() }),
        };
        let size = |text: &String| parse_size("unable to translate --shm-size", text);
        Ok(MountsRequest {
            volumes: self.volume.iter().map(|text| BindMount::parse(text, &directory)).collect::<Result<_, _>>()?,
            mounts: self.mount.iter().map(|text| UserMount::parse(text, &directory)).collect::<Result<_, _>>()?,
            tmpfs: self.tmpfs.iter().map(|text| TmpfsMount::parse(text)).collect::<Result<_, _>>()?,
            read_only: self.read_only,
            read_only_tmpfs: self.read_only_tmpfs,
            shm_size: self.shm_size.as_ref().map(size).transpose()?,
            image_volumes,
        })
    }
}
