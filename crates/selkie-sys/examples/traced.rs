//! A program for the tests of the tracer: it is held until it is traced, gives up capabilities, installs a filter, and executes itself.
//!
//! ```text
//! traced supervise FILTER KEEP ACT...   runs the next line as a child; prints its pid, and each stop, continuation and end of it
//! traced hold FILTER KEEP ACT...        waits for a byte on standard input; keeps the capabilities of the hexadecimal mask KEEP in
//!                                       its bounding set; installs the filter in the file FILTER; becomes `traced act ACT...`
//! traced hold FILTER KEEP -- PROGRAM... the same, but becomes PROGRAM
//! traced act ACT...                     does one thing, prints the errno of it, 0 if it worked
//! ```
#![allow(unsafe_code, reason = "system calls that no library makes, with arguments that no library allows")]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use selkie_caps::CapSet;
use selkie_sys::seccomp::Instruction;
use selkie_sys::{capability, process, seccomp};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["supervise", rest @ ..] => supervise(rest),
        ["hold", filter, keep, rest @ ..] => hold(filter, keep, rest),
        ["act", act @ ..] => act_out(act),
        _ => say("what?"),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write a line: two processes share the pipe.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn me() -> Command {
    Command::new("/proc/self/exe")
}

fn supervise(rest: &[&str]) {
    let Ok(child) = me().arg("hold").args(rest).spawn() else { return say("no child") };
    let pid = i32::try_from(child.id()).unwrap_or(0);
    say(&format!("pid {pid}"));
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer of this frame.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED | libc::WCONTINUED) } != pid {
            return;
        }
        match status {
            _ if libc::WIFSTOPPED(status) => say(&format!("stopped {}", libc::WSTOPSIG(status))),
            _ if libc::WIFCONTINUED(status) => say("continued"),
            _ if libc::WIFSIGNALED(status) => return say(&format!("killed {}", libc::WTERMSIG(status))),
            _ => return say(&format!("exited {}", libc::WEXITSTATUS(status))),
        }
    }
}

fn hold(filter: &str, keep: &str, rest: &[&str]) {
    if !read_byte() {
        return;
    }
    let keep = CapSet::from_bits(u64::from_str_radix(keep, 16).unwrap_or(0));
    let bytes = std::fs::read(filter).unwrap_or_default();
    let program: Vec<Instruction> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|&[a, b, jt, jf, c, d, e, f]| Instruction { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes([c, d, e, f]) })
        .collect();
    let confined = capability::read()
        .and_then(|own| capability::drop_bounding(own.bounding.difference(keep)))
        // What the caller of the tests has open would move the numbers of what the act opens.
        .and_then(|()| process::close_above_on_exec(3))
        .and_then(|()| seccomp::install(&program));
    match confined {
        Ok(()) => say(&match rest {
            ["--", program, arguments @ ..] => Command::new(program).args(arguments).exec(),
            act => me().arg0("traced").arg("act").args(act).exec(),
        }
        .to_string()),
        Err(error) => say(&error.to_string()),
    }
}

fn read_byte() -> bool {
    std::io::stdin().read(&mut [0]).is_ok_and(|length| length == 1)
}

fn act_out(act: &[&str]) {
    match *act {
        ["chown", path] => say(&chown(path)),
        ["twice", path] => [path; 2].into_iter().for_each(|path| say(&chown(path))),
        ["bind", port] => bind(port.parse().unwrap_or(0)),
        ["read", path] => say(&outcome(rustix::fs::openat(rustix::fs::CWD, path, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()))),
        ["netlink"] => netlink(),
        ["capset"] => {
            let wanted = CapSet::from_bits(1 << 12);
            say(&outcome(capability::set(wanted, wanted, CapSet::EMPTY).map_err(|error| error.errno)));
        }
        ["execute", path] => say(&format!("{}", Command::new(path).exec().raw_os_error().unwrap_or(0))),
        ["thread", path] => {
            let path = path.to_owned();
            let _ = std::thread::spawn(move || say(&chown(&path))).join();
        }
        ["thread-execute", path] => {
            let path = path.to_owned();
            // The first thread waits for ever: it ends by the execve(2) of the other.
            let _ = std::thread::spawn(move || me().arg0("traced").args(["act", "chown", &path]).exec()).join();
        }
        ["fork", path] => fork(path),
        ["vfork", path] => {
            let _ = me().arg0("traced").args(["act", "chown", path]).status();
            say("done");
        }
        ["stop", path] => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
            say(&chown(path));
        }
        ["signal", path] => signal(path),
        ["wait", path] => {
            say("ready");
            if read_byte() {
                say(&chown(path));
            }
        }
        _ => say("what?"),
    }
}

fn outcome<T>(result: Result<T, rustix::io::Errno>) -> String {
    result.map_or_else(|errno| errno.raw_os_error(), |_| 0).to_string()
}

fn chown(path: &str) -> String {
    let user = rustix::fs::Uid::from_raw(1);
    outcome(rustix::fs::chownat(rustix::fs::CWD, path, Some(user), None, rustix::fs::AtFlags::empty()))
}

fn bind(port: u16) {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, socket};
    let bound = socket(AddressFamily::INET, SocketType::STREAM, None)
        .and_then(|socket| bind(&socket, &SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port)));
    say(&outcome(bound));
}

fn fork(path: &str) {
    let path = path.to_owned();
    // SAFETY: the process has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        0 => say(&chown(&path)),
        child => {
            // SAFETY: no status is asked for.
            unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) };
            say("done");
        }
    }
}

extern "C" fn handle(_: libc::c_int) {
    // SAFETY: write(2) may be called in a handler; the bytes are static.
    unsafe { libc::write(1, c"handled\n".as_ptr().cast(), 8) };
}

fn signal(path: &str) {
    let handler: extern "C" fn(libc::c_int) = handle;
    // SAFETY: the handler makes one system call.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1);
    say(&chown(path));
}

/// Asks for a new network device, by a socket without an address, and reads the answer.
fn netlink() {
    const NEW_LINK: u16 = 16;
    const REQUEST_ACK: u16 = 5;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    message.extend(7_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend([0_u8; 16]);
    let mut answer = [0_u8; 256];
    // SAFETY: a socket, and two buffers of this frame with their lengths.
    let received = unsafe {
        let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0);
        libc::send(socket, message.as_ptr().cast(), message.len(), 0);
        libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), 0)
    };
    let errno = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    say(&format!("{} {}", i32::from(received > 0), -errno));
}
