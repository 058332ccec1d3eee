//! The scan of `caps ps` beside a bare loop: two threads that read the same files of procfs into one buffer each and look at nothing.
//!
//! `cargo bench -p selkie-host -- 5000` forks that many sleeping children, measures both in turn, and ends the children again.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for people who measure")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use selkie_host::{Buffer, Placements, Procfs, hierarchies, scan};
use selkie_sys::process::{Child, Forked, SingleThreaded, fork, send_signal, wait};

const ROUNDS: usize = 15;

fn main() {
    let count = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(1000);
    let children = children(count);
    let procfs = Procfs::open(Path::new("/proc")).expect("/proc is mounted");
    let (mut ours, mut whole, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that both see the same machine.
    for _ in 0..ROUNDS {
        bare.push(time(|| bare_loop(&procfs)));
        ours.push(time(|| scan(&procfs, |_, _| true).expect("the scan works").len()));
        whole.push(time(|| {
            let mounts = procfs.mounts(std::process::id(), &mut Buffer::new()).ok().flatten().unwrap_or_default();
            let placements = Placements::walk(&hierarchies(&mounts), &BTreeMap::new());
            scan(&procfs, |_, _| true).expect("the scan works").iter().filter(|row| placements.of(row.pid).is_some()).count()
        }));
    }
    for child in children {
        // It sleeps; nothing else can have happened to it.
        let _ = send_signal(&child.pidfd, 9);
        let _ = wait(&child.pidfd);
    }
    let (bare, ours, whole) = (median(bare), median(ours), median(whole));
    let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
    println!("{count} sleeping processes and the machine's own, median of {ROUNDS}");
    println!("bare two-thread loop   {bare:>10.2?}  1.00");
    println!("scan                   {ours:>10.2?}  {:.2}", ratio(ours));
    println!("scan with containers   {whole:>10.2?}  {:.2}", ratio(whole));
}

fn children(count: usize) -> Vec<Child> {
    (0..count)
        .map(|_| match fork(SingleThreaded::check().expect("one thread"), 0, None).expect("a limit of processes that allows the bench") {
            Forked::Parent(child) => child,
            Forked::Child => {
                let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
                loop {
                    std::thread::sleep(Duration::from_secs(3600));
                }
            }
        })
        .collect()
}

fn bare_loop(procfs: &Procfs) -> usize {
    let pids = procfs.pids().expect("/proc can be read");
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut buffer, mut bytes) = (vec![0_u8; 4096], 0);
        while let Some(pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
            let directory = procfs.directory();
            if let Ok(file) =
                rustix::fs::openat(directory.as_fd(), format!("{pid}/status"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            {
                bytes += rustix::io::read(&file, &mut buffer).unwrap_or(0);
            }
            let mut link = [MaybeUninit::uninit(); 32];
            let _ = black_box(rustix::fs::readlinkat_raw(directory.as_fd(), format!("{pid}/ns/user"), &mut link).is_ok());
        }
        black_box(bytes)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work() + other.join().unwrap_or(0)
    })
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
