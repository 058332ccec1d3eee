//! One run: a container in a process of its own, watched, judged from outside, and gone at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use selkie_caps::CapSet;
use selkie_learn::{Call, Cause, Standing, Surroundings, Trace, causes, posture};
use selkie_observe::{Observer, Subject};
use selkie_seccomp::Resolved;

use super::notify::Notify;
use super::oracle::{self, Http, Oracle, Target};
use super::processes::{Port, Processes};
use super::sight::{Sight, Sights, refusals};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::RecordImage;
use crate::trial::{Event, Order, Word};

/// What all runs have in common.
pub(super) struct Setting<'a> {
    pub(super) engine: &'a Engine,
    pub(super) observer: &'a dyn Observer,
    pub(super) interrupted: &'a AtomicBool,
    /// Directory of sockets for sd_notify.
    pub(super) scratch: &'a Path,
}

/// One run as wanted.
pub(super) struct Wanted<'a> {
    pub(super) number: usize,
    pub(super) purpose: String,
    pub(super) order: Order,
    /// The container's capabilities.
    pub(super) set: CapSet,
    pub(super) filter: Option<&'a Resolved>,
    pub(super) oracle: &'a Oracle,
    pub(super) way: Way,
    /// How long it may take to be ready, or to end.
    pub(super) limit: Duration,
    /// How long it may take once it was refused something that it does not have.
    pub(super) hurry: Duration,
    /// From the first execve(2) on, so long the user's check may fail.
    pub(super) check_within: Duration,
    /// Refusals that are no reason to hurry: a run that passed had them too.
    pub(super) spared: CapSet,
    /// What the run is compared with; `None` is the baseline itself.
    pub(super) baseline: Option<&'a Made>,
    /// What an earlier try of the baseline showed, which was waited for in vain.
    pub(super) in_vain: Option<&'a Sights>,
    /// Its processes have to be those of the baseline.
    pub(super) guard: bool,
}

/// How a run is known to be over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// To be found out: by the baseline.
    #[default]
    Explore,
    /// The command ends by itself.
    Ends,
    /// It goes on until it is stopped.
    Serves,
}

/// Why a failure may be chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It took too long while other programs kept the processors.
    Pressure,
    /// Its processes were not those of the baseline, which may differ from run to run where nothing was denied.
    Posture,
}

/// A run that was made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) number: usize,
    pub(super) purpose: String,
    pub(super) set: CapSet,
    /// Why it failed; `None` when it passed.
    pub(super) failure: Option<String>,
    /// The failure was seen, not only waited for.
    pub(super) seen: bool,
    /// Why the failure may be chance.
    pub(super) doubt: Option<Doubt>,
    /// What there was to see of a baseline while it was waited for.
    pub(super) sights: Sights,
    pub(super) way: Way,
    /// From the first execve(2) to the end, or until it was ready.
    pub(super) ready: Duration,
    /// How long its answers took.
    pub(super) answer: Duration,
    /// From the first execve(2) until the user's check had passed; nothing without one.
    pub(super) checked: Duration,
    /// It ended when it was told to.
    pub(super) stops: bool,
    /// All of it.
    pub(super) took: Duration,
    pub(super) trace: Trace,
    pub(super) refused: Vec<(Call, Cause)>,
    pub(super) posture: Vec<Standing>,
    pub(super) ports: BTreeSet<Port>,
    pub(super) http: Vec<Http>,
    pub(super) output: String,
    pub(super) image: Option<RecordImage>,
    /// The writable layer has something in it that was not there before.
    pub(super) wrote: Option<bool>,
    /// When it was told to stop, nanoseconds from the first execve(2).
    pub(super) stopped_at: Option<u64>,
}

impl Made {
    /// What it was refused and does not have.
    pub(super) fn lacking(&self) -> CapSet {
        needs(&self.refused).0.difference(self.set)
    }
}

/// How long the baseline has to be quiet before it counts as ready, if it listens.
const QUIET_LISTENING: Duration = Duration::from_millis(1500);
/// The same, if it does not.
const QUIET_SILENT: Duration = Duration::from_secs(8);
/// How often is looked.
const TICK: Duration = Duration::from_millis(8);
/// How long a process may take to become what it was in the baseline.
const SETTLE: Duration = Duration::from_millis(1500);
/// How long it has to stay well when nobody says how long.
const STEADY: Duration = Duration::from_millis(250);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(5);
/// How much output is kept.
const OUTPUT: usize = 64 * 1024;

/// Makes a run.
///
/// # Errors
/// The container cannot be made or watched at all, or the user has had enough.
pub(super) fn run(setting: &Setting<'_>, mut wanted: Wanted<'_>) -> Result<Made> {
    let notify = wanted.oracle.notify.then(|| Notify::new(setting.scratch, wanted.number)).transpose()?;
    if let Some(notify) = &notify {
        notify.hand_in(&mut wanted.order.request)?;
    }
    let child = Child::start(setting.engine, &wanted.order)?;
    let Wanted { number, set, way, .. } = wanted;
    let made = Made { number, purpose: std::mem::take(&mut wanted.purpose), set, way, ..Made::default() };
    let mut run = Run {
        setting,
        wanted,
        child,
        made,
        notify,
        begun: Instant::now(),
        pressure: pressure(),
        id: String::new(),
        layer: PathBuf::new(),
        before: None,
        stop_signal: 15,
        pid: None,
        context: 0,
        started: None,
        processes: None,
    };
    let ended = run.go();
    run.finish(ended)
}

struct Run<'a> {
    setting: &'a Setting<'a>,
    wanted: Wanted<'a>,
    child: Child,
    made: Made,
    notify: Option<Notify>,
    begun: Instant,
    /// At the beginning.
    pressure: Duration,
    id: String,
    layer: PathBuf,
    /// What was in the layer before the program began.
    before: Option<Layer>,
    stop_signal: u32,
    pid: Option<i32>,
    context: u64,
    started: Option<Instant>,
    processes: Option<Processes>,
}

impl Run<'_> {
    /// Runs until it is known whether it passes.
    fn go(&mut self) -> Result<()> {
        while self.started.is_none() {
            if self.tick()?.is_some() {
                return Ok(());
            }
        }
        match self.await_ready()? {
            Some(code) => self.judge_end(code),
            None => {
                if self.made.failure.is_none() && self.made.way == Way::Serves {
                    self.serve()?;
                }
                Ok(())
            }
        }
    }

    /// Waits until it is ready (`None`) or has ended with a status.
    fn await_ready(&mut self) -> Result<Option<i32>> {
        let started = self.started.unwrap_or(self.begun);
        let mut quiet = Quiet::default();
        let mut next_probe = Duration::ZERO;
        loop {
            if let Some(code) = self.tick()? {
                self.made.ready = started.elapsed();
                return Ok(Some(code));
            }
            let elapsed = started.elapsed();
            self.made.ready = elapsed;
            if self.made.way != Way::Ends && elapsed >= next_probe {
                next_probe = elapsed + elapsed.mul_f64(0.1).clamp(TICK, Duration::from_millis(100));
                if self.is_ready(&mut quiet) {
                    // The time that nothing happened in is not its own.
                    self.made.ready = elapsed.saturating_sub(quiet.lasted());
                    self.made.way = Way::Serves;
                    return Ok(None);
                }
            }
            self.look(elapsed, &quiet);
            if let Some(reason) = self.lateness(elapsed, &quiet) {
                self.made.failure = Some(reason);
                return Ok(None);
            }
        }
    }

    /// Takes what there is to see of a baseline, now and then.
    fn look(&mut self, elapsed: Duration, quiet: &Quiet) {
        if self.wanted.baseline.is_some() || !self.made.sights.is_due(elapsed) {
            return;
        }
        let missing = if self.made.way == Way::Ends { Some("still runs".to_owned()) } else { quiet.missing.clone() };
        let processes = self.processes.as_mut().map(Processes::states).unwrap_or_default();
        self.made.sights.see(elapsed, Sight { missing, processes, refused: refusals(&self.made.refused) });
    }

    /// Returns what to say if it is too late now.
    fn lateness(&mut self, elapsed: Duration, quiet: &Quiet) -> Option<String> {
        let is_as_before = self.wanted.in_vain.is_some_and(|earlier| self.made.sights.is_as_in(earlier, elapsed));
        let is_late = elapsed > self.wanted.limit || is_as_before;
        if !is_late {
            // Where it only has to go on, nothing is missing but time: to hurry would not let it pass at all.
            let is_waited_for = self.made.way == Way::Ends || quiet.missing.is_some();
            if !is_waited_for || elapsed <= self.wanted.hurry || self.lacking().is_empty() {
                return None;
            }
            self.made.seen = true;
            let is_pressed = pressure().saturating_sub(self.pressure) > self.begun.elapsed() / 2;
            self.made.doubt = is_pressed.then_some(Doubt::Pressure);
        }
        let what = match self.made.way {
            Way::Ends => "still runs",
            _ => quiet.missing.as_deref().unwrap_or("is not ready"),
        };
        let again = if is_as_before { ", with all else as in the run before" } else { "" };
        Some(format!("{what} after {:.1} s{again}", elapsed.as_secs_f64()))
    }

    /// What it was refused and does not have.
    fn lacking(&self) -> CapSet {
        self.made.lacking().difference(self.wanted.spared)
    }

    fn is_ready(&mut self, quiet: &mut Quiet) -> bool {
        let Some(pid) = self.pid else { return false };
        let Some(processes) = &mut self.processes else { return false };
        let oracle = self.wanted.oracle;
        self.made.ports = processes.ports();
        let target = Target { pid, id: &self.id, patience: patience(self.wanted.baseline) };
        let asked = Instant::now();
        quiet.missing = oracle
            .output
            .iter()
            .find(|pattern| !pattern.is_match(&self.made.output))
            .map(|pattern| format!("no output matches `{pattern}`"))
            .or_else(|| oracle::unanswered(oracle, target, &self.made.ports))
            .or_else(|| self.notify.as_ref().filter(|notify| !notify.is_ready()).map(|_| "READY=1 did not come".to_owned()))
            .or_else(|| oracle.files.iter().find(|file| !exists_in(pid, file)).map(|file| format!("file {file} does not exist")))
            .or_else(|| self.unhealthy());
        if quiet.missing.is_some() {
            return false;
        }
        self.made.answer = asked.elapsed();
        if oracle.serves() {
            return true;
        }
        if let Some(baseline) = self.wanted.baseline {
            // Nothing tells but that it goes on: it gets the time that the baseline took, and some more.
            let since = self.started.map_or(Duration::ZERO, |started| started.elapsed());
            return since >= baseline.ready.mul_f64(1.5) + Duration::from_secs(1);
        }
        // Nobody has said what it does: it is ready when it has nothing to do any more.
        let (standings, busy) = self.processes.as_mut().map(Processes::standings).unwrap_or_default();
        let patience = if self.made.ports.is_empty() { QUIET_SILENT } else { QUIET_LISTENING };
        quiet.since(busy, standings.len(), &self.made.ports) >= patience
    }

    fn unhealthy(&mut self) -> Option<String> {
        let health = self.wanted.oracle.health.clone()?;
        let mut command = self.setting.engine.again("exec");
        command.args(["--apart", &self.id]).args(&health).stdin(Stdio::null()).stdout(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("health check `{}` ended with {status}", health.join(" "))),
            Err(error) => Some(format!("health check cannot be run: {error}")),
        }
    }

    /// Sees whether a container that is ready is what it was in the baseline, works, and stays well.
    fn serve(&mut self) -> Result<()> {
        if self.wanted.baseline.is_none() {
            self.explore();
        }
        let pid = self.pid.unwrap_or_default();
        let mut differences = self.settled()?;
        let oracle = self.wanted.oracle;
        let id = self.id.clone();
        let target = Target { pid, id: &id, patience: patience(self.wanted.baseline) };
        if let Some(exercise) = &oracle.exercise
            && let Err(problem) = oracle::command(exercise, target)
        {
            // Of a service that has ended it says nothing.
            let ended = (0..10).find_map(|_| self.tick().transpose()).transpose()?;
            let problem = ended.map_or(format!("exercise {problem}"), |code| format!("ended with {code} before the exercise was over"));
            return self.fail(problem);
        }
        if let Some(check) = &oracle.check
            && let Some(problem) = self.unchecked(check, target)?
        {
            return self.fail(problem);
        }
        let steady = Instant::now();
        while steady.elapsed() < oracle.steady.unwrap_or(STEADY) {
            if let Some(code) = self.tick()? {
                return self.fail(format!("ended with {code} after it was ready"));
            }
        }
        if let Some(processes) = &mut self.processes {
            self.made.ports = processes.ports();
            if let Some(problem) = oracle::unanswered(oracle, target, &self.made.ports) {
                return self.fail(problem);
            }
            self.made.posture = processes.standings().0;
            if let Some(baseline) = self.wanted.baseline.filter(|_| self.wanted.guard) {
                let was_right = differences.is_empty();
                differences = posture::differences(&baseline.posture, &self.made.posture);
                if was_right && !differences.is_empty() {
                    // It may be a process on its way.
                    differences = self.settled()?;
                }
            }
        }
        if !differences.is_empty() {
            self.made.doubt = Some(Doubt::Posture);
            return self.fail(format!("posture: {}", differences.join("; ")));
        }
        self.stop()
    }

    /// Asks the user's check until it passes: a service that is slow to do it is none that does not. Returns why it did not pass.
    fn unchecked(&mut self, check: &str, target: Target<'_>) -> Result<Option<String>> {
        const PAUSE: Duration = Duration::from_millis(100);
        let started = self.started.unwrap_or(self.begun);
        loop {
            let asked = Instant::now();
            let Err(problem) = oracle::command(check, target) else {
                self.made.checked = started.elapsed();
                return Ok(None);
            };
            if started.elapsed() > self.wanted.check_within {
                return Ok(Some(format!("check {problem}")));
            }
            // As long as the question took, it may rest.
            let pause = asked.elapsed().max(PAUSE);
            let paused = Instant::now();
            while paused.elapsed() < pause {
                if let Some(code) = self.tick()? {
                    return Ok(Some(format!("ended with {code} before its check passed")));
                }
            }
        }
    }

    /// Learns from the baseline what its answers are.
    fn explore(&mut self) {
        let target = Target { pid: self.pid.unwrap_or_default(), id: &self.id, patience: oracle::ANSWER };
        let asked = Instant::now();
        for port in &self.made.ports {
            if let Port::Tcp(port) = *port
                && !self.wanted.oracle.http.iter().any(|http| http.port == port)
            {
                let http = Http { port, path: "/".to_owned(), status: None };
                if let Ok(status) = oracle::request(target, &http) {
                    self.made.http.push(Http { status: Some(status), ..http });
                }
            }
        }
        self.made.answer = asked.elapsed();
    }

    /// Waits until the processes are those of the baseline; returns how they differ if they do not become so.
    fn settled(&mut self) -> Result<Vec<String>> {
        let begun = Instant::now();
        loop {
            let standings = self.processes.as_mut().map(|processes| processes.standings().0).unwrap_or_default();
            let Some(baseline) = self.wanted.baseline.filter(|_| self.wanted.guard) else { return Ok(Vec::new()) };
            let differences = posture::differences(&baseline.posture, &standings);
            if differences.is_empty() || begun.elapsed() > SETTLE {
                return Ok(differences);
            }
            if self.tick()?.is_some() {
                return Ok(differences);
            }
        }
    }

    fn fail(&mut self, reason: String) -> Result<()> {
        self.made.failure = Some(reason);
        self.made.seen = true;
        Ok(())
    }

    /// Stops it as its engine would, so that what it needs for that is seen too.
    fn stop(&mut self) -> Result<()> {
        let at = self.started.map_or(0, |started| u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.made.stopped_at = Some(at);
        self.child.say(Word::Signal(self.stop_signal.cast_signed()));
        let begun = Instant::now();
        // One that has not ended in the baseline, as a first process without a handler does not, will not now.
        let limit = if self.wanted.baseline.is_none_or(|made| made.stops) { STOP } else { STEADY };
        while begun.elapsed() < limit {
            if self.tick()?.is_some() {
                self.made.stops = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Judges a container that has ended by itself.
    fn judge_end(&mut self, code: i32) -> Result<()> {
        self.made.seen = true;
        let oracle = self.wanted.oracle;
        if self.made.way == Way::Serves || oracle.serves() {
            self.made.failure = Some(format!("ended with {code} before it was ready"));
            return Ok(());
        }
        self.made.way = Way::Ends;
        let expected = oracle.exit_code.unwrap_or(0);
        let missing = oracle.output.iter().find(|pattern| !pattern.is_match(&self.made.output));
        let absent = oracle.files.iter().find(|file| !exists_beneath(&self.layer, file));
        self.made.failure = if code != expected {
            Some(format!("exit code {code}"))
        } else if let Some(pattern) = missing {
            Some(format!("no output matches `{pattern}`"))
        } else if let Some(file) = absent {
            Some(format!("file {file} does not exist"))
        } else if let Some(check) = &oracle.check {
            oracle::command(check, Target { pid: self.pid.unwrap_or_default(), id: &self.id, patience: oracle::ANSWER })
                .err()
                .map(|problem| format!("check {problem}"))
        } else {
            None
        };
        Ok(())
    }

    /// Takes what is there to be heard and seen. Returns the container's status once it has ended.
    fn tick(&mut self) -> Result<Option<i32>> {
        if self.setting.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let event = self.child.next(TICK);
        let answer = match event {
            Next::Nothing => None,
            Next::Gone => {
                return Err(Error::Monitor { id: self.id.clone(), problem: "ended in the middle of a run".to_owned() });
            }
            Next::Event(event) => self.hear(event)?,
        };
        if self.context != 0 {
            let calls = self.setting.observer.poll(self.context).map_err(|error| Error::observe(&error))?;
            let around = Surroundings { filter: self.wanted.filter, has_stacks: self.setting.observer.rung().sees_checks() };
            let judged = calls.into_iter().filter_map(|call| selkie_learn::cause(&call, around).map(|cause| (call, cause)));
            self.made.refused.extend(judged);
        }
        Ok(answer)
    }

    fn hear(&mut self, event: Event) -> Result<Option<i32>> {
        match event {
            Event::Created { id, image, stop_signal, layer } => {
                self.id = id;
                self.layer = layer;
                self.stop_signal = stop_signal;
                self.made.image = image;
            }
            Event::Held { pid } => {
                // Unique among all that is watched on this machine, as pids and numbers of runs are.
                let context = u64::from(std::process::id()) << 32 | u64::try_from(self.wanted.number).unwrap_or_default() << 1 | 1;
                self.before = entries(&self.layer);
                self.setting.observer.watch(Subject { context, pid }).map_err(|error| Error::observe(&error))?;
                self.context = context;
                self.child.say(Word::Go);
            }
            Event::Started { pid } => {
                self.pid = Some(pid);
                self.started = Some(Instant::now());
                self.processes = Some(Processes::of(pid)?);
            }
            Event::Output { text } => {
                self.made.output.push_str(&text);
                if self.made.output.len() > OUTPUT {
                    let mut cut = self.made.output.len() - OUTPUT / 2;
                    while !self.made.output.is_char_boundary(cut) {
                        cut += 1;
                    }
                    self.made.output.drain(..cut);
                }
            }
            Event::Exited { code } => return Ok(Some(code)),
            Event::Failed { code, problem } => {
                // Not executable is an outcome of the workload: its file capabilities can be why.
                if matches!(code, 126) && self.context != 0 {
                    self.made.failure = Some(problem);
                    self.made.seen = true;
                    return Ok(Some(code.into()));
                }
                return Err(Error::Trial { code, problem });
            }
        }
        Ok(None)
    }

    /// Ends the run, whatever became of it, and takes its trace.
    fn finish(mut self, ended: Result<()>) -> Result<Made> {
        // What the engine itself has put there, such as points to mount on, was there when the program began.
        self.made.wrote = self.before.take().and_then(|before| wrote(&self.layer, &before));
        self.child.end();
        let trace = if self.context == 0 {
            Ok(Trace::default())
        } else {
            self.setting.observer.finish(self.context).map_err(|error| Error::observe(&error))
        };
        ended?;
        self.made.trace = trace?;
        self.made.refused = causes(&self.made.trace, self.wanted.filter).map(|(call, cause)| (call.clone(), cause)).collect();
        self.made.took = self.begun.elapsed();
        if self.made.failure.is_none()
            && let Some(baseline) = self.wanted.baseline.filter(|_| self.wanted.guard)
        {
            let differences = posture::ended_differently(&baseline.trace.endings, &self.made.trace.endings);
            if self.made.way == Way::Ends && !differences.is_empty() {
                self.made.failure = Some(format!("posture: {}", differences.join("; ")));
                self.made.seen = true;
                self.made.doubt = Some(Doubt::Posture);
            }
        }
        Ok(self.made)
    }
}

/// What refused calls need: all of the first, one of each of the others.
pub(super) fn needs<'a>(refused: impl IntoIterator<Item = &'a (Call, Cause)>) -> (CapSet, Vec<CapSet>) {
    let mut all = CapSet::EMPTY;
    let mut choices = Vec::new();
    for (_, cause) in refused {
        match cause {
            Cause::OneOf { capabilities } if !choices.contains(capabilities) => choices.push(*capabilities),
            Cause::Capability { capabilities } | Cause::FileCapability { capabilities } | Cause::Capset { capabilities } => {
                all = all.union(*capabilities);
            }
            Cause::Seccomp { allowed_with } if allowed_with.iter().count() == 1 => all = all.union(*allowed_with),
            _ => {}
        }
    }
    (all, choices)
}

/// How long one answer may take.
fn patience(baseline: Option<&Made>) -> Duration {
    const LEAST: Duration = Duration::from_millis(500);
    baseline.map_or(oracle::ANSWER, |made| made.answer.saturating_mul(5).max(LEAST))
}

/// How long nothing has changed.
#[derive(Default)]
struct Quiet {
    missing: Option<String>,
    state: Option<(u64, usize, BTreeSet<Port>)>,
    since: Option<Instant>,
}

impl Quiet {
    fn lasted(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn since(&mut self, busy: u64, processes: usize, ports: &BTreeSet<Port>) -> Duration {
        let state = Some((busy, processes, ports.clone()));
        if self.state != state {
            self.state = state;
            self.since = Some(Instant::now());
        }
        self.lasted()
    }
}

/// Returns how long programs of this machine have waited for a processor, until now. Nothing, where the kernel does not count
/// (Documentation/accounting/psi.rst).
fn pressure() -> Duration {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    stalled(&text)
}

/// Reads the total of the line `some` of a file of pressure, which is in microseconds.
fn stalled(text: &str) -> Duration {
    let line = text.lines().find_map(|line| line.strip_prefix("some "));
    let total = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix("total=")));
    Duration::from_micros(total.and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// Returns whether a file exists in a container that runs. The path and all links in it are the container's.
fn exists_in(pid: i32, file: &str) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty());
    root.is_ok_and(|root| is_there(&root, file))
}

fn exists_beneath(layer: &Path, file: &str) -> bool {
    let root = rustix::fs::open(layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    root.is_ok_and(|root| is_there(&root, file))
}

fn is_there(root: &std::os::fd::OwnedFd, file: &str) -> bool {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(root, file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    // A character device 0/0 is overlayfs's way to say that a file was removed.
    found
        .and_then(rustix::fs::fstat)
        .is_ok_and(|data| !(rustix::fs::FileType::from_raw_mode(data.st_mode).is_char_device() && data.st_rdev == 0))
}

/// The entries of a writable layer with the times of their last change.
type Layer = BTreeMap<PathBuf, (i64, i64)>;

/// Visits what is in a writable layer until `stop`; `None` if it cannot be read. Links of the container are not followed.
fn walk(layer: &Path, stop: &mut dyn FnMut(PathBuf, (i64, i64)) -> bool) -> Option<()> {
    let mut open = vec![layer.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).ok()? {
            let entry = entry.ok()?;
            let data = entry.metadata().ok()?;
            if data.is_dir() {
                open.push(entry.path());
            }
            if stop(entry.path(), (data.ctime(), data.ctime_nsec())) {
                return Some(());
            }
        }
    }
    Some(())
}

fn entries(layer: &Path) -> Option<Layer> {
    let mut found = Layer::new();
    walk(layer, &mut |path, changed| {
        found.insert(path, changed);
        false
    })?;
    Some(found)
}

/// Returns whether a layer has something that it had not before. What is removed leaves an entry of its own in it.
fn wrote(layer: &Path, before: &Layer) -> Option<bool> {
    let mut fresh = false;
    walk(layer, &mut |path, changed| {
        fresh = before.get(&path) != Some(&changed);
        fresh
    })?;
    Some(fresh)
}

/// The process of a trial.
struct Child {
    process: std::process::Child,
    words: Option<ChildStdin>,
    events: Receiver<Event>,
}

enum Next {
    Event(Event),
    Nothing,
    Gone,
}

impl Child {
    fn start(engine: &Engine, order: &Order) -> Result<Self> {
        let failed = |source: std::io::Error| Error::File { action: "execute", path: engine.binary().to_path_buf(), source };
        let mut process = engine.again("__trial").spawn().map_err(failed)?;
        let (sender, events) = channel();
        if let Some(output) = process.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                    let Ok(event) = serde_json::from_slice(&line) else { break };
                    if sender.send(event).is_err() {
                        break;
                    }
                }
            });
        }
        let mut words = process.stdin.take();
        let mut line = serde_json::to_vec(order).map_err(|source| Error::Record { path: "orders of a trial".into(), source })?;
        line.push(b'\n');
        if let Some(words) = &mut words {
            words.write_all(&line).map_err(failed)?;
        }
        Ok(Self { process, words, events })
    }

    fn say(&mut self, word: Word) {
        // A trial that is gone says so by its silence.
        if let (Some(words), Ok(mut line)) = (&mut self.words, serde_json::to_vec(&word)) {
            line.push(b'\n');
            let _ = words.write_all(&line);
        }
    }

    fn next(&mut self, patience: Duration) -> Next {
        match self.events.recv_timeout(patience) {
            Ok(event) => Next::Event(event),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Gone,
        }
    }

    /// Hangs up and waits until the container is gone.
    fn end(&mut self) {
        drop(self.words.take());
        // It kills and removes its container, then ends; nothing can be done about one that cannot.
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_the_total_of_some() {
        let text = "some avg10=0.00 avg60=0.12 avg300=0.30 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(stalled(text), Duration::from_millis(2500));
        for text in ["", "some total=x\n", "full total=7\n"] {
            assert_eq!(stalled(text), Duration::ZERO, "{text}");
        }
    }

    #[test]
    fn layer_with_points_to_mount_on_alone_was_not_written_to() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("run")).unwrap();
        std::fs::write(place.path().join("run/.containerenv"), "").unwrap();
        let before = entries(place.path()).unwrap();
        assert_eq!(wrote(place.path(), &before), Some(false));
        std::fs::write(place.path().join("run/x"), "").unwrap();
        assert_eq!(wrote(place.path(), &before), Some(true));
        assert_eq!(wrote(&place.path().join("missing"), &before), None);
    }
}
