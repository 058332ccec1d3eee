//! Flags about what the engine does around the container.

use clap::Args;
use selkie_plan::value::{RestartPolicy, parse_unsigned};
use selkie_plan::{Lifecycle, LogDriver, PlanError, PullPolicy, Stream};

use super::switch::{list, switch};

/// Around the container.
#[derive(Clone, Debug, Default, Args)]
pub struct LifecycleFlags {
    /// Remove the container when it ends.
    #[arg(long = "rm", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub remove: Option<bool>,
    /// Remove the image too, unless something else uses it.
    #[arg(long = "rmi", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub remove_image: Option<bool>,
    /// Remove a container of the same name first.
    #[arg(long = "replace", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub replace: Option<bool>,
    /// Restart policy: no, on-failure[:N], always, unless-stopped.
    #[arg(long = "restart", allow_hyphen_values = true)]
    pub restart: Option<String>,
    /// When the image is pulled: missing, always, never, newer.
    #[arg(long = "pull", allow_hyphen_values = true)]
    pub pull: Option<String>,
    /// Print no progress.
    #[arg(long = "quiet", short = 'q', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub quiet: Option<bool>,
    /// Write the container's id to this file.
    #[arg(long = "cidfile", allow_hyphen_values = true)]
    pub cidfile: Option<String>,
    /// Write the number of process 1 to this file.
    #[arg(long = "pidfile", allow_hyphen_values = true)]
    pub pidfile: Option<String>,
    /// Write the number of the monitor to this file.
    #[arg(long = "conmon-pidfile", allow_hyphen_values = true)]
    pub conmon_pidfile: Option<String>,
    /// Where output goes: k8s-file, json-file, journald, none, passthrough.
    #[arg(long = "log-driver", allow_hyphen_values = true)]
    pub log_driver: Option<String>,
    /// Option KEY=VALUE of the log.
    #[arg(long = "log-opt", allow_hyphen_values = true)]
    pub log_opt: Vec<String>,
    /// Attach to stdin, stdout or stderr.
    #[arg(long = "attach", short = 'a', allow_hyphen_values = true)]
    pub attach: Vec<String>,
    /// Seconds before a stopped container is killed (default 10).
    #[arg(long = "stop-timeout", allow_hyphen_values = true)]
    pub stop_timeout: Option<String>,
    /// Seconds after which the container is killed.
    #[arg(long = "timeout", allow_hyphen_values = true)]
    pub timeout: Option<String>,
    /// Platform OS/ARCH[/VARIANT] of the image.
    #[arg(long = "platform", allow_hyphen_values = true)]
    pub platform: Option<String>,
    /// Operating system of the image.
    #[arg(long = "os", allow_hyphen_values = true)]
    pub os: Option<String>,
    /// Processor of the image.
    #[arg(long = "arch", allow_hyphen_values = true)]
    pub arch: Option<String>,
    /// Variant of the processor.
    #[arg(long = "variant", allow_hyphen_values = true)]
    pub variant: Option<String>,
    /// Check certificates of the registry (default true).
    #[arg(long = "tls-verify", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub tls_verify: Option<bool>,
    /// File of passwords for registries.
    #[arg(long = "authfile", allow_hyphen_values = true)]
    pub authfile: Option<String>,
}

impl LifecycleFlags {
    pub(super) fn request(&self) -> Result<Lifecycle, PlanError> {
        let restart = RestartPolicy::parse(self.restart.as_deref().unwrap_or_default())?;
        let remove = self.remove.unwrap_or(false);
        if remove && restart != RestartPolicy::No {
            return Err(PlanError::RestartAndRemove);
        }
        Ok(Lifecycle {
            remove,
            remove_image: self.remove_image.unwrap_or(false),
            replace: self.replace.unwrap_or(false),
            restart,
            pull: pull_policy(self.pull.as_deref())?,
            quiet: self.quiet.unwrap_or(false),
            cidfile: self.cidfile.clone(),
            pidfile: self.pidfile.clone(),
            conmon_pidfile: self.conmon_pidfile.clone(),
            log_driver: self.log_driver.as_deref().map(log_driver).transpose()?,
            log_options: self.log_opt.iter().map(|text| log_option(text)).collect::<Result<_, _>>()?,
            attach: list(&self.attach).iter().map(|text| stream(text)).collect::<Result<_, _>>()?,
            stop_timeout: seconds("--stop-timeout", self.stop_timeout.as_deref())?,
            timeout: seconds("--timeout", self.timeout.as_deref())?,
            platform: self.platform()?,
            tls_verify: self.tls_verify,
            authfile: self.authfile.clone(),
            ..Lifecycle::default()
        })
    }

    fn platform(&self) -> Result<Option<String>, PlanError> {
        let parts = self.os.is_some() || self.arch.is_some() || self.variant.is_some();
        match &self.platform {
            Some(_) if parts => Err(PlanError::Conflict { first: "--platform", second: "--os, --arch or --variant" }),
            Some(platform) => Ok(Some(platform.clone())),
            None if parts => {
                let words = [self.os.as_deref().unwrap_or("linux"), self.arch.as_deref().unwrap_or_default()];
                Ok(Some(words.into_iter().chain(self.variant.as_deref()).collect::<Vec<_>>().join("/")))
            }
            None => Ok(None),
        }
    }
}

fn pull_policy(text: Option<&str>) -> Result<PullPolicy, PlanError> {
    match text.unwrap_or_default() {
        "" | "missing" | "ifnotpresent" | "IfNotPresent" => Ok(PullPolicy::Missing),
        "always" | "true" | "Always" => Ok(PullPolicy::Always),
        "never" | "false" | "Never" => Ok(PullPolicy::Never),
        "newer" | "ifnewer" => Ok(PullPolicy::Newer),
        text => Err(PlanError::PullPolicy { text: text.to_owned() }),
    }
}

fn log_driver(text: &str) -> Result<LogDriver, PlanError> {
    match text {
        "k8s-file" | "" => Ok(LogDriver::K8sFile),
        "json-file" => Ok(LogDriver::JsonFile),
        "journald" => Ok(LogDriver::Journald),
        "none" => Ok(LogDriver::None),
        "passthrough" => Ok(LogDriver::Passthrough),
        _ => Err(PlanError::LogDriver { text: text.to_owned() }),
    }
}

fn log_option(text: &str) -> Result<(String, String), PlanError> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| PlanError::LogOption { text: text.to_owned() })
}

fn stream(text: &str) -> Result<Stream, PlanError> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(Stream::Stdin),
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err(PlanError::AttachStream { text: text.to_owned() }),
    }
}

fn seconds(flag: &'static str, text: Option<&str>) -> Result<Option<u32>, PlanError> {
    let number = text.map(|text| parse_unsigned(flag, text)).transpose()?;
    number
        .map(|number| u32::try_from(number).map_err(|_| PlanError::Choice { flag, value: number.to_string(), expected: "seconds" }))
        .transpose()
}
