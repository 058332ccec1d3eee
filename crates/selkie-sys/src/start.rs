//! The first code of a program, in place of that of Rust's standard library.
//!
//! That reads `/proc/self/maps`, asks for the processors and makes a signal stack, only to say in words that a stack has overflowed,
//! which the guard page beneath it and `SIGSEGV` say as well. It takes some 80 us: of a command that takes one millisecond, and of
//! every monitor, for which a container's start waits.

use std::process::ExitCode;

use crate::signal;

/// Defines the program's entry, which calls the given `fn() -> ExitCode`, in a crate that is `no_main`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// What the C library calls. It has left the arguments to the standard library before.
        #[unsafe(no_mangle)]
        extern "C" fn main() -> core::ffi::c_int {
            $crate::start::run($main)
        }
    };
}

/// Does what the standard library does before and after `main`: no descriptor from 0 to 2 is free for a file that would be taken for
/// a standard stream, a reader that is gone is an error and not the end, and all output is written.
#[allow(clippy::exit, reason = "what the standard library does, too, when `main` has returned")]
pub fn run(main: fn() -> ExitCode) -> ! {
    for fd in 0..3 {
        // SAFETY: F_GETFD only looks.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            // SAFETY: the path is a C string. The descriptor is the lowest that is free: this one.
            let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            if opened != fd {
                std::process::abort();
            }
        }
    }
    signal::ignore(libc::SIGPIPE);
    let code = main();
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    std::process::exit(number.map_or(125, i32::from))
}
