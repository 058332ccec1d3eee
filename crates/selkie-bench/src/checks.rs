//! What watching costs: nanoseconds of a system call with one capability check, and of one with none.
//!
//! ```text
//! nothing loaded       no program is in the kernel
//! loaded               programs are pinned, nobody learns; the state of a machine on which something was learned once
//! recorded, granted    counted for `why` by the kernel alone, as every container while programs are loaded
//! recorded, denied     the same; the stack of each check is taken 8 times and then once in 256
//! another is watched   somebody learns, but not from this process
//! watched, granted     each check is counted, and its stack taken 8 times and then once in 256
//! watched, denied      each check has its stack taken, each call is compared with what is known
//! bpftrace, strace     what others do for the same question
//! ```
//!
//! The call with a check is sethostname(2) of a name that is too long: it is refused behind the check. The one without is getppid(2).
//! Of many short loops the fastest counts: whatever else the machine does only adds.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use selkie_observe::{Observer, Subject};
use selkie_sys::process::{SingleThreaded, unshare};

use crate::Result;
use crate::engines::installed;
use crate::report::Report;

/// Calls of one loop.
const CALLS: u32 = 20_000;
/// Loops, of which the fastest counts.
const LOOPS: u32 = 60;
/// `CLONE_NEWNS` of `linux/sched.h`.
const CLONE_NEWNS: u64 = 0x20000;
/// Longer than any host name.
const TOO_LONG: [u8; 80] = [b'x'; 80];

/// Loops under a tool that makes a call fifty times slower.
const FEW_LOOPS: u32 = 3;
/// The number of the container that is recorded.
const CONTEXT: u64 = 0x5e1c_1e00;

/// One way of being watched, or not.
#[derive(Clone, Copy)]
enum Case {
    Unloaded,
    Loaded,
    RecordedGranted,
    RecordedDenied,
    Another,
    Granted,
    Denied,
}

impl Case {
    const ALL: [(Self, &str); 7] = [
        (Self::Unloaded, "nothing loaded"),
        (Self::Loaded, "loaded"),
        (Self::RecordedGranted, "recorded, granted"),
        (Self::RecordedDenied, "recorded, denied"),
        (Self::Another, "another is watched"),
        (Self::Granted, "watched, granted"),
        (Self::Denied, "watched, denied"),
    ];

    fn is_watched(self) -> bool {
        matches!(self, Self::Granted | Self::Denied)
    }

    fn is_recorded(self) -> bool {
        matches!(self, Self::RecordedGranted | Self::RecordedDenied)
    }
}

/// Nanoseconds of the two calls.
type Costs = (u64, u64);

/// Adds the table, with what others do.
pub(crate) fn table(report: &mut Report) -> Result<()> {
    let mut rows: Vec<(String, Result<Costs>)> = Vec::new();
    selkie_observe::unload().map_err(text)?;
    let mut rung = None;
    for (case, name) in Case::ALL {
        let observer = match case {
            Case::Another | Case::Granted | Case::Denied => Some(selkie_observe::best().map_err(text)?),
            Case::Unloaded => None,
            _ => {
                rung = Some(selkie_observe::load().map_err(text)?);
                None
            }
        };
        rows.push((name.to_owned(), Ok(measure(case, observer.as_deref())?)));
    }
    selkie_observe::unload().map_err(text)?;
    let count = "tracepoint:capability:cap_capable { @[args->cap] = count(); }";
    let print = "tracepoint:capability:cap_capable { printf(\"%d %s %d %d\\n\", pid, comm, args->cap, args->ret); }";
    rows.push(("bpftrace, count()".to_owned(), under_bpftrace(count)));
    rows.push(("bpftrace, printf()".to_owned(), under_bpftrace(print)));
    rows.push(("strace -f".to_owned(), under_strace(&["-f"])));
    rows.push(("strace -f --seccomp-bpf -e sethostname".to_owned(), under_strace(&["-f", "--seccomp-bpf", "-e", "trace=sethostname"])));
    let base = rows.first().and_then(|(_, costs)| costs.as_ref().ok().copied()).unwrap_or_default();
    let mut table =
        "### What watching costs a system call\n\n| | with a check, ns | more | without, ns | more |\n|---|--:|--:|--:|--:|\n".to_owned();
    for (name, costs) in &rows {
        table.push_str(&match costs {
            Ok((check, other)) => {
                let more = |now: u64, before: u64| i128::from(now) - i128::from(before);
                format!("| {name} | {check} | {:+} | {other} | {:+} |\n", more(*check, base.0), more(*other, base.1))
            }
            Err(problem) => format!("| {name} | did not run: {problem} | | | |\n"),
        });
    }
    report.text(&table);
    report.note(&format!(
        "By {}; the fastest of {LOOPS} loops of {CALLS} calls, of {FEW_LOOPS} under bpftrace and strace. Recording a container takes {} us, \
         forgetting it {} us (median of 1000); without programs loaded it is {} us.",
        rung.map_or("nothing", selkie_observe::Rung::name),
        registration(true)?.0,
        registration(true)?.1,
        registration(false)?.0,
    ));
    Ok(())
}

fn text(error: selkie_observe::Error) -> String {
    error.to_string()
}

/// Runs the loops in a process of its own.
fn measure(case: Case, observer: Option<&dyn Observer>) -> Result<Costs> {
    let (mut child, pid) = hold(matches!(case, Case::Denied | Case::RecordedDenied))?;
    if let (Some(observer), true) = (observer, case.is_watched()) {
        observer.watch(Subject { context: 1, pid }).map_err(text)?;
    }
    if case.is_recorded() && !selkie_observe::record(Subject { context: CONTEXT, pid }, 0).map_err(text)? {
        return Err("another build of selkie has removed our pins".to_owned());
    }
    let go = child.stdin.take().and_then(|mut input| input.write_all(b"go\n").ok());
    go.ok_or("the process that measures has ended")?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let trace = match observer {
        Some(observer) if case.is_watched() => Some(observer.finish(1).map_err(text)?),
        _ if case.is_recorded() => selkie_observe::recorded(CONTEXT).map_err(text)?,
        _ => None,
    };
    if case.is_recorded() {
        selkie_observe::forget(CONTEXT).map_err(text)?;
    }
    if let Some(trace) = trace {
        let wanted = if matches!(case, Case::RecordedGranted) { 0 } else { u64::from(CALLS * LOOPS) };
        let seen: u64 = trace.checks.iter().filter(|count| count.syscall.as_deref() == Some("sethostname")).map(|count| count.count).sum();
        if seen != wanted || !trace.lost.is_nothing() {
            return Err(format!("{seen} checks were counted, {:?} were lost, of {wanted}", trace.lost));
        }
    }
    costs(&output.stdout)
}

fn costs(output: &[u8]) -> Result<Costs> {
    let text = String::from_utf8_lossy(output);
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(check)), Some(Ok(other))) => Ok((check, other)),
        _ => Err(format!("the process that measures said {text:?}")),
    }
}

/// Runs the loops while a script of bpftrace(8) looks at every check of the machine.
fn under_bpftrace(script: &str) -> Result<Costs> {
    if !installed("bpftrace") {
        return Err("bpftrace is not installed".to_owned());
    }
    // Probes are attached in their order, so this one says that the other is there.
    let script = format!("{script} interval:ms:200 {{ printf(\"attached\\n\"); }}");
    let mut command = Command::new("bpftrace");
    let mut tracer = command
        .args(["-e", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(tracer.stdout.take().ok_or("bpftrace has no output")?);
    let mut line = String::new();
    while line != "attached\n" {
        line.clear();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            let _ = tracer.wait();
            return Err("bpftrace cannot attach".to_owned());
        }
    }
    let drain = std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let measured = loops_under(Command::new(own()?));
    let _ = tracer.kill();
    let _ = tracer.wait();
    let _ = drain.join();
    measured
}

/// Runs the loops under strace(1), whose output is thrown away.
fn under_strace(flags: &[&str]) -> Result<Costs> {
    if !installed("strace") {
        return Err("strace is not installed".to_owned());
    }
    let mut command = Command::new("strace");
    command.args(flags).args(["-o", "/dev/null"]).arg(own()?);
    loops_under(command)
}

fn loops_under(mut command: Command) -> Result<Costs> {
    let output = command.args(["checks-loop", "all"]).arg(FEW_LOOPS.to_string()).output().map_err(|error| error.to_string())?;
    costs(&output.stdout)
}

fn own() -> Result<std::path::PathBuf> {
    std::env::current_exe().map_err(|error| error.to_string())
}

/// Returns the median microseconds of recording a container and of forgetting it.
fn registration(loaded: bool) -> Result<(f64, f64)> {
    const TIMES: usize = 1000;
    if loaded {
        selkie_observe::load().map_err(text)?;
    } else {
        selkie_observe::unload().map_err(text)?;
    }
    let (mut child, pid) = hold(false)?;
    let mut times = [Vec::with_capacity(TIMES), Vec::with_capacity(TIMES)];
    let [recorded, forgotten] = &mut times;
    for _ in 0..TIMES {
        let begun = Instant::now();
        selkie_observe::record(Subject { context: CONTEXT, pid }, 0).map_err(text)?;
        let between = Instant::now();
        selkie_observe::forget(CONTEXT).map_err(text)?;
        forgotten.push(between.elapsed());
        recorded.push(between - begun);
    }
    let _ = child.kill();
    let _ = child.wait();
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort_unstable();
        times.get(TIMES / 2).map_or(0.0, |time| (time.as_secs_f64() * 1e7).round() / 10.0)
    };
    Ok((median(recorded), median(forgotten)))
}

/// Starts a process in a mount namespace of its own that waits.
fn hold(without_rights: bool) -> Result<(Child, i32)> {
    let mut command = Command::new(own()?);
    command.arg("checks-hold").arg(if without_rights { "none" } else { "all" }).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut line = [0; 5];
    let read = child.stdout.as_mut().map(|output| output.read_exact(&mut line));
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
    Err(Command::new(own()?).arg("checks-loop").args(arguments).exec().to_string())
}

/// `checks-loop none|all [LOOPS]`: prints both numbers.
pub(crate) fn loops(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|rights| rights == "none") {
        let none = selkie_caps::CapSet::EMPTY;
        selkie_sys::capability::set(none, none, none).map_err(|error| error.to_string())?;
    }
    let count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(LOOPS);
    let check = fastest(count, || {
        let _ = rustix::system::sethostname(&TOO_LONG);
    });
    let other = fastest(count, || {
        let _ = rustix::process::getppid();
    });
    println!("{check} {other}");
    Ok(())
}

/// Returns the nanoseconds of one call in the fastest loop.
fn fastest(count: u32, call: impl Fn()) -> u128 {
    let once = || {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..count).map(|_| once()).min().unwrap_or(0)
}
