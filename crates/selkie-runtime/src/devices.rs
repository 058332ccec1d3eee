//! Device nodes and links beneath a container's own `/dev`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};
use selkie_plan::{Device, DeviceKind};
use selkie_sys::{Context, Errno, mount, root};

use crate::error::{During, Error};

/// Links of every `/dev`: OCI runtime specification, "Default Devices" and "/dev symbolic links".
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Makes `devices` in `dev`, a tmpfs of ours. `bind` uses the host's nodes in place of mknod(2), which a user namespace does not
/// allow.
pub(crate) fn make<'a>(dev: impl AsFd, devices: impl IntoIterator<Item = &'a Device>, bind: bool) -> Result<(), Error> {
    for device in devices {
        let Ok(name) = Path::new(&device.path).strip_prefix("/dev") else {
            return Err(Error::refused(format!("device `{}`", device.path), "is not beneath /dev"));
        };
        if bind { bind_node(dev.as_fd(), device, name) } else { make_node(dev.as_fd(), device, name) }?;
    }
    Ok(())
}

/// Makes the usual links in `dev`, a tmpfs of ours; what is there stays.
pub(crate) fn link(dev: impl AsFd) -> Result<(), Error> {
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).call(|| format!("symlinkat({target:?}, {name:?})")).during(|| "links of /dev"),
        }
    }
    Ok(())
}

fn make_node(dev: impl AsFd, device: &Device, name: &Path) -> Result<(), Error> {
    let stage = || format!("device `{}`", device.path);
    let (directory, file): (OwnedFd, _) = parent(dev, name).during(stage)?;
    let kind = match device.kind {
        DeviceKind::Char => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
    };
    let number = rustix::fs::makedev(device.major, device.minor);
    // umask is 0 in init, so the bits are the plan's.
    rustix::fs::mknodat(&directory, file, kind, Mode::from_raw_mode(device.mode), number)
        .call(|| format!("mknodat({name:?}, {}:{})", device.major, device.minor))
        .during(stage)?;
    if (device.uid, device.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        rustix::fs::chownat(&directory, file, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("chownat({name:?})"))
            .during(stage)?;
    }
    Ok(())
}

fn bind_node(dev: impl AsFd, device: &Device, name: &Path) -> Result<(), Error> {
    let stage = || format!("device `{}`", device.path);
    let source = Path::new("/dev").join(name);
    let node = mount::clone_path(&source, false).during(stage)?;
    let found = rustix::fs::fstat(&node).call(|| format!("fstat({source:?})")).during(stage)?.st_rdev;
    if found != rustix::fs::makedev(device.major, device.minor) {
        return Err(Error::refused(stage(), format!("the host's {source:?} is another device than {}:{}", device.major, device.minor)));
    }
    let target = root::make_file(dev, name).during(stage)?;
    mount::attach(node, target, &device.path).during(stage)
}

/// Opens the directory that `name` lies in, made when it is missing.
fn parent(dev: impl AsFd, name: &Path) -> selkie_sys::Result<(OwnedFd, &std::ffi::OsStr)> {
    let file = name.file_name().ok_or(Errno::INVAL).call(|| format!("mknodat({name:?})"))?;
    Ok((root::make_directory(dev, &Path::new("/").join(name.parent().unwrap_or(Path::new(""))))?, file))
}
