//! `selkie top`: the processes of a container, read from outside; nothing is executed in it.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use selkie_engine::{Container, Status};
use selkie_host::top::{DEFAULT, DESCRIPTORS, Descriptor, Process, World};
use selkie_host::{Accounts, Buffer, Namespace, Procfs, idmap};

use crate::commands::members::{owner, placements};
use crate::commands::subject::{Subject, procfs};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, table};

/// Show the processes of a container.
///
/// Descriptors choose columns, separated by blanks or commas: args capamb capbnd capeff capinh capprm comm etime gid
/// group groups hgroup hgroups hpid huid huser label nice pcpu pgid pid ppid rgroup rss ruser seccomp state stime time
/// tty uid user vsz.
///
/// Examples:
///   selkie top web
///   selkie top web user pid capeff capbnd seccomp comm
///   selkie top web hpid,huser,args
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Top {
    /// The container that was created last.
    #[arg(long, short = 'l')]
    latest: bool,
    /// Print the descriptors.
    #[arg(long, hide = true)]
    list_descriptors: bool,
    /// A container, then descriptors.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CONTAINER [DESCRIPTOR]")]
    words: Vec<String>,
}

impl Top {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.list_descriptors {
            let names: Vec<&str> = DESCRIPTORS.iter().map(|descriptor| descriptor.name).collect();
            out::line(&names.join("\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let (container, words) = match self.words.split_first() {
            _ if self.latest => (context.latest()?, self.words.as_slice()),
            Some((name, words)) => {
                (context.container(name).map_err(|failure| failure.about("unable to look up requested container"))?, words)
            }
            None => return Err(Failure::engine("you must provide the name or id of a running container")),
        };
        let descriptors = descriptors(words)?;
        if !matches!(container.status, Status::Running | Status::Paused) {
            return Err(Failure::engine("top can only be used on running containers"));
        }
        let rows = rows(context, container, &descriptors)?;
        out::print(&table::layout(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn descriptors(words: &[String]) -> Result<Vec<Descriptor>, Failure> {
    let mut names: Vec<&str> = words.iter().flat_map(|word| word.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        names = DEFAULT.to_vec();
    }
    names
        .into_iter()
        .map(|name| {
            // Podman runs ps(1) with what it does not know; selkie runs nothing.
            Descriptor::find(name).ok_or_else(|| {
                let known: Vec<&str> = DESCRIPTORS.iter().map(|descriptor| descriptor.name).collect();
                Failure::engine(format!("{name:?}: unknown descriptor")).with_hint(known.join(" "))
            })
        })
        .collect()
}

fn rows(context: &Context, container: Container, descriptors: &[Descriptor]) -> Result<Vec<Vec<String>>, Failure> {
    let procfs = procfs()?;
    let owner = owner(&container);
    let placements = placements(context, std::slice::from_ref(&container), &procfs)?;
    let init = Subject::Container(Box::new(container)).pid()?;
    let own = std::process::id();
    // In a namespace of its own, a process can belong to the container without being in its cgroup.
    let namespace = procfs.namespace(init, Namespace::Pid).filter(|namespace| Some(*namespace) != procfs.namespace(own, Namespace::Pid));
    let mut buffer = Buffer::new();
    let mut processes = Vec::new();
    for pid in procfs.pids()? {
        let placed = placements.of(pid) == Some(&owner);
        if placed || namespace.is_some() && procfs.namespace(pid, Namespace::Pid) == namespace {
            processes.extend(process(&procfs, pid, &mut buffer)?);
        }
    }
    let world = world(&procfs, init, &processes, &mut buffer)?;
    processes.sort_by_key(|process| process.status.inner_pid.unwrap_or(process.pid));
    let heading = descriptors.iter().map(|descriptor| descriptor.heading.to_owned()).collect();
    let cells = |process| descriptors.iter().map(|descriptor| descriptor.cell(process, &world)).collect();
    Ok(std::iter::once(heading).chain(processes.iter().map(cells)).collect())
}

/// Reads one process; `None` when it has ended.
fn process(procfs: &Procfs, pid: u32, buffer: &mut Buffer) -> Result<Option<Process>, Failure> {
    let (Some(status), Some(groups), Some(stat)) = (procfs.status(pid, buffer)?, procfs.groups(pid, buffer)?, procfs.stat(pid, buffer)?)
    else {
        return Ok(None);
    };
    let command_line = procfs.command_line(pid, buffer)?.unwrap_or_default();
    // Without a security module the file is there and cannot be read.
    let label = procfs.file(pid, "attr/current", buffer).ok().flatten().unwrap_or_default();
    Ok(Some(Process { pid, status, stat, groups, command_line, label }))
}

fn world(procfs: &Procfs, init: u32, processes: &[Process], buffer: &mut Buffer) -> Result<World, Failure> {
    let own = std::process::id();
    let foreign = procfs.namespace(init, Namespace::User) != procfs.namespace(own, Namespace::User);
    let map = |name: &str, buffer: &mut Buffer| -> Result<_, Failure> {
        let file = if foreign { procfs.file(init, name, buffer)? } else { None };
        Ok(file.and_then(|file| idmap::parse(&file)).unwrap_or_default())
    };
    let uptime = std::fs::read_to_string("/proc/uptime")?;
    let uptime =
        uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(World {
        accounts: procfs.root_of(init)?.map(Accounts::beneath).unwrap_or_default(),
        host_accounts: std::fs::File::open("/").map(Accounts::beneath)?,
        uids: map("uid_map", buffer)?,
        gids: map("gid_map", buffer)?,
        inner: processes.iter().map(|process| (process.pid, process.status.inner_pid.unwrap_or(process.pid))).collect(),
        uptime: uptime.unwrap_or_default(),
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        page_size: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_separate_or_comma_joined() {
        let words = ["user,pid".to_owned(), "capeff".to_owned()];
        let names: Vec<&str> = descriptors(&words).unwrap().iter().map(|descriptor| descriptor.name).collect();
        assert_eq!(names, ["user", "pid", "capeff"]);
        assert_eq!(descriptors(&[]).unwrap().len(), 8);
    }

    #[test]
    fn descriptors_unknown_is_an_error() {
        assert_eq!(descriptors(&["-ef".to_owned()]).unwrap_err().line(), "\"-ef\": unknown descriptor");
    }
}
