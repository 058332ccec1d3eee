//! Flags that say how it is told whether a workload works.

use std::time::Duration;

use clap::Args;
use selkie_engine::learn::{Http, Oracle, Pattern};
use selkie_plan::Request;

use crate::context::Context;
use crate::ui::error::Failure;

/// How it is told whether the workload works.
#[derive(Debug, Args)]
#[command(next_help_heading = "Oracle")]
pub(super) struct OracleFlags {
    /// It ends with this status.
    #[arg(long, value_name = "N")]
    exit_code: Option<i32>,
    /// Its output has a line that matches this regular expression.
    #[arg(long, value_name = "REGEX", visible_alias = "log", allow_hyphen_values = true)]
    output: Vec<String>,
    /// This TCP port accepts a connection, in the container's network namespace.
    #[arg(long, value_name = "PORT")]
    tcp: Vec<String>,
    /// This UDP port is bound.
    #[arg(long, value_name = "PORT")]
    udp: Vec<String>,
    /// A request is answered with this status (default: 200 to 399).
    #[arg(long, value_name = ":PORT/PATH[=STATUS]")]
    http: Vec<String>,
    /// This file exists in the container.
    #[arg(long, value_name = "PATH")]
    file: Vec<String>,
    /// It says READY=1 to $NOTIFY_SOCKET, as sd_notify(3) does.
    #[arg(long)]
    notify: bool,
    /// The HEALTHCHECK of the image succeeds.
    #[arg(long)]
    health: bool,
    /// This shell command on the host succeeds; $SELKIE_CONTAINER is the container's id, $SELKIE_PID its first process.
    #[arg(long, value_name = "CMD")]
    check: Option<String>,
    /// This shell command on the host uses the container once it is ready, and succeeds.
    #[arg(long, value_name = "CMD")]
    exercise: Option<String>,
    /// How long a service has to stay well after it is ready.
    #[arg(long, value_name = "SECONDS")]
    steady: Option<f64>,
    /// How long the first run may take to be ready or to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    patience: f64,
}

impl OracleFlags {
    /// Returns what was said.
    pub(super) fn oracle(&self, context: &Context, request: &Request) -> Result<Oracle, Failure> {
        let ports = |flag: &str, values: &[String]| values.iter().map(|value| port(flag, value)).collect::<Result<Vec<u16>, Failure>>();
        let pattern = |text: &String| Pattern::new(text).map_err(|error| bad("--output", text, &error));
        Ok(Oracle {
            exit_code: self.exit_code,
            output: self.output.iter().map(pattern).collect::<Result<_, _>>()?,
            tcp: ports("--tcp", &self.tcp)?,
            udp: ports("--udp", &self.udp)?,
            http: self.http.iter().map(|text| http(text)).collect::<Result<_, _>>()?,
            files: self.file.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?,
            notify: self.notify,
            health: if self.health { Some(health(context, request)?) } else { None },
            check: self.check.clone(),
            exercise: self.exercise.clone(),
            steady: self.steady.map(|text| seconds("--steady", text)).transpose()?,
            patience: Some(seconds("--patience", self.patience)?),
        })
    }
}

fn bad(flag: &str, value: &str, expected: &str) -> Failure {
    Failure::engine(format!("invalid value {value:?} for {flag}: {expected}"))
}

fn port(flag: &str, text: &str) -> Result<u16, Failure> {
    let number = text.strip_prefix(':').unwrap_or(text).parse::<u16>().ok().filter(|port| *port > 0);
    number.ok_or_else(|| bad(flag, text, "expected a port, 1 to 65535"))
}

fn http(text: &str) -> Result<Http, Failure> {
    let expected = || bad("--http", text, "expected :PORT, :PORT/PATH or :PORT/PATH=STATUS");
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let rest = rest.strip_prefix("localhost").or_else(|| rest.strip_prefix("127.0.0.1")).unwrap_or(rest);
    let (place, status) = match rest.rsplit_once('=') {
        Some((place, status)) if status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) => {
            (place, Some(status.parse().map_err(|_| expected())?))
        }
        _ => (rest, None),
    };
    let (number, path) = match place.find('/') {
        Some(slash) => place.split_at(slash),
        None => (place, "/"),
    };
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(expected());
    }
    let number = if number.is_empty() { "80" } else { number };
    Ok(Http { port: port("--http", number).map_err(|_| expected())?, path: path.to_owned(), status })
}

fn absolute(path: &str) -> Result<String, Failure> {
    if path.starts_with('/') { Ok(path.to_owned()) } else { Err(bad("--file", path, "expected an absolute path in the container")) }
}

fn seconds(flag: &str, value: f64) -> Result<Duration, Failure> {
    let expected = || bad(flag, &value.to_string(), "expected seconds, more than 0 and at most 86400");
    if value > 0.0 && value <= 86_400.0 { Ok(Duration::from_secs_f64(value)) } else { Err(expected()) }
}

/// The command of the image's HEALTHCHECK.
fn health(context: &Context, request: &Request) -> Result<Vec<String>, Failure> {
    let none = || Failure::engine("--health: the image has no HEALTHCHECK").with_hint("give a command with --check");
    let reference = request.image.as_deref().filter(|image| *image != "host:").ok_or_else(none)?;
    let image = context.engine.images().find(reference)?;
    let test = image.config.pointer("/config/Healthcheck/Test").and_then(serde_json::Value::as_array).ok_or_else(none)?;
    let words: Vec<String> = test.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
    match words.split_first() {
        Some((kind, command)) if kind == "CMD" && !command.is_empty() => Ok(command.to_vec()),
        Some((kind, [command])) if kind == "CMD-SHELL" => Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), command.clone()]),
        _ => Err(none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_all_their_forms() {
        let parsed = |text: &str| http(text).map(|http| (http.port, http.path, http.status)).ok();
        assert_eq!(parsed(":80/"), Some((80, "/".to_owned(), None)));
        assert_eq!(parsed(":8080/a?b=1=404"), Some((8080, "/a?b=1".to_owned(), Some(404))));
        assert_eq!(parsed("http://localhost:81/x"), Some((81, "/x".to_owned(), None)));
        assert_eq!(parsed(":80"), Some((80, "/".to_owned(), None)));
        assert_eq!(parsed(":99999/"), None);
        assert_eq!(parsed(":80/a b"), None);
    }
}
