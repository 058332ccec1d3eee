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

/// Processes that only wait, and their parent; all end when this goes out of scope. They are not children of whoever takes the time:
/// a descriptor for each would be copied and closed with every command that is started.
struct Crowd(Child);

impl Crowd {
    fn new(count: usize) -> Result<Self> {
        let proof = SingleThreaded::check().map_err(|error| error.to_string())?;
        let (ready, done) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let holder = match process::fork(proof, 0, None).map_err(|error| error.to_string())? {
            Forked::Parent(child) => Self(child),
            Forked::Child => hold(count, &done),
        };
        drop(done);
        let mut byte = [0];
        match rustix::io::read(&ready, &mut byte) {
            Ok(1) => Ok(holder),
            _ => Err(format!("{count} processes cannot be started here")),
        }
    }
}

/// Starts the processes, says so, and waits to be killed.
fn hold(count: usize, done: &std::os::fd::OwnedFd) -> ! {
    let own = rustix::process::getpid();
    let mut started = 0;
    while let (true, Ok(proof)) = (started < count, SingleThreaded::check()) {
        match process::fork(proof, 0, None) {
            // Nobody waits for it: it ends with this process.
            Ok(Forked::Parent(child)) => drop(child),
            Ok(Forked::Child) => {
                let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
                if rustix::process::getppid() == Some(own) {
                    wait_for_ever();
                }
                process::exit_now(1);
            }
            Err(_) => process::exit_now(1),
        }
        started += 1;
    }
    let _ = rustix::io::write(done, b"!");
    wait_for_ever()
}

fn wait_for_ever() -> ! {
    loop {
        // Until it is killed.
        rustix::event::pause();
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = process::send_signal(&self.0.pidfd, 9);
        let _ = process::wait(&self.0.pidfd);
    }
}

pub(crate) fn scan(setup: &Setup, report: &mut Report) -> Result<()> {
    let count = COUNT;
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
