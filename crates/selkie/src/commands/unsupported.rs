//! Verbs that Podman has and selkie does not have yet: they say so, and nothing is done.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::ui::error::Failure;

const LATER: [&str; 35] = [
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
    "init",
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

/// Verbs of Podman's groups that selkie does not have yet.
const LATER_IN_GROUPS: [(&str, &[&str]); 2] = [
    (
        "container",
        &[
            "checkpoint",
            "clone",
            "commit",
            "cp",
            "diff",
            "export",
            "init",
            "mount",
            "restore",
            "runlabel",
            "stats",
            "unmount",
            "umount",
            "update",
        ],
    ),
    (
        "image",
        &[
            "build", "diff", "history", "mount", "prune", "pull", "push", "save", "scp", "search", "sign", "tree", "trust", "unmount",
            "umount",
        ],
    ),
];

/// Flags of Podman's that selkie does not have yet, by verb; before it, without one. Those of `run` and `create` are in
/// [`selkie::flags`].
const LATER_FLAGS: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "cdi-spec-dir",
            "conmon",
            "connection",
            "c",
            "default-mounts-file",
            "hooks-dir",
            "identity",
            "imagestore",
            "module",
            "namespace",
            "network-cmd-path",
            "network-config-dir",
            "noout",
            "out",
            "remote",
            "r",
            "runtime-flag",
            "ssh",
            "storage-opt",
            "syslog",
            "trace",
            "transient-store",
            "url",
            "volumepath",
        ],
    ),
    ("import", &["arch", "os", "variant"]),
    ("ps", &["ns", "watch", "w"]),
];

/// Returns whether Podman has this verb in its group, and selkie not yet.
pub(crate) fn is_later(group: &str, verb: &str) -> bool {
    LATER_IN_GROUPS.iter().any(|(name, verbs)| *name == group && verbs.contains(&verb))
}

/// Returns whether Podman has this flag, given with its hyphens, at this verb or before any, and selkie not yet.
pub(crate) fn is_later_flag(verb: &str, flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    LATER_FLAGS.iter().any(|(known, flags)| (known.is_empty() || *known == verb) && flags.contains(&name))
}

/// Says what is the matter with a verb that is none of ours.
pub(crate) fn run(words: &[OsString]) -> Result<ExitCode, Failure> {
    let verb = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if LATER.contains(&verb.as_str()) {
        return Err(Failure::engine(format!("{verb}: not supported yet")));
    }
    Err(Failure::engine(format!("unrecognized command `selkie {verb}`\nTry 'selkie --help' for more information")))
}
