//! Podman's flags that this version does not have: they are known, and each says that it is not supported yet.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use selkie_plan::PlanError;

/// Long name, short one, and the values that mean the same as no flag.
type Flag = (&'static str, Option<char>, &'static str);

/// Flags that take a value.
const VALUES: [Flag; 60] = [
    ("blkio-weight", None, ""),
    ("blkio-weight-device", None, ""),
    ("cert-dir", None, ""),
    ("chrootdirs", None, ""),
    ("cpu-rt-period", None, "0"),
    ("cpu-rt-runtime", None, "0"),
    ("creds", None, ""),
    ("decryption-key", None, ""),
    ("device-read-bps", None, ""),
    ("device-read-iops", None, ""),
    ("device-write-bps", None, ""),
    ("device-write-iops", None, ""),
    ("env-merge", None, ""),
    ("gpus", None, ""),
    ("group-entry", None, ""),
    ("health-cmd", None, "none"),
    ("health-interval", None, ""),
    ("health-log-destination", None, ""),
    ("health-max-log-count", None, ""),
    ("health-max-log-size", None, ""),
    ("health-on-failure", None, "none"),
    ("health-retries", None, ""),
    ("health-start-period", None, ""),
    ("health-startup-cmd", None, "none"),
    ("health-startup-interval", None, ""),
    ("health-startup-retries", None, ""),
    ("health-startup-success", None, ""),
    ("health-startup-timeout", None, ""),
    ("health-timeout", None, ""),
    ("hosts-file", None, ""),
    ("hostuser", None, ""),
    ("infra-name", None, ""),
    ("init-ctr", None, ""),
    ("init-path", None, ""),
    ("ip", None, ""),
    ("ip6", None, ""),
    ("kernel-memory", None, ""),
    ("link", None, ""),
    ("link-local-ip", None, ""),
    ("mac-address", None, ""),
    ("network-alias", None, ""),
    ("passwd-entry", None, ""),
    ("personality", None, ""),
    ("pod", None, ""),
    ("pod-id-file", None, ""),
    ("preserve-fd", None, ""),
    ("publish", Some('p'), ""),
    ("rdt-class", None, ""),
    ("requires", None, ""),
    ("retry", None, ""),
    ("retry-delay", None, ""),
    ("sdnotify", None, "container"),
    ("secret", None, ""),
    ("shm-size-systemd", None, "0"),
    ("storage-opt", None, ""),
    ("subgidname", None, ""),
    ("subuidname", None, ""),
    ("systemd", None, "true|false"),
    ("volume-driver", None, ""),
    ("volumes-from", None, ""),
];

/// Switches.
const SWITCHES: [Flag; 5] = [
    ("publish-all", Some('P'), "false"),
    ("oom-kill-disable", None, "false"),
    ("no-healthcheck", None, "true|false"),
    ("disable-content-trust", None, "true|false"),
    ("passwd", None, "true|false"),
];

/// The first flag given that is not supported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsupportedFlags {
    first: Option<String>,
}

impl UnsupportedFlags {
    /// Fails when there is one.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        self.first.as_ref().map_or(Ok(()), |flag| Err(PlanError::NotSupportedYet { flag: format!("--{flag}") }))
    }
}

impl Args for UnsupportedFlags {
    fn augment_args(command: Command) -> Command {
        let arg = |(name, short, _): Flag| Arg::new(name).long(name).short(short).hide(true).action(ArgAction::Append);
        let values = VALUES.map(|flag| arg(flag).allow_hyphen_values(true));
        let switches = SWITCHES.map(|flag| arg(flag).num_args(0..=1).require_equals(true).default_missing_value("true"));
        command.args(values).args(switches)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for UnsupportedFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(name, _, harmless): &Flag| {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            matches.value_source(name) == Some(ValueSource::CommandLine)
                && values.into_iter().any(|value| !harmless.split('|').any(|harmless| harmless == value))
        };
        let first = VALUES.iter().chain(&SWITCHES).find(|flag| given(flag)).map(|(name, ..)| (*name).to_owned());
        Ok(Self { first })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
