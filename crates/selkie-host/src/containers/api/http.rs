//! One GET over a Unix socket, from whoever listens there: bounded in bytes and in time. unix(7), RFC 9112.
//!
//! The request is of HTTP/1.0, so that the answer is the body as it is and its end is the end of the connection.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use selkie_sys::Errno;

/// How long the head of an answer may be.
const HEAD: usize = 16 << 10;
/// How many fields it may have.
const FIELDS: usize = 64;

/// Why there is no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something else is in its place.
    #[error("it is no socket")]
    NoSocket,
    /// Neither root's nor that of the user whose engine it would be.
    #[error("it belongs to user {owner}, who is neither root nor the one whose engine this would be")]
    Stranger {
        /// Whose it is.
        owner: u32,
    },
    /// Asking is not allowed, or nobody is there.
    #[error("it cannot be asked: {}", selkie_sys::describe(*errno))]
    Refused {
        /// What the kernel answered.
        errno: Errno,
    },
    /// It took too long.
    #[error("no whole answer within {} s", patience.as_secs())]
    Late {
        /// How long that is.
        patience: Duration,
    },
    /// It went on and on.
    #[error("the answer is longer than {limit} bytes")]
    Long {
        /// How long it may be.
        limit: usize,
    },
    /// It is something else.
    #[error("the answer is no HTTP that was asked for")]
    Garbage,
    /// The engine says no.
    #[error("the answer is status {code}")]
    Status {
        /// The number.
        code: u16,
    },
    /// It is not what the engine sends.
    #[error("the answer is no list of containers")]
    NoList,
}

/// What is asked, and how much of an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) path: &'a str,
    /// Who may own the socket and serve it, besides root.
    pub(super) user: u32,
    pub(super) limit: usize,
    pub(super) patience: Duration,
}

/// Asks whoever serves the socket at `place`, and returns the body of the answer.
pub(super) fn get(place: &OwnedFd, question: Question<'_>) -> Result<Vec<u8>, Problem> {
    let refused = |errno| Problem::Refused { errno };
    let stranger = |owner: u32| if owner == 0 || owner == question.user { Ok(()) } else { Err(Problem::Stranger { owner }) };
    let stat = rustix::fs::fstat(place).map_err(refused)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Problem::NoSocket);
    }
    stranger(stat.st_uid)?;
    let deadline = Instant::now() + question.patience;
    let late = Problem::Late { patience: question.patience };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(refused)?;
    // What was looked at, and nothing that has taken its place.
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", place.as_raw_fd())).map_err(refused)?;
    match rustix::net::connect(&socket, &address) {
        // More wait for it already than it takes.
        Err(Errno::AGAIN) => return Err(late),
        connected => connected.map_err(refused)?,
    }
    stranger(socket_peercred(&socket).map_err(refused)?.uid.as_raw())?;
    let request = format!("GET {} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n", question.path);
    let sent = rustix::net::send(&socket, request.as_bytes(), SendFlags::NOSIGNAL).map_err(refused)?;
    if sent < request.len() {
        return Err(late);
    }
    let mut answer = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        if !readable(&socket, deadline).map_err(refused)? {
            return Err(late);
        }
        match rustix::net::recv(&socket, &mut *chunk, RecvFlags::empty()) {
            Ok((_, 0)) => return body(&answer).ok_or(Problem::Garbage)?,
            Ok((_, length)) => answer.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(refused(errno)),
        }
        if answer.len() > question.limit {
            return Err(Problem::Long { limit: question.limit });
        }
    }
}

/// Waits until there is something to read; `false` when the time is over.
fn readable(socket: impl AsFd, deadline: Instant) -> Result<bool, Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let left = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Returns the body of a whole answer; `None` for what is none.
fn body(answer: &[u8]) -> Option<Result<Vec<u8>, Problem>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(answer.get(..answer.len().min(HEAD))?).ok()? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return None,
    };
    let code = head.code?;
    if code != 200 {
        return Some(Err(Problem::Status { code }));
    }
    let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    if field("transfer-encoding").is_some() || field("content-encoding").is_some() {
        return None;
    }
    let body = answer.get(length..)?;
    let whole = field("content-length").is_none_or(|value| crate::procfs::number::<usize>(value.trim_ascii()) == Some(body.len()));
    whole.then(|| Ok(body.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn body_of_whole_answers_only() {
        let of = |answer: &str| body(answer.as_bytes());
        assert_eq!(of("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]"), Some(Ok(b"[]".to_vec())));
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\n[1]"), Some(Ok(b"[1]".to_vec())));
        assert_eq!(of("HTTP/1.0 404 Not Found\r\n\r\n{}"), Some(Err(Problem::Status { code: 404 })));
        for wrong in [
            "",
            "[]",
            "HTTP/1.0 200 OK\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n[]",
            "HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n[]",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        assert_eq!(of(&format!("HTTP/1.0 200 OK\r\nx: {}\r\n\r\n[]", "y".repeat(HEAD))), None);
        assert_eq!(of(&format!("HTTP/1.0 200 OK\r\n{}\r\n[]", "x: y\r\n".repeat(FIELDS + 1))), None);
    }

    proptest! {
        #[test]
        fn body_of_any_bytes_does_not_panic(bytes: Vec<u8>, more: bool) {
            let head = if more { b"HTTP/1.0 200 OK\r\n".to_vec() } else { Vec::new() };
            let _ = body(&[head, bytes].concat());
        }
    }
}
