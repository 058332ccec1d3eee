//! What watching costs: nanoseconds of a system call with one capability check, and of one with none.
//!
//! ```text
//! nothing loaded       no program is in the kernel
//! loaded               programs are pinned, nobody learns; the state of a machine on which something was learned once
//! another is watched   somebody learns, but not from this process
//! watched, granted     each check is counted, and its stack taken 8 times and then once in 256
//! watched, denied      each check has its stack taken, each call is compared with what is known
//! ```
//!
//! The call with a check is sethostname(2) of a name that is too long: it is refused behind the check. The one without is getppid(2).
//! Of many short loops the fastest counts: whatever else the machine does only adds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use selkie_observe::{Observer, Subject};
use selkie_sys::process::{SingleThreaded, unshare};

use crate::Result;

/// Calls of one loop.
const CALLS: u32 = 20_000;
/// Loops, of which the fastest counts.
const LOOPS: u32 = 60;
/// `CLONE_NEWNS` of `linux/sched.h`.
const CLONE_NEWNS: u64 = 0x20000;
/// Longer than any host name.
const TOO_LONG: [u8; 80] = [b'x'; 80];

/// One way of being watched, or not.
#[derive(Clone, Copy)]
enum Case {
    Unloaded,
    Loaded,
    Another,
    Granted,
    Denied,
}

impl Case {
    const ALL: [(Self, &str); 5] = [
        (Self::Unloaded, "nothing loaded"),
        (Self::Loaded, "loaded"),
        (Self::Another, "another is watched"),
        (Self::Granted, "watched, granted"),
        (Self::Denied, "watched, denied"),
    ];
}

/// Prints the table.
pub(crate) fn main() -> Result<()> {
    let text = |error: selkie_observe::Error| error.to_string();
    selkie_observe::unload().map_err(text)?;
    println!("| | with a check, ns | without, ns |\n|---|--:|--:|");
    let mut rung = None;
    for (case, name) in Case::ALL {
        let mut observer = if matches!(case, Case::Unloaded) { None } else { Some(selkie_observe::best().map_err(text)?) };
        rung = observer.as_ref().map(|observer| observer.rung());
        if matches!(case, Case::Loaded) {
            observer = None;
        }
        let (check, other) = measure(case, observer.as_deref())?;
        println!("| {name} | {check} | {other} |");
    }
    println!("\nBy {}.", rung.map_or("nothing", selkie_observe::Rung::name));
    Ok(())
}

/// Runs the loops in a process of its own.
fn measure(case: Case, observer: Option<&dyn Observer>) -> Result<(u64, u64)> {
    let (mut child, pid) = hold(matches!(case, Case::Denied))?;
    let watched = matches!(case, Case::Granted | Case::Denied);
    if let (Some(observer), true) = (observer, watched) {
        observer.watch(Subject { context: 1, pid }).map_err(|error| error.to_string())?;
    }
    let go = child.stdin.take().and_then(|mut input| input.write_all(b"go\n").ok());
    go.ok_or("the process that measures has ended")?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if let (Some(observer), true) = (observer, watched) {
        let trace = observer.finish(1).map_err(|error| error.to_string())?;
        let seen: u64 = trace.checks.iter().filter(|count| count.syscall.as_deref() == Some("sethostname")).map(|count| count.count).sum();
        if seen != u64::from(CALLS * LOOPS) || !trace.lost.is_nothing() {
            return Err(format!("{seen} checks were counted, {:?} were lost, of {}", trace.lost, CALLS * LOOPS));
        }
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(check)), Some(Ok(other))) => Ok((check, other)),
        _ => Err(format!("the process that measures said {text:?}")),
    }
}

/// Starts a process in a mount namespace of its own that waits.
fn hold(without_rights: bool) -> Result<(Child, i32)> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(own);
    command.arg("checks-hold").arg(if without_rights { "none" } else { "all" }).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut line = [0; 5];
    let read = child.stdout.as_mut().map(|output| std::io::Read::read_exact(output, &mut line));
    match read {
        Some(Ok(())) if &line == b"held\n" => {
            let pid = child.id().cast_signed();
            Ok((child, pid))
        }
        _ => Err("the process that measures did not start".to_owned()),
    }
}

/// `checks-hold none|all`: waits for a line, and becomes the loops.
pub(crate) fn held(arguments: &[String]) -> Result<()> {
    let text = |error: selkie_sys::SyscallError| error.to_string();
    unshare(SingleThreaded::check().map_err(text)?, CLONE_NEWNS).map_err(text)?;
    println!("held");
    BufReader::new(std::io::stdin()).read_line(&mut String::new()).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    Err(Command::new(own).arg("checks-loop").args(arguments).exec().to_string())
}

/// `checks-loop none|all`: prints both numbers.
pub(crate) fn loops(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|rights| rights == "none") {
        let none = selkie_caps::CapSet::EMPTY;
        selkie_sys::capability::set(none, none, none).map_err(|error| error.to_string())?;
    }
    let check = fastest(|| {
        let _ = rustix::system::sethostname(&TOO_LONG);
    });
    let other = fastest(|| {
        let _ = rustix::process::getppid();
    });
    println!("{check} {other}");
    Ok(())
}

/// Returns the nanoseconds of one call in the fastest loop.
fn fastest(call: impl Fn()) -> u128 {
    let once = || {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..LOOPS).map(|_| once()).min().unwrap_or(0)
}
