//! The monitor of an exec session: runs one more process in a container and relays its streams.

use std::os::fd::AsFd;

use selkie_runtime::cgroup::{Cgroup, Layout};
use selkie_runtime::{Join, Stdio};
use selkie_sys::process::{self, SingleThreaded};
use selkie_sys::socket;

use super::clients::Client;
use super::order::SessionOrder;
use super::relay::Relay;
use super::start::{inherited, read_filter, report_failure, stdio_pipes, streams};
use super::{descriptor, drop_privileges, message};
use crate::error::{Error, Result};
use crate::files::{Durability, remove_file, write_json};
use crate::process::Identity;

/// Everything between the start of a session and its end.
pub(super) fn run(proof: SingleThreaded, order: &SessionOrder) -> Result<()> {
    let control = process::inherited(descriptor::CONTROL).map_err(Error::system("start a session"))?;
    // Only the monitor of a container becomes `selkie` again.
    drop(process::inherited(descriptor::ENGINE));
    let mut relay = match begin(proof, order) {
        Ok(relay) => relay,
        Err(error) => {
            report_failure(&control, &error);
            return Err(error);
        }
    };
    let pid = relay.child.pid.as_raw_nonzero().to_string();
    let present = socket::send(&control, message::STARTED, pid.as_bytes(), false).is_ok();
    if present && order.attached {
        relay.clients.push(Client::new(control));
    } else {
        drop(control);
    }
    let mut code = crate::record::LOST;
    let clients = relay.run(|ended| code = ended.code());
    // The container may have been removed meanwhile, with everything in its directory.
    let _ = remove_file(&order.running.join("sessions").join(&order.session));
    for mut client in clients {
        client.send(message::EXITED, code.to_string().as_bytes());
    }
    Ok(())
}

fn begin(proof: SingleThreaded, order: &SessionOrder) -> Result<Relay> {
    let target = process::inherited(descriptor::SUBJECT).map_err(Error::system("start a session"))?;
    let filter = order.filtered.then(|| read_filter(&order.running)).transpose()?;
    let cgroup = order.cgroup.as_ref().map(|path| Cgroup::at(&Layout::detect(), path));
    let first = descriptor::SUBJECT + 1;
    let devpts = inherited(first, order.process.terminal.into())?.pop();
    let preserved = inherited(first + i32::from(order.process.terminal), order.preserve)?;
    let preserved: Vec<_> = preserved.iter().map(AsFd::as_fd).collect();
    let (ours, theirs) = if order.process.terminal {
        (None, None)
    } else {
        stdio_pipes(order.interactive).map(|(ours, theirs)| (Some(ours), Some(theirs)))?
    };
    let stdio = match &theirs {
        Some([stdin, stdout, stderr]) => Stdio::Descriptors { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() },
        None => Stdio::Terminal { size: order.size },
    };
    let join = Join {
        target: target.as_fd(),
        namespaces: order.namespaces,
        process: &order.process,
        filter: filter.as_deref(),
        id: &order.id,
        cgroup: cgroup.as_ref(),
        devpts: devpts.as_ref().map(AsFd::as_fd),
        stdio,
        preserve: &preserved,
    };
    let (child, master) = selkie_runtime::join(proof, join)?.executed()?;
    drop(theirs);
    let identity = Identity::of(child.pid.as_raw_nonzero().get())?;
    write_json(&order.running.join("sessions"), &order.session, &identity, Durability::Volatile)?;
    drop_privileges()?;
    Ok(Relay::new(child, streams(ours, master)?, None, None, Vec::new()))
}
