//! Writes the container's sysctls through the host's own procfs, before the container's root is in place.

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use selkie_sys::Context;

use crate::error::{During, Error};

/// Sets `name` (dots or slashes) to `value` in the namespaces of the calling process.
pub(crate) fn set(proc: impl AsFd, name: &str, value: &str) -> Result<(), Error> {
    let stage = || format!("sysctl `{name}={value}`");
    if value.contains('\n') || name.split(['.', '/']).any(|part| part.is_empty() || part == "..") {
        return Err(Error::refused(stage(), "malformed name or value"));
    }
    let path = PathBuf::from("sys").join(name.replace('.', "/"));
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
        .call(|| format!("open({:?})", PathBuf::from("/proc").join(&path)))
        .during(stage)?;
    rustix::io::write(&file, value.as_bytes()).call(|| format!("write({value:?})")).during(stage)?;
    Ok(())
}
