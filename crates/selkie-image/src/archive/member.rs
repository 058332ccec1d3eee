//! The members of an archive: where each begins, so that they can be read in any order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use crate::compression::{Compression, decompress, detect};
use crate::error::{Error, Result};
use crate::staging::Staging;
use crate::tar::{Kind, Reader, TarError};

/// How many members an archive may have: an image has some hundred.
const LIMIT: usize = 65_536;

/// An archive that can be read in any order.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    members: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
enum Place {
    Content {
        offset: u64,
        size: u64,
    },
    /// Docker before 25 links a layer that several images have.
    Link(String),
}

impl Archive {
    /// Opens an archive. What cannot be read in any order, or is compressed, is copied to the staging directory first.
    pub(super) fn open(input: File, staging: &Staging, limit: u64) -> Result<Self> {
        let mut input = input;
        let failed = |source| Error::Tar { what: "of the image".to_owned(), source: TarError::Read { offset: 0, source } };
        let is_file = input.metadata().map_err(failed)?.is_file();
        let mut start = [0; 8];
        let plain = is_file && {
            let count = input.read_at(&mut start, 0).map_err(failed)?;
            detect(start.get(..count).unwrap_or(&[])) == Compression::None
        };
        if !plain {
            if is_file {
                input.seek(SeekFrom::Start(0)).map_err(failed)?;
            }
            input = spool(input, staging, limit)?;
        }
        let members = members(&mut input)?;
        Ok(Self { file: input, members })
    }

    /// Returns whether there is a member called `name`.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Returns the content of the member `name`.
    pub(super) fn content(&self, name: &str) -> Result<Content<'_>> {
        let mut wanted = clean(name);
        // A link to a link to a link is nothing that Docker writes.
        for _ in 0..8 {
            match self.members.get(&wanted) {
                Some(Place::Content { offset, size }) => return Ok(Content { file: &self.file, offset: *offset, left: *size }),
                Some(Place::Link(target)) => wanted.clone_from(target),
                None => break,
            }
        }
        Err(Error::archive(format!("the archive has no member {name:?}")))
    }

    /// Reads the document `name`, at most `limit` bytes.
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let content = self.content(name)?;
        if content.left > limit {
            return Err(Error::TooLong { what: format!("{name:?} of the archive"), limit });
        }
        let mut bytes = Vec::new();
        let failed = |source| Error::Tar { what: "of the image".to_owned(), source: TarError::Read { offset: 0, source } };
        content.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// The content of a member.
#[derive(Debug)]
pub(super) struct Content<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Content<'_> {
    /// Returns how many bytes are left.
    pub(super) fn len(&self) -> u64 {
        self.left
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(buffer.get_mut(..wanted).unwrap_or(&mut []), self.offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn spool(input: File, staging: &Staging, limit: u64) -> Result<File> {
    let path = staging.path();
    let mut copy = staging.scratch()?;
    let read = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::Unsupported => Error::archive(format!("cannot read the archive: {source}")),
        _ => Error::Tar { what: "of the image".to_owned(), source: TarError::Read { offset: 0, source } },
    };
    let mut stream = decompress(input).map_err(read)?;
    let mut buffer = vec![0; 65_536];
    let mut length: u64 = 0;
    loop {
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            count => count.map_err(read)?,
        };
        if count == 0 {
            copy.seek(SeekFrom::Start(0)).map_err(Error::file("read", path))?;
            return Ok(copy);
        }
        length += count as u64;
        if length > limit {
            return Err(Error::TooLong { what: "the archive".to_owned(), limit });
        }
        copy.write_all(buffer.get(..count).unwrap_or(&[])).map_err(Error::file("write to", path))?;
    }
}

fn members(input: &mut File) -> Result<BTreeMap<String, Place>> {
    let mut members = BTreeMap::new();
    let failed = |source| Error::Tar { what: "of the image".to_owned(), source };
    let mut reader = Reader::new(BufReader::with_capacity(4096, input));
    while let Some(entry) = reader.next_entry().map_err(failed)? {
        let name = clean(&String::from_utf8_lossy(&entry.path));
        let place = match entry.kind {
            Kind::File => Place::Content { offset: entry.offset, size: entry.size },
            Kind::HardLink => Place::Link(clean(&String::from_utf8_lossy(&entry.link))),
            Kind::Symlink => {
                let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                Place::Link(clean(&format!("{parent}/{}", String::from_utf8_lossy(&entry.link))))
            }
            _ => continue,
        };
        reader.seek_content().map_err(failed)?;
        members.insert(name, place);
        if members.len() > LIMIT {
            return Err(Error::archive(format!("the archive has more than {LIMIT} members")));
        }
    }
    Ok(members)
}

/// Returns a member's name without `.`, `..` and doubled `/`. Only a key of the map: it never reaches a file system.
fn clean(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
