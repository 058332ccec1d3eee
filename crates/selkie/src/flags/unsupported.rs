//! Podman's flags that this version does not have: they are known, and each says that it is not supported yet.

use std::ffi::OsStr;
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
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
const SWITCHES: [Flag; 4] = [
    ("publish-all", Some('P'), "false"),
    ("oom-kill-disable", None, "false"),
    ("no-healthcheck", None, "true|false"),
    ("disable-content-trust", None, "true|false"),
];

/// Parses `words` with the command line that `build` makes.
///
/// The flags of this table are as many as all others of `run` together, and building them takes longer than the rest of a
/// command line: they are looked for only if `words` have a flag that is unknown without them.
///
/// # Errors
/// A command line that means nothing, with these flags too.
///
/// Returns with the matches the error of the first flag that this version does not have.
pub fn parse<T: AsRef<OsStr>>(build: impl Fn() -> Command, words: &[T]) -> Result<(ArgMatches, Option<PlanError>), clap::Error> {
    let words = || words.iter().map(|word| word.as_ref().to_owned());
    // Taking the command line's description apart takes as long as half of understanding it, and the process ends soon.
    match ManuallyDrop::new(build()).try_get_matches_from_mut(words()) {
        Err(error) if error.kind() == ErrorKind::UnknownArgument => {
            let command = VERBS.iter().fold(build(), |command, verb| match command.find_subcommand(verb) {
                Some(_) => command.mut_subcommand(verb, |verb| verb.args(arguments())),
                None => command,
            });
            let matches = command.try_get_matches_from(words())?;
            let first = matches.subcommand().filter(|(verb, _)| VERBS.contains(verb)).and_then(|(_, matches)| first(matches));
            let refused = first.map(|flag| PlanError::NotSupportedYet { flag: format!("--{flag}") });
            Ok((matches, refused))
        }
        parsed => parsed.map(|matches| (matches, None)),
    }
}

/// The verbs that have these flags in Podman.
const VERBS: [&str; 2] = ["run", "create"];

fn arguments() -> Vec<Arg> {
    let arg = |(name, short, _): &Flag| Arg::new(*name).long(*name).short(*short).hide(true).action(ArgAction::Append);
    let values = VALUES.iter().map(|flag| arg(flag).allow_hyphen_values(true));
    let switches = SWITCHES.iter().map(|flag| arg(flag).num_args(0..=1).require_equals(true).default_missing_value("true"));
    values.chain(switches).collect()
}

/// Returns the first flag that was given with a value that means something.
fn first(matches: &ArgMatches) -> Option<&'static str> {
    let given = |(name, _, harmless): &&Flag| {
        let values = matches.get_many::<String>(name).into_iter().flatten();
        matches.value_source(name) == Some(ValueSource::CommandLine)
            && values.into_iter().any(|value| !harmless.split('|').any(|harmless| harmless == value))
    };
    VALUES.iter().chain(&SWITCHES).find(given).map(|(name, ..)| *name)
}
