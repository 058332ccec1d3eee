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

    /// Returns the `config` of a configuration.
    #[must_use]
    pub fn into_config(self) -> Value {
        Value::Object(self.config)
    }

    fn add(&mut self, text: &str) -> std::result::Result<(), String> {
        let (key, value) = text.split_once(' ').or_else(|| text.split_once('=')).ok_or("must be formatted as KEY VALUE")?;
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim());
        let word = || if value.is_empty() { Err(format!("must provide a value to {key}")) } else { Ok(json!(value)) };
        match key.as_str() {
            "USER" => self.set("User", word()?),
            "WORKDIR" => self.set("WorkingDir", word()?),
            "STOPSIGNAL" => self.set("StopSignal", word()?),
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
#[expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
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
            "Cmd": ["/bin/sh", "-l"],
            "Entrypoint": ["/bin/sh", "-c", "echo hi"],
            "Env": ["B=x y", "A=2"],
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Labels": {"a": "b"},
            "User": "1000",
            "WorkingDir": "/srv",
            "Volumes": {"/a": {}, "/b": {}},
            "StopSignal": "SIGTERM",
        });
        assert_eq!(config(&texts), expected);
    }

    #[test]
    fn changes_with_an_unknown_instruction_are_refused() {
        assert_eq!(problem("FOO x"), "invalid change \"FOO x\" - invalid instruction FOO");
        assert_eq!(problem("CMD"), "invalid change \"CMD\" - must be formatted as KEY VALUE");
    }

    #[test]
    fn changes_with_a_port_that_is_none_are_refused() {
        assert_eq!(problem("EXPOSE 70000"), "invalid change \"EXPOSE 70000\" - EXPOSE port must be a valid port number");
        assert_eq!(problem("EXPOSE x"), "invalid change \"EXPOSE x\" - EXPOSE port must be an integer: \"x\"");
    }
}
