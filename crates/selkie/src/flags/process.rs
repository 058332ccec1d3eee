//! Flags about the first process.

use clap::Args;
use selkie_plan::value::{env_file_lines, parse_entrypoint, parse_env, parse_signal, parse_umask, parse_unsigned};
use selkie_plan::{PlanError, ProcessRequest};

use super::outside::Outside;
use super::switch::{list, switch};

/// The variables of a proxy, which are passed on unless `--http-proxy=false`.
const PROXIES: [&str; 8] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"];

/// The first process.
#[derive(Clone, Debug, Default, Args)]
pub struct ProcessFlags {
    /// Program that replaces the image's entrypoint: a word or a JSON list.
    #[arg(long = "entrypoint", allow_hyphen_values = true)]
    pub entrypoint: Option<String>,
    /// Directory of the process.
    #[arg(long = "workdir", short = 'w', allow_hyphen_values = true)]
    pub workdir: Option<String>,
    /// Variable KEY=VALUE, or KEY with the caller's value.
    #[arg(long = "env", short = 'e', allow_hyphen_values = true)]
    pub env: Vec<String>,
    /// File of variables.
    #[arg(long = "env-file", allow_hyphen_values = true)]
    pub env_file: Vec<String>,
    /// Give all of the caller's variables.
    #[arg(long = "env-host", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub env_host: Option<bool>,
    /// Give the caller's proxy variables (default true).
    #[arg(long = "http-proxy", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub http_proxy: Option<bool>,
    /// Take a variable of the image away.
    #[arg(long = "unsetenv", allow_hyphen_values = true)]
    pub unset_env: Vec<String>,
    /// Take all variables of the image away.
    #[arg(long = "unsetenv-all", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub unset_env_all: Option<bool>,
    /// Keep standard input open.
    #[arg(long = "interactive", short = 'i', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub interactive: Option<bool>,
    /// Give the process a terminal.
    #[arg(long = "tty", short = 't', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub tty: Option<bool>,
    /// User and group: NAME or UID[:GROUP or GID].
    #[arg(long = "user", short = 'u', allow_hyphen_values = true)]
    pub user: Option<String>,
    /// Further group, name or number.
    #[arg(long = "group-add", allow_hyphen_values = true)]
    pub group_add: Vec<String>,
    /// File mode creation mask, octal (default 0022).
    #[arg(long = "umask", allow_hyphen_values = true)]
    pub umask: Option<String>,
    /// Run a small init as process 1.
    #[arg(long = "init", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub init: Option<bool>,
    /// Signal that stops the container (default SIGTERM).
    #[arg(long = "stop-signal", allow_hyphen_values = true)]
    pub stop_signal: Option<String>,
    /// Time zone of the container, or local.
    #[arg(long = "tz", allow_hyphen_values = true)]
    pub timezone: Option<String>,
    /// Pass so many further descriptors, from 3 on.
    #[arg(long = "preserve-fds", allow_hyphen_values = true)]
    pub preserve_fds: Option<String>,
    /// Give a user that the image does not know an entry in passwd and group (default true).
    #[arg(long = "passwd", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub passwd: Option<bool>,
}

impl ProcessFlags {
    pub(super) fn request(&self, outside: &impl Outside) -> Result<ProcessRequest, PlanError> {
        Ok(ProcessRequest {
            entrypoint: self.entrypoint.as_deref().map(parse_entrypoint),
            workdir: self.workdir.clone(),
            env: variables(&self.env_file, &self.env, outside)?,
            host_env: self.host_env(outside),
            env_host: self.env_host.unwrap_or(false),
            http_proxy: self.http_proxy,
            unset_env: self.unset_env.clone(),
            unset_env_all: self.unset_env_all.unwrap_or(false),
            interactive: self.interactive.unwrap_or(false),
            tty: self.tty.unwrap_or(false),
            user: self.user.clone(),
            group_add: list(&self.group_add),
            umask: self.umask.as_deref().map(parse_umask).transpose()?,
            init: self.init,
            stop_signal: self.stop_signal.as_deref().map(parse_signal).transpose()?,
            timezone: self.timezone.clone(),
            preserve_fds: preserve_fds(self.preserve_fds.as_deref())?,
            passwd: self.passwd,
        })
    }

    fn host_env(&self, outside: &impl Outside) -> Vec<(String, String)> {
        let (all, proxies) = (self.env_host.unwrap_or(false), self.http_proxy.unwrap_or(true));
        let passed = |key: &str| all || (proxies && PROXIES.contains(&key));
        outside.variables().into_iter().filter(|(key, _)| passed(key)).collect()
    }
}

/// Returns the variables of files, then those of flags.
pub(super) fn variables(files: &[String], flags: &[String], outside: &impl Outside) -> Result<Vec<(String, String)>, PlanError> {
    let mut env = Vec::new();
    for path in files {
        let content = outside.read(path).map_err(|problem| PlanError::EnvFile { path: path.clone(), problem })?;
        env_file_lines(&content)
            .try_for_each(|line| extend(&mut env, line, outside))
            .map_err(|source| PlanError::EnvFileLine { path: path.clone(), source: Box::new(source) })?;
    }
    flags.iter().try_for_each(|text| extend(&mut env, text, outside))?;
    Ok(env)
}

/// Adds what one flag or line means; `FOO*` is all of the caller's variables that begin so.
fn extend(env: &mut Vec<(String, String)>, text: &str, outside: &impl Outside) -> Result<(), PlanError> {
    match text.strip_suffix('*').filter(|beginning| !beginning.contains('=')) {
        Some(beginning) => env.extend(outside.variables().into_iter().filter(|(key, _)| key.starts_with(beginning))),
        None => env.extend(parse_env(text, |key| outside.variable(key))?),
    }
    Ok(())
}

/// Parses `--preserve-fds`.
pub(super) fn preserve_fds(text: Option<&str>) -> Result<u32, PlanError> {
    let number = text.map(|text| parse_unsigned("--preserve-fds", text)).transpose()?.unwrap_or(0);
    u32::try_from(number).map_err(|_| PlanError::Choice {
        flag: "--preserve-fds",
        value: number.to_string(),
        expected: "a number of descriptors",
    })
}
