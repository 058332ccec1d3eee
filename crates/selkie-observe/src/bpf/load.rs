//! From the object to attached programs.

use aya::programs::{BtfTracePoint, FExit, KProbe, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};
use selkie_learn::Rung;

use super::maps::Maps;
use crate::error::{Error, Result};

/// The object for this architecture: names of registers are compiled in. Others are built by adding their `-D__TARGET_ARCH_`
/// to `tools/build-bpf` and a line here; the source has the names of arm64, but nobody has run them yet.
#[cfg(target_arch = "x86_64")]
pub(super) static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!("../../bpf/observe.bpf.x86_64.o"));
#[cfg(not(target_arch = "x86_64"))]
pub(super) static OBJECT: Option<&[u8]> = None;

/// A program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name in the object.
    pub(super) name: &'static str,
    /// To what it is attached.
    pub(super) anchor: &'static str,
}

/// What keeps the refused calls: costs something on every system call of the machine.
pub(super) const CALLS: Part = Part { name: "call_returned", anchor: "sys_exit" };
/// What counts how processes end.
pub(super) const ENDINGS: Part = Part { name: "process_ended", anchor: "sched_process_exit" };

/// Returns what sees the checks themselves.
pub(super) fn checks(rung: Rung) -> &'static [Part] {
    match rung {
        Rung::TpBtf => &[Part { name: "check_tracepoint", anchor: "cap_capable" }],
        Rung::Fexit => &[Part { name: "check_fexit", anchor: "cap_capable" }],
        // The return probe first: what enters while it is not there would leave its entry behind.
        Rung::Kprobe => &[Part { name: "check_leave", anchor: "cap_capable" }, Part { name: "check_enter", anchor: "cap_capable" }],
        Rung::Ptrace => &[],
    }
}

/// Reads the kernel's types.
pub(super) fn types(rung: Rung) -> Result<Btf> {
    Btf::from_sys_fs()
        .map_err(|error| unavailable(rung, format!("the kernel's types cannot be read (/sys/kernel/btf/vmlinux): {}", chain(&error))))
}

/// Creates the maps and nothing else.
pub(super) fn object(rung: Rung, types: &Btf) -> Result<Ebpf> {
    let object = OBJECT.ok_or_else(|| unavailable(rung, format!("no BPF object has been built for {}", std::env::consts::ARCH)))?;
    EbpfLoader::new().btf(Some(types)).load(object).map_err(|error| unavailable(rung, chain(&error)))
}

/// Loads one program.
pub(super) fn load(rung: Rung, part: Part, object: &mut Ebpf, types: &Btf) -> Result<()> {
    let loaded = match program(rung, part, object)? {
        Program::BtfTracePoint(program) => program.load(part.anchor, types),
        Program::FExit(program) => program.load(part.anchor, types),
        Program::KProbe(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    loaded.map_err(|error| unavailable(rung, refusal(part, &error)))
}

/// Attaches one program, for as long as the object is there.
pub(super) fn attach(rung: Rung, part: Part, object: &mut Ebpf) -> Result<()> {
    let attached = match program(rung, part, object)? {
        Program::BtfTracePoint(program) => BtfTracePoint::attach(program).map(drop),
        Program::FExit(program) => FExit::attach(program).map(drop),
        Program::KProbe(program) => KProbe::attach(program, part.anchor, 0).map(drop),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    attached.map_err(|error| unavailable(rung, format!("attaching `{}` to `{}`: {}", part.name, part.anchor, chain(&error))))
}

/// Takes the maps out of the object.
pub(super) fn maps(rung: Rung, object: &mut Ebpf) -> Result<Maps> {
    Maps::take(|name| object.take_map(name).ok_or_else(|| unavailable(rung, format!("the object has no map `{name}`"))))
}

fn program(rung: Rung, part: Part, object: &mut Ebpf) -> Result<&mut Program> {
    object.program_mut(part.name).ok_or_else(|| unavailable(rung, format!("the object has no program `{}`", part.name)))
}

pub(super) fn unavailable(rung: Rung, reason: String) -> Error {
    Error::Unavailable { rung: rung.name(), reason }
}

/// The verifier's log may have thousands of lines; its last ones say why.
fn refusal(part: Part, error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last: Vec<&str> = log.lines().filter(|line| !line.is_empty() && !line.starts_with("processed ")).rev().take(2).collect();
            let last: String = last.into_iter().rev().map(|line| format!("; {line}")).collect();
            format!("the kernel refuses to load `{}`: {}{last}", part.name, selkie_sys::describe(errno(io_error)))
        }
        other => format!("loading `{}`: {}", part.name, chain(other)),
    }
}

fn errno(error: &std::io::Error) -> selkie_sys::Errno {
    selkie_sys::Errno::from_io_error(error).unwrap_or(selkie_sys::Errno::IO)
}

/// Returns the text of an error and of what caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}
