//! The device rules of a container: files of the v1 `devices` controller, or a BPF program on v2.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use selkie_plan::{DeviceKind, DeviceRule};
use selkie_sys::Context;
use selkie_sys::cgroup_device::{Instruction, attach};

use super::{Hierarchy, write};
use crate::error::{During, Error};

/// Puts `rules` in force; the first rules that match everything are a fresh start, as in the OCI specification.
pub(super) fn apply(hierarchy: &Hierarchy, directory: &Path, rules: &[DeviceRule]) -> Result<(), Error> {
    let stage = || "device cgroup";
    if hierarchy.name.is_none() {
        let cgroup = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("open({directory:?})"))
            .during(stage)?;
        return attach(cgroup, &program(rules)).during(stage);
    }
    // A new v1 cgroup has its parent's rules, `a *:* rwm` on most hosts: only what differs has to be written.
    let all_allowed = std::fs::read_to_string(directory.join("devices.list")).is_ok_and(|list| list.trim() == "a *:* rwm");
    for rule in rules {
        if rule.allow && rule.kind.is_none() && all_allowed {
            continue;
        }
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&directory.join(file), &text(rule)).during(stage)?;
    }
    Ok(())
}

/// Prints `rules` as lines of `devices.allow` and `devices.deny`.
#[must_use]
pub fn rules(rules: &[DeviceRule]) -> Vec<String> {
    rules.iter().map(|rule| format!("{} {}", if rule.allow { "allow" } else { "deny" }, text(rule))).collect()
}

fn text(rule: &DeviceRule) -> String {
    let number = |value: Option<u32>| value.map_or_else(|| "*".to_owned(), |number| number.to_string());
    match rule.kind {
        None => "a".to_owned(),
        Some(kind) => {
            let letter = if kind == DeviceKind::Char { 'c' } else { 'b' };
            format!("{letter} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
        }
    }
}

const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Compiles `rules` to a program: the last rule that matches decides, nothing matches means denied.
///
/// The context is `struct bpf_cgroup_dev_ctx`: access in the upper and type in the lower half of the first word.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut code =
        vec![load(TYPE, 0), load(ACCESS, 0), op(0x54, TYPE, 0, 0, 0xffff), op(0x74, ACCESS, 0, 0, 16), load(MAJOR, 4), load(MINOR, 8)];
    for rule in rules.iter().rev() {
        code.extend(block(rule));
        if rule.kind.is_none() {
            // Everything before a rule for all devices has no effect, and code behind an exit would not verify.
            return code;
        }
    }
    code.extend([op(0xb4, 0, 0, 0, 0), op(0x95, 0, 0, 0, 0)]);
    code
}

/// One rule: jumps behind itself when it does not match, otherwise decides.
fn block(rule: &DeviceRule) -> Vec<Instruction> {
    const ALL: i32 = 7;
    let mut tests = Vec::new();
    if let Some(kind) = rule.kind {
        tests.push(Test::Equal(TYPE, if kind == DeviceKind::Block { 1 } else { 2 }));
    }
    let mask = rule.access.chars().fold(0, |mask, letter| {
        mask | match letter {
            'm' => 1,
            'r' => 2,
            _ => 4,
        }
    });
    if rule.kind.is_some() && mask != ALL {
        tests.push(Test::Within(ACCESS, mask));
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number.filter(|_| rule.kind.is_some()) {
            tests.push(Test::Equal(register, number.cast_signed()));
        }
    }
    let length: usize = tests.iter().map(Test::length).sum::<usize>() + 2;
    let mut code = Vec::with_capacity(length);
    for test in tests {
        // A jump is relative to the instruction behind it.
        let behind = i16::try_from(length - code.len() - test.length()).unwrap_or(0);
        match test {
            Test::Equal(register, value) => code.push(op(0x56, register, 0, behind, value)),
            Test::Within(register, mask) => {
                code.push(op(0xbc, SCRATCH, register, 0, 0));
                code.push(op(0x54, SCRATCH, 0, 0, !mask));
                code.push(op(0x56, SCRATCH, 0, behind, 0));
            }
        }
    }
    code.extend([op(0xb4, 0, 0, 0, i32::from(rule.allow)), op(0x95, 0, 0, 0, 0)]);
    code
}

enum Test {
    /// The register has this value.
    Equal(u8, i32),
    /// The register has no bit outside the mask.
    Within(u8, i32),
}

impl Test {
    fn length(&self) -> usize {
        match self {
            Self::Equal(..) => 1,
            Self::Within(..) => 3,
        }
    }
}

fn op(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, immediate }
}

/// `*(u32 *)(context + offset)`.
fn load(destination: u8, offset: i16) -> Instruction {
    op(0x61, destination, CONTEXT, offset, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the few instructions that [`program`] uses, as the kernel would.
    fn run(code: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u32; 11];
        let mut at = 0;
        loop {
            let Some(instruction) = code.get(at) else { return false };
            let (to, from) = (usize::from(instruction.registers & 15), usize::from(instruction.registers >> 4));
            let immediate = instruction.immediate.cast_unsigned();
            match instruction.code {
                0x61 => registers[to] = context[usize::try_from(instruction.offset).unwrap_or(0) / 4],
                0x54 => registers[to] &= immediate,
                0x74 => registers[to] >>= immediate,
                0xb4 => registers[to] = immediate,
                0xbc => registers[to] = registers[from],
                0x56 if registers[to] != immediate => at += usize::try_from(instruction.offset).unwrap_or(0),
                0x56 => {}
                _ => return registers[0] == 1,
            }
            at += 1;
        }
    }

    fn rule(allow: bool, kind: Option<DeviceKind>, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: access.to_owned() }
    }

    #[test]
    fn program_with_no_rule_denies() {
        assert!(!run(&program(&[]), 2, 2, 1, 3));
    }

    #[test]
    fn program_lets_the_last_matching_rule_decide() {
        let rules = [rule(false, None, None, None, "rwm"), rule(true, Some(DeviceKind::Char), Some(1), Some(3), "rw")];
        let code = program(&rules);
        let verdicts = [(2, 6, 1, 3), (2, 7, 1, 3), (1, 2, 1, 3), (2, 2, 1, 5)]
            .map(|(kind, access, major, minor)| run(&code, kind, access, major, minor));
        assert_eq!(verdicts, [true, false, false, false]);
    }

    #[test]
    fn program_with_everything_allowed_allows() {
        assert!(run(&program(&[rule(false, None, None, None, "rwm"), rule(true, None, None, None, "rwm")]), 1, 7, 8, 0));
    }

    #[test]
    fn rules_print_as_the_kernel_reads_them() {
        let list = [rule(true, Some(DeviceKind::Char), Some(136), None, "rwm"), rule(false, None, None, None, "rwm")];
        assert_eq!(rules(&list), ["allow c 136:* rwm", "deny a"]);
    }
}
