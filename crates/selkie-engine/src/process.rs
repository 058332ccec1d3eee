//! Which process a record means: its number alone could be somebody else's by now.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use selkie_sys::process::{self, Pid};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A process, told apart from every other with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number in the engine's PID namespace.
    pub pid: i32,
    /// When it was started, clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// Which boot that was: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl Identity {
    /// Describes the process `pid`, which must be there.
    ///
    /// # Errors
    /// When `/proc` does not show it.
    pub fn of(pid: i32) -> Result<Self> {
        let failed = |source| Error::File { action: "read", path: format!("/proc/{pid}/stat").into(), source };
        // One that has just ended is a zombie until its parent, who asks here, reaps it: it still is that process.
        let (_, start_time) = stat(pid).and_then(|stat| stat.ok_or(std::io::ErrorKind::InvalidData.into())).map_err(failed)?;
        Ok(Self { pid, start_time, boot_id: boot_id() })
    }

    /// Returns whether the process is still there and no zombie.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start_time) && self.boot_id == boot_id()
    }

    /// Opens the process; `None` when it has ended.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match process::open(pid) {
            // The descriptor is of whoever had the number just now; only then does the check count.
            Ok(pidfd) => Ok(self.is_alive().then_some(pidfd)),
            Err(error) if error.errno == selkie_sys::Errno::SRCH => Ok(None),
            Err(source) => Err(Error::System { action: format!("open process {}", self.pid), source }),
        }
    }
}

/// Returns the start time of `pid`; `None` when it is not there or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    stat(pid).ok()?.filter(|(state, _)| !matches!(state, b'Z' | b'X')).map(|(_, start_time)| start_time)
}

/// Reads the state and the start time of `pid`; `None` when the file is not the kernel's.
fn stat(pid: i32) -> std::io::Result<Option<(u8, u64)>> {
    // The kernel makes the file at once, and all that is wanted is in its first part. Lists read hundreds of them.
    let mut buffer = [0; 1024];
    let file = std::fs::File::open(format!("/proc/{pid}/stat"))?;
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer))?;
    Ok(buffer.get(..length).and_then(parse_stat))
}

/// The name in the second field may hold anything, parentheses and blanks too: fields are counted from its last parenthesis.
fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Which boot this is: read once, as nothing outlives one.
fn boot_id() -> String {
    static READ: OnceLock<String> = OnceLock::new();
    READ.get_or_init(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0";

    #[test]
    fn stat_with_a_hostile_name_gives_the_start_time() {
        assert_eq!(parse_stat(format!("7 (a) R 1 (b) S {REST}").as_bytes()), Some((b'S', 777)));
    }

    #[test]
    fn stat_of_a_zombie_has_its_state() {
        assert_eq!(parse_stat(format!("7 (sh) Z {REST}").as_bytes()), Some((b'Z', 777)));
    }

    #[test]
    fn stat_cut_short_is_none() {
        assert_eq!(parse_stat(b"7 (sh) S 1 1"), None);
    }

    #[test]
    fn identity_of_this_process_is_alive() {
        assert!(Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap().is_alive());
    }

    #[test]
    fn identity_of_another_boot_is_not_alive() {
        let mut identity = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        identity.boot_id = "another".to_owned();
        assert!(!identity.is_alive());
    }
}
