//! The error of a system call: which call, with which arguments, and what the kernel answered.

pub use rustix::io::Errno;

/// A system call that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed: {}", describe(*errno))]
pub struct SyscallError {
    /// The call as strace(1) would print it, for example `move_mount("proc")`.
    pub call: String,
    /// What the kernel answered.
    pub errno: Errno,
}

/// The result of a system call.
pub type Result<T> = core::result::Result<T, SyscallError>;

impl SyscallError {
    /// Builds the error of `call`.
    #[must_use]
    pub fn new(call: impl Into<String>, errno: Errno) -> Self {
        Self { call: call.into(), errno }
    }
}

/// Names the call of a failed result; the text is only made when it is needed.
pub trait Context<T> {
    /// Turns a bare errno into an error that shows `call`.
    ///
    /// # Errors
    /// The same as `self`, with the call.
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for core::result::Result<T, Errno> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|errno| SyscallError::new(call(), errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| SyscallError::new(call(), Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }
}

/// Returns the C library's sentence for `errno`, without the number that Rust appends.
#[must_use]
pub fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text.chars().take(end).collect(),
        None => text,
    }
}

/// Turns the return value of libc's `syscall` into a result.
pub(crate) fn check(value: libc::c_long) -> core::result::Result<libc::c_long, Errno> {
    if value >= 0 { Ok(value) } else { Err(last()) }
}

/// Returns the calling thread's `errno`.
pub(crate) fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
