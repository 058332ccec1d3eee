//! Flags about devices.

use clap::Args;
use selkie_plan::value::{CgroupRule, DeviceSpec};
use selkie_plan::{DevicesRequest, PlanError};

use super::switch::list;

/// Devices.
#[derive(Clone, Debug, Default, Args)]
pub struct DeviceFlags {
    /// Device HOST[:CONTAINER][:PERMISSIONS].
    #[arg(long = "device", allow_hyphen_values = true)]
    pub device: Vec<String>,
    /// Rule of the device cgroup: TYPE MAJOR:MINOR ACCESS.
    #[arg(long = "device-cgroup-rule", allow_hyphen_values = true)]
    pub device_cgroup_rule: Vec<String>,
}

impl DeviceFlags {
    pub(super) fn request(&self) -> Result<DevicesRequest, PlanError> {
        Ok(DevicesRequest {
            devices: list(&self.device).iter().map(|text| DeviceSpec::parse(text)).collect::<Result<_, _>>()?,
            rules: list(&self.device_cgroup_rule).iter().map(|text| CgroupRule::parse(text)).collect::<Result<_, _>>()?,
        })
    }
}
