//! The entries of an archive, one behind the other.

use std::io::{BufReader, ErrorKind, Read, Seek};

use super::header::{self, Block, Header, Kind};
use super::{METADATA_LIMIT, Records, SPARSE_LIMIT, TarError, records};

/// An entry with everything that the headers before it say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its name, as written.
    pub path: Vec<u8>,
    /// The name that a link refers to, as written.
    pub link: Vec<u8>,
    /// Permission bits, and whatever else was written.
    pub mode: i64,
    /// Owner.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Time of the last change: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Major and minor number of a device.
    pub device: (i64, i64),
    /// Bytes of its content, holes too.
    pub size: u64,
    /// Extended attributes.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where in the archive its content begins.
    pub offset: u64,
}

/// A piece of data of a sparse file: where, and how many bytes.
#[derive(Clone, Copy, Debug)]
struct Piece {
    offset: u64,
    length: u64,
}

/// Reads an archive from a stream that need not be seekable.
pub struct Reader<R> {
    stream: R,
    offset: u64,
    /// Bytes of the current content that are still in the stream, and how many fill them up to a block.
    content: u64,
    padding: u64,
    /// The current file with holes: its pieces that are still to come, how far it has been read, how long it is.
    pieces: Option<std::vec::IntoIter<Piece>>,
    piece: Option<Piece>,
    position: u64,
    size: u64,
}

impl<R: Read> Reader<R> {
    /// Begins an archive.
    pub fn new(stream: R) -> Self {
        Self { stream, offset: 0, content: 0, padding: 0, pieces: None, piece: None, position: 0, size: 0 }
    }

    /// Returns the stream, behind the last header that was read.
    pub fn into_inner(self) -> R {
        self.stream
    }

    /// Returns the next entry; `None` behind the last one. What is left of the current content is skipped.
    ///
    /// # Errors
    /// A stream that fails or ends too early, a header that means nothing.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut pax: Option<Records> = None;
        let mut long_name: Option<Vec<u8>> = None;
        let mut long_link: Option<Vec<u8>> = None;
        loop {
            self.skip_content()?;
            let start = self.offset;
            let Some(block) = self.block()? else { return Ok(None) };
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::parse(&block, start)?;
            match header.kind {
                Kind::Pax => pax = Some(self.pax(&header, start)?),
                Kind::GlobalPax => {
                    let size = self.begin(header.size, start)?;
                    if size > METADATA_LIMIT {
                        return Err(refuse(start, "pax records are longer than 1 MiB"));
                    }
                }
                Kind::LongName => long_name = Some(self.long(&header, start)?),
                Kind::LongLink => long_link = Some(self.long(&header, start)?),
                _ => return self.entry(&block, header, start, Extra { pax: pax.unwrap_or_default(), long_name, long_link }).map(Some),
            }
        }
    }

    /// Reads from the content of the current entry; 0 at its end. Holes read as zeros.
    ///
    /// # Errors
    /// A stream that fails or ends too early.
    pub fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        if self.pieces.is_none() {
            return self.stored(buffer);
        }
        loop {
            let limit = self.piece.map_or(self.size, |piece| piece.offset).saturating_sub(self.position);
            if limit > 0 {
                let count = usize::try_from(limit).unwrap_or(usize::MAX).min(buffer.len());
                buffer.iter_mut().take(count).for_each(|byte| *byte = 0);
                self.position += count as u64;
                return Ok(count);
            }
            let Some(piece) = self.piece else { return Ok(0) };
            let left = (piece.offset + piece.length).saturating_sub(self.position);
            if left == 0 {
                self.piece = self.pieces.as_mut().and_then(Iterator::next);
                continue;
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.stored(buffer.get_mut(..wanted).unwrap_or(&mut []))?;
            if count == 0 && wanted > 0 {
                return Err(refuse(self.offset, "a sparse file has less content than its map says"));
            }
            self.position += count as u64;
            return Ok(count);
        }
    }

    /// Reads content as it lies in the archive.
    fn stored(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let wanted = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.read(buffer.get_mut(..wanted).unwrap_or(&mut []))?;
        if count == 0 {
            return Err(TarError::Read { offset: self.offset, source: ErrorKind::UnexpectedEof.into() });
        }
        self.content -= count as u64;
        Ok(count)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Read { offset: self.offset, source }),
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
            }
        }
    }

    /// Reads one block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; 512];
        let mut filled = 0;
        while filled < block.len() {
            let count = self.read(block.get_mut(filled..).unwrap_or(&mut []))?;
            if count == 0 {
                let early = TarError::Read { offset: self.offset, source: ErrorKind::UnexpectedEof.into() };
                return if filled == 0 { Ok(None) } else { Err(early) };
            }
            filled += count;
        }
        Ok(Some(block))
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        self.pieces = None;
        self.content = self.content.saturating_add(std::mem::take(&mut self.padding));
        let mut scratch = [0; 16384];
        while self.content > 0 {
            self.stored(&mut scratch)?;
        }
        Ok(())
    }

    /// Begins a content of `size` bytes.
    fn begin(&mut self, size: i64, start: u64) -> Result<u64, TarError> {
        let size = u64::try_from(size).map_err(|_| refuse(start, "the size is negative"))?;
        self.content = size;
        self.padding = (512 - size % 512) % 512;
        Ok(size)
    }

    /// Reads a content that is metadata.
    fn metadata(&mut self, header: &Header, start: u64, problem: &'static str) -> Result<Vec<u8>, TarError> {
        let size = self.begin(header.size, start)?;
        if size > METADATA_LIMIT {
            return Err(refuse(start, problem));
        }
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let count = self.stored(&mut chunk)?;
            if count == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
        }
    }

    fn pax(&mut self, header: &Header, start: u64) -> Result<Records, TarError> {
        let bytes = self.metadata(header, start, "pax records are longer than 1 MiB")?;
        records(&bytes).map_err(|problem| refuse(start, problem))
    }

    fn long(&mut self, header: &Header, start: u64) -> Result<Vec<u8>, TarError> {
        let mut bytes = self.metadata(header, start, "a long name is longer than 1 MiB")?;
        // The name ends with the first NUL, as in every header.
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    fn entry(&mut self, block: &Block, header: Header, start: u64, extra: Extra) -> Result<Entry, TarError> {
        let Extra { pax, long_name, long_link } = extra;
        let stored = pax.size.unwrap_or(header.size);
        let mut kind = header.kind;
        let size = match kind {
            Kind::File => self.begin(stored, start)?,
            Kind::Sparse => {
                kind = Kind::File;
                self.sparse(block, stored, start)?
            }
            // These have no content, whatever the header says: as Go reads them.
            _ => 0,
        };
        Ok(Entry {
            kind,
            path: pax.path.or(long_name).unwrap_or(header.path),
            link: pax.link.or(long_link).unwrap_or(header.link),
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            modified: pax.modified.unwrap_or((header.modified, 0)),
            device: header.device,
            size,
            attributes: pax.attributes,
            offset: self.offset,
        })
    }

    /// Reads the map of a file with holes: four pieces in the header, 21 in each block behind it.
    fn sparse(&mut self, block: &Block, stored: i64, start: u64) -> Result<u64, TarError> {
        let mut pieces = Vec::new();
        let real = field_number(block, 483, start)?;
        map(block, 386, 4, start, &mut pieces)?;
        let mut more = block.get(482).is_some_and(|byte| *byte != 0);
        while more {
            let Some(next) = self.block()? else { return Err(refuse(start, "the map of a sparse file is cut short")) };
            map(&next, 0, 21, start, &mut pieces)?;
            more = next.get(504).is_some_and(|byte| *byte != 0);
        }
        let stored = self.begin(stored, start)?;
        let mut end = 0;
        let mut sum: u64 = 0;
        for piece in &pieces {
            let next = piece.offset.checked_add(piece.length).filter(|next| piece.offset >= end && *next <= real);
            end = next.ok_or_else(|| refuse(start, "the map of a sparse file is out of order"))?;
            sum += piece.length;
        }
        if sum != stored {
            return Err(refuse(start, "the map of a sparse file does not fit its content"));
        }
        let mut pieces = pieces.into_iter();
        self.piece = pieces.next();
        self.pieces = Some(pieces);
        (self.position, self.size) = (0, real);
        Ok(real)
    }
}

impl<R: Read + Seek> Reader<BufReader<R>> {
    /// Skips the content of the current entry without reading it. That it ends too early is found when it is read.
    ///
    /// # Errors
    /// A stream that fails.
    pub fn seek_content(&mut self) -> Result<(), TarError> {
        self.pieces = None;
        let left = std::mem::take(&mut self.content).saturating_add(std::mem::take(&mut self.padding));
        let offset = self.offset;
        let distance = i64::try_from(left).map_err(|_| refuse(offset, "the size is too large"))?;
        self.stream.seek_relative(distance).map_err(|source| TarError::Read { offset, source })?;
        self.offset = offset.checked_add(left).ok_or_else(|| refuse(offset, "the size is too large"))?;
        Ok(())
    }
}

/// What the headers before an entry say about it.
struct Extra {
    pax: Records,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

fn map(block: &Block, at: usize, count: usize, start: u64, pieces: &mut Vec<Piece>) -> Result<(), TarError> {
    for number in 0..count {
        let offset = field_number(block, at + number * 24, start)?;
        let length = field_number(block, at + number * 24 + 12, start)?;
        if offset == 0 && length == 0 {
            continue;
        }
        if pieces.len() >= SPARSE_LIMIT {
            return Err(refuse(start, "a sparse file has more than 65536 pieces"));
        }
        pieces.push(Piece { offset, length });
    }
    Ok(())
}

fn field_number(block: &Block, at: usize, start: u64) -> Result<u64, TarError> {
    let value = header::number(header::field(block, (at, 12))).map_err(|problem| refuse(start, problem))?;
    u64::try_from(value).map_err(|_| refuse(start, "a number is negative"))
}

const fn refuse(offset: u64, problem: &'static str) -> TarError {
    TarError::Header { offset, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads to the end, however it ends; returns names and contents.
    fn read(bytes: &[u8], chunk: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut reader = Reader::new(Chunked { bytes, chunk });
        let mut entries = Vec::new();
        while let Ok(Some(entry)) = reader.next_entry() {
            let mut content = Vec::new();
            let mut buffer = [0; 700];
            while let Ok(count @ 1..) = reader.read_content(&mut buffer) {
                content.extend_from_slice(&buffer[..count]);
                if content.len() > 1 << 20 {
                    break;
                }
            }
            entries.push((entry.path, content));
        }
        entries
    }

    /// Gives a few bytes at a time, as pipes do.
    struct Chunked<'a> {
        bytes: &'a [u8],
        chunk: usize,
    }

    impl Read for Chunked<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.chunk.min(buffer.len()).min(self.bytes.len());
            let (now, rest) = self.bytes.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.bytes = rest;
            Ok(count)
        }
    }

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let long = "n".repeat(150);
        for (path, content) in [("a", "1".repeat(1000)), (long.as_str(), String::new()), ("b/c", "2".repeat(512))] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// `1` where there is data, 2000 bytes with two holes.
    fn sparse() -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("s").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        for set in [tar::Header::set_uid, tar::Header::set_gid, tar::Header::set_mtime] {
            set(&mut header, 0);
        }
        header.set_mode(0o644);
        header.set_size(600);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.sparse[0].set_offset(100);
        gnu.sparse[0].set_length(500);
        gnu.sparse[1].set_offset(1000);
        gnu.sparse[1].set_length(100);
        gnu.set_real_size(2000);
        header.set_cksum();
        [header.as_bytes().as_slice(), &[b'1'; 600], &[0; 424 + 1024]].concat()
    }

    #[test]
    fn read_gives_names_and_contents() {
        let expected = [(b"a".to_vec(), vec![b'1'; 1000]), ("n".repeat(150).into_bytes(), vec![]), (b"b/c".to_vec(), vec![b'2'; 512])];
        assert_eq!(read(&archive(), 4096), expected);
    }

    #[test]
    fn read_of_a_sparse_file_fills_the_holes() {
        let content = [vec![0; 100], vec![b'1'; 500], vec![0; 400], vec![b'1'; 100], vec![0; 900]].concat();
        assert_eq!(read(&sparse(), 4096), [(b"s".to_vec(), content)]);
    }

    #[test]
    fn seek_content_finds_the_same_entries() {
        let mut reader = Reader::new(BufReader::new(std::io::Cursor::new(archive())));
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.push((entry.path.len(), entry.offset));
            reader.seek_content().unwrap();
        }
        assert_eq!(names, [(1, 512), (150, 3072), (3, 3584)]);
    }

    proptest! {
        #[test]
        fn read_does_not_depend_on_how_the_stream_is_cut(chunk in 1_usize..3000) {
            prop_assert_eq!(read(&archive(), chunk), read(&archive(), 4096));
            prop_assert_eq!(read(&sparse(), chunk), read(&sparse(), 4096));
        }

        #[test]
        fn read_of_a_damaged_archive_ends(damage in proptest::collection::vec((0_usize..4000, any::<u8>()), 1..8), resum in any::<bool>()) {
            for mut bytes in [archive(), sparse()] {
                for (at, value) in &damage {
                    let at = at % bytes.len();
                    bytes[at] = *value;
                }
                if resum {
                    // So that the damage is not found by the checksum alone.
                    let mut header = tar::Header::from_byte_slice(&bytes[..512]).clone();
                    header.set_cksum();
                    bytes[..512].copy_from_slice(header.as_bytes());
                }
                read(&bytes, 4096);
            }
        }

        #[test]
        fn read_of_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            read(&bytes, 4096);
        }
    }
}
