//! Every process of the host out of the kernel at once, by the iterator of `bpf/processes.bpf.c`.
//!
//! It takes a fiftieth of the time of reading `/proc/PID/status` of each, once it is pinned. Loading it takes as long as reading some
//! hundreds of them, so that is done only where there are many.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aya::programs::Iter;
use aya::programs::links::FdLink;
use aya::{Btf, EbpfLoader};
use selkie_caps::{CapSet, FiveSets};
use selkie_host::{Buffer, CommandName, Namespace, Procfs, Row, Status};
use selkie_sys::Errno;

use super::load::{chain, types};
use super::pins::{self, NEW, PLACE, Place, build, discard, is_ours, publish};
use crate::error::{Error, Result};

/// The object for this architecture.
#[cfg(target_arch = "x86_64")]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!("../../bpf/processes.bpf.x86_64.o"));
#[cfg(not(target_arch = "x86_64"))]
static OBJECT: Option<&[u8]> = None;

/// Its hash, as of the other object.
static BUILD: u64 = build(OBJECT);
/// End of the name of our directory.
const SUFFIX: &str = "-processes";
/// The program in the object, and its pinned link, which is read like a file.
const PROGRAM: &str = "each_process";
/// What it iterates over.
const OVER: &str = "task";
/// What the kernel hands out at once.
const CHUNK: usize = 32 << 10;
/// Bytes of `struct record`.
const RECORD: usize = 168;
/// Letters of proc_pid_status(5), in the order of `state_of`.
const STATES: &[u8] = b"RSDTtXZPI";

/// One process, with more than its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// As the scan of procfs returns it.
    pub row: Row,
    /// capabilities(7), "The securebits flags"; `None` of a process that was read from procfs, which does not say.
    pub securebits: Option<u32>,
    /// Numbers of its namespaces, in the order of [`Namespace::ALL`]; 0 of one that it has left by ending.
    pub namespaces: [u32; 7],
    /// Its cgroup in the unified hierarchy: the inode number of the directory. `None` likewise.
    pub cgroup: Option<u64>,
    /// A word that is the same for processes in the same cgroup of every hierarchy, and only for them. `None` likewise.
    pub cgroups: Option<u64>,
}

/// Hands every process to `take`; threads of the kernel are left out. In ascending order of their numbers, except for those beyond
/// the first that some sandboxes keep from BPF programs: they come last.
///
/// `false` when it is not pinned and `load` is not wanted.
///
/// # Errors
/// [`Error::Unavailable`] where this is not possible: no right to BPF or to pin, a kernel without it, a reader in a child PID or user
/// namespace; `selkie_host::scan` reads the same from files then. Others when reading fails half-way.
pub fn processes(load: bool, mut take: impl FnMut(&Process)) -> Result<bool> {
    if !in_initial_namespaces() {
        return Err(unavailable("this process is in a child PID or user namespace".to_owned()));
    }
    let path = directory().join(PROGRAM);
    let before = threads();
    let file = match pinned(&path)? {
        None if load => {
            pin()?;
            // It may have been unloaded meanwhile.
            pinned(&path)?
        }
        found => found,
    };
    let Some(file) = file else { return Ok(false) };
    let mut files = Files::open()?;
    let mut first = None;
    let walked = read(file, &path, |process| {
        if first.is_none() {
            first = Some(if process.row.pid == FIRST { Ok(()) } else { files.process(FIRST, &mut take) });
        }
        take(process);
    })?;
    let has_first = first.transpose()?.is_some();
    for pid in files.missing(&walked, before)?.into_iter().filter(|pid| *pid != FIRST || !has_first) {
        files.process(pid, &mut take)?;
    }
    Ok(true)
}

/// Opens the pinned link; `None` when there is none of ours.
fn pinned(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) if is_ours() => Ok(Some(file)),
        Err(error) if is_ours() && error.kind() != ErrorKind::NotFound => {
            Err(Error::File { action: "open", path: path.to_owned(), source: error })
        }
        _ => Ok(None),
    }
}

/// What the iterator handed out, besides the processes themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Walked {
    /// In ascending order, the kernel's own threads included.
    pids: Vec<u32>,
    /// How many threads there were, likewise.
    threads: u64,
}

/// Returns how many threads this machine has. sysinfo(2) counts them all, whoever asks.
fn threads() -> u64 {
    u64::from(rustix::system::sysinfo().procs)
}

/// The machine's first process, which some sandboxes keep from BPF programs.
const FIRST: u32 = 1;

/// What procfs says of processes that the iterator was not shown.
struct Files {
    procfs: Procfs,
    buffer: Buffer,
}

impl Files {
    fn open() -> Result<Self> {
        Ok(Self { procfs: Procfs::open(Path::new("/proc")).map_err(failed)?, buffer: Buffer::new() })
    }

    /// Hands out a process, unless it has ended or is a thread of the kernel.
    fn process(&mut self, pid: u32, take: &mut impl FnMut(&Process)) -> Result<()> {
        let procfs = &self.procfs;
        match procfs.status(pid, &mut self.buffer) {
            Ok(Some(status)) if !status.is_kernel_thread(pid) => {
                let number = |kind| procfs.namespace(pid, kind).and_then(|number| u32::try_from(number).ok());
                let namespaces = Namespace::ALL.map(|kind| number(kind).unwrap_or_default());
                let row = Row { pid, status, user_namespace: procfs.user_namespace(pid) };
                take(&Process { row, securebits: None, namespaces, cgroup: None, cgroups: None });
            }
            Ok(_) => {}
            Err(error) if matches!(error.errno, Errno::ACCESS | Errno::PERM) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }

    /// Returns the processes that the iterator was not shown.
    ///
    /// Counting the threads tells: before, by the iterator, and afterwards. Where many come and go the numbers differ as well, and
    /// then the list of pids is compared.
    fn missing(&self, walked: &Walked, before: u64) -> Result<Vec<u32>> {
        // Two links, and one for each thread.
        let hidden = std::fs::metadata("/proc/1/task").map_or(0, |tasks| tasks.nlink().saturating_sub(2));
        let seen = walked.threads + if walked.pids.first() == Some(&FIRST) { 0 } else { hidden };
        let mut pids = if seen == before && seen == threads() { vec![FIRST] } else { self.procfs.pids().map_err(failed)? };
        pids.retain(|pid| walked.pids.binary_search(pid).is_err());
        Ok(pids)
    }
}

fn failed(source: selkie_sys::SyscallError) -> Error {
    Error::System { action: "read the processes".to_owned(), source }
}

fn unavailable(reason: String) -> Error {
    Error::Unavailable { rung: "an iterator over processes", reason }
}

/// Returns where it is pinned.
pub(super) fn directory() -> PathBuf {
    Path::new(PLACE).join(format!("{BUILD:016x}{SUFFIX}"))
}

/// Pids and ids of the records are those of the initial namespaces.
fn in_initial_namespaces() -> bool {
    [Namespace::Pid, Namespace::User].into_iter().all(|kind| {
        let link = std::fs::read_link(format!("/proc/self/ns/{}", kind.file())).unwrap_or_default();
        selkie_host::namespace_inode(kind, link.as_os_str().as_encoded_bytes()) == kind.initial()
    })
}

/// Loads and pins it.
fn pin() -> Result<()> {
    let object = OBJECT.ok_or_else(|| unavailable(format!("no BPF object has been built for {}", std::env::consts::ARCH)))?;
    let place = Place::make()?.ok_or_else(|| unavailable(format!("nothing can be pinned in {PLACE}")))?;
    let _locked = place.lock()?;
    let directory = directory();
    if directory.exists() {
        return Ok(());
    }
    let types: Btf = types(crate::Rung::TpBtf)?;
    let mut object = EbpfLoader::new().btf(Some(&types)).load(object).map_err(|error| unavailable(chain(&error)))?;
    let program = object.program_mut(PROGRAM).ok_or_else(|| unavailable(format!("the object has no program `{PROGRAM}`")))?;
    let program: &mut Iter = program.try_into().map_err(|error| unavailable(chain(&error)))?;
    program.load(OVER, &types).map_err(|error| unavailable(chain(&error)))?;
    let link = program.attach().and_then(|id| program.take_link(id)).map_err(|error| unavailable(chain(&error)))?;
    let link = FdLink::try_from(link).map_err(|error| unavailable(chain(&error)))?;
    // Of another build, or left half-made by one who was killed.
    for name in pins::names()?.into_iter().filter(|name| name.ends_with(SUFFIX) || name.starts_with(NEW)) {
        discard(&Path::new(PLACE).join(name))?;
    }
    publish(&directory, |new| link.pin(new.join(PROGRAM)).map(drop).map_err(|error| unavailable(chain(&error))))
}

/// Reads to the end. In this thread alone: a second one costs more than it saves as soon as the machine has something else to do.
fn read(mut file: File, path: &Path, mut take: impl FnMut(&Process)) -> Result<Walked> {
    let failed = |source| Error::File { action: "read", path: path.to_owned(), source };
    let mut walked = Walked::default();
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let read = match file.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => continue,
            Err(error) => return Err(failed(error)),
        };
        filled += read;
        let whole = buffer.get(..filled).unwrap_or_default();
        let (records, rest) = whole.split_at(filled - filled % RECORD);
        records.chunks_exact(RECORD).filter_map(|record| walked.process(record)).for_each(|process| take(&process));
        if read == 0 {
            if !rest.is_empty() {
                return Err(failed(std::io::Error::new(ErrorKind::UnexpectedEof, "the last record is cut")));
            }
            return Ok(walked);
        }
        let (from, left) = (records.len(), rest.len());
        buffer.copy_within(from..filled, 0);
        filled = left;
    }
}

impl Walked {
    /// Takes one `struct record`, and returns the process in it.
    fn process(&mut self, bytes: &[u8]) -> Option<Process> {
        let record = <&[u8; RECORD]>::try_from(bytes).ok()?;
        let (small, large) = (|at| small(record, at), |at| large(record, at));
        let four = |at: usize| [small(at), small(at + 4), small(at + 8), small(at + 12)];
        let set = |at| CapSet::from_bits(large(at));
        let pid = small(0);
        if pid == 0 {
            self.threads = large(144);
            return None;
        }
        self.pids.push(pid);
        let [no_new_privileges, seccomp, state, kernel_thread] = small(92).to_le_bytes();
        if kernel_thread != 0 {
            return None;
        }
        let status = Status {
            name: CommandName::new(record.get(152..).unwrap_or_default()),
            state: STATES.get(usize::from(state)).copied().unwrap_or(b'?'),
            parent: small(4),
            uids: four(8),
            gids: four(24),
            inner_pid: Some(small(40)),
            pid_levels: u8::try_from(small(44)).unwrap_or(u8::MAX),
            sets: FiveSets { inheritable: set(48), permitted: set(56), effective: set(64), bounding: set(72), ambient: set(80) },
            no_new_privileges: Some(no_new_privileges != 0),
            seccomp: Some(seccomp),
            seccomp_filters: Some(small(96)),
            kernel_thread: Some(false),
        };
        let [user, mount, pid_space, network, ipc, uts, cgroup] = [100, 104, 108, 112, 116, 120, 124].map(small);
        Some(Process {
            row: Row { pid, status, user_namespace: Some(u64::from(user)) },
            securebits: Some(small(88)),
            namespaces: [cgroup, ipc, mount, network, pid_space, user, uts],
            cgroup: Some(large(128)),
            cgroups: Some(large(136)),
        })
    }
}

/// A number of four bytes.
fn small(record: &[u8; RECORD], at: usize) -> u32 {
    record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A number of eight.
fn large(record: &[u8; RECORD], at: usize) -> u64 {
    record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [7_u32, 1, 10, 11, 12, 13, 20, 21, 22, 23, 2, 3] {
            bytes.extend(word.to_le_bytes());
        }
        for set in [1_u64, 3, 2, 7, 1] {
            bytes.extend(set.to_le_bytes());
        }
        bytes.extend(5_u32.to_le_bytes());
        bytes.extend([1, 2, 1, 0]);
        for word in [4_u32, 100, 101, 102, 103, 104, 105, 106] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [1000_u64, 3000, 2000] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(*b"a\nb\\\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes
    }

    #[test]
    fn record_has_every_field_at_its_place() {
        let bytes = record();
        assert_eq!(bytes.len(), RECORD);
        let found = Walked::default().process(&bytes).unwrap();
        let status = &found.row.status;
        assert_eq!((found.row.pid, status.parent, found.row.user_namespace), (7, 1, Some(100)));
        assert_eq!((status.uids, status.gids), ([10, 11, 12, 13], [20, 21, 22, 23]));
        assert_eq!((status.inner_pid, status.pid_levels, status.state), (Some(2), 3, b'S'));
        let bits = |set: CapSet| set.bits();
        let sets = status.sets;
        assert_eq!([sets.inheritable, sets.permitted, sets.effective, sets.bounding, sets.ambient].map(bits), [1, 3, 2, 7, 1]);
        assert_eq!((found.securebits, found.cgroup, found.cgroups), (Some(5), Some(1000), Some(3000)));
        assert_eq!((status.no_new_privileges, status.seccomp, status.seccomp_filters), (Some(true), Some(2), Some(4)));
        assert_eq!(found.namespaces, [106, 104, 101, 103, 102, 100, 105]);
        assert_eq!(status.name.as_bytes(), b"a\nb\\");
    }

    #[test]
    fn threads_are_in_the_last_record_and_those_of_the_kernel_are_apart() {
        let (mut kernel, mut last) = (record(), record());
        kernel[95] = 1;
        last[..4].fill(0);
        let mut walked = Walked::default();
        assert_eq!([&kernel, &kernel, &last].map(|bytes| walked.process(bytes)), [None; 3]);
        assert_eq!(walked, Walked { pids: vec![7, 7], threads: 2000 });
    }

    #[test]
    fn file_that_ends_within_a_record_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [record(), record()[..100].to_vec()].concat()).unwrap();
        let read = |take: &mut dyn FnMut(&Process)| read(File::open(file.path()).unwrap(), Path::new("pins"), take);
        let error = read(&mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "cannot read \"pins\"");
        std::fs::write(file.path(), record().repeat(500)).unwrap();
        let mut taken = 0;
        assert_eq!(read(&mut |_| taken += 1).unwrap().pids.len(), 500);
        assert_eq!(taken, 500);
    }
}
