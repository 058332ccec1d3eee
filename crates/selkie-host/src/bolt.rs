//! Databases of bbolt, read only: files in which programs in Go, containerd among them, keep what they know. Pure, over the bytes
//! of the whole file.
//!
//! ```text
//! page 0, 1   meta: where the root is, and which transaction has written it; the newer one whose checksum is right counts
//! branch      of each child its first key and its page
//! leaf        keys, each with a value or with a *bucket*: a tree of pages of its own, or one leaf that lies in the value (inline)
//! ```
//!
//! Each page begins with its number, its kind, how many elements it has, and how many pages follow that belong to it (overflow).
//! Numbers are as the machine has them, as bbolt maps them into its memory.
//!
//! A writer locks the file, and changes no page that the newest transaction reaches: it writes others, and then a meta page. The
//! pages that this has set free are written over by the next but one. So whoever has read a file in which the transaction is
//! afterwards still [the same](transaction) has read one state of it, without a lock.
//!
//! Whatever the bytes are, nothing here panics or goes on without end: pages that contain each other end at [`DEPTH`], and of pages
//! that many elements refer to no more is read than a sound file of that length could hold.

use std::cell::Cell;

use thiserror::Error;

/// How deep pages of one bucket may lie in one another. With two children each that would be more pages than there are files for.
const DEPTH: usize = 48;
/// How often each byte may be read: once with its page, once more in a bucket that lies in a value, and all that again.
const TIMES: usize = 4;
/// Pages have 1 KiB at least and 64 at most: as many bytes as those of the machine.
const SIZES: [u32; 7] = [1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16];
/// The beginning of a file in which both meta pages are.
pub const HEAD: usize = (1 << 16) + META;

const HEADER: usize = 16;
const META: usize = HEADER + 64;
const ELEMENT: usize = 16;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const BUCKET: u32 = 1;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// It is no database, or one whose beginning is lost.
    #[error("no meta page has the right checksum")]
    NoMeta,
    /// A page that is referred to is not there.
    #[error("page {page} is not in the file, or another page is in its place")]
    NoPage {
        /// Its number.
        page: u64,
    },
    /// An element that says that it lies beyond its page.
    #[error("element {element} is not in page {page}")]
    NoElement {
        /// The number of its page, 0 for one that lies in a value.
        page: u64,
        /// Its place among the elements.
        element: u16,
    },
    /// Pages lie deeper in one another than any tree is high.
    #[error("pages lie more than {DEPTH} deep in one another")]
    TooDeep,
    /// Pages or elements are referred to from several places.
    #[error("more is referred to than the file can hold")]
    TooMuch,
}

/// Returns which transaction wrote a database last, by the beginning of its file ([`HEAD`]); `None` when it is none.
#[must_use]
pub fn transaction(head: &[u8]) -> Option<u64> {
    Meta::newest(head).map(|meta| meta.transaction)
}

/// A database, as its newest transaction has it.
#[derive(Debug)]
pub struct Database<'a> {
    bytes: &'a [u8],
    meta: Meta,
    /// How many bytes may still be read.
    left: Cell<usize>,
}

impl<'a> Database<'a> {
    /// Takes the bytes of a whole file.
    ///
    /// # Errors
    /// [`Damage::NoMeta`] when it is no database.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let meta = Meta::newest(bytes).ok_or(Damage::NoMeta)?;
        Ok(Self { bytes, meta, left: Cell::new(bytes.len().saturating_mul(TIMES)) })
    }

    /// Returns the bucket in which all others are.
    ///
    /// # Errors
    /// When its page is not there.
    pub fn root(&self) -> Result<Bucket<'_>, Damage> {
        Ok(Bucket { database: self, page: self.page(self.meta.root)? })
    }

    fn page(&self, number: u64) -> Result<Page<'a>, Damage> {
        let find = || {
            // The first two are meta pages.
            let size = self.meta.page_size;
            let start = usize::try_from(number).ok().filter(|_| (2..self.meta.end).contains(&number))?.checked_mul(size)?;
            let rest = self.bytes.get(start..)?;
            let pages = usize::try_from(u32_at(rest, 12)?).ok()?.checked_add(1)?;
            Page::parse(rest.get(..pages.checked_mul(size)?)?).filter(|page| page.number == number)
        };
        find().ok_or(Damage::NoPage { page: number })
    }

    fn spend(&self, bytes: usize) -> Result<(), Damage> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(Damage::TooMuch)?);
        Ok(())
    }
}

/// A sorted list of keys.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'d> {
    database: &'d Database<'d>,
    page: Page<'d>,
}

impl<'d> Bucket<'d> {
    /// Returns what is in it, in the order of the keys. What comes after an error is not known: it is the last item.
    #[must_use]
    pub fn entries(&self) -> Entries<'d> {
        Entries { database: self.database, path: vec![(self.page, 0)] }
    }
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub enum Value<'d> {
    /// Some bytes.
    Bytes(&'d [u8]),
    /// More keys.
    Bucket(Bucket<'d>),
}

/// The keys of a bucket, with their values.
#[derive(Debug)]
pub struct Entries<'d> {
    database: &'d Database<'d>,
    /// From the root to the page that is read now: each with the element that is next.
    path: Vec<(Page<'d>, u16)>,
}

impl<'d> Iterator for Entries<'d> {
    type Item = Result<(&'d [u8], Value<'d>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        if found.is_err() {
            self.path.clear();
        }
        found.transpose()
    }
}

impl<'d> Entries<'d> {
    fn step(&mut self) -> Result<Option<(&'d [u8], Value<'d>)>, Damage> {
        while let Some((page, next)) = self.path.last_mut() {
            let (page, element) = (*page, *next);
            if element == page.count {
                self.path.pop();
                continue;
            }
            *next += 1;
            self.database.spend(ELEMENT)?;
            let outside = || Damage::NoElement { page: page.number, element };
            if page.is_leaf {
                let (flags, key, value) = page.leaf(element).ok_or_else(outside)?;
                self.database.spend(key.len() + value.len())?;
                let value = if flags & BUCKET == 0 { Value::Bytes(value) } else { self.bucket(value)?.ok_or_else(outside)? };
                return Ok(Some((key, value)));
            }
            let child = page.child(element).ok_or_else(outside)?;
            if self.path.len() == DEPTH {
                return Err(Damage::TooDeep);
            }
            self.path.push((self.database.page(child)?, 0));
        }
        Ok(None)
    }

    /// Reads a bucket out of its value: the number of its page, a counter, and, where that number is 0, the page itself.
    fn bucket(&self, value: &'d [u8]) -> Result<Option<Value<'d>>, Damage> {
        let Some(root) = u64_at(value, 0) else { return Ok(None) };
        let page = if root == 0 { value.get(16..).and_then(Page::parse) } else { Some(self.database.page(root)?) };
        Ok(page.map(|page| Value::Bucket(Bucket { database: self.database, page })))
    }
}

#[derive(Clone, Copy, Debug)]
struct Page<'a> {
    number: u64,
    is_leaf: bool,
    count: u16,
    /// From its header on, with what overflows.
    bytes: &'a [u8],
}

impl<'a> Page<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let is_leaf = match u16_at(bytes, 8)? {
            BRANCH => false,
            LEAF => true,
            _ => return None,
        };
        Some(Self { number: u64_at(bytes, 0)?, is_leaf, count: u16_at(bytes, 10)?, bytes })
    }

    /// Returns flags, key and value.
    fn leaf(self, element: u16) -> Option<(u32, &'a [u8], &'a [u8])> {
        let bytes = self.element(element)?;
        let [flags, place, key, value] = [0, 4, 8, 12].map(|at| u32_at(bytes, at));
        let (key, value) = (usize::try_from(key?).ok()?, usize::try_from(value?).ok()?);
        // Where the key is, is counted from the element on; the value follows.
        let (key, rest) = bytes.get(usize::try_from(place?).ok()?..)?.split_at_checked(key)?;
        Some((flags?, key, rest.get(..value)?))
    }

    fn child(self, element: u16) -> Option<u64> {
        u64_at(self.element(element)?, 8)
    }

    /// Returns an element with all that follows it.
    fn element(self, element: u16) -> Option<&'a [u8]> {
        self.bytes.get(HEADER + usize::from(element) * ELEMENT..)
    }
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    page_size: usize,
    /// The page of the root bucket.
    root: u64,
    /// The first page that no transaction has used.
    end: u64,
    transaction: u64,
}

impl Meta {
    /// The second is one page after the first: where the first is lost, it may be in several places.
    fn newest(bytes: &[u8]) -> Option<Self> {
        let first = Self::parse(bytes);
        let second = |size: usize| bytes.get(size..).and_then(Self::parse).filter(|meta| meta.page_size == size);
        match first {
            Some(first) => Some(second(first.page_size).filter(|second| second.transaction > first.transaction).unwrap_or(first)),
            None => SIZES.into_iter().find_map(|size| second(usize::try_from(size).ok()?)),
        }
    }

    fn parse(page: &[u8]) -> Option<Self> {
        let meta = page.get(HEADER..META)?;
        let is_right = u32_at(meta, 0)? == MAGIC && u32_at(meta, 4)? == VERSION && u64_at(meta, 56)? == checksum(meta.get(..56)?);
        let page_size = u32_at(meta, 8)?;
        Some(Self {
            page_size: usize::try_from(page_size).ok().filter(|_| is_right && SIZES.contains(&page_size))?,
            root: u64_at(meta, 16)?,
            end: u64_at(meta, 40)?,
            transaction: u64_at(meta, 48)?,
        })
    }
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}

#[cfg(test)]
pub(crate) mod made;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::made::{Node, SIZE, file, meta, seal};
    use super::*;

    /// Everything in a database, a line a key: `a/b=value`.
    fn shown(bytes: &[u8]) -> Result<Vec<String>, Damage> {
        fn walk(bucket: &Bucket<'_>, before: &str, levels: u32, lines: &mut Vec<String>) -> Result<(), Damage> {
            for entry in bucket.entries() {
                let (key, value) = entry?;
                let path = format!("{before}{}", String::from_utf8_lossy(key));
                match value {
                    Value::Bytes(value) if value.len() > 20 => lines.push(format!("{path}={} bytes", value.len())),
                    Value::Bytes(value) => lines.push(format!("{path}={}", String::from_utf8_lossy(value))),
                    Value::Bucket(inner) if levels > 0 => walk(&inner, &format!("{path}/"), levels - 1, lines)?,
                    Value::Bucket(_) => lines.push(format!("{path}/")),
                }
            }
            Ok(())
        }
        let database = Database::open(bytes)?;
        let mut lines = Vec::new();
        walk(&database.root()?, "", 5, &mut lines)?;
        Ok(lines)
    }

    fn example() -> Vec<u8> {
        let keys = ["a", "b", "c", "d", "e"];
        file(&Node::leaf([
            ("branch", Node::branch(keys.map(|key| (key, Node::text(key))))),
            ("deep", Node::leaf([("inner", Node::leaf([("k", Node::text("v"))])), ("none", Node::leaf([]))])),
            ("inline", Node::inline([("x", Node::text("1")), ("y", Node::text(""))])),
            ("long", Node::Value(vec![b'l'; 5 * SIZE])),
            ("short", Node::text("s")),
        ]))
    }

    #[test]
    fn entries_of_every_kind_of_page() {
        assert_eq!(
            shown(&example()).unwrap(),
            [
                "branch/a=a",
                "branch/b=b",
                "branch/c=c",
                "branch/d=d",
                "branch/e=e",
                "deep/inner/k=v",
                "inline/x=1",
                "inline/y=",
                "long=5120 bytes",
                "short=s"
            ]
        );
    }

    #[test]
    fn open_takes_the_newest_meta_page_whose_checksum_is_right() {
        let mut bytes = file(&Node::leaf([("k", Node::text("v"))]));
        let newest = |bytes: &[u8]| transaction(bytes.get(..HEAD).unwrap_or(bytes));
        assert_eq!(newest(&bytes), Some(8));
        // The second page is the newer one: what it says of the root counts, as long as it is whole.
        bytes[SIZE..SIZE + META].copy_from_slice(&meta(1, 77, 9, 9));
        assert_eq!((newest(&bytes), shown(&bytes)), (Some(9), Err(Damage::NoPage { page: 77 })));
        bytes[SIZE + HEADER + 20] ^= 1;
        assert_eq!((newest(&bytes), shown(&bytes).unwrap()), (Some(8), vec!["k=v".to_owned()]));
        bytes[0..META].fill(0);
        assert_eq!((newest(&bytes), shown(&bytes)), (None, Err(Damage::NoMeta)));
        let mut second = file(&Node::leaf([("k", Node::text("v"))]));
        second[0..META].fill(0);
        assert_eq!((newest(&second), shown(&second).unwrap()), (Some(7), vec!["k=v".to_owned()]));
    }

    #[test]
    fn open_of_what_is_no_database_says_so() {
        let none = |bytes: &[u8]| Database::open(bytes).map(drop);
        assert_eq!([none(b""), none(&[0; 8192]), none(b"SQLite format 3\0")], [Err(Damage::NoMeta); 3]);
        let change = |at: usize, value: u32| {
            let mut bytes = file(&Node::leaf([]));
            for page in [0, SIZE] {
                bytes[page + HEADER + at..page + HEADER + at + 4].copy_from_slice(&value.to_ne_bytes());
            }
            seal(&mut bytes);
            none(&bytes)
        };
        assert_eq!([change(0, MAGIC), change(0, 7), change(4, 3), change(8, 0), change(8, 1000), change(8, 1 << 20)], {
            let damaged = Err(Damage::NoMeta);
            [Ok(()), damaged, damaged, damaged, damaged, damaged]
        });
    }

    #[test]
    fn entries_of_a_file_that_is_cut_short_end_with_an_error() {
        let whole = example();
        for length in (0..whole.len()).step_by(97) {
            assert!(shown(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn branch_that_is_its_own_child_is_too_deep() {
        let mut bytes = file(&Node::branch([("a", Node::text("1")), ("b", Node::text("2")), ("c", Node::text("3"))]));
        let root = Database::open(&bytes).unwrap().meta.root;
        let at = usize::try_from(root).unwrap() * SIZE + HEADER + 8;
        bytes[at..at + 8].copy_from_slice(&root.to_ne_bytes());
        assert_eq!(shown(&bytes), Err(Damage::TooDeep));
    }

    #[test]
    fn bucket_that_contains_itself_ends_for_whoever_follows_it() {
        let mut bytes = file(&Node::leaf([("inner", Node::leaf([]))]));
        let database = Database::open(&bytes).unwrap();
        let (root, inner) = (database.meta.root, database.meta.root - 1);
        let at = bytes.windows(13).position(|window| window == [b"inner", &inner.to_ne_bytes()[..]].concat()).unwrap() + 5;
        bytes[at..at + 8].copy_from_slice(&root.to_ne_bytes());
        assert_eq!(shown(&bytes).unwrap(), ["inner/inner/inner/inner/inner/inner/"]);
        let database = Database::open(&bytes).unwrap();
        let mut bucket = database.root().unwrap();
        let end = loop {
            match bucket.entries().next().unwrap() {
                Ok((_, Value::Bucket(inner))) => bucket = inner,
                Ok((key, Value::Bytes(_))) => panic!("{key:?}"),
                Err(damage) => break damage,
            }
        };
        assert_eq!(end, Damage::TooMuch);
    }

    #[test]
    fn elements_that_share_one_long_value_are_too_much() {
        let mut bytes = file(&Node::leaf([("a", Node::Value(vec![0; 40 * SIZE]))]));
        let at = usize::try_from(Database::open(&bytes).unwrap().meta.root).unwrap() * SIZE;
        let count: u16 = 2000;
        bytes[at + 10..at + 12].copy_from_slice(&count.to_ne_bytes());
        for element in 0..usize::from(count) {
            let numbers = [0_u32, u32::try_from((2000 - element) * ELEMENT).unwrap(), 1, 8000];
            let text: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
            bytes[at + HEADER + element * ELEMENT..][..ELEMENT].copy_from_slice(&text);
        }
        assert_eq!(shown(&bytes), Err(Damage::TooMuch));
    }

    #[test]
    fn page_in_the_place_of_another_is_none() {
        let mut bytes = file(&Node::leaf([("inner", Node::leaf([("k", Node::text("v"))]))]));
        let inner = Database::open(&bytes).unwrap().meta.root - 1;
        let at = usize::try_from(inner).unwrap() * SIZE;
        bytes[at] ^= 1;
        assert_eq!(shown(&bytes), Err(Damage::NoPage { page: inner }));
        bytes[at] ^= 1;
        // A list of free pages, or a meta page, is no tree's.
        bytes[at + 8] = 0x10;
        assert_eq!(shown(&bytes), Err(Damage::NoPage { page: inner }));
    }

    proptest! {
        #[test]
        fn entries_of_any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let _ = shown(&bytes);
        }

        #[test]
        fn entries_of_a_damaged_file_end(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
            let mut bytes = example();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            // Else nothing but the checksum would be tested.
            seal(&mut bytes);
            let _ = shown(&bytes);
        }
    }
}
