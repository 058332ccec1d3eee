//! Capabilities of five thousand processes, without containers and with two hundred: `caps ps` by BPF and by files, `pscap -a`, and a bare loop of two threads over the same files.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use selkie_sys::process::{self, Child, Forked, SingleThreaded};

use crate::Result;
use crate::engines::{Setup, installed};
use crate::measure::{Contestant, in_turns, run};
use crate::report::Report;

const COUNT: usize = 5000;
const CONTAINERS: usize = 200;

/// Children that only wait, ended when this goes out of scope.
struct Crowd(Vec<Child>);

impl Crowd {
    fn new(count: usize) -> Result<Self> {
        let proof = SingleThreaded::check().map_err(|error| error.to_string())?;
        let mut crowd = Self(Vec::with_capacity(count));
        for _ in 0..count {
            match process::fork(proof, 0, None).map_err(|error| error.to_string())? {
                Forked::Parent(child) => crowd.0.push(child),
                Forked::Child => loop {
                    // Until it is killed.
                    rustix::event::pause();
                },
            }
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &self.0 {
            let _ = process::send_signal(&child.pidfd, 9);
            let _ = process::wait(&child.pidfd);
        }
    }
}

pub(crate) fn scan(setup: &Setup, report: &mut Report) -> Result<()> {
    // Each child costs a descriptor here.
    let (_, hard) = process::limit(None, 7).map_err(|error| error.to_string())?;
    process::set_limit(None, 7, hard, hard).map_err(|error| error.to_string())?;
    let count = COUNT.min(usize::try_from(hard).unwrap_or(COUNT).saturating_sub(100));
    let crowd = Crowd::new(count)?;
    compare(setup, &format!("capabilities of {count} processes"), report);
    drop(crowd);
    // Each has a monitor, too.
    let crowd = Crowd::new(count.saturating_sub(2 * CONTAINERS))?;
    containers(setup)?;
    compare(setup, &format!("capabilities of {count} processes, {CONTAINERS} containers among them"), report);
    drop(crowd);
    setup.remove_everything();
    Ok(())
}

/// Starts as many containers as there are to be, some at once.
fn containers(setup: &Setup) -> Result<()> {
    const AT_ONCE: usize = 4;
    for first in (0..CONTAINERS).step_by(AT_ONCE) {
        let start = |number: usize| {
            let name = format!("p{number}");
            let mut command = setup.selkie(&["run", "-d", "--name", &name, "--network", "none", "localhost/bb", "/bin/sleep", "10000"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|error| error.to_string())
        };
        let started: Vec<_> = (first..first + AT_ONCE).map(start).collect::<Result<_>>()?;
        for mut child in started {
            if !child.wait().is_ok_and(|status| status.success()) {
                return Err("a container did not start".to_owned());
            }
        }
    }
    Ok(())
}

fn compare(setup: &Setup, title: &str, report: &mut Report) {
    let mut list = vec![
        Contestant::new("bare loop, two threads", || bare_loop("loop")),
        Contestant::new("bare loop, user namespaces too", || bare_loop("loop-namespaces")),
        Contestant::new("selkie caps ps", || run(&mut setup.selkie(&["caps", "ps", "-a"]))),
        Contestant::new("selkie caps ps --source procfs", || run(&mut setup.selkie(&["caps", "ps", "-a", "--source", "procfs"]))),
    ];
    if installed("pscap") {
        list.push(Contestant::new("pscap -a", || run(Command::new("pscap").arg("-a"))));
    }
    report.table(title, "bare loop, two threads", &in_turns(10, &list));
}

/// Reads every `/proc/PID/status`, half of them in each of two threads, and throws it away. As a program of its own, since
/// the others are too. `caps ps` also tells who is in a child user namespace, which is a link beside each file.
fn bare_loop(name: &str) -> Result<()> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    run(Command::new(own).arg(name))
}

/// The loop itself.
pub(crate) fn main(namespaces: bool) -> Result<()> {
    let pids: Vec<u32> = std::fs::read_dir("/proc")
        .map_err(|error| error.to_string())?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let half = pids.len() / 2;
    std::thread::scope(|scope| {
        for part in [pids.get(..half), pids.get(half..)].into_iter().flatten() {
            scope.spawn(move || {
                let mut buffer = vec![0; 8192];
                for pid in part {
                    // One that has ended is not there.
                    let _ = File::open(format!("/proc/{pid}/status")).and_then(|mut file| file.read(&mut buffer));
                    if namespaces {
                        let _ = std::fs::read_link(format!("/proc/{pid}/ns/user"));
                    }
                }
            });
        }
    });
    Ok(())
}
