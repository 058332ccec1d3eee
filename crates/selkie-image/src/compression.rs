//! Compressed streams, told apart by their first bytes: gzip, zstd, or none.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::rc::Rc;

/// What no honest stream reaches: gzip can do 1032 to 1.
const RATIO: u64 = 2000;

/// From how many bytes on the ratio is looked at.
const RATIO_FROM: u64 = 256 << 20;

/// The largest window of zstd that is decompressed: 32 MiB, level 20 without `--ultra`.
const WINDOW_LOG: u32 = 25;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all, as far as it can be told.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Known and not supported.
    Unsupported(&'static str),
}

/// Tells the compression by the first bytes of a stream. Total.
#[must_use]
pub fn detect(start: &[u8]) -> Compression {
    if start.starts_with(&[0x1f, 0x8b]) {
        Compression::Gzip
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || (start.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) && start.first().is_some_and(|byte| byte >> 4 == 5))
    {
        Compression::Zstd
    } else if start.starts_with(b"\xfd7zXZ\0") {
        Compression::Unsupported("xz")
    } else if start.starts_with(b"BZh") {
        Compression::Unsupported("bzip2")
    } else {
        Compression::None
    }
}

/// Returns what `stream` holds, decompressed.
///
/// # Errors
/// A stream that cannot be read, a compression that is not supported.
pub fn decompress<'a>(stream: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(65_536, stream);
    let start = loop {
        match stream.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            start => break start?,
        }
    };
    let compression = detect(start);
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { stream, taken: Rc::clone(&taken) };
    let decoder: Box<dyn Read + 'a> = match compression {
        Compression::None => return Ok(Box::new(counted)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(counted)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Unsupported(name) => {
            return Err(Error::new(ErrorKind::Unsupported, format!("{name} is not supported: decompress it first")));
        }
    };
    Ok(Box::new(Guarded { decoder, taken, given: 0 }))
}

/// Counts what is taken from a stream.
struct Counted<R> {
    stream: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.stream.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.stream.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken.set(self.taken.get() + count as u64);
        self.stream.consume(count);
    }
}

/// Ends a stream that grows out of all proportion.
struct Guarded<'a> {
    decoder: Box<dyn Read + 'a>,
    taken: Rc<Cell<u64>>,
    given: u64,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.given += count as u64;
        if self.given > RATIO_FROM && self.given / RATIO > self.taken.get() {
            return Err(Error::new(ErrorKind::InvalidData, format!("it grows to more than {RATIO} times its compressed size")));
        }
        Ok(count)
    }
}
