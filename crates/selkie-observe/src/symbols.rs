//! Names of kernel functions: proc(5) `/proc/kallsyms`.
//!
//! The file has 200,000 lines and shows zeros to whom the kernel does not trust (`kptr_restrict`, `CAP_SYSLOG`). So it is read only
//! when an address is asked for that was not asked for before, and only the names that were asked for are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// What stands outside of `cap_capable` on a stack that was taken by BPF, at the inner end.
const PROBES: [&str; 13] = [
    "bpf_",
    "__bpf_",
    "trace_",
    "__traceiter_",
    "__probestub_",
    "kprobe_",
    "kretprobe_",
    "__kretprobe_",
    "rethook_",
    "arch_rethook_",
    "ftrace_",
    "perf_",
    "stack_trace_",
];

/// The function at the inner end of every stack of a check.
const CHECK: &str = "cap_capable";

/// Names of kernel functions by the addresses that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    names: BTreeMap<u64, Option<String>>,
    hidden: bool,
}

impl Symbols {
    /// Returns whether the kernel tells names at all.
    pub(crate) fn are_shown(&self) -> bool {
        !self.hidden
    }

    /// Looks up what is not known yet; without rights nothing is found.
    pub(crate) fn learn(&mut self, addresses: impl IntoIterator<Item = u64>) {
        let wanted: Vec<u64> =
            addresses.into_iter().filter(|address| !self.names.contains_key(address)).collect::<BTreeSet<_>>().into_iter().collect();
        if wanted.is_empty() || self.hidden {
            return;
        }
        let found = File::open("/proc/kallsyms").map(|file| nearest(BufReader::with_capacity(1 << 16, file), &wanted)).unwrap_or_default();
        self.hidden = found.iter().all(Option::is_none);
        if !self.hidden {
            self.names.extend(wanted.into_iter().zip(found));
        }
    }

    /// Returns the functions of a stack from `cap_capable` outwards; empty if names are not shown.
    pub(crate) fn stack(&self, addresses: &[u64]) -> Vec<String> {
        if self.hidden || addresses.is_empty() {
            return Vec::new();
        }
        let names: Vec<String> =
            addresses.iter().map(|address| self.names.get(address).cloned().flatten().unwrap_or_else(|| format!("{address:#x}"))).collect();
        from_check(names)
    }
}

/// Cuts what the probe itself put on the stack.
fn from_check(mut names: Vec<String>) -> Vec<String> {
    if let Some(place) = names.iter().position(|name| name == CHECK) {
        return names.split_off(place);
    }
    // Behind a return probe the function is gone from the stack.
    let own = |name: &String| name.starts_with("0x") || PROBES.iter().any(|prefix| name.starts_with(prefix));
    let outer = names.iter().position(|name| !own(name)).unwrap_or(names.len());
    std::iter::once(CHECK.to_owned()).chain(names.split_off(outer)).collect()
}

/// Returns for each of the `wanted`, which are sorted, the name of the function it is in.
fn nearest(lines: impl BufRead, wanted: &[u64]) -> Vec<Option<String>> {
    let mut found: Vec<Option<(u64, String)>> = vec![None; wanted.len()];
    // Lines of the kernel proper are sorted, those of modules and programs come behind and are not.
    for line in lines.split(b'\n').map_while(Result::ok) {
        let Some((address, name)) = parse(&line) else { continue };
        // A return address is behind the call, which may be the last instruction of a function.
        let Some(place) = found.get_mut(wanted.partition_point(|wanted| *wanted <= address)) else { continue };
        // Of several names of one address the first is the one that is used.
        if place.as_ref().is_none_or(|(known, _)| *known < address) {
            *place = Some((address, name.to_owned()));
        }
    }
    // What begins nearest before one address may also be what begins nearest before the next.
    let mut best: Option<(u64, String)> = None;
    found
        .into_iter()
        .map(|place| {
            if place.as_ref().map(|(address, _)| *address) > best.as_ref().map(|(address, _)| *address) {
                best = place;
            }
            best.as_ref().map(|(_, name)| name.clone())
        })
        .collect()
}

/// Reads a line `ffffffff81000000 T name\t[module]` of a function; names lose what the compiler appended.
fn parse(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
    matches!(words.next()?, "t" | "T" | "w" | "W").then_some(())?;
    let name = words.next()?;
    Some((address, name.split_once('.').map_or(name, |(name, _)| name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 t cap_capable.isra.0
ffffffff81000200 T security_capable
ffffffff81000200 T security_capable_alias
ffffffff81000280 D data
ffffffff81000300 t __inet_bind
ffffffffa0000000 t bpf_prog_1234_check\t[bpf]
";

    fn names(wanted: &[u64]) -> Vec<Option<String>> {
        nearest(TEXT.as_bytes(), wanted)
    }

    #[test]
    fn address_belongs_to_the_function_that_begins_before_it() {
        let wanted = [0xffff_ffff_8100_0150, 0xffff_ffff_8100_0250, 0xffff_ffff_8100_0290, 0xffff_ffff_a000_0010];
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names(&wanted), [some("cap_capable"), some("security_capable"), some("security_capable"), some("bpf_prog_1234_check")]);
    }

    #[test]
    fn address_behind_the_last_call_of_a_function_is_of_that_function() {
        assert_eq!(names(&[0xffff_ffff_8100_0200]), [Some("cap_capable".to_owned())]);
    }

    #[test]
    fn addresses_that_the_kernel_hides_have_no_name() {
        assert_eq!(nearest("0000000000000000 T _stext\n".as_bytes(), &[5]), [None]);
    }

    #[test]
    fn stack_begins_at_the_check() {
        let stack = |names: &[&str]| from_check(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(stack(&["bpf_prog_1_x", "bpf_trace_run5", "cap_capable", "capable"]), ["cap_capable", "capable"]);
        assert_eq!(stack(&["0xffffffffc0", "rethook_trampoline_handler", "security_capable"]), ["cap_capable", "security_capable"]);
    }
}
