//! Images for several platforms: an OCI index, or Docker's manifest list. image-spec, `image-index.md`.
//!
//! ```text
//! {"manifests": [{"digest": "sha256:...", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}, ...]}
//! ```

use super::json;
use crate::engines;

/// More manifests are no image's.
const MOST: usize = 256;

/// One image of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) digest: String,
    os: String,
    architecture: String,
    variant: String,
}

/// Reads an index; `None` when it is none.
pub(super) fn manifests(blob: &[u8]) -> Option<Vec<Manifest>> {
    let index = json::parse(blob)?;
    let read = |entry: &serde_json::Value| {
        let platform = entry.get("platform")?;
        Some(Manifest {
            digest: json::text(entry, "digest").filter(|digest| engines::is_digest(digest))?,
            os: json::text(platform, "os")?,
            architecture: json::text(platform, "architecture")?,
            variant: json::text(platform, "variant").unwrap_or_default(),
        })
    };
    Some(index.get("manifests")?.as_array()?.iter().take(MOST).filter_map(read).collect())
}

impl Manifest {
    /// Whether it is for this platform: `linux/arm64` or `linux/arm64/v8`. A variant that is not said is any.
    pub(super) fn is_for(&self, platform: &str) -> bool {
        let mut parts = platform.split('/');
        let [os, architecture, variant] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let same = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        self.os == os && self.architecture == architecture && same(&self.variant, variant) && parts.next().is_none()
    }
}

/// Returns the platform of this machine.
pub(super) fn own() -> String {
    format!("linux/{}", selkie_sys::machine::architecture())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(platform: &str) -> Option<Manifest> {
        let digest = format!("sha256:{}", "0".repeat(64));
        manifests(format!(r#"{{"manifests": [{{"digest": "{digest}", "platform": {platform}}}]}}"#).as_bytes())?.pop()
    }

    #[test]
    fn manifest_is_for_its_platform_and_a_variant_only_if_both_say_one() {
        let plain = manifest(r#"{"os": "linux", "architecture": "arm"}"#).unwrap();
        let seventh = manifest(r#"{"os": "linux", "architecture": "arm", "variant": "v7"}"#).unwrap();
        let wanted = ["linux/arm", "linux/arm/v7", "linux/arm/v6", "windows/arm", "linux/arm64", "linux/arm/v7/x", ""];
        assert_eq!(wanted.map(|wanted| plain.is_for(wanted)), [true, true, true, false, false, false, false]);
        assert_eq!(wanted.map(|wanted| seventh.is_for(wanted)), [true, true, false, false, false, false, false]);
    }

    #[test]
    fn manifests_of_what_is_no_index_are_none() {
        for blob in ["", "[]", "{}", r#"{"manifests": 3}"#] {
            assert_eq!(manifests(blob.as_bytes()), None, "{blob}");
        }
        assert_eq!(
            manifests(br#"{"manifests": [3, {}, {"digest": "sha256:7", "platform": {"os": "a", "architecture": "b"}}]}"#),
            Some(vec![])
        );
    }
}
