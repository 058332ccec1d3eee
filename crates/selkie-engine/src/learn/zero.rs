//! Path to zero: changes of a container after which it needs less, each verified by a run before it is proposed.

use selkie_caps::{CapSet, Capability};
use selkie_learn::report::Zero;
use selkie_learn::search::Found;
use selkie_learn::{Call, Cause, Detail};
use selkie_plan::Request;
use selkie_plan::value::{SecurityOpt, TmpfsMount};

use super::run::Made;
use super::{Learner, Planned, give};
use crate::error::{Error, Result};

/// A change, as flags of `run`.
#[derive(Clone, Debug, Default)]
struct Change {
    sysctls: Vec<(String, String)>,
    user: Option<(u32, u32)>,
    tmpfs: Vec<String>,
}

/// How many directories a program may turn out to need.
const DIRECTORIES: usize = 8;

/// Makes a change in a container, given as the flags of a proposal: what is tried is what is proposed, and what is exported.
///
/// # Errors
/// A flag that no proposal of this program has.
pub fn change(request: &mut Request, flags: &[String]) -> Result<()> {
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        let unknown = || Error::Invalid { problem: format!("the path to zero has the flag {flag:?}, which is not known here") };
        let value = words.next().ok_or_else(unknown)?;
        match flag.as_str() {
            "--user" => request.process.user = Some(value.clone()),
            "--sysctl" => {
                let (name, value) = value.split_once('=').ok_or_else(unknown)?;
                request.sysctls.retain(|(known, _)| known != name);
                request.sysctls.push((name.to_owned(), value.to_owned()));
            }
            "--tmpfs" => request.mounts.tmpfs.push(TmpfsMount::parse(value)?),
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

impl Learner<'_> {
    /// Tries what removes needs.
    pub(super) fn path_to_zero(&mut self, found: &Found, proposed: &mut Vec<Zero>) -> Result<()> {
        let small = self.settings(found);
        let rest = small.removes(found.set);
        if rest != found.set
            && let Some(zero) = self.verify(&small, rest)?
        {
            proposed.push(zero);
        }
        if !rest.is_empty()
            && let Some(user) = self.other_user(found)
        {
            proposed.extend(self.as_user(Change { user: Some(user), ..small })?);
        }
        Ok(())
    }

    /// Returns whether it works when no program gives more than its caller has: `no_new_privs`.
    pub(super) fn without_new_privileges(&mut self, found: &Found) -> Result<bool> {
        let mut request = self.wish.request.clone();
        give(&mut request, found.set);
        request.security.options.extend(SecurityOpt::parse("no-new-privileges"));
        let purpose = "with no_new_privs".to_owned();
        let made = self.make_one(Planned { purpose, set: found.set, request, filter_for: None, guard: false, patient: false })?;
        Ok(made.failure.is_none())
    }

    /// Settings of the network that open what is asked for.
    fn settings(&self, found: &Found) -> Change {
        let mut change = Change::default();
        let refused = || self.made.iter().flat_map(|made| &made.refused);
        if found.set.contains(Capability::NetBindService) {
            let ports = refused().filter(|(_, cause)| cause.capabilities().contains(Capability::NetBindService));
            if let Some(port) = ports.filter_map(|(call, _)| port(call)).min() {
                change.sysctls.push(("net.ipv4.ip_unprivileged_port_start".to_owned(), port.to_string()));
            }
        }
        if found.set.contains(Capability::NetRaw) {
            let pings = |call: &Call| call.syscall == "socket" && matches!(call.arguments, [2 | 10, _, 1 | 58, ..]);
            let file = refused()
                .any(|(_, cause)| matches!(cause, Cause::FileCapability { capabilities } if capabilities.contains(Capability::NetRaw)));
            // A file capability has to be in the bounding set, needed or not: only another file changes that.
            if !file && refused().any(|(call, _)| pings(call)) {
                change.sysctls.push(("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned()));
            }
        }
        change
    }

    /// The user that the processes of the baseline become, in the numbers of the container.
    fn other_user(&self, found: &Found) -> Option<(u32, u32)> {
        let baseline = self.numbered(found.baseline_run)?;
        let maps = self.users.maps();
        let user = |uid: u32| maps.map_or(Some(uid), |maps| maps.user_inside(uid));
        let inside = |uid: u32, gid: u32| Some((user(uid)?, maps.map_or(Some(gid), |maps| maps.group_inside(gid))?));
        let standings = &baseline.posture;
        let is_root = |uids: &[u32; 4]| uids.iter().any(|uid| user(*uid) == Some(0));
        let standing =
            standings.iter().find(|standing| !is_root(&standing.uids)).and_then(|standing| inside(standing.uids[1], standing.gids[1]));
        // One that can become root again, with seteuid(2), has not become somebody else: it keeps what it is permitted.
        let comes_back = |uid: u32| standings.iter().any(|standing| standing.uids[1] == uid && is_root(&standing.uids));
        let ending = baseline.trace.endings.iter().find_map(|ending| {
            let credentials = &ending.credentials;
            let is_back = credentials.effective.is_empty() && !credentials.permitted.is_empty() || comes_back(credentials.uid);
            inside(credentials.uid, credentials.gid).filter(|(uid, _)| *uid != 0 && !is_back)
        });
        standing.or(ending)
    }

    /// Starts as the user that it becomes anyway, with directories that it may write to.
    fn as_user(&mut self, mut change: Change) -> Result<Option<Zero>> {
        for _ in 0..DIRECTORIES {
            let made = self.try_change(&change, CapSet::EMPTY)?;
            if made.failure.is_none() {
                let number = made.number;
                return Ok(Some(change.proposal(CapSet::EMPTY, number)));
            }
            let wanted: Vec<String> = made.refused.iter().filter_map(|(call, cause)| directory(call, cause)).collect();
            let before = change.tmpfs.len();
            for path in wanted {
                if !change.tmpfs.contains(&path) && !change.tmpfs.iter().any(|above| path.starts_with(&format!("{above}/"))) {
                    change.tmpfs.retain(|below| !below.starts_with(&format!("{path}/")));
                    change.tmpfs.push(path);
                }
            }
            if change.tmpfs.len() == before {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn verify(&mut self, change: &Change, set: CapSet) -> Result<Option<Zero>> {
        let made = self.try_change(change, set)?;
        let passed = made.failure.is_none();
        let number = made.number;
        Ok(passed.then(|| change.proposal(set, number)))
    }

    fn try_change(&mut self, change: &Change, set: CapSet) -> Result<&Made> {
        let flags = change.flags();
        let mut request = self.wish.request.clone();
        give(&mut request, set);
        super::zero::change(&mut request, &flags)?;
        // By all that is tried: sysctls with the user, and without.
        let values: Vec<&str> = flags.iter().skip(1).step_by(2).map(String::as_str).collect();
        let purpose = format!("to zero: {}", values.join(" "));
        // Another user is the change itself: there is nothing to compare its processes with.
        self.make_one(Planned { purpose, set, request, filter_for: None, guard: change.user.is_none(), patient: false })
    }

    fn make_one(&mut self, planned: Planned) -> Result<&Made> {
        self.make(vec![planned])?;
        self.made.last().ok_or(Error::Interrupted)
    }
}

impl Change {
    /// Returns what is still needed of `set`.
    fn removes(&self, set: CapSet) -> CapSet {
        self.sysctls.iter().fold(set, |set, (name, _)| match name.as_str() {
            "net.ipv4.ip_unprivileged_port_start" => set.without(Capability::NetBindService),
            _ => set.without(Capability::NetRaw),
        })
    }

    fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if let Some((uid, gid)) = self.user {
            flags.extend(["--user".to_owned(), format!("{uid}:{gid}")]);
        }
        for (name, value) in &self.sysctls {
            flags.extend(["--sysctl".to_owned(), format!("{name}={value}")]);
        }
        for path in &self.tmpfs {
            flags.extend(["--tmpfs".to_owned(), format!("{path}:mode=1777")]);
        }
        flags
    }

    fn proposal(&self, set: CapSet, run: usize) -> Zero {
        let mut parts = Vec::new();
        if let Some((uid, gid)) = self.user {
            parts.push(format!("it starts as {uid}:{gid}, which it becomes anyway"));
        }
        for (name, _) in &self.sysctls {
            parts.push(match name.as_str() {
                "net.ipv4.ip_unprivileged_port_start" => "low ports are open to every process in its network namespace".to_owned(),
                _ => "ping uses datagram sockets".to_owned(),
            });
        }
        if !self.tmpfs.is_empty() {
            parts.push(format!("{} are temporary and writable", self.tmpfs.join(", ")));
        }
        Zero { flags: self.flags(), needs: set.iter().collect(), run, sentence: parts.join("; ") }
    }
}

fn port(call: &Call) -> Option<u16> {
    match &call.detail {
        Detail::Address { address } => address.rsplit(':').next()?.parse().ok().filter(|port| *port > 0),
        _ => None,
    }
}

/// The directory that a refused call wanted to write to.
fn directory(call: &Call, cause: &Cause) -> Option<String> {
    let about_files =
        CapSet::EMPTY.with(Capability::DacOverride).with(Capability::DacReadSearch).with(Capability::Chown).with(Capability::Fowner);
    if cause.capabilities().intersection(about_files).is_empty() {
        return None;
    }
    let Detail::Path { path, .. } = &call.detail else { return None };
    let makes = matches!(
        call.syscall.as_str(),
        "open"
            | "openat"
            | "mkdir"
            | "mkdirat"
            | "unlink"
            | "unlinkat"
            | "rename"
            | "renameat"
            | "renameat2"
            | "chown"
            | "lchown"
            | "fchownat"
            | "symlink"
            | "mknod"
            | "mknodat"
    );
    let is_plain = path.starts_with('/') && !path.contains([':', ',', '\n', '\0']) && !path.split('/').any(|part| part == "..");
    let (above, _) = path.trim_end_matches('/').rsplit_once('/')?;
    let is_own = !above.is_empty()
        && !["/etc", "/usr", "/bin", "/lib", "/dev", "/proc", "/sys"]
            .iter()
            .any(|system| above == *system || above.starts_with(&format!("{system}/")));
    (makes && is_plain && is_own).then(|| above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_that_of_the_file_and_none_of_the_system() {
        let call = |path: &str| Call {
            syscall: "openat".to_owned(),
            detail: Detail::Path { path: path.to_owned(), other: None },
            ..Call::default()
        };
        let cause = Cause::Capability { capabilities: CapSet::EMPTY.with(Capability::DacOverride) };
        let found: Vec<Option<String>> = ["/run/nginx.pid", "/etc/passwd", "/x", "/var/lib/../../etc/y", "relative"]
            .iter()
            .map(|path| directory(&call(path), &cause))
            .collect();
        assert_eq!(found, [Some("/run".to_owned()), None, None, None, None]);
    }
}
