//! `selkie caps show`: what a process may do, as `capsh --print` shows its own.

use std::process::ExitCode;

use clap::Args;
use selkie_caps::{CapSet, CapState, FiveSets, Iab, Securebits};
use selkie_host::{Accounts, Buffer};
use serde_json::{Value, json};

use crate::commands::subject::{Subject, procfs};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template, text};

/// Show the capabilities of this process, another one, or a container's first, as `capsh --print` does.
///
/// Examples:
///   selkie caps show
///   selkie caps show web
///   selkie caps show 4711 --format json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Show {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// The process that runs this command (the default).
    #[arg(long = "self")]
    own: bool,
    /// A process or a container.
    #[arg(value_name = "PID|CONTAINER", conflicts_with = "own")]
    subject: Option<String>,
}

/// What there is to show of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    pid: u32,
    sets: FiveSets,
    /// `None` for every process but this one: the kernel tells nobody else.
    securebits: Option<Securebits>,
    no_new_privileges: Option<bool>,
    uid: (u32, u32),
    gid: u32,
    groups: Vec<u32>,
    /// Every capability that the kernel has.
    ceiling: CapSet,
}

impl Show {
    /// Shows this process, if that is meant; `None` otherwise.
    pub(super) fn alone(&self) -> Option<Result<ExitCode, Failure>> {
        (self.own || self.subject.is_none()).then(|| self.print(&own()?, &accounts(None)))
    }

    pub(super) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let subject = Subject::find(context, self.subject.as_deref(), self.own)?;
        let pid = subject.pid()?;
        // The names of a container's users are in its own files.
        let root = if matches!(subject, Subject::Container(_) | Subject::Foreign(_)) { procfs()?.root_of(pid)? } else { None };
        self.print(&another(pid)?, &accounts(root))
    }

    fn print(&self, shown: &Shown, accounts: &Accounts) -> Result<ExitCode, Failure> {
        match self.format.as_deref() {
            Some(format) => out::print(&template::render(format, "caps show", &[shown.value()])?)?,
            None => out::print(&shown.text(accounts))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn accounts(root: Option<std::os::fd::OwnedFd>) -> Accounts {
    match root {
        Some(root) => Accounts::beneath(root),
        None => std::fs::File::open("/").map(Accounts::beneath).unwrap_or_default(),
    }
}

fn own() -> Result<Shown, Failure> {
    let groups = rustix::process::getgroups().map_err(|errno| Failure::engine(format!("getgroups(): {errno}")))?;
    Ok(Shown {
        pid: std::process::id(),
        sets: selkie_sys::capability::read()?,
        securebits: Some(Securebits::from_bits(selkie_sys::capability::securebits()?)),
        no_new_privileges: rustix::thread::no_new_privs().ok(),
        uid: (rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw()),
        gid: rustix::process::getgid().as_raw(),
        groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
        ceiling: CapSet::up_to(selkie_sys::capability::last_capability()),
    })
}

fn another(pid: u32) -> Result<Shown, Failure> {
    let procfs = procfs()?;
    let mut buffer = Buffer::new();
    let gone = || Failure::engine(format!("process {pid} has ended"));
    let status = procfs.status(pid, &mut buffer)?.ok_or_else(gone)?;
    let groups = procfs.groups(pid, &mut buffer)?.ok_or_else(gone)?;
    let ([uid, euid, ..], [gid, ..]) = (status.uids, status.gids);
    Ok(Shown {
        pid,
        sets: status.sets,
        securebits: None,
        no_new_privileges: status.no_new_privileges,
        uid: (uid, euid),
        gid,
        groups,
        ceiling: CapSet::up_to(selkie_sys::capability::last_capability()),
    })
}

impl Shown {
    /// The lines of `capsh --print`, libcap 2.66.
    fn text(&self, accounts: &Accounts) -> String {
        let user = |id: u32| format!("{id}({})", accounts.user(id).map_or_else(|| "???".to_owned(), text::one_line));
        let group = |id: u32| format!("{id}({})", accounts.group(id).map_or_else(|| "???".to_owned(), text::one_line));
        let groups: Vec<String> = self.groups.iter().map(|id| group(*id)).collect();
        let no_new_privileges = self.no_new_privileges.map_or_else(|| "?".to_owned(), |set| u8::from(set).to_string());
        let mut lines = vec![
            format!("Current: {}", self.state()),
            format!("Bounding set ={}", self.sets.bounding.lower_names()),
            format!("Ambient set ={}", self.sets.ambient.lower_names()),
            format!("Current IAB: {}", self.iab()),
        ];
        match self.securebits {
            Some(bits) => {
                lines.push(format!("Securebits: {} (no-new-privs={no_new_privileges})", numbers(bits)));
                lines.extend(switches(bits));
            }
            None => lines
                .push(format!("Securebits: unknown, the kernel shows them only to the process itself (no-new-privs={no_new_privileges})")),
        }
        lines.push(format!("uid={} euid={}", user(self.uid.0), user(self.uid.1)));
        lines.push(format!("gid={}", group(self.gid)));
        lines.push(format!("groups={}", groups.join(",")));
        lines.push(match self.mode() {
            Some((word, number)) => format!("Guessed mode: {word} ({number})"),
            None => "Guessed mode: unknown without the securebits".to_owned(),
        });
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn state(&self) -> CapState {
        CapState { effective: self.sets.effective, inheritable: self.sets.inheritable, permitted: self.sets.permitted }
    }

    fn iab(&self) -> Iab {
        Iab::new(self.sets.inheritable, self.sets.ambient, self.ceiling.difference(self.sets.bounding))
    }

    /// How libcap's cap_get_mode(3) calls it.
    fn mode(&self) -> Option<(&'static str, u8)> {
        // Everything that turns root's special treatment off, locked; with the ambient set's switch, locked, too.
        const BASIC: Securebits = Securebits::from_bits(0x2f);
        const AMBIENT: Securebits = Securebits::from_bits(0xef);
        let bits = self.securebits?;
        let (sets, uncertain) = (&self.sets, ("UNCERTAIN", 0));
        Some(if bits == Securebits::NONE {
            ("HYBRID", 4)
        } else if !bits.contains(BASIC) || bits != AMBIENT || !sets.ambient.is_empty() {
            uncertain
        } else if !sets.inheritable.is_empty() {
            ("PURE1E", 3)
        } else if sets.permitted.is_empty() && sets.effective.is_empty() && sets.bounding.is_empty() {
            ("NOPRIV", 1)
        } else {
            ("PURE1E_INIT", 2)
        })
    }

    fn value(&self) -> Value {
        let set = |set: CapSet| json!({"Mask": format!("{set:016x}"), "Names": set.iter().map(selkie_caps::Capability::name).collect::<Vec<_>>()});
        json!({
            "Pid": self.pid,
            "Current": self.state().to_string(),
            "Effective": set(self.sets.effective),
            "Permitted": set(self.sets.permitted),
            "Inheritable": set(self.sets.inheritable),
            "Bounding": set(self.sets.bounding),
            "Ambient": set(self.sets.ambient),
            "IAB": self.iab().to_string(),
            "Securebits": self.securebits.map(Securebits::bits),
            "NoNewPrivileges": self.no_new_privileges,
            "Uid": self.uid.0,
            "EffectiveUid": self.uid.1,
            "Gid": self.gid,
            "Groups": self.groups,
            "Mode": self.mode().map(|(word, _)| word),
        })
    }
}

/// Octal, hexadecimal, and binary in Verilog's way: `03/0x3/2'b11`.
fn numbers(securebits: Securebits) -> String {
    let bits = securebits.bits();
    let width = (u32::BITS - bits.leading_zeros()).max(1);
    format!("0{bits:o}/0x{bits:x}/{width}'b{bits:b}")
}

fn switches(bits: Securebits) -> impl Iterator<Item = String> {
    let switches = [
        ("secure-noroot", Securebits::NOROOT),
        ("secure-no-suid-fixup", Securebits::NO_SETUID_FIXUP),
        ("secure-keep-caps", Securebits::KEEP_CAPS),
        ("secure-no-ambient-raise", Securebits::NO_CAP_AMBIENT_RAISE),
    ];
    switches.into_iter().map(move |(name, switch)| {
        let on = if bits.contains(switch) { "yes" } else { "no" };
        let locked = if bits.contains(switch.locks()) { "locked" } else { "unlocked" };
        format!(" {name}: {on} ({locked})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bits: u32, sets: FiveSets) -> Shown {
        Shown {
            pid: 1,
            sets,
            securebits: Some(Securebits::from_bits(bits)),
            no_new_privileges: Some(false),
            uid: (0, 0),
            gid: 0,
            groups: vec![4, 24],
            ceiling: CapSet::KNOWN,
        }
    }

    #[test]
    fn text_of_all_dropped_is_capshs() {
        let text =
            shown(0, FiveSets { bounding: CapSet::KNOWN, ..FiveSets::NONE }).text(&Accounts::parse(b"root:x:0:", b"root:x:0:\nadm:x:4:"));
        let tail: Vec<&str> = text.lines().skip(2).collect();
        assert!(text.starts_with("Current: =\nBounding set =cap_chown,"));
        assert_eq!(
            tail,
            [
                "Ambient set =",
                "Current IAB: ",
                "Securebits: 00/0x0/1'b0 (no-new-privs=0)",
                " secure-noroot: no (unlocked)",
                " secure-no-suid-fixup: no (unlocked)",
                " secure-keep-caps: no (unlocked)",
                " secure-no-ambient-raise: no (unlocked)",
                "uid=0(root) euid=0(root)",
                "gid=0(root)",
                "groups=4(adm),24(???)",
                "Guessed mode: HYBRID (4)",
            ]
        );
    }

    #[test]
    fn numbers_are_as_capsh_writes_them() {
        let text = [0, 3, 0xef, 0x10].map(|bits| numbers(Securebits::from_bits(bits)));
        assert_eq!(text, ["00/0x0/1'b0", "03/0x3/2'b11", "0357/0xef/8'b11101111", "020/0x10/5'b10000"]);
    }

    #[test]
    fn mode_of_each_kind() {
        let root = FiveSets { effective: CapSet::KNOWN, permitted: CapSet::KNOWN, bounding: CapSet::KNOWN, ..FiveSets::NONE };
        let inheriting = FiveSets { inheritable: CapSet::from_bits(1), ..root };
        let modes = [
            shown(0, root).mode(),
            shown(1, root).mode(),
            shown(0xef, root).mode(),
            shown(0xef, inheriting).mode(),
            shown(0xef, FiveSets::NONE).mode(),
            Shown { securebits: None, ..shown(0, root) }.mode(),
        ];
        let words = modes.map(|mode| mode.map(|(word, _)| word));
        assert_eq!(words, [Some("HYBRID"), Some("UNCERTAIN"), Some("PURE1E_INIT"), Some("PURE1E"), Some("NOPRIV"), None]);
    }
}
