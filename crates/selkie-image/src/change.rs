//! `--change`: instructions of a Dockerfile that describe an image. Texts of errors are Podman's.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// What instructions make of a configuration's `config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    config: Map<String, Value>,
}

impl Changes {
    /// Parses instructions, each `KEY VALUE` or `KEY=VALUE`. Total.
    ///
    /// # Errors
    /// [`Error::Change`] for the first that means nothing.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut changes = Self::default();
        for text in texts {
            changes.add(text).map_err(|problem| Error::Change { change: text.clone(), problem })?;
        }
        Ok(changes)
    }

    /// Returns the `config` of a configuration, as Go's encoder writes it: keys in the order of the specification, maps sorted.
    #[must_use]
    pub fn into_config(mut self) -> Value {
        const ORDER: [&str; 9] = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"];
        let mut config = Map::new();
        for key in ORDER {
            match self.config.shift_remove(key) {
                Some(Value::Object(mut object)) => {
                    object.sort_keys();
                    config.insert(key.to_owned(), Value::Object(object));
                }
                Some(value) => drop(config.insert(key.to_owned(), value)),
                None => {}
            }
        }
        Value::Object(config)
    }

    fn add(&mut self, text: &str) -> std::result::Result<(), String> {
        let (key, value) = text.split_once(' ').or_else(|| text.split_once('=')).ok_or("must be formatted as KEY VALUE")?;
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim());
        let word = || if value.is_empty() { Err(format!("must provide a value to {key}")) } else { Ok(json!(value)) };
        match key.as_str() {
            "USER" => self.set("User", word()?),
            "WORKDIR" => self.set("WorkingDir", word()?),
            "STOPSIGNAL" => {
                let number = signal(value).ok_or_else(|| format!("KILLSIGNAL must be given a valid signal: {value:?}"))?;
                self.set("StopSignal", json!(number.to_string()));
            }
            "CMD" => self.set("Cmd", command(value)),
            "ENTRYPOINT" => self.set("Entrypoint", command(value)),
            "ENV" => {
                let (name, value) = pair(&key, value)?;
                let list = self.config.entry("Env").or_insert_with(|| json!([]));
                let prefix = format!("{name}=");
                if let Some(list) = list.as_array_mut() {
                    list.retain(|known| !known.as_str().is_some_and(|known| known.starts_with(&prefix)));
                    list.push(json!(format!("{prefix}{value}")));
                }
            }
            "LABEL" => {
                let (name, value) = pair(&key, value)?;
                self.insert("Labels", name, json!(value));
            }
            "EXPOSE" => self.insert("ExposedPorts", port(value)?, json!({})),
            "VOLUME" => {
                let list: Vec<String> =
                    serde_json::from_str(value).unwrap_or_else(|_| value.split_whitespace().map(str::to_owned).collect());
                if list.is_empty() || list.iter().any(String::is_empty) {
                    return Err("must provide at least one argument to VOLUME".to_owned());
                }
                list.into_iter().for_each(|path| self.insert("Volumes", path, json!({})));
            }
            _ => return Err(format!("invalid instruction {key}")),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value) {
        self.config.insert(key.to_owned(), value);
    }

    fn insert(&mut self, key: &str, name: String, value: Value) {
        let object = self.config.entry(key).or_insert_with(|| json!({}));
        if let Some(object) = object.as_object_mut() {
            object.insert(name, value);
        }
    }
}

/// A list in JSON, or a line for the shell.
fn command(value: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(value) {
        Ok(words) => json!(words),
        Err(_) => json!(["/bin/sh", "-c", value]),
    }
}

fn pair(key: &str, text: &str) -> std::result::Result<(String, String), String> {
    let unquoted = |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned();
    // `ENV name=value` and the older `ENV name value`.
    let (name, value) = match text.split_once('=') {
        Some(pair) => pair,
        None => text.split_once(' ').unwrap_or((text, "")),
    };
    let (name, value) = (unquoted(name.trim()), unquoted(value.trim()));
    if name.is_empty() { Err(format!("{key} must have a name")) } else { Ok((name, value)) }
}

/// A signal's number, by its number or its name with or without `SIG`.
fn signal(text: &str) -> Option<usize> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |name: &str, prefix: &str| match name.strip_prefix(prefix)? {
        "" => Some(0),
        rest => rest.parse::<usize>().ok(),
    };
    let number = NAMES
        .iter()
        .position(|known| *known == name)
        .map(|at| at + 1)
        .or_else(|| name.parse().ok())
        .or_else(|| offset(name, "RTMIN").map(|offset| 34 + offset))
        .or_else(|| offset(name, "RTMIN+").map(|offset| 34 + offset))
        .or_else(|| offset(name, "RTMAX-").and_then(|offset| 64_usize.checked_sub(offset)))
        .or_else(|| (name == "RTMAX").then_some(64))?;
    (1..=64).contains(&number).then_some(number)
}

fn port(value: &str) -> std::result::Result<String, String> {
    let (number, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let number: u64 = number.parse().map_err(|_| format!("EXPOSE port must be an integer: {number:?}"))?;
    if !(1..=65535).contains(&number) {
        return Err("EXPOSE port must be a valid port number".to_owned());
    }
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        return Err("EXPOSE protocol must be TCP or UDP".to_owned());
    }
    Ok(format!("{number}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(texts: &[&str]) -> Value {
        Changes::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap().into_config()
    }

    fn problem(text: &str) -> String {
        Changes::parse(&[text.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn changes_of_every_instruction() {
        let texts = [
            "CMD [\"/bin/sh\", \"-l\"]",
            "entrypoint echo hi",
            "ENV A=1",
            "ENV B=\"x y\"",
            "ENV A=2",
            "EXPOSE 80",
            "EXPOSE=53/UDP",
            "LABEL a=b",
            "USER 1000",
            "WORKDIR /srv",
            "VOLUME /a /b",
            "STOPSIGNAL SIGTERM",
        ];
        let expected = json!({
            "User": "1000",
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
            "Env": ["B=x y", "A=2"],
            "Entrypoint": ["/bin/sh", "-c", "echo hi"],
            "Cmd": ["/bin/sh", "-l"],
            "Volumes": {"/a": {}, "/b": {}},
            "WorkingDir": "/srv",
            "Labels": {"a": "b"},
            "StopSignal": "15",
        });
        assert_eq!(config(&texts).to_string(), expected.to_string());
    }

    #[test]
    fn changes_with_an_unknown_instruction_are_refused() {
        assert_eq!(problem("FOO x"), "invalid change \"FOO x\" - invalid instruction FOO");
        assert_eq!(problem("CMD"), "invalid change \"CMD\" - must be formatted as KEY VALUE");
    }

    #[test]
    fn changes_with_a_signal_that_is_none_are_refused() {
        assert_eq!(problem("STOPSIGNAL FOO"), "invalid change \"STOPSIGNAL FOO\" - KILLSIGNAL must be given a valid signal: \"FOO\"");
        assert_eq!(["9", "SIGRTMIN+3", "int", "65", "RTMAX-70"].map(signal), [Some(9), Some(37), Some(2), None, None]);
    }

    #[test]
    fn changes_with_a_port_that_is_none_are_refused() {
        assert_eq!(problem("EXPOSE 70000"), "invalid change \"EXPOSE 70000\" - EXPOSE port must be a valid port number");
        assert_eq!(problem("EXPOSE x"), "invalid change \"EXPOSE x\" - EXPOSE port must be an integer: \"x\"");
    }
}
