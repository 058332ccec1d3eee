//! Starts a program as vfork(2) does, in the caller's memory until the execve(2): no page table is copied, and none of the caller's
//! pages has to be copied when it goes on. Unlike there the caller does not wait for the execve(2), which takes some 150 us, on
//! another processor if one is idle.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Context, Errno, Result, check};
use crate::process::{Child, Pid, SingleThreaded, Strings, close_above_on_exec, execute_descriptor, kept, renumber};

/// Bytes of stack for what the child does before its execve(2): a dozen system calls.
const STACK: usize = 16 * 1024;

/// What the child needs, made before it runs, and never freed: it shares the heap with the caller.
struct Spawn {
    /// Descriptors by their numbers: the child has its own table, a copy of the caller's at its beginning.
    program: i32,
    keep: Vec<i32>,
    /// Room for as many numbers.
    sources: Vec<i32>,
    arguments: Strings,
    environment: Strings,
    mask: u64,
}

/// Starts the program behind `fd` as a child that shares nothing but the descriptors in `keep`, renumbered from 0 on.
///
/// A program that cannot be executed shows as a child that ends with 126. Some 20 KB of memory stay behind for each child. The caller
/// must not have a handler for a signal: it could run in the child.
///
/// # Errors
/// What clone(2) answered.
pub fn spawn_descriptor(
    _proof: SingleThreaded,
    fd: BorrowedFd<'_>,
    arguments: Strings,
    environment: Strings,
    keep: &[BorrowedFd<'_>],
) -> Result<Child> {
    let stack = Box::leak(Box::<[u128]>::new_uninit_slice(STACK / size_of::<u128>())).as_mut_ptr_range().end;
    let keep: Vec<i32> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let mask = set_mask(u64::MAX);
    let spawn = Spawn { program: fd.as_raw_fd(), sources: Vec::with_capacity(keep.len()), keep, arguments, environment, mask };
    let spawn: *mut Spawn = Box::leak(Box::new(spawn));
    let mut pidfd: i32 = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the stack and `spawn` are never freed, and nobody but the child uses them from here on. A stack grows down from its end,
    // which is aligned for a u128. The child allocates nothing, so the caller, the only thread (`_proof`), has the heap for itself; of
    // its thread's own memory it writes `errno` alone, when it has failed and so has the caller's purpose. `pidfd` is stored before
    // this returns. All signals are blocked in it until its execve(2), and no handler is set.
    let value = unsafe { libc::clone(run, stack.cast(), flags, spawn.cast(), &raw mut pidfd) };
    let made = check(value.into()).call(|| format!("clone(flags={flags:#x})"));
    set_mask(mask);
    // It waits behind us where it was made. Its execve(2) moves it to an idle processor at once.
    std::thread::yield_now();
    let pid = Pid::from_raw(i32::try_from(made?).unwrap_or(0)).ok_or(Errno::SRCH).call(|| "clone()")?;
    // SAFETY: CLONE_PIDFD made the kernel store a new descriptor here, which nobody else owns.
    Ok(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// The child, from its first instruction on. Returning ends it.
extern "C" fn run(context: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the context is the `Spawn` that `spawn_descriptor` has leaked for this process alone.
    let spawn = unsafe { &mut *context.cast::<Spawn>() };
    let above = u32::try_from(spawn.keep.len()).unwrap_or(u32::MAX);
    // What the caller has left open stays behind; only what is kept has no close-on-exec.
    if let Ok([program]) = renumber(&spawn.keep, &[spawn.program], &mut spawn.sources)
        && close_above_on_exec(above).is_ok()
    {
        set_mask(spawn.mask);
        let _ = execute_descriptor(kept(program), &spawn.arguments, &spawn.environment);
    }
    126
}

/// Blocks exactly the signals in `mask`, and returns which ones were.
fn set_mask(mask: u64) -> u64 {
    let mut before = 0;
    // SAFETY: the kernel reads and writes a mask of 8 bytes each. It cannot fail with these arguments.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, size_of::<u64>()) };
    before
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;
    use crate::process;

    /// Runs `body` in a child with one thread: a test has several.
    fn alone(body: impl FnOnce(SingleThreaded) -> i32) -> i32 {
        // SAFETY: the tests' other threads hold locks of the test runner only, which the child does not take.
        let child = unsafe { libc::fork() };
        if child == 0 {
            process::exit_now(SingleThreaded::check().map_or(99, body));
        }
        let mut status = 0;
        // SAFETY: the kernel writes one number into this frame.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        libc::WEXITSTATUS(status)
    }

    fn spawn(proof: SingleThreaded, path: &str, words: &[&str], keep: &[BorrowedFd<'_>]) -> i32 {
        let program = std::fs::File::open(path).unwrap();
        let (arguments, environment) = (Strings::new(words).unwrap(), Strings::new(&["A=b"]).unwrap());
        let child = spawn_descriptor(proof, program.as_fd(), arguments, environment, keep).unwrap();
        process::wait(&child.pidfd).unwrap().code()
    }

    #[test]
    fn spawned_program_has_its_descriptors_environment_and_nothing_else() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let script = "echo $A; ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Pnd)' /proc/self/status | tr -d '\\t'";
        let code = alone(|proof| spawn(proof, "/bin/sh", &["sh", "-c", script], &[null.as_fd(), writer.as_fd(), writer.as_fd()]));
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        let zeros = "0".repeat(16);
        // The fourth descriptor is the directory that `ls` reads.
        assert_eq!((code, said), (0, format!("b\n4\nSigPnd:{zeros}\nSigBlk:{zeros}\n")));
    }

    #[test]
    fn program_that_cannot_be_executed_ends_with_126() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(alone(|proof| spawn(proof, "/etc/passwd", &["x"], &[null.as_fd(); 3])), 126);
    }

    #[test]
    fn caller_keeps_its_memory_and_signal_mask() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let code = alone(|proof| {
            let kept = vec![7; 1000];
            let before = set_mask(1);
            set_mask(before);
            let code = spawn(proof, "/bin/sh", &["sh", "-c", "exit 5"], &[null.as_fd(); 3]);
            let after = set_mask(before);
            if code == 5 && kept.iter().all(|byte| *byte == 7) && before == after { 0 } else { 1 }
        });
        assert_eq!(code, 0);
    }
}
