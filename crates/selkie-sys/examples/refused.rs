//! A small container for the tests of `selkie-observe`: it does what the kernel refuses to do without a capability.
//!
//! ```text
//! refused hold KEEP NAMESPACES DEED...   new namespaces (`mnt`, `mnt,pid`), only KEEP (`-`, `sys_admin,chown`) in the sets, says its
//!                                        pid and `held`, waits for a line, does what must not be recorded, becomes the next one
//! refused do DEED...                     does each, whatever comes of it
//! ```
//!
//! Deeds: `bind:PORT` `chown:PATH` `setuid:UID` `netlink` `capset` `seccomp` `exec:PATH` `chroot` `unshare` `check:TIMES` `child:DEED` `linger`
//! `enter:CGROUP` `sibling:DEED`.
#![allow(unsafe_code, reason = "system calls as a program makes them, with arguments that no library passes")]

use std::ffi::CString;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

use selkie_caps::{CapSet, Capability};
use selkie_sys::seccomp::Instruction;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["hold", keep, namespaces, deeds @ ..] => hold(keep, namespaces, deeds),
        ["inner", keep, deeds @ ..] => inner(keep, deeds),
        ["do", deeds @ ..] => deeds.iter().for_each(|deed| perform(deed)),
        _ => fail("see the first lines of refused.rs"),
    }
}

fn fail(why: &str) -> ! {
    #[expect(clippy::print_stderr, clippy::exit, reason = "a program of the tests")]
    {
        eprintln!("refused: {why}: {}", std::io::Error::last_os_error());
        exit(3)
    }
}

fn itself() -> Command {
    // By its name, which is the thread's then; `/proc/self/exe` would be `exe`.
    Command::new(std::env::current_exe().unwrap_or_else(|_| fail("readlink")))
}

fn say(what: &str) {
    let mut out = std::io::stdout();
    if writeln!(out, "{what}").and_then(|()| out.flush()).is_err() {
        fail("write");
    }
}

fn hold(keep: &str, namespaces: &str, deeds: &[&str]) {
    let pid_namespace = namespaces.split(',').any(|name| name == "pid");
    let flags = libc::CLONE_NEWNS | if pid_namespace { libc::CLONE_NEWPID } else { 0 };
    // SAFETY: no pointers; this process has one thread.
    if unsafe { libc::unshare(flags) } != 0 {
        fail("unshare");
    }
    if !pid_namespace {
        say(&std::process::id().to_string());
        return inner(keep, deeds);
    }
    // The first process of a PID namespace is a child, whose number only the parent knows.
    let Ok(mut child) = itself().arg("inner").arg(keep).args(deeds).spawn() else { fail("fork") };
    say(&child.id().to_string());
    let _ = child.wait();
}

fn inner(keep: &str, deeds: &[&str]) {
    let kept: CapSet = keep.split(',').filter_map(|name| Capability::parse_name(name).ok()).collect();
    let last = selkie_sys::capability::last_capability();
    let unwanted = (0..=last).filter_map(Capability::from_number).filter(|capability| !kept.contains(*capability)).collect();
    if selkie_sys::capability::drop_bounding(unwanted).and_then(|()| selkie_sys::capability::set(kept, kept, CapSet::EMPTY)).is_err() {
        fail("capset");
    }
    say("held");
    let mut line = String::new();
    if !std::io::stdin().lock().read_line(&mut line).is_ok_and(|length| length > 0) {
        fail("nobody said go");
    }
    // Set-up of the engine: watched already, and not the workload's.
    perform("chroot");
    perform("child:chroot");
    let _ = itself().arg("do").args(deeds).exec();
    fail("execve");
}

/// Does it in a process that is this one's sibling, not its child, and waits for its end.
fn sibling(deed: &str) {
    let flags = libc::CLONE_PARENT | libc::CLONE_VFORK;
    // SAFETY: no pointers; without CLONE_VM the new process has memory of its own, and this one has one thread.
    if unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) } == 0 {
        perform(deed);
        // SAFETY: no pointers.
        unsafe { libc::_exit(0) };
    }
}

fn perform(deed: &str) {
    let (name, argument) = deed.split_once(':').unwrap_or((deed, ""));
    let number = argument.parse().unwrap_or(0);
    let path = CString::new(argument).unwrap_or_default();
    match name {
        "bind" => bind(number),
        // SAFETY: a string that lives until the call returns.
        "chown" => drop(unsafe { libc::chown(path.as_ptr(), 1, 1) }),
        // SAFETY: no pointers. The raw call: libc's would tell other threads.
        "setuid" => drop(unsafe { libc::syscall(libc::SYS_setuid, libc::c_long::from(number)) }),
        "netlink" => netlink(),
        "capset" => drop(selkie_sys::capability::set(CapSet::KNOWN, CapSet::KNOWN, CapSet::EMPTY)),
        "seccomp" => seccomp(),
        "exec" => {
            let arguments = [path.as_ptr(), std::ptr::null()];
            // SAFETY: a string, and an array of strings that ends with a null pointer; both outlive the call.
            unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
        }
        // SAFETY: a constant string.
        "chroot" => drop(unsafe { libc::chroot(c"/".as_ptr()) }),
        // SAFETY: no pointers.
        "unshare" => drop(unsafe { libc::unshare(libc::CLONE_NEWNS) }),
        "check" => {
            for _ in 0..number {
                // SAFETY: no pointers; a negative length is refused behind the check.
                unsafe { libc::syscall(libc::SYS_sethostname, 0, -1) };
            }
        }
        "enter" => drop(std::fs::write(format!("{argument}/cgroup.procs"), "0")),
        "linger" => drop(itself().args(["do", "pause"]).spawn()),
        // SAFETY: no pointers.
        "pause" => drop(unsafe { libc::pause() }),
        "child" => drop(itself().args(["do", argument]).status()),
        "sibling" => sibling(argument),
        _ => fail(deed),
    }
}

fn bind(port: i32) {
    let address = libc::sockaddr_in {
        sin_family: 2,
        sin_port: u16::try_from(port).unwrap_or(0).to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    // SAFETY: an address of the length that is given.
    unsafe { libc::bind(socket, (&raw const address).cast(), 16) };
}

/// Asks for a new device: a `struct nlmsghdr` of RTM_NEWLINK with NLM_F_REQUEST, and a `struct ifinfomsg` of zeros.
fn netlink() {
    let mut message = [0_u8; 32];
    message[0] = 32;
    message[4] = 16;
    message[6] = 1;
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    // SAFETY: a buffer of the length that is given, and no address.
    unsafe { libc::sendto(socket, message.as_ptr().cast(), message.len(), 0, std::ptr::null(), 0) };
}

/// Has sethostname(2) refused by a filter, before the kernel asks for any capability.
fn seccomp() {
    let call = u32::try_from(libc::SYS_sethostname).unwrap_or(0);
    let filter = [
        Instruction { code: 0x20, jt: 0, jf: 0, k: 0 },
        Instruction { code: 0x15, jt: 0, jf: 1, k: call },
        Instruction { code: 0x06, jt: 0, jf: 0, k: 0x0005_0001 },
        Instruction { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 },
    ];
    let _ = selkie_sys::capability::set_no_new_privileges();
    let _ = selkie_sys::seccomp::install(&filter);
    perform("check:1");
}
