//! One header block.

use super::TarError;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// Another name of an entry before.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
    /// A file with holes, in GNU's old form.
    Sparse,
    /// Pax records about the next entry.
    Pax,
    /// Pax records about all entries that follow.
    GlobalPax,
    /// The name of the next entry.
    LongName,
    /// The link name of the next entry.
    LongLink,
}

/// A header block, decoded. Numbers are as written: the caller judges them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the entry is.
    pub kind: Kind,
    /// Its name.
    pub path: Vec<u8>,
    /// The name that a link refers to.
    pub link: Vec<u8>,
    /// Permission bits, and whatever else was written.
    pub mode: i64,
    /// Owner.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Bytes of content in the archive.
    pub size: i64,
    /// Time of the last change, seconds.
    pub modified: i64,
    /// Major and minor number of a device.
    pub device: (i64, i64),
}

/// Offsets of the fields: POSIX.1-1988 "ustar".
const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const MODIFIED: (usize, usize) = (136, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const TYPE: usize = 156;
const LINK: (usize, usize) = (157, 100);
const MAGIC: (usize, usize) = (257, 8);
const MAJOR: (usize, usize) = (329, 8);
const MINOR: (usize, usize) = (337, 8);
const PREFIX: (usize, usize) = (345, 155);

/// A block of an archive.
pub(super) type Block = [u8; 512];

impl Header {
    /// Decodes a block. Total: any block gives a header or an error, at `offset`.
    ///
    /// # Errors
    /// A wrong checksum, a number that is none, an unknown type.
    pub fn parse(block: &[u8; 512], offset: u64) -> Result<Self, TarError> {
        decode(block).map_err(|problem| TarError::Header { offset, problem })
    }
}

fn decode(block: &Block) -> Result<Header, &'static str> {
    if number(field(block, CHECKSUM))? != checksum(block) {
        return Err("the checksum is wrong: not a tar archive, or a damaged one");
    }
    let mut path = text(field(block, NAME));
    let is_ustar = field(block, MAGIC).starts_with(b"ustar\0");
    let prefix = text(field(block, PREFIX));
    if is_ustar && !prefix.is_empty() {
        path = [prefix.as_slice(), b"/", path.as_slice()].concat();
    }
    let kind = match block.get(TYPE).copied().unwrap_or_default() {
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => Kind::Sparse,
        b'x' | b'X' => Kind::Pax,
        b'g' => Kind::GlobalPax,
        b'L' => Kind::LongName,
        b'K' => Kind::LongLink,
        _ => return Err("an entry of an unknown type"),
    };
    let has_device = matches!(kind, Kind::Character | Kind::Block);
    let device = if has_device { (number(field(block, MAJOR))?, number(field(block, MINOR))?) } else { (0, 0) };
    Ok(Header {
        kind,
        path,
        link: text(field(block, LINK)),
        mode: number(field(block, MODE))?,
        uid: number(field(block, UID))?,
        gid: number(field(block, GID))?,
        size: number(field(block, SIZE))?,
        modified: number(field(block, MODIFIED))?,
        device,
    })
}

pub(super) fn field(block: &[u8], (start, length): (usize, usize)) -> &[u8] {
    block.get(start..start + length).unwrap_or(&[])
}

fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or(&[]).to_vec()
}

/// The sum of all bytes, those of the checksum itself counting as blanks.
fn checksum(block: &Block) -> i64 {
    let (start, length) = CHECKSUM;
    let own = start..start + length;
    block.iter().enumerate().map(|(at, byte)| if own.contains(&at) { 32 } else { i64::from(*byte) }).sum()
}

/// Octal digits between blanks and NULs, or, with the first bit set, a two's complement number of base 256.
pub(super) fn number(field: &[u8]) -> Result<i64, &'static str> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let negative = first & 0x40 != 0;
        let start = if negative { i128::from(*first) - 256 } else { i128::from(first & 0x7f) };
        // Twelve bytes at most: 96 bits.
        let value = rest.iter().fold(start, |value, byte| value << 8 | i128::from(*byte));
        return i64::try_from(value).map_err(|_| "a number is too large");
    }
    let digits: Vec<u8> = field.iter().copied().skip_while(|byte| matches!(byte, b' ' | 0)).collect();
    let mut value: i64 = 0;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'7' => value = value << 3 | i64::from(byte - b'0'),
            b' ' | 0 if digits.iter().skip(at).all(|byte| matches!(byte, b' ' | 0)) => break,
            // What some archivers leave behind the end of a number.
            0 => break,
            _ => return Err("a number has a character that is no octal digit"),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_in_octal_with_blanks() {
        assert_eq!(number(b" 00755 \0"), Ok(0o755));
    }

    #[test]
    fn number_of_an_empty_field_is_zero() {
        assert_eq!(number(&[0; 8]), Ok(0));
    }

    #[test]
    fn number_in_base_256() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Ok(256));
    }

    #[test]
    fn number_in_base_256_negative() {
        assert_eq!(number(&[0xff; 8]), Ok(-1));
    }

    #[test]
    fn number_in_base_256_too_large_is_refused() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err("a number is too large"));
    }

    #[test]
    fn number_with_other_digits_is_refused() {
        assert_eq!(number(b"0000899\0"), Err("a number has a character that is no octal digit"));
    }
}
