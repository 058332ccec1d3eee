//! Verbs that Podman has and selkie does not have yet: they say so, and nothing is done.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::ui::error::Failure;

const LATER: [&str; 34] = [
    "artifact",
    "auto-update",
    "build",
    "commit",
    "compose",
    "cp",
    "diff",
    "events",
    "farm",
    "generate",
    "healthcheck",
    "history",
    "kube",
    "login",
    "logout",
    "machine",
    "manifest",
    "mount",
    "network",
    "play",
    "pod",
    "pull",
    "push",
    "quadlet",
    "save",
    "search",
    "secret",
    "stats",
    "system",
    "umount",
    "unmount",
    "unshare",
    "update",
    "volume",
];

/// Says what is the matter with a verb that is none of ours.
pub(crate) fn run(words: &[OsString]) -> Result<ExitCode, Failure> {
    let verb = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if LATER.contains(&verb.as_str()) {
        return Err(Failure::engine(format!("{verb}: not supported yet")));
    }
    Err(Failure::engine(format!("unrecognized command `selkie {verb}`\nTry 'selkie --help' for more information")))
}
