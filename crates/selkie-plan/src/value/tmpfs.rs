//! `--tmpfs DIR[:OPTIONS]`: tmpfs(5).

use serde::{Deserialize, Serialize};

use super::bind::clean_destination;
use super::size::parse_size;
use crate::PlanError;

/// A tmpfs as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsMount {
    /// Absolute, clean path in the container.
    pub destination: String,
    /// `ro`.
    pub readonly: bool,
    /// `nosuid`, which is the default, or `suid`.
    pub nosuid: bool,
    /// `nodev`, which is the default, or `dev`.
    pub nodev: bool,
    /// `noexec` or `exec`, which is the default.
    pub noexec: bool,
    /// Options of the file system, `size=`, `mode=`, `uid=`, ... in the order written.
    pub options: Vec<String>,
}

impl Default for TmpfsMount {
    fn default() -> Self {
        Self { destination: String::new(), readonly: false, nosuid: true, nodev: true, noexec: false, options: Vec::new() }
    }
}

impl TmpfsMount {
    /// Parses the value of `--tmpfs`.
    ///
    /// # Errors
    /// Podman's texts.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let (destination, options) = text.split_once(':').unwrap_or((text, ""));
        let mut mount = Self { destination: clean_destination(destination)?, ..Self::default() };
        let words: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
        for (one, other) in [("rw", "ro"), ("suid", "nosuid"), ("dev", "nodev"), ("exec", "noexec")] {
            if words.contains(&one) && words.contains(&other) {
                return Err(PlanError::TmpfsOptionConflict { one, other });
            }
        }
        words.into_iter().try_for_each(|word| mount.option(word))?;
        Ok(mount)
    }

    /// Applies one option.
    ///
    /// # Errors
    /// [`PlanError::TmpfsOption`] for one that does not exist.
    pub fn option(&mut self, word: &str) -> Result<(), PlanError> {
        let unknown = || PlanError::TmpfsOption { option: word.to_owned() };
        match word {
            "ro" => self.readonly = true,
            "rw" => self.readonly = false,
            "nosuid" => self.nosuid = true,
            "suid" => self.nosuid = false,
            "nodev" => self.nodev = true,
            "dev" => self.nodev = false,
            "noexec" => self.noexec = true,
            "exec" => self.noexec = false,
            "notmpcopyup" | "private" | "rprivate" => {}
            "tmpcopyup" | "noswap" | "U" => return Err(PlanError::NotSupportedYet { flag: format!("--tmpfs option {word}") }),
            pair => {
                let (key, value) = pair.split_once('=').ok_or_else(unknown)?;
                let valid = match key {
                    "size" => value.strip_suffix('%').map_or_else(|| parse_size("--tmpfs", value).is_ok(), is_number),
                    "mode" => !value.is_empty() && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
                    "uid" | "gid" => value.parse::<u32>().is_ok_and(|id| id <= i32::MAX.unsigned_abs()),
                    "nr_inodes" => parse_size("--tmpfs", value).is_ok(),
                    _ => false,
                };
                if !valid {
                    return Err(unknown());
                }
                self.options.push(pair.to_owned());
            }
        }
        Ok(())
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u8>().is_ok_and(|percent| percent <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_is_a_path_and_options() {
        let mount = TmpfsMount::parse("/x:ro,noexec,size=10m,mode=1777").unwrap();
        let options = vec![String::from("size=10m"), String::from("mode=1777")];
        assert_eq!(mount, TmpfsMount { destination: "/x".into(), readonly: true, noexec: true, options, ..TmpfsMount::default() });
    }

    #[test]
    fn tmpfs_errors_are_podmans() {
        let error = |text| TmpfsMount::parse(text).unwrap_err().to_string();
        assert_eq!(error("/x:bogus"), "unknown mount option \"bogus\": invalid mount option");
        assert_eq!(error("/x:size=z"), "unknown mount option \"size=z\": invalid mount option");
        assert_eq!(error("/x:rw,ro"), "only one of 'rw' and 'ro' can be used: duplicate mount option passed");
        assert_eq!(error("rel"), "invalid container path \"rel\", must be an absolute path");
    }
}
