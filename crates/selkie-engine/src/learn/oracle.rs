//! How it is told from outside whether a container works.
//!
//! Nothing here runs in the container: a health check in it would need capabilities itself, and one that sends a signal to a
//! process of another user needs `CAP_KILL`, which would then look like a need of the workload.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use regex_lite::Regex;
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;
use serde::{Deserialize, Serialize};

use super::processes::Port;

/// A regular expression, `^` and `$` at the ends of lines.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        Regex::new(&format!("(?m){text}")).map(Self).map_err(|error| error.to_string())
    }

    /// Returns it as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_str().trim_start_matches("(?m)")
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.text())
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// What a user says a working container does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Oracle {
    /// It ends, with this status. `None`: 0 if it ends.
    pub exit_code: Option<i32>,
    /// Its output has each of these, at the end of a run or before it is ready.
    pub output: Vec<Pattern>,
    /// Connections to these TCP ports are accepted.
    pub tcp: Vec<u16>,
    /// These UDP ports are bound.
    pub udp: Vec<u16>,
    /// These requests are answered as expected.
    pub http: Vec<Http>,
    /// These files exist in the container.
    pub files: Vec<String>,
    /// It says `READY=1` to the socket of `$NOTIFY_SOCKET`.
    pub notify: bool,
    /// This command in the container succeeds.
    pub health: Option<Vec<String>>,
    /// This shell command on the host succeeds; `$SELKIE_CONTAINER` is the id.
    pub check: Option<String>,
    /// This shell command on the host uses the container once it is ready, and has to succeed.
    pub exercise: Option<String>,
    /// How long it has to stay well after it is ready.
    pub steady: Option<Duration>,
    /// How long the baseline may take to be ready, or to end.
    pub patience: Option<Duration>,
}

/// A request over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// The port.
    pub port: u16,
    /// The path, with a leading slash.
    pub path: String,
    /// The status that is expected; `None`: 200 to 399.
    pub status: Option<u16>,
}

impl Oracle {
    /// Returns whether it is about a container that goes on running.
    #[must_use]
    pub fn serves(&self) -> bool {
        !self.tcp.is_empty()
            || !self.udp.is_empty()
            || !self.http.is_empty()
            || self.notify
            || self.health.is_some()
            || self.steady.is_some()
            || self.exercise.is_some()
    }

    /// Returns it in words, for a workload that `ends` by itself or not.
    #[must_use]
    pub fn describe(&self, ends: bool) -> String {
        let mut parts = Vec::new();
        if ends {
            parts.push(format!("exit code {}", self.exit_code.unwrap_or(0)));
        }
        parts.extend(self.output.iter().map(|pattern| format!("output matches `{pattern}`")));
        parts.extend(self.tcp.iter().map(|port| format!("TCP {port} accepts")));
        parts.extend(self.udp.iter().map(|port| format!("UDP {port} is bound")));
        parts.extend(self.http.iter().map(|http| match http.status {
            Some(status) => format!("HTTP :{}{} answers {status}", http.port, http.path),
            None => format!("HTTP :{}{} answers", http.port, http.path),
        }));
        parts.extend(self.files.iter().map(|file| format!("file {file} exists")));
        parts.extend(self.notify.then(|| "sd_notify READY=1".to_owned()));
        parts.extend(self.health.as_ref().map(|command| format!("health check `{}`", command.join(" "))));
        parts.extend(self.check.as_ref().map(|command| format!("check `{command}`")));
        if parts.is_empty() {
            parts.push("it keeps running".to_owned());
        }
        parts.join(", ")
    }
}

/// What a probe can see of a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// Its first process.
    pub(super) pid: i32,
    /// How long one answer may take.
    pub(super) patience: Duration,
    /// Its id.
    pub(super) id: &'a str,
}

/// How long one answer may take, while it is not known how long it takes.
pub(super) const ANSWER: Duration = Duration::from_secs(2);
/// How long a command on the host may take.
const COMMAND: Duration = Duration::from_secs(30);

/// Returns what does not answer yet; `None` when all does.
pub(super) fn unanswered(oracle: &Oracle, target: Target<'_>, bound: &BTreeSet<Port>) -> Option<String> {
    if let Some(port) = oracle.udp.iter().find(|port| !bound.contains(&Port::Udp(**port))) {
        return Some(format!("UDP {port} is not bound"));
    }
    for port in &oracle.tcp {
        // A port that nobody listens on need not be tried.
        let answer = if bound.contains(&Port::Tcp(*port)) { connects(target, *port) } else { Err("nobody listens".to_owned()) };
        if let Err(problem) = answer {
            return Some(format!("TCP {port}: {problem}"));
        }
    }
    for http in &oracle.http {
        match request(target, http) {
            Ok(status) if http.status.map_or((200..400).contains(&status), |wanted| wanted == status) => {}
            Ok(status) => return Some(format!("HTTP :{}{} answers {status}", http.port, http.path)),
            Err(problem) => return Some(format!("HTTP :{}{}: {problem}", http.port, http.path)),
        }
    }
    None
}

fn connects(target: Target<'_>, port: u16) -> Result<(), String> {
    let patience = target.patience;
    within(target.pid, move || connect(port, patience).map(drop))
}

/// Makes a request and returns the status of the answer.
pub(super) fn request(target: Target<'_>, http: &Http) -> Result<u16, String> {
    let http = http.clone();
    let patience = target.patience;
    within(target.pid, move || {
        let mut stream = connect(http.port, patience)?;
        let said =
            format!("GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: selkie\r\nAccept: */*\r\nConnection: close\r\n\r\n", http.path);
        stream.write_all(said.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 512];
        while !answer.contains(&b'\n') && answer.len() < 4096 {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(buffer.get(..length).unwrap_or(&[])),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(format!("no answer within {:.1} s", patience.as_secs_f64()));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        let line = String::from_utf8_lossy(&answer);
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|status| status.parse().ok())) {
            (Some(version), Some(status)) if version.starts_with("HTTP/") => Ok(status),
            _ => Err("the answer is not HTTP".to_owned()),
        }
    })
}

fn connect(port: u16, patience: Duration) -> Result<TcpStream, String> {
    let addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let mut problem = String::new();
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(patience))
                    .and_then(|()| stream.set_write_timeout(Some(patience)))
                    .map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) => problem = error.to_string(),
        }
    }
    Err(problem)
}

/// Does something in the network namespace of a process, in a thread that nothing else runs in.
fn within<T: Send + 'static>(pid: i32, work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let path = format!("/proc/{pid}/ns/net");
    let thread = std::thread::spawn(move || {
        let namespace = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|_| "it has ended".to_owned())?;
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))
            .map_err(|errno| format!("its network cannot be entered: {errno}"))?;
        work()
    });
    thread.join().unwrap_or_else(|_| Err("the probe has failed".to_owned()))
}

/// Runs a shell command on the host, with the container in its environment; what it prints is not shown.
///
/// # Errors
/// Why it did not succeed: its status, with the last line that it wrote to standard error.
pub(super) fn command(text: &str, target: Target<'_>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{text}` cannot be run: {error}");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", text])
        .env("SELKIE_CONTAINER", target.id)
        .env("SELKIE_PID", target.pid.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    wait(shell, text).map_err(failed)?
}

fn wait(mut shell: Command, text: &str) -> std::io::Result<Result<(), String>> {
    let mut child = shell.spawn()?;
    let mut errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(errors) = &mut errors {
            let _ = errors.take(64 * 1024).read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
    });
    let begun = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > COMMAND {
            // Its whole group: a shell waits for what it has started.
            if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait()?;
            return Ok(Err(format!("`{text}` did not end within {} s", COMMAND.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if status.success() {
        return Ok(Ok(()));
    }
    let last = reader.join().unwrap_or_default();
    let code = status.code().map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
    Ok(Err(if last.is_empty() { format!("`{text}` ended with {code}") } else { format!("`{text}` ended with {code}: {last}") }))
}
