//! Every process of this host, from where it is read fastest, and in which cgroups each is.

use clap::ValueEnum;
use selkie_host::{Cgroups, Member, Members, Procfs, Row, Status, scan};

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
            Source::Bpf => Self::at_once(true, procfs, &keep)?,
            // What is missing for it is no failure: the files say the same.
            Source::Auto => match Self::at_once(false, procfs, &keep) {
                Ok(None) if procfs.pids()?.len() >= MANY => Self::at_once(true, procfs, &keep).unwrap_or_default(),
                found => found.unwrap_or_default(),
            },
        };
        match at_once {
            Some(processes) => Ok(processes),
            None => Ok(Self { rows: scan(procfs, keep)?, cgroups: Cgroups::mounted(procfs)? }),
        }
    }

    fn at_once(load: bool, procfs: &Procfs, keep: impl Fn(u32, &Status) -> bool) -> selkie_observe::Result<Option<Self>> {
        let (mut rows, mut members) = (Vec::with_capacity(MANY), Members::default());
        let is_there = selkie_observe::processes(load, |process| {
            let row = &process.row;
            // Of one that was read from procfs nobody knows with whom it shares its cgroups. No address is as small as a pid.
            let cgroups = process.cgroups.unwrap_or_else(|| u64::from(row.pid));
            members.add(Member { pid: row.pid, cgroups, unified: process.cgroup.unwrap_or(0) });
            if keep(row.pid, &row.status) {
                rows.push(*row);
            }
        })?;
        if !is_there {
            return Ok(None);
        }
        // All but those that come last are in order.
        rows.sort_by_key(|row: &Row| row.pid);
        Ok(Some(Self { rows, cgroups: Cgroups::of_groups(procfs, members) }))
    }
}
