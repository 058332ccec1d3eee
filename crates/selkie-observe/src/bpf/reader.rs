//! The reading side: what the thread of an observer does, with the maps and three capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use selkie_learn::{Call, Check, Count, Ending, Lost, Rung, Trace, trace};

use super::kinds;
use super::layout::{self, COMPAT, CONTEXT, Context, Counted, NO_CALL, Repeated, Tally};
use super::maps::{Hash, Maps, Named, find, keys, remove};
use super::record::{Surroundings, merge};
use crate::error::{Error, Result};
use crate::subject::Facts;
use crate::symbols::Symbols;

/// Functions on whose stack a check belongs to no system call: a page of the program's own memory was touched.
const FAULTS: [&str; 2] = ["asm_exc_page_fault", "exc_page_fault"];

/// Reads the maps for the contexts that one observer watches.
pub(super) struct Reader {
    rung: Rung,
    maps: Maps,
    symbols: Symbols,
    stacks: BTreeMap<u64, Vec<u64>>,
    watched: BTreeMap<u64, Watched>,
}

/// One container.
struct Watched {
    /// Its number in the kernel: the caller's is unique to him alone.
    id: u64,
    cgroup: Option<u64>,
    mounts: Option<u32>,
    root: Option<OwnedFd>,
    /// Records by their number.
    records: BTreeMap<u64, Call>,
    /// The first record that has not been looked for.
    next: u64,
    /// Records that have a number and were not there yet.
    late: BTreeSet<u64>,
    /// Those that the caller has not been given.
    news: Vec<Call>,
}

impl Reader {
    pub(super) fn new(rung: Rung, maps: Maps) -> Self {
        Self { rung, maps, symbols: Symbols::default(), stacks: BTreeMap::new(), watched: BTreeMap::new() }
    }

    /// Returns whether anything is being watched.
    pub(super) fn is_busy(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Begins to watch.
    pub(super) fn watch(&mut self, context: u64, facts: Facts) -> Result<()> {
        if self.watched.contains_key(&context) {
            return Err(Error::Context { context, state: "watched already" });
        }
        let id = unique()?;
        let owner = std::process::id();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        let value = Context {
            start: if facts.runs { now } else { 0 },
            cgroup: facts.cgroup.map_or(0, |cgroup| cgroup.id),
            mounts: facts.mounts.unwrap_or(0),
            init: facts.pid,
            observer: facts.observer,
            pid_namespace: facts.pid_namespace,
            owner,
            owner_start: crate::subject::start_time(owner.cast_signed()).unwrap_or(0),
            ..Context::default()
        };
        self.maps.contexts.insert(id.to_le_bytes(), value.to_bytes(), 0).named("contexts")?;
        let cgroup = facts.cgroup.map(|cgroup| cgroup.id);
        self.watched.insert(
            context,
            Watched {
                id,
                cgroup,
                mounts: facts.mounts,
                root: facts.root,
                records: BTreeMap::new(),
                next: 0,
                late: BTreeSet::new(),
                news: Vec::new(),
            },
        );
        let begun = self.point_at(id, &facts.cgroup, facts.mounts);
        if begun.is_err() {
            // The error that matters is the first one.
            let _ = self.finish(context);
        }
        begun
    }

    fn point_at(&mut self, id: u64, cgroup: &Option<crate::subject::Cgroup>, mounts: Option<u32>) -> Result<()> {
        if let Some(cgroup) = cgroup {
            self.maps.look_for(*cgroup)?;
            self.maps.cgroups.insert(cgroup.id.to_le_bytes(), id.to_le_bytes(), 0).named("cgroups")?;
        }
        if let Some(mounts) = mounts {
            self.maps.mounts.insert(mounts.to_le_bytes(), id.to_le_bytes(), 0).named("mounts")?;
        }
        Ok(())
    }

    /// Takes what is new out of the kernel, for all contexts.
    pub(super) fn drain(&mut self) -> Result<()> {
        for context in self.watched.keys().copied().collect::<Vec<_>>() {
            self.take_records(context)?;
        }
        Ok(())
    }

    /// Returns the records since the last time.
    pub(super) fn poll(&mut self, context: u64) -> Result<Vec<Call>> {
        self.take_records(context)?;
        Ok(merge(std::mem::take(&mut self.find_mut(context)?.news)))
    }

    /// Ends the watch.
    pub(super) fn finish(&mut self, context: u64) -> Result<Trace> {
        let id = self.find_mut(context)?.id;
        self.forget_keys(context)?;
        self.take_records(context)?;
        let facts = self.context(id)?;
        let checks = self.checks(id)?;
        let endings = self.endings(id)?;
        let surplus = self.surplus(id)?;
        remove(&mut self.maps.contexts, "contexts", &id.to_le_bytes())?;
        let mut watched = self.watched.remove(&context).ok_or(Error::Context { context, state: "not watched" })?;
        for repeated in surplus {
            // A record that found no room is counted as lost.
            if let Some(call) = watched.records.get_mut(&repeated.last) {
                call.count = call.count.saturating_add(repeated.surplus);
            }
        }
        let lost = Lost { checks: facts.lost_checks, calls: facts.lost_calls, stacks: facts.lost_stacks, processes: 0 };
        Ok(Trace { calls: merge(watched.records.into_values().collect()), endings, ..self.trace(lost, checks) })
    }

    /// Ends all watches, whose traces nobody wants.
    pub(super) fn finish_all(mut self) {
        for context in self.watched.keys().copied().collect::<Vec<_>>() {
            // What stays is swept up by the next observer.
            drop(self.finish(context));
        }
    }

    /// Removes what is watched for processes that have ended, killed perhaps: nobody will ask for it.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let Some(observer) = crate::subject::own_pid_namespace() else { return Ok(()) };
        let mut dead = BTreeSet::new();
        for key in keys(&self.maps.contexts, "contexts", |_| true)? {
            let context = find(&self.maps.contexts, "contexts", &key)?.map(|bytes| Context::parse(&bytes));
            // Of a process in another PID namespace nothing can be said.
            let ended = |context: Context| {
                !context.aggregate
                    && context.observer == observer
                    && crate::subject::start_time(context.owner.cast_signed()) != Some(context.owner_start)
            };
            if context.is_some_and(ended) {
                dead.insert(u64::from_le_bytes(key));
            }
        }
        if dead.is_empty() {
            return Ok(());
        }
        let is_dead = |key: &[u8]| dead.contains(&layout::context_of(key));
        clear_values(&mut self.maps.mounts, "mounts", &dead)?;
        clear_values(&mut self.maps.cgroups, "cgroups", &dead)?;
        clear(&mut self.maps.checks, "checks", is_dead)?;
        clear(&mut self.maps.sites, "sites", is_dead)?;
        clear(&mut self.maps.alikes, "alikes", is_dead)?;
        clear(&mut self.maps.calls, "calls", is_dead)?;
        clear(&mut self.maps.endings, "endings", is_dead)?;
        clear(&mut self.maps.contexts, "contexts", is_dead)
    }

    fn find_mut(&mut self, context: u64) -> Result<&mut Watched> {
        self.watched.get_mut(&context).ok_or(Error::Context { context, state: "not watched" })
    }

    fn context(&self, id: u64) -> Result<Context> {
        let bytes: Option<[u8; CONTEXT]> = find(&self.maps.contexts, "contexts", &id.to_le_bytes())?;
        Ok(bytes.as_ref().map(Context::parse).unwrap_or_default())
    }

    /// Makes the programs forget the container. Its numbers may be another one's by now, who is watched too: then they stay.
    fn forget_keys(&mut self, context: u64) -> Result<()> {
        let Watched { id, cgroup, mounts, .. } = *self.find_mut(context)?;
        let own = Some(id.to_le_bytes());
        if let Some(key) = mounts.map(u32::to_le_bytes)
            && find(&self.maps.mounts, "mounts", &key)? == own
        {
            remove(&mut self.maps.mounts, "mounts", &key)?;
        }
        if let Some(key) = cgroup.map(u64::to_le_bytes)
            && find(&self.maps.cgroups, "cgroups", &key)? == own
        {
            remove(&mut self.maps.cgroups, "cgroups", &key)?;
        }
        Ok(())
    }

    /// Takes the records of a context that have come since, in the order in which their calls returned.
    fn take_records(&mut self, context: u64) -> Result<()> {
        let id = self.find_mut(context)?.id;
        let end = self.context(id)?.calls;
        let watched = self.find_mut(context)?;
        let wanted: Vec<u64> = watched.late.iter().copied().chain(watched.next..end).collect();
        watched.next = end.max(watched.next);
        let mut records = Vec::new();
        for number in wanted {
            let key = layout::call_key(id, number);
            let found = find(&self.maps.calls, "calls", &key)?.map(|bytes| layout::Call::parse(&bytes));
            let late = &mut self.find_mut(context)?.late;
            match found {
                // Its number is given before it is stored, by another processor perhaps.
                None => {
                    late.insert(number);
                }
                Some(record) => {
                    late.remove(&number);
                    remove(&mut self.maps.calls, "calls", &key)?;
                    records.push((number, record));
                }
            }
        }
        self.learn_stacks(records.iter().flat_map(|(_, record)| record.denied.iter().map(|denial| denial.stack)).collect())?;
        let watched = self.watched.get_mut(&context).ok_or(Error::Context { context, state: "not watched" })?;
        let surroundings = Surroundings { root: watched.root.as_ref(), symbols: &self.symbols, stacks: &self.stacks };
        for (number, record) in records {
            let call = surroundings.call(&record);
            watched.news.push(call.clone());
            watched.records.insert(number, call);
        }
        Ok(())
    }

    /// Reads the stacks that are not known yet, and the names of their functions.
    fn learn_stacks(&mut self, hashes: BTreeSet<u64>) -> Result<()> {
        for hash in hashes {
            if hash != 0
                && !self.stacks.contains_key(&hash)
                && let Some(bytes) = find(&self.maps.stacks, "stacks", &hash.to_le_bytes())?
            {
                self.stacks.insert(hash, layout::stack(&bytes));
            }
        }
        self.symbols.learn(self.stacks.values().flatten().copied());
        Ok(())
    }

    /// Returns what was counted of a container for which nobody watched, and leaves it; `None` if it is not known.
    pub(super) fn tallied(&mut self, id: u64) -> Result<Option<Trace>> {
        let Some(value) = find(&self.maps.tallies, "tallies", &id.to_le_bytes())? else { return Ok(None) };
        let tally = Tally::parse(id, &value);
        let facts = self.context(id)?;
        self.learn_stacks(tally.hits.iter().map(|(_, stack, _)| *stack).collect())?;
        let mut stacks: BTreeMap<layout::Check, Vec<(u64, u64)>> = BTreeMap::new();
        for (check, stack, hits) in tally.hits {
            stacks.entry(check).or_default().push((stack, hits));
        }
        let mut kinds: BTreeMap<layout::Check, Counted> = BTreeMap::new();
        for (check, counted) in tally.kinds {
            // Two processors that saw it first at once have given it two places.
            kinds.entry(check).and_modify(|known| known.count += counted.count).or_insert(counted);
        }
        let mut checks: Vec<Count> =
            kinds.iter().flat_map(|(check, counted)| self.count(*check, counted, stacks.get(check).map_or(&[], Vec::as_slice))).collect();
        sort(&mut checks);
        let lost = Lost { checks: tally.lost, stacks: facts.lost_stacks, ..Lost::default() };
        Ok(Some(Trace { only_denials: true, ..self.trace(lost, checks) }))
    }

    /// A trace of this machine without calls.
    fn trace(&self, lost: Lost, checks: Vec<Count>) -> Trace {
        let machine = rustix::system::uname();
        Trace {
            version: trace::VERSION,
            rung: self.rung,
            kernel: machine.release().to_string_lossy().into_owned(),
            machine: machine.machine().to_string_lossy().into_owned(),
            lost,
            has_stacks: self.symbols.are_shown(),
            checks,
            ..Trace::default()
        }
    }

    /// Takes the counted checks of a context.
    fn checks(&mut self, id: u64) -> Result<Vec<Count>> {
        let mut stacks: BTreeMap<layout::Check, Vec<(u64, u64)>> = BTreeMap::new();
        for key in keys(&self.maps.sites, "sites", |key| layout::context_of(key) == id)? {
            let (check, stack) = layout::site(&key);
            if let Some(hits) = find(&self.maps.sites, "sites", &key)? {
                stacks.entry(check).or_default().push((stack, u64::from_le_bytes(hits)));
            }
            remove(&mut self.maps.sites, "sites", &key)?;
        }
        self.learn_stacks(stacks.values().flatten().map(|(stack, _)| *stack).collect())?;
        let mut counts = Vec::new();
        for key in keys(&self.maps.checks, "checks", |key| layout::context_of(key) == id)? {
            let check = layout::Check::parse(&key);
            if let Some(value) = find(&self.maps.checks, "checks", &key)? {
                let stacks = stacks.remove(&check).unwrap_or_default();
                counts.extend(self.count(check, &Counted::parse(&value), &stacks));
            }
            remove(&mut self.maps.checks, "checks", &key)?;
        }
        sort(&mut counts);
        Ok(counts)
    }

    /// Divides the checks of one key among its stacks: those of which no stack was taken as those of which one was.
    fn count(&self, check: layout::Check, counted: &Counted, stacks: &[(u64, u64)]) -> Vec<Count> {
        // One that this program does not know is in nobody's profile.
        let Some(capability) = selkie_caps::Capability::from_number(check.capability) else { return Vec::new() };
        let surroundings = Surroundings { root: None, symbols: &self.symbols, stacks: &self.stacks };
        let mut named: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for (stack, hits) in stacks {
            *named.entry(surroundings.stack(*stack)).or_default() += hits;
        }
        if named.is_empty() {
            named.insert(Vec::new(), counted.count);
        }
        let taken = named.values().sum::<u64>().max(1);
        let mut left = counted.count;
        let last = named.len().saturating_sub(1);
        named
            .into_iter()
            .enumerate()
            .map(|(place, (stack, hits))| {
                let share = u64::try_from(u128::from(counted.count) * u128::from(hits) / u128::from(taken)).unwrap_or(hits);
                let count = if place == last { left } else { share.min(left) };
                left -= count;
                let faults = stack.iter().any(|name| FAULTS.contains(&name.as_str()));
                let syscall = (check.nr != NO_CALL && !faults).then(|| kinds::name(check.nr & !COMPAT, check.nr & COMPAT != 0));
                Count {
                    check: Check { capability, denied: check.denied, flags: layout::flags(check.flags), stack },
                    syscall,
                    count,
                    first: counted.first,
                    last: counted.last,
                    comm: counted.comm.clone(),
                    sampled: taken < counted.count,
                }
            })
            .filter(|count| count.count > 0)
            .collect()
    }

    fn endings(&mut self, id: u64) -> Result<Vec<Ending>> {
        let mut endings = Vec::new();
        for key in keys(&self.maps.endings, "endings", |key| layout::context_of(key) == id)? {
            if let Some(count) = find(&self.maps.endings, "endings", &key)? {
                endings.push(layout::ending(&key, u64::from_le_bytes(count)));
            }
            remove(&mut self.maps.endings, "endings", &key)?;
        }
        endings.sort();
        Ok(endings)
    }

    fn surplus(&mut self, id: u64) -> Result<Vec<Repeated>> {
        let mut all = Vec::new();
        for key in keys(&self.maps.alikes, "alikes", |key| layout::context_of(key) == id)? {
            if let Some(value) = find(&self.maps.alikes, "alikes", &key)? {
                all.push(Repeated::parse(&key, &value));
            }
            remove(&mut self.maps.alikes, "alikes", &key)?;
        }
        Ok(all)
    }
}

/// Orders checks by their first time.
fn sort(counts: &mut [Count]) {
    counts.sort_by(|one, other| (one.first, &one.check, &one.syscall).cmp(&(other.first, &other.check, &other.syscall)));
}

/// Removes the keys that `unwanted` chooses.
fn clear<const K: usize, const V: usize>(map: &mut Hash<K, V>, name: &'static str, unwanted: impl Fn(&[u8]) -> bool) -> Result<()> {
    keys(map, name, |key| unwanted(key))?.iter().try_for_each(|key| remove(map, name, key))
}

/// Removes what leads to the contexts `dead`.
fn clear_values<const K: usize>(map: &mut Hash<K, 8>, name: &'static str, dead: &BTreeSet<u64>) -> Result<()> {
    for key in keys(map, name, |_| true)? {
        if find(map, name, &key)?.is_some_and(|id| dead.contains(&u64::from_le_bytes(id))) {
            remove(map, name, &key)?;
        }
    }
    Ok(())
}

/// Returns a number that no other observer on this machine uses.
fn unique() -> Result<u64> {
    let mut bytes = [0; 8];
    let failed = |source| Error::System { action: "choose a number".to_owned(), source };
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| failed(selkie_sys::SyscallError::new("getrandom(8)", errno)))?;
    Ok(u64::from_le_bytes(bytes).max(1))
}
