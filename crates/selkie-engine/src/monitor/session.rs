//! The monitor of an exec session: runs one more process in a container and relays its streams.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use selkie_runtime::cgroup::{Cgroup, Layout};
use selkie_runtime::{Join, Stdio};
use selkie_sys::process::{self, Child, SingleThreaded};
use selkie_sys::{Context, socket};

use super::clients::Client;
use super::order::SessionOrder;
use super::relay::Relay;
use super::start::{read_filter, report_failure, stdio_pipes, streams};
use super::{descriptor, drop_privileges, message};
use crate::error::{Error, Result};
use crate::process::Procfs;

/// Everything between the start of a session and its end.
pub(super) fn run(proof: SingleThreaded, order: &SessionOrder) -> Result<()> {
    let control = process::inherited(descriptor::CONTROL).map_err(Error::system("start a session"))?;
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = order.running.join("sessions");
    let sessions =
        rustix::fs::open(&path, directory, Mode::empty()).call(|| format!("open({path:?})")).map_err(Error::system("start a session"))?;
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
    // By descriptor: this process is in the container's mount namespace now.
    let _ = rustix::fs::unlinkat(&sessions, &order.session, rustix::fs::AtFlags::empty());
    for mut client in clients {
        client.send(message::EXITED, code.to_string().as_bytes());
    }
    Ok(())
}

fn begin(proof: SingleThreaded, order: &SessionOrder) -> Result<Relay> {
    let target = process::inherited(descriptor::SUBJECT).map_err(Error::system("start a session"))?;
    let filter = order.filtered.then(|| read_filter(&order.running)).transpose()?;
    let procs = match &order.cgroup {
        Some(path) => Cgroup::at(&Layout::detect(), path).open()?,
        None => Vec::new(),
    };
    // Everything that is found by path is opened before the container's namespaces are joined.
    let sessions = order.running.join("sessions").join(&order.session);
    let record = std::fs::OpenOptions::new().write(true).create_new(true).open(&sessions).map_err(|source| Error::File {
        action: "create",
        path: sessions,
        source,
    })?;
    let procfs = Procfs::open()?;
    let devpts = if order.process.terminal {
        Some(process::inherited(descriptor::SUBJECT + 1).map_err(Error::system("start a session"))?)
    } else {
        None
    };
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
        procs: &procs,
        devpts: devpts.as_ref().map(AsFd::as_fd),
        stdio,
        preserve: order.preserve,
    };
    let (child, master) = selkie_runtime::join(proof, join)?.executed()?;
    drop(theirs);
    write_record(record, &child, &procfs)?;
    drop_privileges()?;
    Ok(Relay::new(child, streams(ours, master)?, None, None, Vec::new()))
}

/// Writes which process the session is, into a file that was opened before.
fn write_record(file: std::fs::File, child: &Child, procfs: &Procfs) -> Result<()> {
    // A process that has ended already has no identity and needs none.
    let Ok(identity) = procfs.identity(child.pid.as_raw_nonzero().get()) else { return Ok(()) };
    serde_json::to_writer(file, &identity).map_err(|source| Error::Record { path: "session".into(), source })
}
