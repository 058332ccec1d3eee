//! The floor: what any container costs on this machine. The same namespaces, a root, `/proc`, pivot_root, exec.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

use selkie_sys::mount::{self, Attributes, Filesystem, Propagation};
use selkie_sys::process::{self, Forked, SingleThreaded, Strings};
use selkie_sys::root;

use crate::Result;

/// Runs `ROOT COMMAND...` and waits for it.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let (path, command) = arguments.split_first().ok_or("floor ROOT COMMAND...")?;
    let program = CString::new(command.first().ok_or("floor ROOT COMMAND...")?.as_str()).map_err(|error| error.to_string())?;
    let words = Strings::new(command).map_err(|error| error.to_string())?;
    let environment = Strings::new(&["PATH=/bin"]).map_err(|error| error.to_string())?;
    let proof = SingleThreaded::check().map_err(|error| error.to_string())?;
    let namespaces =
        process::NEW_MOUNT | process::NEW_PID | process::NEW_UTS | process::NEW_IPC | process::NEW_NETWORK | process::NEW_CGROUP;
    match process::fork(proof, namespaces, None).map_err(|error| error.to_string())? {
        Forked::Parent(child) => match process::wait(&child.pidfd).map_err(|error| error.to_string())?.code() {
            0 => Ok(()),
            code => Err(format!("the floor ended with {code}")),
        },
        Forked::Child => {
            if enter(Path::new(path)).is_ok() {
                let _ = process::execute(&program, &words, &environment);
            }
            process::exit_now(127)
        }
    }
}

fn enter(path: &Path) -> selkie_sys::Result<()> {
    mount::set_propagation_of_all(Propagation::Private)?;
    let tree = mount::clone_path(path, false)?;
    let place =
        root::place(std::fs::File::open("/").map_err(|_| selkie_sys::SyscallError::new("open(\"/\")", selkie_sys::Errno::IO))?, path)?;
    mount::attach(&tree, place, "root")?;
    let proc = Filesystem::new("proc")?.mount(Attributes::NO_SUID)?;
    mount::attach(proc, root::place(tree.as_fd(), Path::new("/proc"))?, "/proc")?;
    mount::pivot(tree)
}
