//! Writes databases for tests: each bucket in a page of its own, in a tree of pages or in its value.

use super::{BRANCH, BUCKET, ELEMENT, HEADER, LEAF, MAGIC, META, VERSION, checksum};

/// How large pages are.
pub(crate) const SIZE: usize = 1024;

/// What a key stands for.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Bytes.
    Value(Vec<u8>),
    /// A bucket of one page, and those that it overflows into.
    Leaf(Vec<(String, Node)>),
    /// A bucket whose leaves have two keys each.
    Branch(Vec<(String, Node)>),
    /// A bucket in a value.
    Inline(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(text: &str) -> Self {
        Self::Value(text.as_bytes().to_vec())
    }

    pub(crate) fn leaf<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Leaf(named(entries))
    }

    pub(crate) fn branch<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Branch(named(entries))
    }

    pub(crate) fn inline<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Inline(named(entries))
    }
}

fn named<const N: usize>(entries: [(&str, Node); N]) -> Vec<(String, Node)> {
    entries.into_iter().map(|(key, node)| (key.to_owned(), node)).collect()
}

/// Returns a file with this root bucket: transaction 8, of which the one before has written the other meta page.
pub(crate) fn file(root: &Node) -> Vec<u8> {
    let mut pages = Pages(vec![0; 2 * SIZE]);
    let root = pages.bucket(root);
    let end = u64::try_from(pages.0.len() / SIZE).unwrap();
    for (page, at, transaction) in [(0, 0, 8), (1, SIZE, 7)] {
        pages.0[at..at + META].copy_from_slice(&meta(page, root, end, transaction));
    }
    pages.0
}

/// Returns a meta page.
pub(crate) fn meta(page: u64, root: u64, end: u64, transaction: u64) -> Vec<u8> {
    let mut bytes = header(page, 4, 0, 0);
    let size = u32::try_from(SIZE).unwrap();
    bytes.extend([MAGIC, VERSION, size, 0].iter().flat_map(|number| number.to_ne_bytes()));
    // The root and its counter, the list of free pages, the end.
    bytes.extend([root, 0, u64::MAX, end, transaction].iter().flat_map(|number| number.to_ne_bytes()));
    let sum = checksum(&bytes[HEADER..]);
    bytes.extend(sum.to_ne_bytes());
    bytes
}

/// Makes the checksums of both meta pages right.
pub(crate) fn seal(bytes: &mut [u8]) {
    for at in [0, SIZE] {
        let sum = checksum(&bytes[at + HEADER..at + META - 8]);
        bytes[at + META - 8..at + META].copy_from_slice(&sum.to_ne_bytes());
    }
}

fn header(page: u64, kind: u16, count: usize, overflow: usize) -> Vec<u8> {
    let mut bytes = page.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(u16::try_from(count).unwrap().to_ne_bytes());
    bytes.extend(u32::try_from(overflow).unwrap().to_ne_bytes());
    bytes
}

struct Pages(Vec<u8>);

impl Pages {
    /// Writes a bucket and all that is in it, and returns its page.
    fn bucket(&mut self, node: &Node) -> u64 {
        match node {
            Node::Leaf(entries) => {
                let elements = self.elements(entries);
                self.page(LEAF, entries.len(), &elements)
            }
            Node::Branch(entries) => {
                let mut children = Vec::new();
                for pair in entries.chunks(2) {
                    let elements = self.elements(pair);
                    children.push((pair[0].0.clone(), self.page(LEAF, pair.len(), &elements)));
                }
                let (mut bytes, mut keys): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
                for (at, (key, page)) in children.iter().enumerate() {
                    let place = (children.len() - at) * ELEMENT + keys.len();
                    bytes.extend([place, key.len()].iter().flat_map(|number| u32::try_from(*number).unwrap().to_ne_bytes()));
                    bytes.extend(page.to_ne_bytes());
                    keys.extend(key.as_bytes());
                }
                bytes.extend(keys);
                self.page(BRANCH, children.len(), &bytes)
            }
            Node::Value(_) | Node::Inline(_) => panic!("the root has a page"),
        }
    }

    fn page(&mut self, kind: u16, count: usize, elements: &[u8]) -> u64 {
        let pages = (HEADER + elements.len()).div_ceil(SIZE);
        let number = self.0.len() / SIZE;
        self.0.extend(header(u64::try_from(number).unwrap(), kind, count, pages - 1));
        self.0.extend(elements);
        self.0.resize((number + pages) * SIZE, 0);
        u64::try_from(number).unwrap()
    }

    fn elements(&mut self, entries: &[(String, Node)]) -> Vec<u8> {
        let (mut bytes, mut content) = (Vec::new(), Vec::new());
        for (at, (key, node)) in entries.iter().enumerate() {
            let (flags, value) = match node {
                Node::Value(value) => (0, value.clone()),
                Node::Inline(inner) => {
                    let elements = self.elements(inner);
                    (BUCKET, [&[0; 16][..], &header(0, LEAF, inner.len(), 0), &elements].concat())
                }
                Node::Leaf(_) | Node::Branch(_) => (BUCKET, [self.bucket(node).to_ne_bytes(), [0; 8]].concat()),
            };
            let place = (entries.len() - at) * ELEMENT + content.len();
            let numbers = [place, key.len(), value.len()].map(|number| u32::try_from(number).unwrap());
            bytes.extend([flags, numbers[0], numbers[1], numbers[2]].iter().flat_map(|number| number.to_ne_bytes()));
            content.extend(key.as_bytes());
            content.extend(value);
        }
        bytes.extend(content);
        bytes
    }
}
