//! User namespaces outside of a launch: one to map the ids of mounts with, and what is known of one that is there.
//! user_namespaces(7): maps are written from outside, and read from outside they show the reader's own ids.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use selkie_plan::{IdMap, IdMaps};
use selkie_sys::process::{self, Child, Forked, Pid, SingleThreaded};
use selkie_sys::{Context, socket};

use crate::error::{During, Error};

/// Makes a user namespace with `maps`, in which nobody is. It is gone with the descriptor.
///
/// # Errors
/// `EPERM` or `EINVAL` for maps that may not be written, `ENOSPC` at a limit.
pub fn make(proof: SingleThreaded, maps: &IdMaps) -> Result<OwnedFd, Error> {
    let holder = Holder::new(proof, process::NEW_USER, None)?;
    write_maps(holder.child.pid, maps)?;
    open(Path::new(&format!("/proc/{}/ns/user", holder.child.pid.as_raw_nonzero())))
}

/// Opens the user namespace behind a file, for example `/proc/42/ns/user`.
///
/// # Errors
/// `ENOENT` when it is not there.
pub fn open(path: &Path) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))
        .during(|| format!("user namespace `{}`", path.display()))
}

/// Returns the maps of the user namespace behind the file `path`; `None` when it is the caller's own.
///
/// # Errors
/// `EPERM` when it does not belong to the caller, `EINVAL` when it is something else.
pub fn maps_of_file(proof: SingleThreaded, path: &Path) -> Result<Option<IdMaps>, Error> {
    let namespace = open(path)?;
    if is_own(&namespace, path)? {
        return Ok(None);
    }
    // The kernel shows maps of processes only.
    let holder = Holder::new(proof, 0, Some(&namespace))?;
    maps_of_process(holder.child.pid).map(Some)
}

/// Returns the maps of the user namespace that a process is in.
///
/// # Errors
/// `ENOENT` when it has ended.
pub fn maps_of_process(pid: Pid) -> Result<IdMaps, Error> {
    let read = |name: &str| {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        let text = std::fs::read_to_string(&path).call(|| format!("read({path:?})")).during(|| "user namespace")?;
        Ok::<_, Error>(text.lines().filter_map(parse_map).collect())
    };
    Ok(IdMaps { uids: read("uid_map")?, gids: read("gid_map")? })
}

/// Gives the new user namespace of the process `pid` its maps.
pub(crate) fn write_maps(pid: Pid, maps: &IdMaps) -> Result<(), Error> {
    for (name, maps) in [("uid_map", &maps.uids), ("gid_map", &maps.gids)] {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        let stage = || format!("id map `{path}`");
        let text: String = maps.iter().map(|map| format!("{} {} {}\n", map.container, map.host, map.size)).collect();
        let file =
            rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).call(|| format!("open({path:?})")).during(stage)?;
        rustix::io::write(&file, text.as_bytes()).call(|| format!("write({text:?})")).during(stage)?;
    }
    Ok(())
}

fn parse_map(line: &str) -> Option<IdMap> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(container)), Some(Ok(host)), Some(Ok(size))) => Some(IdMap { container, host, size }),
        _ => None,
    }
}

fn is_own(namespace: &OwnedFd, path: &Path) -> Result<bool, Error> {
    let stage = || format!("user namespace `{}`", path.display());
    let found = rustix::fs::fstat(namespace).call(|| format!("fstat({path:?})")).during(stage)?;
    let own = rustix::fs::stat("/proc/self/ns/user").call(|| "stat(\"/proc/self/ns/user\")").during(stage)?;
    Ok((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino))
}

/// A process that does nothing but be in a user namespace. It ends with this value.
struct Holder {
    child: Child,
    /// It waits for the other end to close.
    _control: OwnedFd,
}

impl Holder {
    /// Makes one with new namespaces, or in the namespace `joined`.
    fn new(proof: SingleThreaded, namespaces: u64, joined: Option<&OwnedFd>) -> Result<Self, Error> {
        let stage = || "user namespace";
        let (ours, theirs) = socket::pair().during(stage)?;
        match process::fork(proof, namespaces, None).during(stage)? {
            Forked::Parent(child) => {
                drop(theirs);
                let mut buffer = [0; 4096];
                let received = socket::receive(&ours, &mut buffer, false);
                let holder = Self { child, _control: ours };
                match received {
                    Ok(1) => Ok(holder),
                    Ok(length) => Err(Error::decode(buffer.get(..length).unwrap_or_default())),
                    Err(errno) => Err(errno).call(|| "recvmsg()").during(stage),
                }
            }
            Forked::Child => {
                drop(ours);
                // Members of the namespace that is joined must not look into a process of the host.
                let joined = process::set_dumpable(false)
                    .and_then(|()| joined.map_or(Ok(()), |namespace| process::join_namespace(proof, namespace)))
                    .during(stage);
                match joined {
                    Ok(()) => drop(socket::send(&theirs, 0, &[], false)),
                    // The first byte of an error is the tag of the message.
                    Err(error) => drop(error.encode().split_first().map(|(kind, rest)| socket::send(&theirs, *kind, rest, false))),
                }
                // Until the other end is closed, or a signal comes.
                let _ = socket::receive(theirs.as_fd(), &mut [0], false);
                process::exit_now(0)
            }
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself; nobody else reaps it.
        let _ = process::send_signal(&self.child.pidfd, 9);
        let _ = process::wait(&self.child.pidfd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_a_map_is_three_numbers() {
        assert_eq!(parse_map("         0     100000      65536"), Some(IdMap { container: 0, host: 100_000, size: 65536 }));
        assert_eq!(parse_map("0 1"), None);
        assert_eq!(parse_map("0 1 x"), None);
    }
}
