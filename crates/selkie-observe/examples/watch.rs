//! Watches a process by ptrace(2) and prints its trace file when it has ended: for looking at the rung by itself.
//!
//! ```text
//! watch filter FILE    writes the filter that shows calls to the tracer, for `traced hold` of selkie-sys
//! watch PID            prints `watching`, then the trace when a line comes on standard input
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]

use selkie_observe::{Observer, Ptrace, Subject};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["filter", file] => {
            let arch = selkie_seccomp::Arch::native().ok_or("no table of system calls for this machine")?;
            let program = selkie_seccomp::trace_filter(arch)?;
            let bytes = |one: &selkie_seccomp::Instruction| [&one.code.to_le_bytes()[..], &[one.jt, one.jf], &one.k.to_le_bytes()].concat();
            std::fs::write(file, program.instructions().iter().flat_map(bytes).collect::<Vec<u8>>())?;
        }
        [pid] => {
            let observer = Ptrace::default();
            observer.watch(Subject { context: 1, pid: pid.parse()? })?;
            println!("watching");
            std::io::stdin().read_line(&mut String::new())?;
            print!("{}", observer.finish(1)?.to_text());
        }
        _ => eprintln!("watch filter FILE | watch PID"),
    }
    Ok(())
}
