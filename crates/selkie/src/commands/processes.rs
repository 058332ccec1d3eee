//! Every process of this host, from where it is read fastest, and in which cgroups each is.

use clap::ValueEnum;
use selkie_host::{Cgroups, Member, Procfs, Row, Status, scan};

use crate::ui::error::Failure;

/// From how many processes on loading the iterator takes less time than reading their files.
const MANY: usize = 1000;

/// Where processes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// By BPF where it is loaded or there are many processes, and it can be; else from procfs.
    Auto,
    /// An iterator over processes; an error where that cannot be.
    Bpf,
    /// `/proc/PID/status` of each.
    Procfs,
}

/// What was read.
pub(crate) struct Processes {
    /// Those that are wanted, in the order of their numbers.
    pub(crate) rows: Vec<Row>,
    /// Where all of them are.
    pub(crate) cgroups: Cgroups,
}

impl Processes {
    /// Reads the processes that `keep` wants.
    pub(crate) fn read(source: Source, procfs: &Procfs, keep: impl Fn(u32, &Status) -> bool + Sync) -> Result<Self, Failure> {
        let at_once = match source {
            Source::Procfs => None,
            Source::Bpf => selkie_observe::processes(true)?,
            // What is missing for it is no failure: the files say the same.
            Source::Auto => match selkie_observe::processes(false) {
                Ok(None) if procfs.pids()?.len() >= MANY => selkie_observe::processes(true).unwrap_or_default(),
                found => found.unwrap_or_default(),
            },
        };
        let Some(found) = at_once else { return Ok(Self { rows: scan(procfs, keep)?, cgroups: Cgroups::mounted(procfs)? }) };
        // Of one that was read from procfs nobody knows with whom it shares its cgroups. No address is as small as a pid.
        let member = |process: &selkie_observe::Process| Member {
            pid: process.row.pid,
            cgroups: process.cgroups.unwrap_or_else(|| u64::from(process.row.pid)),
            unified: process.cgroup.unwrap_or(0),
        };
        let cgroups = Cgroups::of_processes(procfs, found.iter().map(member));
        let rows = found.into_iter().map(|process| process.row).filter(|row| keep(row.pid, &row.status)).collect();
        Ok(Self { rows, cgroups })
    }
}
