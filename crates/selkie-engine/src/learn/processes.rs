//! The processes of a container as procfs shows them: who they are, how busy, and on which ports they listen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use selkie_host::{Buffer, Namespace, Procfs, Status, status};
use selkie_learn::Standing;

use super::sight;
use crate::error::{Error, Result};

/// A port that a process of the container listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Port {
    Tcp(u16),
    Udp(u16),
}

/// The processes of one container.
#[derive(Debug)]
pub(super) struct Processes {
    procfs: Procfs,
    buffer: Buffer,
    init: u32,
    /// What they share: the PID namespace, or the mount namespace where that is the host's.
    kind: Namespace,
    namespace: Option<u64>,
}

impl Processes {
    /// Those of the container whose first process is `init`.
    ///
    /// # Errors
    /// procfs is not there.
    pub(super) fn of(init: i32) -> Result<Self> {
        let procfs = Procfs::open(Path::new("/proc")).map_err(Error::system("look at the processes of a container"))?;
        let init = init.unsigned_abs();
        let is_host = procfs.namespace(init, Namespace::Pid) == procfs.namespace(std::process::id(), Namespace::Pid);
        let kind = if is_host { Namespace::Mount } else { Namespace::Pid };
        let namespace = procfs.namespace(init, kind);
        Ok(Self { procfs, buffer: Buffer::default(), init, kind, namespace })
    }

    /// Returns the pids, as this host sees them.
    fn pids(&self) -> Vec<u32> {
        let belongs = |pid: &u32| self.namespace.is_some() && self.procfs.namespace(*pid, self.kind) == self.namespace;
        self.procfs.pids().unwrap_or_default().into_iter().filter(belongs).collect()
    }

    /// Returns who they are, and how much processor time they have used (ticks). Zombies are left out.
    pub(super) fn standings(&mut self) -> (Vec<Standing>, u64) {
        let mut standings = Vec::new();
        let mut busy = 0;
        for pid in self.pids() {
            let Ok(Some(file)) = self.procfs.file(pid, "status", &mut self.buffer) else { continue };
            let Some(found) = Status::parse(&file) else { continue };
            if matches!(found.state, b'Z' | b'X') {
                continue;
            }
            let mut groups = status::groups(&file);
            groups.sort_unstable();
            if let Ok(Some(stat)) = self.procfs.stat(pid, &mut self.buffer) {
                busy += stat.user_time + stat.system_time;
            }
            standings.push(Standing {
                comm: found.name.to_text(),
                uids: found.uids,
                gids: found.gids,
                groups,
                sets: found.sets,
                no_new_privileges: found.no_new_privileges.unwrap_or(false),
            });
        }
        (standings, busy)
    }

    /// Returns how many of each name are in each state, zombies too.
    pub(super) fn states(&mut self) -> BTreeMap<(String, &'static str), usize> {
        let mut states = BTreeMap::new();
        for pid in self.pids() {
            let Ok(Some(file)) = self.procfs.file(pid, "status", &mut self.buffer) else { continue };
            let Some(found) = Status::parse(&file) else { continue };
            *states.entry((found.name.to_text(), sight::state(found.state))).or_default() += 1;
        }
        states
    }

    /// Returns the ports that are listened on in the container's network namespace.
    pub(super) fn ports(&mut self) -> BTreeSet<Port> {
        const LISTEN: u8 = 0x0a;
        const UNCONNECTED: u8 = 0x07;
        let mut ports = BTreeSet::new();
        for (name, state, port) in [
            ("net/tcp", LISTEN, Port::Tcp as fn(u16) -> Port),
            ("net/tcp6", LISTEN, Port::Tcp),
            ("net/udp", UNCONNECTED, Port::Udp),
            ("net/udp6", UNCONNECTED, Port::Udp),
        ] {
            let file = self.procfs.file(self.init, name, &mut self.buffer).ok().flatten().unwrap_or_default();
            ports.extend(listened(&String::from_utf8_lossy(&file), state).map(port));
        }
        ports
    }
}

/// Returns the local ports of the sockets in a file such as `/proc/net/tcp` that are in `state` and not bound to a peer.
fn listened(file: &str, state: u8) -> impl Iterator<Item = u16> {
    file.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _remote, found) = (words.next()?, words.next()?, words.next()?);
        if u8::from_str_radix(found, 16).ok()? != state {
            return None;
        }
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_of_proc_net_tcp() {
        let file = "  sl  local_address rem_address   st tx_queue\n   0: 00000000:0050 00000000:0000 0A 0:0\n   1: 0100007F:1F90 0100007F:9999 01 0:0\n";
        assert_eq!(listened(file, 0x0a).collect::<Vec<_>>(), [80]);
    }
}
