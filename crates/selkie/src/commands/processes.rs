//! Every process of this host, from where it is read fastest, and in which cgroups each is.

use clap::ValueEnum;
use selkie_host::{Cgroups, Member, Members, Procfs, Row, Status, order, scan};

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
        // There are no more processes than threads, and memory that is not used is not there.
        let mut rows = Vec::with_capacity(usize::from(rustix::system::sysinfo().procs).max(MANY));
        let (mut present, mut members) = (0, Members::default());
        let is_there = selkie_observe::processes(load, |process| {
            let row = &process.row;
            // Of one that was read from procfs nobody knows with whom it shares its cgroups. No address is as small as a pid.
            let cgroups = process.cgroups.unwrap_or_else(|| u64::from(row.pid));
            members.add(Member { pid: row.pid, cgroups, unified: process.cgroup.unwrap_or(0) });
            if keep(row.pid, &row.status) {
                if rows.len() == present {
                    let memory = rows.spare_capacity_mut();
                    let more = memory.len().min(MANY);
                    selkie_sys::memory::populate(memory.get_mut(..more).unwrap_or_default());
                    present += more;
                }
                rows.push(*row);
            }
        })?;
        if !is_there {
            return Ok(None);
        }
        order(&mut rows);
        Ok(Some(Self { rows, cgroups: Cgroups::of_groups(procfs, members) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, parent: u32) -> Row {
        let file = format!(
            "Name:\tx\nState:\tS\nPPid:\t{parent}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n\
             CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n"
        );
        Row { pid, status: Status::parse(file.as_bytes()).unwrap(), user_namespace: Some(u64::from(pid)) }
    }

    #[test]
    fn order_brings_processes_that_were_handed_out_late_to_their_places() {
        let sorted: Vec<Row> = (1..100).map(|pid| row(pid, pid / 2)).collect();
        let ways: [Vec<Row>; 4] = [
            sorted.clone(),
            // The first one, and others, are kept from BPF programs.
            sorted[1..].iter().chain(&sorted[..1]).copied().collect(),
            sorted.iter().filter(|row| row.pid % 7 != 0).chain(sorted.iter().filter(|row| row.pid % 7 == 0)).copied().collect(),
            sorted.iter().rev().copied().collect(),
        ];
        for mut way in ways {
            order(&mut way);
            assert_eq!(way, sorted);
        }
        order(&mut []);
    }

    #[test]
    fn every_source_has_processes_in_the_order_of_their_numbers() {
        let procfs = Procfs::open(std::path::Path::new("/proc")).unwrap();
        for source in [Source::Auto, Source::Procfs] {
            let rows = Processes::read(source, &procfs, |_, _| true).unwrap().rows;
            assert!(rows.is_sorted_by(|one, other| one.pid < other.pid), "{source:?}");
        }
    }
}
