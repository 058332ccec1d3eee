//! Times commands in turns.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// Something that is timed, with what has to happen before each time.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    pub(crate) prepare: Option<Box<dyn Fn() -> Result<()> + 'a>>,
    pub(crate) action: Box<dyn Fn() -> Result<()> + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &str, action: impl Fn() -> Result<()> + 'a) -> Self {
        Self { name: name.to_owned(), prepare: None, action: Box::new(action) }
    }

    pub(crate) fn after(self, prepare: impl Fn() -> Result<()> + 'a) -> Self {
        Self { prepare: Some(Box::new(prepare)), ..self }
    }
}

/// Times of one contestant, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) name: String,
    times: Vec<Duration>,
    /// Why there are none.
    pub(crate) failure: Option<String>,
}

impl Times {
    pub(crate) fn median(&self) -> Option<Duration> {
        self.times.get(self.times.len() / 2).copied()
    }

    pub(crate) fn min(&self) -> Option<Duration> {
        self.times.first().copied()
    }

    pub(crate) fn max(&self) -> Option<Duration> {
        self.times.last().copied()
    }
}

/// Times every contestant `rounds` times, in turns, after one round that does not count.
pub(crate) fn in_turns(rounds: usize, contestants: &[Contestant<'_>]) -> Vec<Times> {
    let mut all: Vec<Times> =
        contestants.iter().map(|contestant| Times { name: contestant.name.clone(), times: Vec::new(), failure: None }).collect();
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter().zip(&mut all) {
            if times.failure.is_some() {
                continue;
            }
            match once(contestant) {
                Ok(time) if round > 0 => times.times.push(time),
                Ok(_) => {}
                Err(problem) => times.failure = Some(problem),
            }
        }
    }
    for times in &mut all {
        times.times.sort_unstable();
    }
    all
}

fn once(contestant: &Contestant<'_>) -> Result<Duration> {
    if let Some(prepare) = &contestant.prepare {
        prepare()?;
    }
    let begun = Instant::now();
    (contestant.action)()?;
    Ok(begun.elapsed())
}

/// Runs a command that has to succeed, with its output thrown away.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("failed").to_owned())
    }
}

/// Runs a command that has to succeed and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("failed").to_owned())
    }
}
