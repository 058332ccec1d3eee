//! Paths of a container, resolved beneath its root: openat2(2) with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`.
//!
//! Everything in a root file system is hostile: symbolic links to the host, FIFOs where files are expected, files
//! without end. Nothing here follows a link out of the root, blocks, or reads more than it was told to.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Context, Errno, Result, SyscallError};

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens `path` beneath `root`, symbolic links being resolved as if `root` were `/`.
///
/// # Errors
/// `ENOENT` when it is not there, `ELOOP` for a link of procfs.
pub fn open(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    // EAGAIN: a rename raced with the look-up of "..", and the kernel asks to try again.
    for _ in 0..64 {
        match rustix::fs::openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), RESOLVE) {
            Err(Errno::AGAIN) => {}
            opened => return opened.call(|| format!("openat2({path:?})")),
        }
    }
    Err(SyscallError::new(format!("openat2({path:?})"), Errno::AGAIN))
}

/// Opens the place `path` beneath `root` without its content (`O_PATH`).
///
/// # Errors
/// As [`open`].
pub fn place(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    open(root, path, OFlags::PATH)
}

/// Opens the directory `path` beneath `root`, and makes it and its parents, 0755, when they are missing. Where a link leads to nothing,
/// what it leads to is made.
///
/// # Errors
/// `ENOTDIR` when something else is in the way, `EINVAL` for a missing part with `..`, `ELOOP` for too many links.
pub fn make_directory(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let directory = make(root.as_fd(), path, make_directories)?;
    let kind = rustix::fs::fstat(&directory).call(|| format!("fstat({path:?})"))?.st_mode;
    if FileType::from_raw_mode(kind) == FileType::Directory {
        Ok(directory)
    } else {
        Err(Errno::NOTDIR).call(|| format!("openat2({path:?})"))
    }
}

/// Opens the place of a file `path` beneath `root`, and makes an empty one, 0644, and its parents when they are missing. Where a link
/// leads to nothing, what it leads to is made.
///
/// # Errors
/// As [`make_directory`].
pub fn make_file(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    match place(root.as_fd(), path) {
        Err(SyscallError { errno: Errno::NOENT, .. }) => {}
        found => return found,
    }
    make(root.as_fd(), path, |directory, missing| {
        let failed = || format!("openat({path:?}, O_CREAT)");
        let (name, parents) = missing.split_last().ok_or(Errno::INVAL).call(failed)?;
        let made = if parents.is_empty() { None } else { Some(make_directories(directory, parents)?) };
        let parent = made.as_ref().map_or(directory, AsFd::as_fd);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) => {}
            // Another container with the same root was quicker, or it is a link that leads nowhere.
            Err(Errno::EXIST) => return place(root.as_fd(), path),
            Err(errno) => return Err(errno).call(failed),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(parent, name, flags, Mode::empty()).call(|| format!("openat({path:?})"))
    })
}

/// Makes the directories `missing`, each in the one before, the first in `directory`; opens the last.
fn make_directories(directory: BorrowedFd<'_>, missing: &[OsString]) -> Result<OwnedFd> {
    let mut last: Option<OwnedFd> = None;
    for name in missing {
        let parent = last.as_ref().map_or(directory, AsFd::as_fd);
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).call(|| format!("mkdirat({name:?})")),
        }
        // What was just made is no link; when somebody has put one there in between, this fails.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        last = Some(rustix::fs::openat(parent, name, flags, Mode::empty()).call(|| format!("openat({name:?})"))?);
    }
    last.ok_or(Errno::INVAL).call(|| "mkdirat(\"\")")
}

/// Reads the regular file `path` beneath `root`; `None` when it is missing.
///
/// # Errors
/// `EFBIG` when it is longer than `limit` bytes, `EINVAL` when it is a FIFO, a device or anything else than a file.
pub fn read(root: impl AsFd, path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    let Some((found, size)) = regular(root, path)? else { return Ok(None) };
    if size > limit {
        return Err(Errno::FBIG).call(|| format!("read({path:?}), {size} bytes where at most {limit} are read,"));
    }
    // A file may grow while it is read.
    let content = up_to(&found, path, size, limit + 1)?;
    if content.len() > limit {
        return Err(Errno::FBIG).call(|| format!("read({path:?}), more than {limit} bytes,"));
    }
    Ok(Some(content))
}

/// Reads the first `length` bytes of the regular file `path` beneath `root`, all of a shorter one; `None` when it is missing.
///
/// # Errors
/// `EINVAL` when it is a FIFO, a device or anything else than a file.
pub fn beginning(root: impl AsFd, path: &Path, length: usize) -> Result<Option<Vec<u8>>> {
    let Some((found, size)) = regular(root, path)? else { return Ok(None) };
    up_to(&found, path, size.min(length), length).map(Some)
}

/// Opens the place of a regular file, and returns its length; `None` when it is missing.
fn regular(root: impl AsFd, path: &Path) -> Result<Option<(OwnedFd, usize)>> {
    let found = match place(root, path) {
        Ok(found) => found,
        Err(SyscallError { errno: Errno::NOENT | Errno::NOTDIR, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&found).call(|| format!("fstat({path:?})"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL).call(|| format!("read({path:?}), which is not a regular file,"));
    }
    Ok(Some((found, usize::try_from(stat.st_size).unwrap_or(usize::MAX))))
}

/// Reads a file whose place is open, as far as `most` bytes; `size` are expected.
fn up_to(place: &OwnedFd, path: &Path, size: usize, most: usize) -> Result<Vec<u8>> {
    let file = reopen(place, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let mut content = Vec::with_capacity(size);
    let mut chunk = [0; 16384];
    while content.len() < most {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut chunk)).call(|| format!("read({path:?})"))?;
        if length == 0 {
            break;
        }
        content.extend_from_slice(chunk.get(..length.min(most - content.len())).unwrap_or(&[]));
    }
    Ok(content)
}

/// Opens what a descriptor of a place refers to.
///
/// # Errors
/// `EACCES` and the like.
pub fn reopen(place: impl AsFd, flags: OFlags) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    rustix::fs::open(&path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).call(|| format!("open({path:?})"))
}

/// Opens the place of the entry `name` of `directory` (`O_PATH`): never what a link points to, never outside.
///
/// # Errors
/// `ELOOP` for what is a link in the middle of `name`, `EXDEV` for one that leads out.
pub fn entry(directory: impl AsFd, name: &Path) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(directory.as_fd(), name, flags, Mode::empty(), resolve).call(|| format!("openat2({name:?}, O_PATH)"))
}

/// Returns the `security.capability` of a file whose place is open; `None` without one.
///
/// Read through the descriptor's own link: fgetxattr(2) takes no place, and this needs no right to read the file and cannot block.
///
/// # Errors
/// `EINVAL` for an attribute that is malformed, `EOVERFLOW` for one of a user namespace that has no number in this one.
pub fn file_capabilities(place: impl AsFd) -> Result<Option<Vec<u8>>> {
    let path = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    // The longest has 24 bytes; a longer one is ERANGE.
    let mut bytes = [0; 64];
    match rustix::fs::getxattr(&path, "security.capability", &mut bytes) {
        Ok(length) => Ok(Some(bytes.get(..length).unwrap_or_default().to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(Errno::RANGE) => Err(Errno::INVAL).call(|| "getxattr(\"security.capability\")"),
        Err(errno) => Err(errno).call(|| "getxattr(\"security.capability\")"),
    }
}

/// As many links as the kernel follows for one path.
const LINKS: usize = 40;

/// Opens `path` beneath `root`; what is missing of it is made by `make`, in the deepest directory that exists. If the first name that is
/// missing is a link that leads to nothing, it is followed: each step is looked up from `root` again, so that no link leaves it.
fn make(root: BorrowedFd<'_>, path: &Path, make: impl Fn(BorrowedFd<'_>, &[OsString]) -> Result<OwnedFd>) -> Result<OwnedFd> {
    let mut path = PathBuf::from("/").join(path);
    for _ in 0..=LINKS {
        let (directory, existing, missing) = deepest(root, &path)?;
        let Some((first, rest)) = missing.split_first() else { return Ok(directory) };
        let error = match make(directory.as_fd(), &missing) {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let Ok(target) = rustix::fs::readlinkat(&directory, first, Vec::new()) else { return Err(error) };
        // An absolute target begins anew at the root.
        path = existing.join(OsStr::from_bytes(target.as_bytes())).join(rest.iter().collect::<PathBuf>());
    }
    Err(Errno::LOOP).call(|| format!("readlinkat({path:?})"))
}

/// Returns the deepest directory of `path` that exists beneath `root`, its path, and the names that are missing below it.
fn deepest(root: impl AsFd, path: &Path) -> Result<(OwnedFd, PathBuf, Vec<OsString>)> {
    let mut existing = path.to_path_buf();
    let mut missing = Vec::new();
    loop {
        match place(root.as_fd(), &existing) {
            Ok(found) => {
                missing.reverse();
                return Ok((found, existing, missing));
            }
            Err(SyscallError { errno: Errno::NOENT, call }) => match existing.components().next_back() {
                Some(Component::Normal(name)) => {
                    missing.push(name.to_os_string());
                    existing.pop();
                }
                _ => return Err(SyscallError::new(call, Errno::INVAL)),
            },
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, std::fs::File) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("root")).unwrap();
        let root = std::fs::File::open(directory.path().join("root")).unwrap();
        (directory, root)
    }

    #[test]
    fn make_directory_through_a_link_to_the_host_stays_beneath_the_root() {
        let (directory, root) = root();
        symlink("../../out", directory.path().join("root/link")).unwrap();
        std::fs::create_dir(directory.path().join("out")).unwrap();
        make_directory(&root, Path::new("/link/new")).unwrap();
        assert!(directory.path().join("root/out/new").is_dir());
        assert_eq!(std::fs::read_dir(directory.path().join("out")).unwrap().count(), 0);
    }

    #[test]
    fn make_directory_with_an_absolute_link_resolves_beneath_the_root() {
        let (directory, root) = root();
        std::fs::create_dir(directory.path().join("root/usr")).unwrap();
        symlink("/usr", directory.path().join("root/link")).unwrap();
        make_directory(&root, Path::new("/link/a/b")).unwrap();
        assert!(directory.path().join("root/usr/a/b").is_dir());
    }

    #[test]
    fn make_file_twice_gives_the_same_file() {
        let (directory, root) = root();
        make_file(&root, Path::new("/etc/hosts")).unwrap();
        make_file(&root, Path::new("/etc/hosts")).unwrap();
        assert!(directory.path().join("root/etc/hosts").is_file());
    }

    #[test]
    fn make_file_by_many_at_once_gives_all_the_same_file() {
        for _ in 0..50 {
            let (_directory, root) = root();
            let made = || rustix::fs::fstat(make_file(&root, Path::new("/new/file")).unwrap()).unwrap().st_ino;
            let inodes: Vec<u64> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(made)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(inodes.windows(2).all(|pair| pair[0] == pair[1]), "{inodes:?}");
        }
    }

    #[test]
    fn make_file_where_a_link_leads_nowhere_makes_what_it_leads_to() {
        for (target, made) in [
            ("/nowhere/at/all", "nowhere/at/all"),
            ("../run/systemd/stub.conf", "run/systemd/stub.conf"),
            ("../../../../run/x", "run/x"),
            ("/etc/second", "run/behind/two"),
            ("missing", "etc/missing"),
        ] {
            let (directory, root) = root();
            let etc = directory.path().join("root/etc");
            std::fs::create_dir(&etc).unwrap();
            symlink("../run/behind/two", etc.join("second")).unwrap();
            symlink(target, etc.join("link")).unwrap();
            let place = make_file(&root, Path::new("/etc/link")).unwrap();
            let expected = std::fs::symlink_metadata(directory.path().join("root").join(made)).unwrap();
            let found = rustix::fs::fstat(&place).unwrap();
            assert_eq!((found.st_ino, expected.is_file()), (std::os::unix::fs::MetadataExt::ino(&expected), true), "{target}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{target}");
        }
    }

    #[test]
    fn make_file_where_links_go_round_or_are_no_path_is_refused() {
        let (directory, root) = root();
        for (name, target) in [("one", "two"), ("two", "one"), ("up", "nowhere/../x")] {
            symlink(target, directory.path().join("root").join(name)).unwrap();
        }
        assert_eq!(make_file(&root, Path::new("/one")).unwrap_err().errno, Errno::LOOP);
        assert_eq!(make_file(&root, Path::new("/up")).unwrap_err().errno, Errno::INVAL);
    }

    #[test]
    fn entry_that_is_a_link_is_the_link_and_one_behind_it_is_refused() {
        let (directory, root) = root();
        symlink("..", directory.path().join("root/up")).unwrap();
        let place = entry(&root, Path::new("up")).unwrap();
        assert!(FileType::from_raw_mode(rustix::fs::fstat(&place).unwrap().st_mode).is_symlink());
        assert_eq!(entry(&root, Path::new("up/root")).unwrap_err().errno, Errno::LOOP);
        assert_eq!(entry(&root, Path::new("../root")).unwrap_err().errno, Errno::XDEV);
    }

    #[test]
    fn file_capabilities_of_a_file_without_are_none() {
        let (directory, root) = root();
        std::fs::write(directory.path().join("root/plain"), "").unwrap();
        assert_eq!(file_capabilities(entry(&root, Path::new("plain")).unwrap()).unwrap(), None);
    }

    #[test]
    fn read_of_a_fifo_fails_at_once() {
        let (directory, root) = root();
        rustix::fs::mknodat(&root, "fifo", FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert_eq!(read(&root, Path::new("/fifo"), 10).unwrap_err().errno, Errno::INVAL);
        drop(directory);
    }

    #[test]
    fn read_of_a_file_beyond_the_limit_is_refused() {
        let (directory, root) = root();
        std::fs::write(directory.path().join("root/big"), vec![0; 11]).unwrap();
        assert_eq!(read(&root, Path::new("/big"), 10).unwrap_err().errno, Errno::FBIG);
        assert_eq!(read(&root, Path::new("/big"), 11).unwrap(), Some(vec![0; 11]));
    }

    #[test]
    fn beginning_of_a_file_is_no_longer_than_it_may_be() {
        let (directory, root) = root();
        std::fs::write(directory.path().join("root/file"), "beginning").unwrap();
        let read = |length| beginning(&root, Path::new("/file"), length).unwrap().map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!([read(0), read(5), read(100)], ["", "begin", "beginning"].map(|text| Some(text.to_owned())));
        assert_eq!(beginning(&root, Path::new("/none"), 5).unwrap(), None);
        assert_eq!(beginning(&root, Path::new("/"), 5).unwrap_err().errno, Errno::INVAL);
    }

    #[test]
    fn read_of_a_missing_file_is_none() {
        let (_directory, root) = root();
        assert_eq!(read(&root, Path::new("/etc/passwd"), 10).unwrap(), None);
    }

    #[test]
    fn read_of_a_link_to_the_host_does_not_leave_the_root() {
        let (directory, root) = root();
        std::fs::write(directory.path().join("secret"), "secret").unwrap();
        symlink("../secret", directory.path().join("root/passwd")).unwrap();
        assert_eq!(read(&root, Path::new("/passwd"), 100).unwrap(), None);
    }
}
