//! What there is to see of a container that does not become ready: what is missing, its processes, what it was refused.
//!
//! Two runs that show the same for long will not differ at the end: the second one need not be waited for to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use selkie_learn::{Call, Cause};

/// What was seen at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// What the oracle waits for.
    pub(super) missing: Option<String>,
    /// How many processes of a name are in a state, zombies too.
    pub(super) processes: BTreeMap<(String, &'static str), usize>,
    /// Programs and the calls that they were refused.
    pub(super) refused: BTreeSet<(String, String)>,
}

/// What was seen last, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sights {
    last: Sight,
    since: Duration,
    looked: Duration,
}

/// How often is looked, since all of procfs has to be read.
const EVERY: Duration = Duration::from_millis(500);
/// How long two runs show the same at least before the second one is given up.
const LEAST: Duration = Duration::from_secs(5);

impl Sights {
    /// Returns whether it is time to look again, `elapsed` after the start.
    pub(super) fn is_due(&self, elapsed: Duration) -> bool {
        elapsed >= self.looked + EVERY
    }

    /// Takes what is seen.
    pub(super) fn see(&mut self, elapsed: Duration, sight: Sight) {
        if self.last != sight {
            (self.last, self.since) = (sight, elapsed);
        }
        self.looked = elapsed;
    }

    /// Returns whether it has been what an `earlier` run was in the end, for long enough to know that it stays so.
    pub(super) fn is_as_in(&self, earlier: &Self, elapsed: Duration) -> bool {
        let steady = earlier.since.max(self.since).saturating_mul(3) + LEAST;
        self.last.missing.is_some() && self.last == earlier.last && elapsed >= steady
    }

    /// Returns the processes in words; empty when there are none.
    pub(super) fn describe(&self) -> String {
        let word = |((name, state), count): (&(String, &str), &usize)| {
            let name = name.escape_debug();
            if *count == 1 { format!("`{name}` {state}") } else { format!("{count} `{name}` {state}") }
        };
        let words: Vec<String> = self.last.processes.iter().map(word).collect();
        words.join(", ")
    }
}

/// Returns programs and the calls that they were refused.
pub(super) fn refusals(refused: &[(Call, Cause)]) -> BTreeSet<(String, String)> {
    refused.iter().map(|(call, _)| (call.comm.clone(), call.syscall.clone())).collect()
}

/// Returns what a process does, by the letter that procfs has for it: proc_pid_stat(5).
pub(super) const fn state(letter: u8) -> &'static str {
    match letter {
        b'R' => "running",
        b'D' => "in an uninterruptible wait",
        b'T' | b't' => "stopped",
        b'Z' | b'X' => "ended and not waited for",
        _ => "sleeping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(missing: &str) -> Sight {
        let processes = BTreeMap::from([(("sh".to_owned(), "sleeping"), 1), (("worker".to_owned(), "running"), 3)]);
        Sight { missing: Some(missing.to_owned()), processes, refused: BTreeSet::new() }
    }

    fn seen(at: u64, sight: Sight) -> Sights {
        let mut sights = Sights::default();
        sights.see(Duration::from_secs(at), sight);
        sights
    }

    #[test]
    fn run_that_shows_the_same_is_given_up_after_a_while() {
        let first = seen(2, sight("READY=1 did not come"));
        let second = seen(1, sight("READY=1 did not come"));
        let given_up = |elapsed| second.is_as_in(&first, Duration::from_secs(elapsed));
        assert_eq!((given_up(10), given_up(11)), (false, true));
    }

    #[test]
    fn run_that_shows_something_else_is_waited_for() {
        let first = seen(1, sight("READY=1 did not come"));
        assert!(!seen(1, sight("TCP 80: nobody listens")).is_as_in(&first, Duration::from_secs(50)));
    }

    #[test]
    fn processes_are_told_with_what_they_do() {
        assert_eq!(seen(1, sight("")).describe(), "`sh` sleeping, 3 `worker` running");
    }
}
