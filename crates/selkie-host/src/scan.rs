//! Every process of a procfs, as fast as procfs lets itself be read: two threads, one read a process, no allocation a process. The
//! directory is listed bit by bit by whichever thread sees that little is left: meanwhile the other one reads that.
//!
//! Kernel threads are left out. A process that ends meanwhile is left out too; one that may not be looked at (`hidepid`) likewise.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use selkie_sys::thread::{beside, with_own_files};
use selkie_sys::{Errno, Result, SyscallError};

use crate::procfs::reader::Pids;
use crate::{Buffer, Procfs, Status};

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in the reader's PID namespace.
    pub pid: u32,
    /// What its status says.
    pub status: Status,
    /// Its user namespace; `None` when it may not be looked into.
    pub user_namespace: Option<u64>,
}

/// How many processes a thread takes at once: enough that asking costs nothing, few enough that no thread waits long at the end.
const CHUNK: usize = 8;
/// More readers wait for each other in the kernel.
const THREADS: usize = 2;
/// Bytes of the list of processes that are asked for at once, about a hundred and seventy processes.
const PART: usize = 4 << 10;
/// With so many left more are listed: the other thread reads no more than these in that time.
const LOW: usize = 32;
/// For how many processes each thread asks for memory at first.
const FEW: usize = 256;

/// Reads the status of every process that `keep` wants, in the order of their numbers.
///
/// # Errors
/// When the directory cannot be read, or a status is none of the kernel's.
pub fn scan(procfs: &Procfs, keep: impl Fn(u32, &Status) -> bool + Sync) -> Result<Vec<Row>> {
    let mut memory = Vec::with_capacity(PART);
    let queue = Queue { pids: Mutex::default(), list: Mutex::new(procfs.list(memory.spare_capacity_mut())?) };
    let work = || work(procfs, &queue, &keep);
    let mut rows = std::thread::scope(|scope| {
        // On an error to make a thread the other ones do its part.
        let others: Vec<_> = (1..THREADS).filter_map(|_| beside(scope, || with_own_files(work))).collect();
        let mut rows = work()?;
        for other in others {
            // A panic there is a bug that this thread would have met too.
            rows = merged(rows, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, SyscallError>(rows)
    })?;
    // Those of the kernel are. Another directory that looks like it may be listed in any order.
    order(&mut rows);
    Ok(rows)
}

/// Brings processes into the order of their numbers, in which nearly always they are: then nothing is moved.
pub fn order(rows: &mut [Row]) {
    if !rows.is_sorted_by_key(|row| row.pid) {
        rows.sort_by_key(|row| row.pid);
    }
}

/// Makes one list of two that are in order each: one move of each row, and no memory but that of the result.
fn merged(one: Vec<Row>, other: Vec<Row>) -> Vec<Row> {
    let mut rows = Vec::with_capacity(one.len() + other.len());
    selkie_sys::memory::populate(rows.spare_capacity_mut());
    let mut other = other.into_iter().peekable();
    for row in one {
        while let Some(before) = other.next_if(|other| other.pid < row.pid) {
            rows.push(before);
        }
        rows.push(row);
    }
    rows.extend(other);
    rows
}

/// The processes that nobody has taken yet.
struct Queue<'a> {
    /// Those that have been listed.
    pids: Mutex<VecDeque<u32>>,
    /// The others.
    list: Mutex<Pids<'a>>,
}

impl Queue<'_> {
    /// Takes the next ones into `chunk`; none at the end.
    fn take(&self, chunk: &mut Vec<u32>) -> Result<()> {
        chunk.clear();
        loop {
            let left = {
                let mut pids = lock(&self.pids);
                let count = pids.len().min(CHUNK);
                chunk.extend(pids.drain(..count));
                pids.len()
            };
            if left >= LOW {
                return Ok(());
            }
            if !chunk.is_empty() {
                // When the other one lists already, there is something to read meanwhile.
                return self.list.try_lock().map_or(Ok(()), |mut list| self.more(&mut list).map(drop));
            }
            let mut list = lock(&self.list);
            if lock(&self.pids).is_empty() && !self.more(&mut list)? {
                return Ok(());
            }
        }
    }

    /// Lists some more; `false` at the end.
    fn more(&self, list: &mut Pids<'_>) -> Result<bool> {
        let part = list.part()?;
        lock(&self.pids).extend(&part);
        Ok(!part.is_empty())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(procfs: &Procfs, queue: &Queue<'_>, keep: &(impl Fn(u32, &Status) -> bool + Sync)) -> Result<Vec<Row>> {
    let mut buffer = Buffer::new();
    let mut rows = Vec::with_capacity(FEW);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        queue.take(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(rows);
        }
        for pid in chunk.drain(..) {
            match procfs.status(pid, &mut buffer) {
                Ok(Some(status)) if !status.is_kernel_thread(pid) && keep(pid, &status) => {
                    rows.push(Row { pid, status, user_namespace: procfs.user_namespace(pid) });
                }
                Ok(_) => {}
                Err(error) if matches!(error.errno, Errno::ACCESS | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn scan_finds_this_process_once() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let own = std::process::id();
        let rows = scan(&procfs, |pid, _| pid == own).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].user_namespace, procfs.user_namespace(own));
    }

    #[test]
    fn merged_keeps_the_order_and_every_row() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let own = scan(&procfs, |pid, _| pid == std::process::id()).unwrap()[0];
        let rows = |pids: &[u32]| pids.iter().map(|pid| Row { pid: *pid, ..own }).collect::<Vec<_>>();
        let pids = |one: &[u32], other: &[u32]| merged(rows(one), rows(other)).iter().map(|row| row.pid).collect::<Vec<_>>();
        assert_eq!(pids(&[1, 4, 9], &[2, 3, 10, 11]), [1, 2, 3, 4, 9, 10, 11]);
        assert_eq!(pids(&[], &[2]), [2]);
        assert_eq!(pids(&[2], &[]), [2]);
    }

    #[test]
    fn scan_of_many_is_sorted_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let status = "Name:\tx\nState:\tS\nPPid:\t1\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n\
            CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n";
        for pid in 100..300 {
            std::fs::create_dir(directory.path().join(pid.to_string())).unwrap();
            std::fs::write(directory.path().join(format!("{pid}/status")), status).unwrap();
        }
        std::fs::create_dir(directory.path().join("301")).unwrap(); // ended meanwhile
        let procfs = Procfs::open(directory.path()).unwrap();
        let pids: Vec<u32> = scan(&procfs, |_, _| true).unwrap().iter().map(|row| row.pid).collect();
        assert_eq!(pids, (100..300).collect::<Vec<_>>());
    }
}
