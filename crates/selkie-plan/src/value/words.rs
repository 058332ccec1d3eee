//! Lists and pairs of words: comma-split flags, `KEY=value` flags, files of variables.

use crate::PlanError;

/// Splits the value of a flag that takes a list, as Go's encoding/csv does: `a,b` and `"a,b",c`.
#[must_use]
pub fn split_slice(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let Some(word) = words.last_mut() else { break };
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                word.push('"');
            }
            '"' if quoted || word.is_empty() => quoted = !quoted,
            ',' if !quoted => words.push(String::new()),
            other => word.push(other),
        }
    }
    words
}

/// Parses `--env`: `KEY=value`, or `KEY` with the value of `lookup`; `None` when the caller has no such variable,
/// or for the empty text, which Podman ignores.
///
/// # Errors
/// [`PlanError::Environment`] without a name; [`PlanError::ForbiddenCharacter`] with a NUL.
pub fn parse_env(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<(String, String)>, PlanError> {
    if text.contains('\0') {
        return Err(PlanError::ForbiddenCharacter { what: "--env", value: text.to_owned() });
    }
    match text.split_once('=') {
        Some(("", _)) => Err(PlanError::Environment { text: text.to_owned() }),
        Some((key, value)) => Ok(Some((key.to_owned(), value.to_owned()))),
        None if text.is_empty() => Ok(None),
        None => Ok(lookup(text).map(|value| (text.to_owned(), value))),
    }
}

/// Returns the lines of an `--env-file` that say something: each is a text of `--env`; empty lines and those with `#` are none.
pub fn env_file_lines(content: &str) -> impl Iterator<Item = &str> {
    content.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Parses `--label KEY[=value]`.
///
/// # Errors
/// [`PlanError::LabelFormat`] without a key.
pub fn parse_label(text: &str) -> Result<(String, String), PlanError> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err(PlanError::LabelFormat { text: text.to_owned() }) } else { Ok((key.to_owned(), value.to_owned())) }
}

/// Parses `--annotation KEY=value`.
///
/// # Errors
/// [`PlanError::AnnotationFormat`] without `=`.
pub fn parse_annotation(text: &str) -> Result<(String, String), PlanError> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| PlanError::AnnotationFormat { text: text.to_owned() })
}

/// Parses `--sysctl KEY=value`; which keys are allowed is decided by the plan's namespaces as well.
///
/// # Errors
/// [`PlanError::SysctlFormat`], [`PlanError::SysctlSpaces`], [`PlanError::SysctlNotAllowed`] for keys that are not
/// namespaced, [`PlanError::ForbiddenCharacter`] for a value of more than one line.
pub fn parse_sysctl(text: &str) -> Result<(String, String), PlanError> {
    let (key, value) = text.split_once('=').ok_or_else(|| PlanError::SysctlFormat { text: text.to_owned() })?;
    if key.trim() != key || value.trim() != value {
        return Err(PlanError::SysctlSpaces { text: text.to_owned() });
    }
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(PlanError::ForbiddenCharacter { what: "--sysctl", value: text.to_owned() });
    }
    let exact = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let below = |prefix: &str| key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    // `net../..` would leave /proc/sys/net; the runtime turns dots into slashes.
    let plain = !key.contains("..") && !key.contains(|c: char| c == '\0' || c.is_whitespace() || c.is_control());
    let inside = !key.split(['.', '/']).any(str::is_empty);
    if (exact.contains(&key) || below("net.") || below("fs.mqueue.")) && plain && inside {
        Ok((key.to_owned(), value.to_owned()))
    } else {
        Err(PlanError::SysctlNotAllowed { key: key.to_owned() })
    }
}

/// Parses `--entrypoint`: a JSON list of strings, or else one word; empty resets the image's.
#[must_use]
pub fn parse_entrypoint(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    serde_json::from_str(text).unwrap_or_else(|_| vec![text.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_split_as_csv() {
        assert_eq!(split_slice(""), Vec::<String>::new());
        assert_eq!(split_slice("net_raw,chown"), ["net_raw", "chown"]);
        assert_eq!(split_slice("\"a,b\",c"), ["a,b", "c"]);
        assert_eq!(split_slice("a,"), ["a", ""]);
        assert_eq!(split_slice("\"a\"\"b\""), ["a\"b"]);
    }

    #[test]
    fn env_without_value_is_the_callers() {
        let lookup = |key: &str| (key == "A").then(|| String::from("1"));
        assert_eq!(parse_env("A", lookup), Ok(Some(("A".into(), "1".into()))));
        assert_eq!(parse_env("B", lookup), Ok(None));
        assert_eq!(parse_env("A=x=y", lookup), Ok(Some(("A".into(), "x=y".into()))));
        assert_eq!(parse_env("=x", lookup), Err(PlanError::Environment { text: "=x".into() }));
    }

    #[test]
    fn lines_of_an_env_file_are_those_that_say_something() {
        assert_eq!(env_file_lines("# c\n\n A\nB*\n  # d\nC=2 \n").collect::<Vec<_>>(), ["A", "B*", "C=2 "]);
    }

    #[test]
    fn sysctls_outside_of_namespaces_are_refused() {
        assert_eq!(parse_sysctl("net.ipv4.ip_forward=1"), Ok(("net.ipv4.ip_forward".into(), "1".into())));
        assert_eq!(parse_sysctl("net.ipv4.ping_group_range=0 0"), Ok(("net.ipv4.ping_group_range".into(), "0 0".into())));
        assert_eq!(parse_sysctl("foo"), Err(PlanError::SysctlFormat { text: "foo".into() }));
        assert_eq!(parse_sysctl("net.x = 1"), Err(PlanError::SysctlSpaces { text: "net.x = 1".into() }));
        for key in ["kernel.foo", "kernel.core_pattern", "net.", "net...kernel", "net./x", "vm.swappiness", "net.\nx"] {
            assert_eq!(parse_sysctl(&format!("{key}=1")), Err(PlanError::SysctlNotAllowed { key: key.into() }));
        }
        assert!(parse_sysctl("kernel.shm_rmid_forced=1+kernel.core_pattern=|x").is_ok(), "one value, written once");
        assert!(parse_sysctl("kernel.shm_rmid_forced=1\n2").is_err());
    }

    #[test]
    fn entrypoint_is_a_word_or_a_list() {
        assert_eq!(parse_entrypoint("/bin/sh -c"), ["/bin/sh -c"]);
        assert_eq!(parse_entrypoint("[\"a\",\"b\"]"), ["a", "b"]);
        assert_eq!(parse_entrypoint("[\"a\""), ["[\"a\""]);
    }
}
