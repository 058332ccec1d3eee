//! Limits of a plan as files of cgroup v1 and v2: admin-guide/cgroup-v1 and cgroup-v2.rst of the kernel.

use std::path::Path;

use selkie_plan::Cgroup;

use super::{Hierarchy, write};
use crate::error::{During, Error};

/// One control file: its controller, names in v1 and v2, and the value for each.
struct Setting {
    controller: &'static str,
    v1: Option<(&'static str, String)>,
    v2: Option<(&'static str, String)>,
    /// The user asked for it; otherwise a host that cannot do it is only mentioned.
    asked: bool,
}

impl Setting {
    fn new(controller: &'static str, v1: (&'static str, String), v2: (&'static str, String)) -> Self {
        Self { controller, v1: Some(v1), v2: Some(v2), asked: true }
    }
}

/// Returns the controllers that the limits of `plan` need.
pub(super) fn controllers(plan: &Cgroup) -> Vec<&'static str> {
    settings(plan).into_iter().map(|setting| setting.controller).collect()
}

/// Writes the limits of `plan` that belong to `hierarchy`.
pub(super) fn apply(hierarchy: &Hierarchy, directory: &Path, plan: &Cgroup) -> Result<(), Error> {
    let unified = hierarchy.name.is_none();
    for setting in settings(plan) {
        if !unified && !hierarchy.has(setting.controller) {
            continue;
        }
        let Some((file, value)) = (if unified { setting.v2 } else { setting.v1 }) else { continue };
        // What nobody has asked for is had where there is such a thing.
        if let Err(error) = write(&directory.join(file), &value)
            && setting.asked
        {
            return Err(Error::setup(format!("limit `{file}={value}`"), &error));
        }
    }
    if unified {
        for (file, value) in &plan.unified {
            if file.contains('/') {
                return Err(Error::refused("cgroup", format!("`{file}` is not a file name")));
            }
            write(&directory.join(file), value).during(|| format!("limit `{file}={value}`"))?;
        }
    }
    Ok(())
}

/// Checks that every limit that was asked for has a hierarchy that took it.
pub(super) fn require(hierarchies: &[Hierarchy], plan: &Cgroup) -> Result<(), Error> {
    let only_unified = matches!(hierarchies, [Hierarchy { name: None, .. }]);
    if let (Some(file), false) = (plan.unified.keys().next(), only_unified) {
        return Err(Error::refused(
            "cgroup",
            format!("`--cgroup-conf {file}` is a setting of cgroup v2, and this host has its controllers on v1"),
        ));
    }
    for setting in settings(plan).into_iter().filter(|setting| setting.asked) {
        let found = hierarchies.iter().any(|hierarchy| {
            if hierarchy.name.is_none() {
                hierarchies.len() == 1 && setting.v2.is_some()
            } else {
                hierarchy.has(setting.controller) && setting.v1.is_some()
            }
        });
        if !found {
            return Err(Error::refused(
                "cgroup",
                format!("this host has no `{}` controller for the limit that was asked for", setting.controller),
            ));
        }
    }
    Ok(())
}

fn settings(plan: &Cgroup) -> Vec<Setting> {
    let mut list = Vec::new();
    if let Some(bytes) = plan.memory {
        list.push(Setting::new("memory", ("memory.limit_in_bytes", bytes.to_string()), ("memory.max", bytes.to_string())));
    }
    if let Some(bytes) = plan.memory_reservation {
        list.push(Setting::new("memory", ("memory.soft_limit_in_bytes", bytes.to_string()), ("memory.low", bytes.to_string())));
    }
    if let Some(total) = plan.memory_swap {
        list.push(swap(plan, total));
    }
    if let Some(percent) = plan.memory_swappiness {
        list.push(Setting { controller: "memory", v1: Some(("memory.swappiness", percent.to_string())), v2: None, asked: true });
    }
    if plan.cpu_period.is_some() || plan.cpu_quota.is_some() {
        let period = plan.cpu_period.unwrap_or(100_000);
        let quota = plan.cpu_quota.unwrap_or(-1);
        let unified = if quota < 0 { format!("max {period}") } else { format!("{quota} {period}") };
        // One file in v2, which is written twice then.
        list.push(Setting::new("cpu", ("cpu.cfs_period_us", period.to_string()), ("cpu.max", unified.clone())));
        list.push(Setting::new("cpu", ("cpu.cfs_quota_us", quota.to_string()), ("cpu.max", unified)));
    }
    if let Some(shares) = plan.cpu_shares {
        list.push(Setting::new("cpu", ("cpu.shares", shares.to_string()), ("cpu.weight", weight(shares).to_string())));
    }
    if let Some(cpus) = &plan.cpuset_cpus {
        list.push(Setting::new("cpuset", ("cpuset.cpus", cpus.clone()), ("cpuset.cpus", cpus.clone())));
    }
    if let Some(nodes) = &plan.cpuset_mems {
        list.push(Setting::new("cpuset", ("cpuset.mems", nodes.clone()), ("cpuset.mems", nodes.clone())));
    }
    if let Some(tasks) = plan.pids {
        let value = if tasks <= 0 { "max".to_owned() } else { tasks.to_string() };
        list.push(Setting { asked: false, ..Setting::new("pids", ("pids.max", value.clone()), ("pids.max", value)) });
    }
    list
}

/// v1 limits memory and swap together, v2 swap alone.
fn swap(plan: &Cgroup, total: i64) -> Setting {
    let unified = match (u64::try_from(total), plan.memory) {
        (Ok(total), Some(memory)) => total.saturating_sub(memory).to_string(),
        (Ok(total), None) => total.to_string(),
        (Err(_), _) => "max".to_owned(),
    };
    Setting::new("memory", ("memory.memsw.limit_in_bytes", total.to_string()), ("memory.swap.max", unified))
}

/// Converts shares of v1 (2 to 262144) to a weight of v2 (1 to 10000), as the OCI runtimes agree on.
fn weight(shares: u64) -> u64 {
    if shares == 0 { 100 } else { 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_of_the_ends_and_the_default() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }

    #[test]
    fn require_period_and_quota_on_v2_is_content_with_cpu_max() {
        let unified = Hierarchy { name: None, mountpoint: "/c".into(), controllers: Vec::new() };
        let plan = Cgroup { cpu_period: Some(100_000), cpu_quota: Some(50_000), ..Cgroup::default() };
        assert!(require(&[unified], &plan).is_ok());
    }

    #[test]
    fn swap_of_v2_is_the_difference() {
        let plan = Cgroup { memory: Some(100), ..Cgroup::default() };
        assert_eq!(swap(&plan, 150).v2, Some(("memory.swap.max", "50".to_owned())));
        assert_eq!(swap(&plan, -1).v2, Some(("memory.swap.max", "max".to_owned())));
    }
}
