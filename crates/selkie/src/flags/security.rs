//! Flags about privileges.

use clap::Args;
use selkie_plan::value::SecurityOpt;
use selkie_plan::{PlanError, SecurityRequest};

use super::switch::{list, switch};

/// Privileges.
#[derive(Clone, Debug, Default, Args)]
pub struct SecurityFlags {
    /// Give a capability, or all.
    #[arg(long = "cap-add", allow_hyphen_values = true)]
    pub cap_add: Vec<String>,
    /// Take a capability away, or all.
    #[arg(long = "cap-drop", allow_hyphen_values = true)]
    pub cap_drop: Vec<String>,
    /// Give every capability and device, without filter and masks.
    #[arg(long = "privileged", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub privileged: Option<bool>,
    /// Security option: no-new-privileges, seccomp=, mask=, unmask=, nested-userns, ....
    #[arg(long = "security-opt", allow_hyphen_values = true)]
    pub security_opt: Vec<String>,
    /// Where the system call filter comes from: default or image.
    #[arg(long = "seccomp-policy", allow_hyphen_values = true)]
    pub seccomp_policy: Option<String>,
}

impl SecurityFlags {
    pub(super) fn request(&self) -> Result<SecurityRequest, PlanError> {
        let seccomp_from_image = match self.seccomp_policy.as_deref() {
            None | Some("" | "default") => false,
            Some("image") => true,
            Some(text) => return Err(PlanError::SeccompPolicy { text: text.to_owned() }),
        };
        Ok(SecurityRequest {
            cap_add: list(&self.cap_add),
            cap_drop: list(&self.cap_drop),
            privileged: self.privileged,
            options: self.security_opt.iter().map(|text| SecurityOpt::parse(text)).collect::<Result<_, _>>()?,
            seccomp_from_image,
        })
    }
}
