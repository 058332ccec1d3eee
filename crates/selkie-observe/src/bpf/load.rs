//! From the object to attached programs.

use aya::maps::Map;
use aya::programs::kprobe::KProbeLink;
use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};
use selkie_caps::{CapSet, Capability};
use selkie_learn::Rung;

use super::maps::Maps;
use crate::error::{Error, Result};

/// The object for this architecture: names of registers are compiled in. Others are built by adding their `-D__TARGET_ARCH_`
/// to `tools/build-bpf` and a line here; the source has the names of arm64, but nobody has run them yet.
#[cfg(target_arch = "x86_64")]
pub(super) static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!("../../bpf/observe.bpf.x86_64.o"));
#[cfg(not(target_arch = "x86_64"))]
pub(super) static OBJECT: Option<&[u8]> = None;

/// Where the kernel describes its types.
const TYPES: &str = "/sys/kernel/btf/vmlinux";

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
/// What counts how processes end, and what sees that the first one has begun.
pub(super) const LIVES: [Part; 2] =
    [Part { name: "process_ended", anchor: "sched_process_exit" }, Part { name: "program_executed", anchor: "sched_process_exec" }];

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

/// Returns what is missing for any rung, as far as that can be seen without trying.
fn missing() -> Option<String> {
    let wanted = [Capability::Bpf, Capability::Perfmon];
    // Without them the kernel answers EPERM to everything; with CAP_SYS_ADMIN alone it does to the reading thread.
    let held = selkie_sys::capability::held().map_or(CapSet::EMPTY, |held| held.effective);
    let lacking: Vec<&str> = wanted.into_iter().filter(|capability| !held.contains(*capability)).map(Capability::name).collect();
    if !lacking.is_empty() {
        return Some(format!("{} missing in our effective set", lacking.join(" and ")));
    }
    if !std::path::Path::new(TYPES).exists() {
        return Some(format!("this kernel was built without BTF ({TYPES} is not there)"));
    }
    let lockdown = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    lockdown.contains("[confidentiality]").then(|| "the kernel is locked down (confidentiality): BPF may not read its memory".to_owned())
}

/// Reads the kernel's types.
pub(super) fn types(rung: Rung) -> Result<Btf> {
    if let Some(reason) = missing() {
        return Err(unavailable(rung, reason));
    }
    Btf::from_sys_fs().map_err(|error| unavailable(rung, format!("the kernel's types cannot be read ({TYPES}): {}", chain(&error))))
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

/// Attaches one program, until the link is closed.
pub(super) fn attach(rung: Rung, part: Part, object: &mut Ebpf) -> Result<FdLink> {
    let failed =
        |error: &dyn std::error::Error| unavailable(rung, format!("attaching `{}` to `{}`: {}", part.name, part.anchor, chain(error)));
    match program(rung, part, object)? {
        Program::BtfTracePoint(program) => attach_tracepoint(program).map_err(|error| failed(&error)),
        Program::FExit(program) => program.attach().and_then(|id| program.take_link(id)).map(FdLink::from).map_err(|error| failed(&error)),
        Program::KProbe(program) => {
            let link: KProbeLink = program.attach(part.anchor, 0).and_then(|id| program.take_link(id)).map_err(|error| failed(&error))?;
            FdLink::try_from(link).map_err(|error| failed(&error))
        }
        _ => Err(failed(&ProgramError::UnexpectedProgramType)),
    }
}

/// Attaches a program that is loaded already.
pub(super) fn attach_tracepoint(program: &mut BtfTracePoint) -> std::result::Result<FdLink, ProgramError> {
    program.attach().and_then(|id| program.take_link(id)).map(FdLink::from)
}

/// Takes the maps out of the object; `keep` is shown each first.
pub(super) fn maps(rung: Rung, object: &mut Ebpf, keep: impl Fn(&'static str, &Map) -> Result<()>) -> Result<Maps> {
    Maps::take(|name| {
        let map = object.take_map(name).ok_or_else(|| unavailable(rung, format!("the object has no map `{name}`")))?;
        keep(name, &map)?;
        Ok(map)
    })
}

pub(super) fn program(rung: Rung, part: Part, object: &mut Ebpf) -> Result<&mut Program> {
    object.program_mut(part.name).ok_or_else(|| unavailable(rung, format!("the object has no program `{}`", part.name)))
}

pub(super) fn unavailable(rung: Rung, reason: String) -> Error {
    Error::Unavailable { rung: rung.name(), reason }
}

/// The verifier's log may have thousands of lines; its last ones say why.
fn refusal(part: Part, error: &ProgramError) -> String {
    match error {
        ProgramError::Btf(_) if part.name == "check_tracepoint" => {
            "the kernel has no tracepoint capability:cap_capable, which Linux 6.14 brought".to_owned()
        }
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
