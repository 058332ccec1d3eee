//! Files that are audited: from strangers, so that nothing waits and nothing large is read; and those that are written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use selkie_audit::{DropIn, FILE_LIMIT, File, FileType, Problem};

use crate::ui::error::Failure;
use crate::ui::text::reason;

/// A file that cannot be audited.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) problem: Problem,
    hint: Option<&'static str>,
}

impl Unreadable {
    fn new(text: String) -> Self {
        Self { problem: Problem { text, place: None }, hint: None }
    }

    pub(super) fn failure(&self, name: &str) -> Failure {
        let failure = Failure::engine(format!("{name}: {}", self.problem.text));
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Reads a file, or standard input for `-`: at most one byte more than `limit`.
pub(super) fn read(name: &str, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let wrong = |error: std::io::Error| Unreadable::new(format!("cannot be read: {}", reason(&error)));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(wrong)?;
        return Ok(bytes);
    }
    // A pipe or terminal would wait for whoever writes to it; `-` is there for that.
    let kind = std::fs::metadata(name).map_err(wrong)?.file_type();
    if !kind.is_file() {
        let kind = if kind.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Unreadable::new(format!("cannot be read: it is {kind}")));
    }
    // What has taken its place meanwhile is not waited for either.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(name).map_err(wrong)?;
    let magic = rustix::fs::fstatfs(&file).map_err(|errno| wrong(errno.into()))?.f_type;
    if let Some((_, kind)) = OF_THE_KERNEL.iter().find(|(of_kernel, _)| *of_kernel == magic) {
        return Err(Unreadable::new(format!("cannot be read: it is of {kind}, whose files may wait for the kernel or have no end")));
    }
    if !file.metadata().map_err(wrong)?.is_file() {
        return Err(Unreadable::new("cannot be read: it is not a regular file any more".to_owned()));
    }
    file.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// File systems of the kernel: their files look regular, and some wait, as /proc/kmsg and trace_pipe do. statfs(2), magic.h.
const OF_THE_KERNEL: [(i64, &str); 16] = [
    (0x9fa0, "procfs"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroupfs"),
    (0x6367_7270, "cgroupfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x6265_6570, "configfs"),
    (0xcafe_4a11, "bpffs"),
    (0x1980_0202, "mqueue"),
    (0x6165_676c, "pstore"),
    (0xde5e_81e4, "efivarfs"),
    (0x6573_5543, "fusectl"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x6e73_6673, "nsfs"),
];

/// How many drop-ins of a unit are read.
const DROP_INS: usize = 1000;

/// The drop-ins that lie beside a unit.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Those that count, in the order in which they do.
    pub(super) read: Vec<PathBuf>,
    /// Those whose name is that of a more special one.
    pub(super) hidden: Vec<PathBuf>,
}

/// Lists the drop-ins beside the file `name`; of what is no unit none.
pub(super) fn beside(name: &str, kind: Option<FileType>) -> Result<Beside, Unreadable> {
    let mut beside = Beside::default();
    if name == "-" || kind.is_some_and(|kind| kind != FileType::Quadlet) {
        return Ok(beside);
    }
    let parent = Path::new(name).parent().unwrap_or_else(|| Path::new(""));
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in selkie_audit::drop_in_directories(name) {
        let directory = parent.join(directory);
        let wrong = |error: std::io::Error| Unreadable::new(format!("{} cannot be read: {}", directory.display(), reason(&error)));
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(wrong(error)),
        };
        for entry in entries {
            let (file, path) = entry.map(|entry| (entry.file_name(), entry.path())).map_err(wrong)?;
            if !file.as_encoded_bytes().ends_with(b".conf") {
                continue;
            }
            match found.entry(file) {
                Entry::Vacant(free) => _ = free.insert(path),
                Entry::Occupied(_) => beside.hidden.push(path),
            }
            if found.len() + beside.hidden.len() > DROP_INS {
                return Err(Unreadable::new(format!("has more than {DROP_INS} drop-ins")));
            }
        }
    }
    beside.read = found.into_values().collect();
    Ok(beside)
}

/// Reads the drop-ins beside the file `name`. A link to /dev/null is one that says nothing: systemd.unit(5).
fn drop_ins(name: &str, kind: Option<FileType>) -> Result<Vec<DropIn>, Unreadable> {
    let mut drop_ins = Vec::new();
    for path in beside(name, kind)?.read {
        if std::fs::canonicalize(&path).is_ok_and(|path| path == Path::new("/dev/null")) {
            continue;
        }
        let name = path.to_str().map(str::to_owned).ok_or_else(|| Unreadable::new(format!("{}: not UTF-8 text", path.display())))?;
        let bytes = read(&name, FILE_LIMIT).map_err(|unreadable| Unreadable::new(format!("{name}: {}", unreadable.problem.text)))?;
        drop_ins.push(DropIn { name, bytes });
    }
    Ok(drop_ins)
}

/// Reads what a file says, a unit with its drop-ins.
pub(super) fn parse(name: &str, bytes: &[u8], kind: Option<FileType>) -> Result<File, Unreadable> {
    let drop_ins = drop_ins(name, kind)?;
    selkie_audit::read_unit(name, bytes, kind, &drop_ins).map_err(|error| Unreadable { problem: Problem::from(&error), hint: error.hint() })
}

/// Writes a file in one step: whoever reads it sees the old one or the new one. Links stay links, permissions stay.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| Failure::engine(format!("cannot write {}: {}", path.display(), reason(&error)));
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        // /dev/stdout, or a pipe that somebody reads.
        return std::fs::write(path, content).map_err(wrong);
    }
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let new = directory.join(format!(".{name}.{}.new", std::process::id()));
    let done = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
        if let Ok(about) = std::fs::metadata(&target) {
            file.set_permissions(about.permissions())?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, &target)
    })();
    if done.is_err() {
        // What failed is said; a name that is left over is of no use.
        let _ = std::fs::remove_file(&new);
    }
    done.map_err(wrong)
}
