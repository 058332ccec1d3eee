//! Threads that do a part of the work: sched_setaffinity(2), unshare(2).

use std::thread::{Builder, Scope, ScopedJoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Starts a thread that works beside the calling one, on another CPU if this process may use one. `None` where no thread is to be had.
///
/// The kernel starts a thread where its parent runs, and where that one goes on working it may wait for milliseconds, with other CPUs
/// idle. Afterwards it may run anywhere again.
pub fn beside<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    let here = sched_getcpu();
    let moved = move || {
        leave(here);
        work()
    };
    let thread = Builder::new().spawn_scoped(scope, moved).ok()?;
    // Lets it move away at once.
    std::thread::yield_now();
    Some(thread)
}

/// Moves the calling thread to another CPU than `cpu`. Where that is refused it stays.
fn leave(cpu: usize) {
    // With more CPUs than such a set has, the scheduler will do.
    if let (true, Ok(all)) = (cpu < CpuSet::MAX_CPU && sched_getcpu() == cpu, sched_getaffinity(None)) {
        let mut others = all;
        others.unset(cpu);
        if sched_setaffinity(None, &others).is_ok() {
            // It is one that was allowed a moment ago.
            let _ = sched_setaffinity(None, &all);
        }
    }
}

/// Runs `work` with a table of descriptors of the calling thread's own, a copy of what the process has now: threads that open
/// files all the time wait for each other no more. Where that is refused it runs with the table that all share.
///
/// For threads that do nothing afterwards. What `work` opens it also closes: in the other threads its numbers mean nothing.
pub fn with_own_files<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: unshare takes an integer. CLONE_FILES copies the table: every descriptor that the caller holds stays what it is.
    unsafe { libc::unshare(libc::CLONE_FILES) };
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_beside_is_on_another_cpu_and_may_run_on_all() {
        let all = sched_getaffinity(None).unwrap();
        let moves = || {
            let here = sched_getcpu();
            let place = move || {
                leave(here);
                (sched_getcpu(), sched_getaffinity(None).unwrap())
            };
            let (cpu, allowed) = std::thread::spawn(place).join().unwrap();
            assert_eq!(allowed, all);
            cpu != here
        };
        // On a busy machine the scheduler may move it back now and then.
        assert!(all.count() == 1 || (0..20).filter(|_| moves()).count() > 10);
    }

    #[test]
    fn thread_beside_works_with_one_cpu_alone() {
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        std::thread::spawn(move || {
            // The calling thread may have moved meanwhile: any one that it is allowed.
            sched_setaffinity(None, &one).unwrap();
            let sum = std::thread::scope(|scope| beside(scope, || 1 + 1).unwrap().join().unwrap());
            assert_eq!((sum, sched_getaffinity(None).unwrap()), (2, one));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn own_files_are_those_of_the_caller() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let thread = || with_own_files(|| std::io::Read::read(&mut &file, &mut [0; 4]).unwrap());
        assert_eq!(std::thread::scope(|scope| beside(scope, thread).unwrap().join().unwrap()), 4);
    }
}
