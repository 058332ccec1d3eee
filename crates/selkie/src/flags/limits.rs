//! Flags about limits.

use clap::Args;
use selkie_plan::value::{Ulimit, parse_annotation, parse_cpus, parse_signed, parse_size, parse_unsigned};
use selkie_plan::{LimitsRequest, PlanError};

use super::switch::list;

const MEMORY: &str = "invalid value for memory";

/// Limits.
#[derive(Clone, Debug, Default, Args)]
pub struct LimitFlags {
    /// Memory limit, with suffix b, k, m or g.
    #[arg(long = "memory", short = 'm', allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that is kept under pressure.
    #[arg(long = "memory-reservation", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together, -1 for no limit.
    #[arg(long = "memory-swap", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Tendency to swap, 0 to 100.
    #[arg(long = "memory-swappiness", allow_hyphen_values = true)]
    pub memory_swappiness: Option<String>,
    /// Number of processors.
    #[arg(long = "cpus", allow_hyphen_values = true)]
    pub cpus: Option<String>,
    /// Microseconds of processor time in a period.
    #[arg(long = "cpu-quota", allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,
    /// Length of a period in microseconds.
    #[arg(long = "cpu-period", allow_hyphen_values = true)]
    pub cpu_period: Option<String>,
    /// Relative weight.
    #[arg(long = "cpu-shares", short = 'c', allow_hyphen_values = true)]
    pub cpu_shares: Option<String>,
    /// Processors, for example 0-1.
    #[arg(long = "cpuset-cpus", allow_hyphen_values = true)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    #[arg(long = "cpuset-mems", allow_hyphen_values = true)]
    pub cpuset_mems: Option<String>,
    /// Most tasks, -1 for no limit.
    #[arg(long = "pids-limit", allow_hyphen_values = true)]
    pub pids_limit: Option<String>,
    /// Setting FILE=VALUE of cgroup v2.
    #[arg(long = "cgroup-conf", allow_hyphen_values = true)]
    pub cgroup_conf: Vec<String>,
    /// Resource limit NAME=SOFT[:HARD].
    #[arg(long = "ulimit", allow_hyphen_values = true)]
    pub ulimit: Vec<String>,
    /// Likelihood of being killed when memory is short, -1000 to 1000.
    #[arg(long = "oom-score-adj", allow_hyphen_values = true)]
    pub oom_score_adj: Option<String>,
    /// Whether there is a cgroup: enabled, disabled, no-conmon.
    #[arg(long = "cgroups", allow_hyphen_values = true)]
    pub cgroups: Option<String>,
    /// Parent of the cgroup.
    #[arg(long = "cgroup-parent", allow_hyphen_values = true)]
    pub cgroup_parent: Option<String>,
}

impl LimitFlags {
    pub(super) fn request(&self) -> Result<LimitsRequest, PlanError> {
        let size = |text: &Option<String>| text.as_deref().map(|text| parse_size(MEMORY, text)).transpose();
        let unsigned = |flag, text: &Option<String>| text.as_deref().map(|text| parse_unsigned(flag, text)).transpose();
        let signed = |flag, text: &Option<String>| text.as_deref().map(|text| parse_signed(flag, text)).transpose();
        let (cpu_quota, cpu_period) = self.cpu()?;
        Ok(LimitsRequest {
            memory: size(&self.memory)?.filter(|bytes| *bytes > 0),
            memory_reservation: size(&self.memory_reservation)?.filter(|bytes| *bytes > 0),
            memory_swap: self.swap()?,
            memory_swappiness: self.swappiness()?,
            cpu_quota,
            cpu_period,
            cpu_shares: unsigned("--cpu-shares", &self.cpu_shares)?.filter(|shares| *shares > 0),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            pids: signed("--pids-limit", &self.pids_limit)?,
            unified: self.cgroup_conf.iter().map(|text| parse_annotation(text)).collect::<Result<_, _>>()?,
            ulimits: list(&self.ulimit).iter().map(|text| Ulimit::parse(text)).collect::<Result<_, _>>()?,
            oom_score_adj: signed("--oom-score-adj", &self.oom_score_adj)?.map(score).transpose()?,
            cgroups_disabled: self.disabled()?,
            cgroup_parent: self.cgroup_parent.clone(),
        })
    }

    /// Returns quota and period: `--cpus` excludes the two flags that say the same.
    fn cpu(&self) -> Result<(Option<i64>, Option<u64>), PlanError> {
        let quota = self.cpu_quota.as_deref().map(|text| parse_signed("--cpu-quota", text)).transpose()?;
        let period = self.cpu_period.as_deref().map(|text| parse_unsigned("--cpu-period", text)).transpose()?;
        let Some(cpus) = self.cpus.as_deref().map(parse_cpus).transpose()? else { return Ok((quota, period)) };
        match (quota, period) {
            (Some(_), _) => Err(PlanError::Conflict { first: "--cpu-quota", second: "--cpus" }),
            (_, Some(_)) => Err(PlanError::Conflict { first: "--cpu-period", second: "--cpus" }),
            (None, None) => Ok((cpus, cpus.map(|_| 100_000))),
        }
    }

    fn swap(&self) -> Result<Option<i64>, PlanError> {
        match self.memory_swap.as_deref() {
            None => Ok(None),
            Some("-1") => Ok(Some(-1)),
            Some(text) => parse_size(MEMORY, text).map(|bytes| Some(i64::try_from(bytes).unwrap_or(i64::MAX)).filter(|bytes| *bytes > 0)),
        }
    }

    /// -1 is Podman's way of saying nothing.
    fn swappiness(&self) -> Result<Option<u64>, PlanError> {
        let value = self.memory_swappiness.as_deref().map(|text| parse_signed("--memory-swappiness", text)).transpose()?;
        match value.filter(|value| *value != -1) {
            Some(value) if !(0..=100).contains(&value) => Err(PlanError::Swappiness { value }),
            value => Ok(value.map(i64::unsigned_abs)),
        }
    }

    fn disabled(&self) -> Result<bool, PlanError> {
        match self.cgroups.as_deref() {
            None | Some("" | "enabled" | "no-conmon") => Ok(false),
            Some("disabled") => Ok(true),
            Some("split") => Err(PlanError::NotSupportedYet { flag: String::from("--cgroups split") }),
            Some(text) => Err(PlanError::CgroupMode { text: text.to_owned() }),
        }
    }
}

fn score(value: i64) -> Result<i32, PlanError> {
    i32::try_from(value).ok().filter(|score| (-1000..=1000).contains(score)).ok_or(PlanError::OomScore { value })
}
