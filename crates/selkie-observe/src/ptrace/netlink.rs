//! Netlink: requests that are sent, and answers that say no while every system call succeeds. netlink(7).
//!
//! ```text
//! nlmsghdr:  0 length  4 type  6 flags  8 sequence  12 port  16 payload ...
//! an error:  type 2, payload = errno (negative), then the header of the request
//! ```

use std::collections::{HashMap, VecDeque};

use selkie_learn::{Call, Detail};

/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
const HEADER: usize = 16;
/// How much of a request's payload is kept.
const KEPT: usize = 48;
/// How many requests of one socket wait for their answers.
const WAITING: usize = 64;
/// How many sockets are remembered.
const SOCKETS: usize = 4096;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) message: u16,
    pub(super) sequence: u32,
    pub(super) payload: Vec<u8>,
}

/// An answer that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: u16,
    sequence: u32,
}

/// The netlink sockets of a container, and what was asked by them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Protocol by inode.
    protocols: HashMap<u64, i32>,
    waiting: HashMap<u64, VecDeque<(Request, Call)>>,
}

impl Request {
    /// Reads the first message of a datagram.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Header::parse(bytes)?;
        let end = header.length.min(HEADER + KEPT);
        let payload = bytes.get(HEADER..end.min(bytes.len())).unwrap_or_default().to_vec();
        Some(Self { message: header.kind, sequence: header.sequence, payload })
    }

    /// Returns it as the trace has it.
    pub(super) fn detail(&self, protocol: Option<i32>) -> Detail {
        Detail::Netlink { message: self.message, protocol, payload: self.payload.clone() }
    }
}

impl Refusal {
    /// Finds the answers `EPERM` and `EACCES` in what was received.
    pub(super) fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        while let Some(header) = Header::parse(bytes) {
            let payload = bytes.get(HEADER..header.length.min(bytes.len())).unwrap_or_default();
            if header.kind == ERROR
                && let Some((errno, request)) = payload.split_first_chunk::<4>()
                && matches!(i32::from_ne_bytes(*errno), -1 | -13)
                && let Some(request) = Header::parse(request)
            {
                found.push(Self { message: request.kind, sequence: request.sequence });
            }
            let next = header.length.next_multiple_of(4);
            match bytes.get(next..) {
                Some(rest) if next > 0 => bytes = rest,
                _ => break,
            }
        }
        found
    }
}

impl Sockets {
    /// Remembers that the socket `inode` is one of netlink.
    pub(super) fn insert(&mut self, inode: u64, protocol: i32) {
        if self.protocols.len() < SOCKETS {
            self.protocols.insert(inode, protocol);
        }
    }

    /// Returns the protocol of the socket `inode`; `None` if it is not known to be one of netlink.
    pub(super) fn protocol(&self, inode: u64) -> Option<i32> {
        self.protocols.get(&inode).copied()
    }

    /// Remembers a request that was sent, with the call that sent it.
    pub(super) fn sent(&mut self, inode: u64, request: Request, call: Call) {
        if self.waiting.len() >= SOCKETS && !self.waiting.contains_key(&inode) {
            return;
        }
        let waiting = self.waiting.entry(inode).or_default();
        if waiting.len() == WAITING {
            waiting.pop_front();
        }
        waiting.push_back((request, call));
    }

    /// Returns whether the socket `inode` has requests that wait for answers.
    pub(super) fn is_waiting(&self, inode: u64) -> bool {
        self.waiting.contains_key(&inode)
    }

    /// Takes out the calls whose requests these answers refuse.
    pub(super) fn refused(&mut self, inode: u64, refusals: &[Refusal]) -> Vec<Call> {
        let Some(waiting) = self.waiting.get_mut(&inode) else { return Vec::new() };
        let mut calls = Vec::new();
        for refusal in refusals {
            let asked = |(request, _): &(Request, Call)| (request.message, request.sequence) == (refusal.message, refusal.sequence);
            // Otherwise it is about a later message of a datagram, of which the first is known.
            let index = waiting.iter().position(asked).or(waiting.len().checked_sub(1));
            if let Some((request, mut call)) = index.and_then(|index| waiting.remove(index)) {
                if request.message != refusal.message
                    && let Detail::Netlink { message, payload, .. } = &mut call.detail
                {
                    *message = refusal.message;
                    payload.clear();
                }
                calls.push(call);
            }
        }
        if waiting.is_empty() {
            self.waiting.remove(&inode);
        }
        calls
    }
}

struct Header {
    length: usize,
    kind: u16,
    sequence: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let [a, b, c, d, e, f, _, _, g, h, i, j, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok().filter(|length| *length >= HEADER)?;
        Some(Self { length, kind: u16::from_ne_bytes([e, f]), sequence: u32::from_ne_bytes([g, h, i, j]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    fn answer(errno: i32, kind: u16, sequence: u32) -> Vec<u8> {
        let mut payload = errno.to_ne_bytes().to_vec();
        payload.extend(message(kind, sequence, &[]));
        message(ERROR, sequence, &payload)
    }

    #[test]
    fn request_keeps_the_first_bytes_of_its_payload() {
        let request = Request::parse(&message(16, 7, &[9; 60])).unwrap();
        assert_eq!(request, Request { message: 16, sequence: 7, payload: vec![9; 48] });
        assert_eq!(Request::parse(&[1; 15]), None);
    }

    #[test]
    fn refusals_are_found_among_other_answers() {
        let bytes = [answer(0, 16, 1), answer(-1, 17, 2), answer(-17, 18, 3), answer(-13, 19, 4)].concat();
        assert_eq!(Refusal::parse_all(&bytes), [Refusal { message: 17, sequence: 2 }, Refusal { message: 19, sequence: 4 }]);
    }

    #[test]
    fn refusals_in_what_is_no_message_are_none() {
        assert_eq!(Refusal::parse_all(&[0; 64]), []);
        assert_eq!(Refusal::parse_all(&[0xff; 64]), []);
        assert_eq!(Refusal::parse_all(&answer(-1, 16, 1)[..24]), []);
    }

    #[test]
    fn refused_message_behind_the_first_of_a_datagram_is_the_one_that_is_named() {
        let mut sockets = Sockets::default();
        let request = Request { message: 16, sequence: 1, payload: vec![1] };
        sockets.sent(5, request.clone(), Call { detail: request.detail(Some(0)), ..Call::default() });
        let detail = Detail::Netlink { message: 2561, protocol: Some(0), payload: Vec::new() };
        assert_eq!(sockets.refused(5, &[Refusal { message: 2561, sequence: 9 }]), [Call { detail, ..Call::default() }]);
    }

    #[test]
    fn refused_request_is_found_by_its_number_and_only_once() {
        let mut sockets = Sockets::default();
        let call = Call { syscall: "sendto".to_owned(), ..Call::default() };
        sockets.sent(5, Request { message: 16, sequence: 1, payload: Vec::new() }, call.clone());
        let refusal = [Refusal { message: 16, sequence: 1 }];
        assert_eq!(sockets.refused(6, &refusal), []);
        assert_eq!(sockets.refused(5, &refusal), [call]);
        assert!(!sockets.is_waiting(5));
    }
}
