//! `selkie wait`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use selkie_engine::{Container, Status};
use selkie_plan::value::split_slice;

use crate::commands::many::Selection;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Wait until containers have ended, and print their exit statuses.
///
/// With another condition than that it prints -1 for a container that has met it without having ended.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Wait {
    #[command(flatten)]
    selection: Selection,
    /// State to wait for, or several of which one is enough: created, running, paused, stopped, exited.
    #[arg(long)]
    condition: Vec<String>,
    /// Time between two looks: milliseconds, or with a unit. The end of a container is told by the kernel at once.
    #[arg(long, short = 'i', default_value = "250ms")]
    interval: String,
    /// -1 for a container that does not exist, in place of an error.
    #[arg(long)]
    ignore: bool,
}

impl Wait {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let interval = interval(&self.interval)?;
        if self.selection.is_empty() {
            return Err(Failure::engine("\"selkie wait\" requires a name, id, or the \"--latest\" flag"));
        }
        if self.selection.latest && !self.selection.names.is_empty() {
            return Err(Failure::engine("--latest and containers cannot be used together"));
        }
        let words = self.condition.iter().flat_map(|value| split_slice(value));
        let conditions: Vec<Condition> = words.map(|word| Condition::parse(&word)).collect::<Result<_, _>>()?;
        let ends = conditions.is_empty() || conditions.contains(&Condition::Is(Status::Exited));
        let by_end_alone = conditions.iter().all(|condition| *condition == Condition::Is(Status::Exited));
        // All of them have to exist before any is waited for.
        let selected = self.selection.containers(context, |_| true)?;
        let mut found = Vec::with_capacity(selected.len());
        for selected in selected {
            match selected.container {
                Ok(container) => found.push(Some(container)),
                Err(_) if self.ignore => found.push(None),
                Err(failure) => return Err(failure),
            }
        }
        for container in found {
            let code = match container {
                None => -1,
                Some(container) if by_end_alone => context.engine.wait(&container)?,
                Some(container) => wait(context, &container, &conditions, ends, interval)?,
            };
            out::line(&code.to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// This state, which a container may have here.
    Is(Status),
    /// A state that Podman knows and no container of ours is ever in.
    Never,
}

impl Condition {
    fn parse(word: &str) -> Result<Self, Failure> {
        Ok(match word {
            "created" => Self::Is(Status::Created),
            "running" => Self::Is(Status::Running),
            "paused" => Self::Is(Status::Paused),
            "stopped" | "exited" => Self::Is(Status::Exited),
            "initialized" | "removing" | "unknown" => Self::Never,
            "healthy" | "unhealthy" => return Err(Failure::engine(format!("--condition {word}: not supported yet"))),
            _ => return Err(Failure::engine(format!("unknown container state: {word}: invalid argument"))),
        })
    }
}

/// Looks again and again until the container is in one of the states; returns -1, or its exit status when it has ended.
fn wait(context: &Context, container: &Container, conditions: &[Condition], ends: bool, interval: Duration) -> Result<i32, Failure> {
    loop {
        let now = match Container::load(context.engine.store(), container.id()) {
            Ok(now) => now,
            // Removed with its end, which was waited for.
            Err(selkie_engine::Error::NoSuchContainer { .. }) if ends => return Ok(-1),
            Err(error) => return Err(error.into()),
        };
        if conditions.contains(&Condition::Is(now.status)) {
            return if now.status == Status::Exited { Ok(context.engine.wait(&now)?) } else { Ok(-1) };
        }
        std::thread::sleep(interval);
    }
}

/// Reads a duration as Go has it; a number alone is milliseconds.
fn interval(text: &str) -> Result<Duration, Failure> {
    let wrong = || Failure::engine(format!("time: invalid duration {text:?}"));
    let parsed = match text.parse::<f64>() {
        Ok(milliseconds) => Duration::try_from_secs_f64(milliseconds / 1000.0).ok(),
        Err(_) => text.parse::<jiff::SignedDuration>().ok().map(|duration| Duration::try_from(duration).unwrap_or_default()),
    };
    // Never without a pause.
    parsed.map(|interval| interval.max(Duration::from_millis(1))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_milliseconds_or_has_a_unit() {
        let table = [("250ms", 250), ("10", 10), ("1s", 1000), ("1m30s", 90_000), ("0.5s", 500), ("0", 1)];
        for (text, expected) in table {
            assert_eq!(interval(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        assert_eq!(interval("x").map_err(|failure| failure.line()), Err("time: invalid duration \"x\"".to_owned()));
    }
}
