//! Whoever reads what is written to a pipe: gone, with `head -1`, before the writer has anything more to say.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;

/// Returns whether `fd` is a pipe or a socket that nobody reads any more.
pub(crate) fn is_gone(fd: impl AsFd) -> bool {
    is_gone_within(fd, Duration::ZERO)
}

/// Waits for `patience` at most; returns whether `fd` is a pipe or a socket that nobody reads any more.
pub(crate) fn is_gone_within(fd: impl AsFd, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: patience.subsec_nanos().into() };
    let mut polled = [PollFd::new(&fd, PollFlags::empty())];
    let has_ended = matches!(poll(&mut polled, Some(&timeout)), Ok(1..)) && polled.iter().any(|fd| fd.revents().contains(PollFlags::ERR));
    // A terminal that is gone answers the same.
    has_ended && rustix::fs::fstat(&fd).is_ok_and(|stat| matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_is_gone_once_its_end_is_closed() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(!is_gone(&writer));
        drop(reader);
        assert!(is_gone(&writer));
        assert!(!is_gone(std::fs::File::open("/dev/null").unwrap()));
    }
}
