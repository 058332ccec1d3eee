//! containers.conf(5): the keys that a plan depends on. Unknown keys never fail; a key of the wrong type does, with its file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use selkie_plan::ContainersConf;
use toml::{Table, Value};

use crate::error::{Error, Result};

/// Which configuration files count, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfFiles {
    /// `$CONTAINERS_CONF`: this file and no other.
    pub only: Option<PathBuf>,
    /// `$CONTAINERS_CONF_OVERRIDE`: read last.
    pub last: Option<PathBuf>,
    /// The user's own directory, for example `~/.config/containers`; `None` for root.
    pub user: Option<PathBuf>,
}

impl ConfFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that is not TOML, or a key with a value of the wrong type.
    pub fn read(&self) -> Result<ContainersConf> {
        let mut conf = ContainersConf::default();
        for path in self.paths() {
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::File { action: "read", path, source }),
            };
            // Only an error is worth the time that the whole text takes: it names a line.
            if apply(&mut conf, &without_comments(&text)).is_err() {
                apply(&mut conf, &text).map_err(|problem| Error::Configuration { path, problem })?;
            }
        }
        Ok(conf)
    }

    fn paths(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if let Some(only) = &self.only {
            paths.push(only.clone());
        } else {
            paths.push(PathBuf::from("/usr/share/containers/containers.conf"));
            for directory in [Some(Path::new("/etc/containers")), self.user.as_deref()].into_iter().flatten() {
                paths.push(directory.join("containers.conf"));
                paths.extend(drop_ins(&directory.join("containers.conf.d")));
            }
        }
        paths.extend(self.last.clone());
        paths
    }
}

/// Leaves out the lines that are comments or empty: the files of distributions are hundreds of them, around a key or two. A file
/// with strings over several lines, in which a `#` could mean something else, stays as it is.
fn without_comments(text: &str) -> Cow<'_, str> {
    let says_something = |line: &&str| match line.as_bytes() {
        [] | [b'#', ..] => false,
        [b'a'..=b'z' | b'[', ..] => true,
        _ => !matches!(line.trim_start().as_bytes(), [] | [b'#', ..]),
    };
    let mut rest = String::new();
    let mut start = 0;
    // Not `memchr()`: it asks the processor first what it can, which takes longer in a virtual machine than all of this.
    for end in memchr::arch::all::memchr::One::new(b'\n').iter(text.as_bytes()).chain([text.len()]) {
        if let Some(line) = text.get(start..end).filter(says_something) {
            rest.push_str(line);
            rest.push('\n');
        }
        start = end + 1;
    }
    if rest.contains("\"\"\"") || rest.contains("'''") { text.into() } else { rest.into() }
}

fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    files
}

/// Puts the keys of one file over those of the files before it.
fn apply(conf: &mut ContainersConf, text: &str) -> std::result::Result<(), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let Some(Value::Table(keys)) = table.get("containers") else { return Ok(()) };
    for (key, value) in keys {
        let wrong = || format!("`containers.{key}` has a value of the wrong type: {value}");
        match key.as_str() {
            "default_capabilities" => extend_optional(&mut conf.default_capabilities, value).ok_or_else(wrong)?,
            "default_sysctls" => extend_optional(&mut conf.default_sysctls, value).ok_or_else(wrong)?,
            "env" => extend_optional(&mut conf.env, value).ok_or_else(wrong)?,
            "default_ulimits" => extend(&mut conf.default_ulimits, value).ok_or_else(wrong)?,
            "annotations" => extend(&mut conf.annotations, value).ok_or_else(wrong)?,
            "devices" => extend(&mut conf.devices, value).ok_or_else(wrong)?,
            "volumes" => extend(&mut conf.volumes, value).ok_or_else(wrong)?,
            "mounts" => extend(&mut conf.mounts, value).ok_or_else(wrong)?,
            "dns_servers" => extend(&mut conf.dns_servers, value).ok_or_else(wrong)?,
            "dns_searches" => extend(&mut conf.dns_searches, value).ok_or_else(wrong)?,
            "dns_options" => extend(&mut conf.dns_options, value).ok_or_else(wrong)?,
            "env_host" => conf.env_host = value.as_bool().ok_or_else(wrong)?,
            "http_proxy" => conf.http_proxy = Some(value.as_bool().ok_or_else(wrong)?),
            "init" => conf.init = value.as_bool().ok_or_else(wrong)?,
            "privileged" => conf.privileged = value.as_bool().ok_or_else(wrong)?,
            "read_only" => conf.read_only = value.as_bool().ok_or_else(wrong)?,
            "no_hosts" => conf.no_hosts = value.as_bool().ok_or_else(wrong)?,
            "label" => conf.label = Some(value.as_bool().ok_or_else(wrong)?),
            "pids_limit" => conf.pids_limit = Some(value.as_integer().ok_or_else(wrong)?),
            "oom_score_adj" => {
                conf.oom_score_adj = Some(value.as_integer().and_then(|number| i32::try_from(number).ok()).ok_or_else(wrong)?)
            }
            "seccomp_profile" => conf.seccomp_profile = Some(word(value).ok_or_else(wrong)?),
            "shm_size" => conf.shm_size = Some(word(value).ok_or_else(wrong)?),
            "umask" => conf.umask = Some(word(value).ok_or_else(wrong)?),
            "tz" => conf.tz = Some(word(value).ok_or_else(wrong)?),
            "cgroupns" => conf.cgroupns = Some(word(value).ok_or_else(wrong)?),
            "ipcns" => conf.ipcns = Some(word(value).ok_or_else(wrong)?),
            "netns" => conf.netns = Some(word(value).ok_or_else(wrong)?),
            "pidns" => conf.pidns = Some(word(value).ok_or_else(wrong)?),
            "utsns" => conf.utsns = Some(word(value).ok_or_else(wrong)?),
            "userns" => conf.userns = Some(word(value).ok_or_else(wrong)?),
            _ => {}
        }
    }
    Ok(())
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Replaces `list`, or extends it when the array has `{append = true}` among its words.
fn extend(list: &mut Vec<String>, value: &Value) -> Option<()> {
    let mut words = Vec::new();
    let mut append = false;
    for item in value.as_array()? {
        match item {
            Value::String(word) => words.push(word.clone()),
            Value::Table(attributes) => append = attributes.get("append")?.as_bool()?,
            _ => return None,
        }
    }
    if !append {
        list.clear();
    }
    list.extend(words);
    Some(())
}

/// As [`extend`], for a list that has a built-in default: an empty list is not the same as none.
fn extend_optional(list: &mut Option<Vec<String>>, value: &Value) -> Option<()> {
    let mut words = list.take().unwrap_or_default();
    let done = extend(&mut words, value);
    *list = Some(words);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> std::result::Result<ContainersConf, String> {
        let mut conf = ContainersConf::default();
        texts.iter().try_for_each(|text| apply(&mut conf, text)).map(|()| conf)
    }

    #[test]
    fn later_file_replaces_a_list() {
        let conf = read(&["[containers]\nvolumes=[\"/a:/a\"]", "[containers]\nvolumes=[\"/b:/b\"]"]).unwrap();
        assert_eq!(conf.volumes, ["/b:/b"]);
    }

    #[test]
    fn list_with_append_extends_the_earlier_one() {
        let conf = read(&["[containers]\nvolumes=[\"/a:/a\"]", "[containers]\nvolumes=[\"/b:/b\", {append=true}]"]).unwrap();
        assert_eq!(conf.volumes, ["/a:/a", "/b:/b"]);
    }

    #[test]
    fn empty_list_of_capabilities_is_not_none() {
        assert_eq!(read(&["[containers]\ndefault_capabilities=[]"]).unwrap().default_capabilities, Some(vec![]));
    }

    #[test]
    fn unknown_keys_and_tables_are_ignored() {
        assert_eq!(read(&["[containers]\nfuture=1\n[engine]\nx=[1]"]).unwrap(), ContainersConf::default());
    }

    #[test]
    fn key_of_the_wrong_type_is_named() {
        assert_eq!(read(&["[containers]\ninit=\"yes\""]).unwrap_err(), "`containers.init` has a value of the wrong type: \"yes\"");
    }

    #[test]
    fn comments_go() {
        assert_eq!(without_comments("# a\n  # b\n\nx = 1 # c\n[y]"), "x = 1 # c\n[y]\n");
        let string = "# a\nx = \"\"\"\n# no comment\n\"\"\"\n";
        assert_eq!(without_comments(string), string);
    }

    #[test]
    fn error_behind_comments_names_the_line_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("containers.conf");
        std::fs::write(&path, "# one\n\n[containers]\n# four\ninit = = true\n").unwrap();
        let error = ConfFiles { only: Some(path), ..ConfFiles::default() }.read().unwrap_err();
        assert!(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string).contains("line 5"), "{error}");
    }

    #[test]
    fn text_that_is_no_toml_says_where() {
        assert!(read(&["[containers\n"]).unwrap_err().contains("line 1"));
    }
}
