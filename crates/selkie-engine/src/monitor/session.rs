//! The monitor of an exec session: runs one more process in a container and relays its streams.

use std::os::fd::{AsFd, OwnedFd};

use selkie_runtime::cgroup::{Cgroup, Layout};
use selkie_runtime::{Join, Stdio};
use selkie_sys::process::SingleThreaded;
use selkie_sys::socket;

use super::clients::Client;
use super::order::SessionOrder;
use super::relay::Relay;
use super::start::{read_filter, report_failure, stdio_pipes, streams};
use super::{Given, drop_privileges, message};
use crate::error::Result;
use crate::files::{Durability, remove_file, write_json};
use crate::process::Identity;
use crate::start::FILTER;

/// Everything between the start of a session and its end.
pub(super) fn run(proof: SingleThreaded, order: Box<SessionOrder>, given: Given) -> Result<()> {
    // Only the monitor of a container becomes `selkie` again.
    let Given { control, engine: _, subject: target, further, ahead: _, planned: _ } = given;
    let mut relay = match begin(proof, &order, Subject { target: &target, further }) {
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
    let SessionOrder { session, running, .. } = *order;
    let record = running.join("sessions").join(session);
    // The container may have been removed meanwhile, with everything in its directory.
    drop(relay.run(false, |_| drop(remove_file(&record))));
    Ok(())
}

/// What a session has at hand besides its orders.
struct Subject<'a> {
    target: &'a OwnedFd,
    further: Vec<OwnedFd>,
}

fn begin(proof: SingleThreaded, order: &SessionOrder, subject: Subject<'_>) -> Result<Relay> {
    let Subject { target, further } = subject;
    let filter = order.filtered.then(|| read_filter(&order.running, FILTER)).transpose()?;
    let cgroup = order.cgroup.as_ref().map(|path| Cgroup::at(Layout::of_host(), path));
    let mut further = further.into_iter().peekable();
    let devpts = further.next_if(|_| order.process.terminal);
    let preserved: Vec<OwnedFd> = further.collect();
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
        apart: order.apart,
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
