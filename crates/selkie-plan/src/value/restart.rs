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
            ("on-failure", Some(retries)) => Ok(Self::OnFailure { retries: Some(retries.parse().map_err(|_| error())?) }),
            _ => Err(error()),
        }
    }
}
