//! Resource limits: setrlimit(2) and the cgroup.
//!
//! A limit that nobody asked for is cut down to what the engine may set, without a word; one that the user asked
//! for and that cannot be set is an error.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use selkie_caps::Capability;

use super::{Inputs, Notes};
use crate::request::LimitsRequest;
use crate::value::Ulimit;
use crate::{Cgroup, CgroupLayout, KernelFacts, PlanError, Rlimit};

/// Podman's own defaults.
const DEFAULT_LIMITS: [(&str, u64); 2] = [("nofile", 1_048_576), ("nproc", 1_048_576)];
const DEFAULT_PIDS: i64 = 2048;

/// The limits.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) cgroup: Cgroup,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) notes: Notes,
}

/// Computes the limits.
pub(crate) fn part(inputs: &Inputs) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    check_processors(&inputs.request.limits, &inputs.facts.kernel)?;
    let rlimits = rlimits(inputs, &mut notes)?;
    let cgroup = cgroup(inputs, &mut notes)?;
    let oom_score_adj = inputs.request.limits.oom_score_adj.or(inputs.facts.conf.oom_score_adj);
    if let Some(value) = oom_score_adj.filter(|value| !(-1000..=1000).contains(value)) {
        return Err(PlanError::OomScore { value: value.into() });
    }
    Ok(Part { rlimits, cgroup, oom_score_adj, notes })
}

/// Checks what the kernel would refuse when the container starts.
fn check_processors(limits: &LimitsRequest, kernel: &KernelFacts) -> Result<(), PlanError> {
    let refused = |flag: &'static str, value: String, expected: &'static str| Err(PlanError::Choice { flag, value, expected });
    if let Some(period) = limits.cpu_period.filter(|period| !matches!(period, 0 | 1000..=1_000_000)) {
        return Err(PlanError::CpuPeriod { period });
    }
    if let Some(quota) = limits.cpu_quota.filter(|quota| (1..1000).contains(quota)) {
        return refused("--cpu-quota", quota.to_string(), "at least 1000 microseconds");
    }
    let sets = [
        ("--cpuset-cpus", "CPUs", &limits.cpuset_cpus, &kernel.processors),
        ("--cpuset-mems", "memory nodes", &limits.cpuset_mems, &kernel.memory_nodes),
    ];
    for (flag, what, asked, available) in sets {
        let Some(asked) = asked.as_ref().filter(|asked| !asked.is_empty()) else { continue };
        let Some(wanted) = ranges(asked) else { return refused(flag, asked.clone(), "numbers and ranges, for example 0-1,3") };
        // What the kernel does not tell it refuses itself.
        let Some((text, there)) = available.as_ref().and_then(|text| Some((text, ranges(text)?))) else { continue };
        if !wanted.iter().all(|wanted| covers(&there, wanted)) {
            return Err(PlanError::NotAvailable { what, asked: asked.clone(), available: text.clone() });
        }
    }
    Ok(())
}

/// Parses a list of numbers and ranges, `0-1,3`.
fn ranges(text: &str) -> Option<Vec<RangeInclusive<u32>>> {
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
            let range = number(first)?..=number(last)?;
            if range.is_empty() { None } else { Some(range) }
        })
        .collect()
}

/// Returns whether all of `wanted` is in ranges of which none touch, as the kernel writes them.
fn covers(ranges: &[RangeInclusive<u32>], wanted: &RangeInclusive<u32>) -> bool {
    ranges.iter().any(|range| range.contains(wanted.start()) && range.contains(wanted.end()))
}

fn rlimits(inputs: &Inputs, notes: &mut Notes) -> Result<Vec<Rlimit>, PlanError> {
    let asked = &inputs.request.limits.ulimits;
    if asked.contains(&Ulimit::Host) {
        notes.because("rlimits", "the engine's own", "--ulimit host");
        return Ok(Vec::new());
    }
    let mut limits: BTreeMap<String, Rlimit> = BTreeMap::new();
    let conf = inputs.facts.conf.default_ulimits.iter().map(|text| Ulimit::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let defaults = DEFAULT_LIMITS.map(|(name, value)| Ulimit::Set { resource: name.to_owned(), soft: value, hard: value });
    for limit in defaults.iter().chain(&conf) {
        if let Ulimit::Set { resource, soft, hard } = limit {
            let cut = clamp(inputs, resource, *soft, *hard);
            limits.extend(cut.map(|limit| (resource.clone(), limit)));
        }
    }
    for limit in asked {
        if let Ulimit::Set { resource, soft, hard } = limit {
            let ours = own_hard(inputs, resource);
            if *hard > ours {
                let (resource, ours) = (resource.clone(), number(ours));
                return Err(PlanError::LimitAboveOwn { resource, soft: number(*soft), hard: number(*hard), ours });
            }
            limits.insert(resource.clone(), Rlimit { resource: resource.clone(), soft: *soft, hard: *hard });
        }
    }
    Ok(limits.into_values().collect())
}

/// Returns the most that we may set: anything with CAP_SYS_RESOURCE over the host, else our own hard limit.
fn own_hard(inputs: &Inputs, resource: &str) -> u64 {
    let own = &inputs.facts.own;
    if !own.rootless && own.permitted.contains(Capability::SysResource) {
        return u64::MAX;
    }
    own.limits.get(resource).map_or(u64::MAX, |limit| limit.hard)
}

fn clamp(inputs: &Inputs, resource: &str, soft: u64, hard: u64) -> Option<Rlimit> {
    let ours = own_hard(inputs, resource);
    // Without CAP_SYS_RESOURCE and without a fact there is nothing that surely works.
    let unknown = ours == u64::MAX && !inputs.facts.own.limits.contains_key(resource);
    let may_raise = !inputs.facts.own.rootless && inputs.facts.own.permitted.contains(Capability::SysResource);
    if unknown && !may_raise {
        return None;
    }
    Some(Rlimit { resource: resource.to_owned(), soft: soft.min(ours), hard: hard.min(ours) })
}

fn number(value: u64) -> String {
    if value == u64::MAX { String::from("-1") } else { value.to_string() }
}

/// Returns where the container's cgroup is, if there can be one.
pub(crate) fn cgroup_path(inputs: &Inputs) -> Option<String> {
    let request = &inputs.request.limits;
    if request.cgroups_disabled || inputs.facts.kernel.cgroups == CgroupLayout::Missing {
        return None;
    }
    let ours = inputs.facts.container.cgroup_parent.as_ref()?;
    let parent = request.cgroup_parent.as_ref().unwrap_or(ours);
    Some(crate::value::clean(&format!("{parent}/{}", inputs.facts.container.id)))
}

fn cgroup(inputs: &Inputs, notes: &mut Notes) -> Result<Cgroup, PlanError> {
    let (request, conf) = (&inputs.request.limits, &inputs.facts.conf);
    match (request.memory, request.memory_swap.and_then(|swap| u64::try_from(swap).ok())) {
        (Some(memory), Some(swap)) if swap < memory => return Err(PlanError::SwapBelowMemory),
        (None, Some(_)) => return Err(PlanError::SwapWithoutMemory),
        _ => {}
    }
    if let Some(value) = request.memory_swappiness.filter(|value| *value > 100) {
        return Err(PlanError::Swappiness { value: i64::try_from(value).unwrap_or(i64::MAX) });
    }
    // As much swap as memory when only memory is limited, as Docker has it.
    let twice = |memory: u64| i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
    let cgroup = Cgroup {
        path: cgroup_path(inputs),
        memory: request.memory,
        memory_reservation: request.memory_reservation,
        memory_swap: request.memory_swap.or(request.memory.map(twice)),
        memory_swappiness: request.memory_swappiness,
        cpu_quota: request.cpu_quota,
        cpu_period: request.cpu_period,
        cpu_shares: request.cpu_shares,
        cpuset_cpus: request.cpuset_cpus.clone(),
        cpuset_mems: request.cpuset_mems.clone(),
        pids: Some(request.pids.or(conf.pids_limit).unwrap_or(DEFAULT_PIDS)).map(|pids| if pids <= 0 { -1 } else { pids }),
        unified: request.unified.clone(),
    };
    if cgroup.path.is_some() {
        return Ok(cgroup);
    }
    let problem = match (request.cgroups_disabled, inputs.facts.kernel.cgroups) {
        (true, _) => "--cgroups disabled leaves no cgroup to hold it",
        (_, CgroupLayout::Missing) => "this host has no cgroups",
        _ => "this engine cannot make a cgroup here",
    };
    if cgroup.has_limits() || request.pids.is_some_and(|pids| pids > 0) {
        return Err(PlanError::NoCgroup { flag: limit_flag(&cgroup).to_owned(), problem });
    }
    notes.because("cgroup", "none", if request.cgroups_disabled { "--cgroups disabled" } else { problem });
    Ok(Cgroup::default())
}

fn limit_flag(cgroup: &Cgroup) -> &'static str {
    match cgroup {
        Cgroup { memory: Some(_), .. } => "--memory",
        Cgroup { memory_reservation: Some(_), .. } => "--memory-reservation",
        Cgroup { memory_swap: Some(_), .. } => "--memory-swap",
        Cgroup { memory_swappiness: Some(_), .. } => "--memory-swappiness",
        Cgroup { cpu_quota: Some(_), .. } => "--cpus",
        Cgroup { cpu_period: Some(_), .. } => "--cpu-period",
        Cgroup { cpu_shares: Some(_), .. } => "--cpu-shares",
        Cgroup { cpuset_cpus: Some(_), .. } => "--cpuset-cpus",
        Cgroup { cpuset_mems: Some(_), .. } => "--cpuset-mems",
        Cgroup { unified, .. } if !unified.is_empty() => "--cgroup-conf",
        _ => "--pids-limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(asked: &str) -> String {
        let limits = LimitsRequest { cpuset_cpus: Some(asked.to_owned()), ..LimitsRequest::default() };
        let kernel = KernelFacts { processors: Some("0-1,8-15".to_owned()), ..KernelFacts::default() };
        check_processors(&limits, &kernel).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn processors_that_the_host_has_are_fine() {
        for asked in ["", "0", "0-1", "1,8-9,15", "8-15,0-1"] {
            assert_eq!(error(asked), "", "{asked}");
        }
    }

    #[test]
    fn processors_that_it_has_not_are_named_with_those_that_it_has() {
        for asked in ["99", "0-99", "0,2", "1-8", "0-4294967295"] {
            let expected = format!("requested CPUs are not available - requested {asked}, available: 0-1,8-15");
            assert_eq!(error(asked), expected);
        }
    }

    #[test]
    fn list_of_processors_that_is_none_is_refused() {
        for asked in ["a", "1-", "-1", "2-1", "0,", ",", "+1", "4294967296"] {
            assert!(error(asked).contains("numbers and ranges"), "{asked}: {}", error(asked));
        }
    }
}
