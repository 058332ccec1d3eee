//! Flags of `exec`.

use clap::Args;
use selkie_plan::{ExecRequest, PlanError};

use super::outside::Outside;
use super::process::{preserve_fds, variables};
use super::switch::{list, switch};

/// Runs a process in a running container.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub struct ExecFlags {
    /// Return at once.
    #[arg(long = "detach", short = 'd', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub detach: Option<bool>,
    /// Keys that detach the terminal.
    #[arg(long = "detach-keys", allow_hyphen_values = true)]
    pub detach_keys: Option<String>,
    /// Variable KEY=VALUE, or KEY with the caller's value.
    #[arg(long = "env", short = 'e', allow_hyphen_values = true)]
    pub env: Vec<String>,
    /// File of variables.
    #[arg(long = "env-file", allow_hyphen_values = true)]
    pub env_file: Vec<String>,
    /// Keep standard input open.
    #[arg(long = "interactive", short = 'i', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub interactive: Option<bool>,
    /// Give the process a terminal.
    #[arg(long = "tty", short = 't', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub tty: Option<bool>,
    /// Give every capability that the engine has.
    #[arg(long = "privileged", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub privileged: Option<bool>,
    /// User and group: NAME or UID[:GROUP or GID].
    #[arg(long = "user", short = 'u', allow_hyphen_values = true)]
    pub user: Option<String>,
    /// Directory of the process.
    #[arg(long = "workdir", short = 'w', allow_hyphen_values = true)]
    pub workdir: Option<String>,
    /// Pass so many further descriptors, from 3 on.
    #[arg(long = "preserve-fds", allow_hyphen_values = true)]
    pub preserve_fds: Option<String>,
    /// Read the container's id from this file.
    #[arg(long = "cidfile", allow_hyphen_values = true)]
    pub cidfile: Option<String>,
    /// The container that was made last.
    #[arg(long = "latest", short = 'l', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub latest: Option<bool>,
    /// Give a capability of the container's bounding set (Podman has no such flag).
    #[arg(long = "cap-add", allow_hyphen_values = true)]
    pub cap_add: Vec<String>,
    /// Take a capability away (Podman has no such flag).
    #[arg(long = "cap-drop", allow_hyphen_values = true)]
    pub cap_drop: Vec<String>,
    /// Do not count as part of the container for whoever watches it.
    #[arg(long = "apart", hide = true)]
    pub apart: bool,
    /// Container, command and its words.
    #[arg(value_name = "CONTAINER COMMAND", trailing_var_arg = true)]
    pub words: Vec<String>,
}

impl ExecFlags {
    /// Returns the container as written, unless `--latest` or `--cidfile` names it.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        if self.named_otherwise() { None } else { self.words.first().map(String::as_str) }
    }

    /// Returns what is asked for.
    ///
    /// # Errors
    /// Podman's texts for values that are not valid.
    pub fn request(&self, outside: &impl Outside) -> Result<ExecRequest, PlanError> {
        let skipped = usize::from(!self.named_otherwise());
        let command: Vec<String> = self.words.iter().skip(skipped).cloned().collect();
        if command.is_empty() {
            return Err(PlanError::NoExecCommand);
        }
        Ok(ExecRequest {
            command,
            env: variables(&self.env_file, &self.env, outside)?,
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            privileged: self.privileged,
            interactive: self.interactive.unwrap_or(false),
            tty: self.tty.unwrap_or(false),
            detach: self.detach.unwrap_or(false),
            detach_keys: self.detach_keys.clone(),
            cap_add: list(&self.cap_add),
            cap_drop: list(&self.cap_drop),
            preserve_fds: preserve_fds(self.preserve_fds.as_deref())?,
            cidfile: self.cidfile.clone(),
            apart: self.apart,
        })
    }

    fn named_otherwise(&self) -> bool {
        self.latest.unwrap_or(false) || self.cidfile.is_some()
    }
}
