//! `--restart POLICY[:RETRIES]`.

use serde::{Deserialize, Serialize};

use crate::PlanError;

/// What happens when the first process ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// It is started again when its exit code is not 0.
    OnFailure {
        /// At most so often; `None` is for ever.
        retries: Option<u32>,
    },
    /// It is always started again.
    Always,
    /// As `Always`, but a container that a person stopped stays stopped after a reboot.
    UnlessStopped,
}

impl RestartPolicy {
    /// Parses `no`, `never`, `on-failure[:N]`, `always`, `unless-stopped`; empty is `no`.
    ///
    /// # Errors
    /// [`PlanError::RestartPolicy`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let error = || PlanError::RestartPolicy { text: text.to_owned() };
        let (policy, retries) = text.split_once(':').map_or((text, None), |(policy, retries)| (policy, Some(retries)));
        match (policy, retries) {
            ("" | "no" | "never", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure { retries: None }),
            ("on-failure", Some(retries)) => match retries.parse() {
                Ok(number) => Ok(Self::OnFailure { retries: Some(number) }),
                Err(_) => Err(PlanError::RestartRetries { text: retries.to_owned() }),
            },
            ("no" | "never" | "always" | "unless-stopped", Some(_)) => Err(PlanError::RestartRetriesPolicy),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_policy_and_its_errors() {
        assert_eq!(RestartPolicy::parse("on-failure:3"), Ok(RestartPolicy::OnFailure { retries: Some(3) }));
        assert_eq!(RestartPolicy::parse(""), Ok(RestartPolicy::No));
        let error = |text| RestartPolicy::parse(text).unwrap_err().to_string();
        assert_eq!(error("on-failure:x"), "parsing restart policy retry count: strconv.Atoi: parsing \"x\": invalid syntax");
        assert_eq!(error("always:3"), "restart policy retries can only be specified with on-failure restart policy");
        assert_eq!(error("foo"), "running container create option: \"foo\" is not a valid restart policy: invalid argument");
    }
}
