//! From resolved rules to classic BPF.
//!
//! For each architecture the numbers fall into ranges with one outcome each, and a binary search finds the range: few
//! instructions for any call, which also counts at start, when the kernel runs the filter once for every number to see which
//! calls it always allows (`seccomp_cache_prepare`).
//!
//! The program is written backwards: jumps only go forward, so what an instruction jumps to is there already and its distance
//! known. Where the 8 bits of a conditional jump are too few, a stepping stone is put right after it: a copy of the return, or
//! a `ja`, whose distance has 32 bits.

use std::collections::BTreeMap;

use crate::{
    Action, Arch, Condition, Instruction, Operator, Program, Resolved,
    arch::{Width, X32_BIT},
    program::{AND, ARCH_OFFSET, JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, LOAD, NUMBER_OFFSET, RETURN, argument_offset},
};

/// A filter that cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// More instructions than the kernel takes.
    #[error("the filter has {length} instructions, the kernel takes {}", Program::MAX)]
    TooLong {
        /// How many it has.
        length: usize,
    },
}

/// Builds the filter of `resolved`.
///
/// # Errors
/// [`CompileError::TooLong`].
pub fn compile(resolved: &Resolved) -> Result<Program, CompileError> {
    let mut writer = Writer { backwards: Vec::with_capacity(512), returns: BTreeMap::new(), blocks: BTreeMap::new() };
    let mut next = writer.give(Action::KillProcess);
    let mut tokens: Vec<u32> = Vec::new();
    for token in resolved.arches.iter().map(|arch| arch.token()) {
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    // The native architecture is written last and so tested first.
    for token in tokens.into_iter().rev() {
        let tree = writer.tree(resolved, &ranges(resolved, token));
        let search = writer.load(NUMBER_OFFSET, tree);
        next = writer.branch(JUMP_EQUAL, token, search, next);
    }
    writer.load(ARCH_OFFSET, next);
    let length = writer.backwards.len();
    if length > Program::MAX {
        return Err(CompileError::TooLong { length });
    }
    writer.backwards.reverse();
    Ok(Program::new(writer.backwards))
}

/// What happens to a call of some number: rules to try, with the width of their arguments, or an action at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Action(Action),
    Rules(Width, Vec<usize>),
}

/// Returns where each range of numbers begins, and its outcome, for all calls that carry `token`.
fn ranges(resolved: &Resolved, token: u32) -> Vec<(u32, Outcome)> {
    let default = Outcome::Action(resolved.default_action);
    let mut ranges: Vec<(u32, Outcome)> = Vec::new();
    let mut begin = |from: u32, outcome: &Outcome| {
        if ranges.last().is_some_and(|(last, _)| *last == from) {
            ranges.pop();
        }
        if ranges.last().is_none_or(|(_, last)| last != outcome) {
            ranges.push((from, outcome.clone()));
        }
    };
    let covered = |arch: &Arch| arch.token() == token && resolved.arches.contains(arch);
    begin(0, if token == Arch::X86_64.token() && !covered(&Arch::X86_64) { &Outcome::Action(Action::KillProcess) } else { &default });
    for arch in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm, Arch::X32].into_iter().filter(covered) {
        if arch == Arch::X32 {
            begin(X32_BIT, &default);
        }
        let calls = resolved.calls.iter().find(|calls| calls.arch == arch);
        let rules = calls.map_or(&[][..], |calls| &calls.rules);
        for group in rules.chunk_by(|left, right| left.0 == right.0) {
            let Some((number, _)) = group.first() else { continue };
            begin(*number, &outcome(resolved, arch.width(), group));
            begin(number + 1, &default);
        }
    }
    if token == Arch::X86_64.token() && !covered(&Arch::X32) {
        begin(X32_BIT, &Outcome::Action(Action::KillProcess));
    }
    if token == Arch::X86_64.token() {
        // A tracer that skips a call sets -1, which is no x32 call.
        begin(u32::MAX, &default);
    }
    ranges
}

fn outcome(resolved: &Resolved, width: Width, group: &[(u32, usize)]) -> Outcome {
    let rule = |index: usize| resolved.rules.get(index);
    match group {
        [(_, only)] if rule(*only).is_some_and(|rule| rule.conditions.is_empty()) => {
            Outcome::Action(rule(*only).map_or(resolved.default_action, |rule| rule.action))
        }
        _ => Outcome::Rules(width, group.iter().map(|(_, index)| *index).collect()),
    }
}

/// An instruction by its distance from the end: the last one is 0.
type Label = usize;

struct Writer {
    /// The program from its end.
    backwards: Vec<Instruction>,
    /// The nearest return of each action.
    returns: BTreeMap<Action, Label>,
    /// The nearest block for each list of rules.
    blocks: BTreeMap<Outcome, Label>,
}

impl Writer {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.backwards.push(Instruction { code, jt, jf, k });
        self.backwards.len() - 1
    }

    /// Returns a return of `action`, a new one only if there is none.
    fn give(&mut self, action: Action) -> Label {
        if let Some(label) = self.returns.get(&action) {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, action.to_return());
        self.returns.insert(action, label);
        label
    }

    /// Writes a jump to `label`, a copy of it if it is a return. Nothing for what comes next anyway.
    fn go(&mut self, label: Label) -> Label {
        let distance = self.backwards.len() - 1 - label;
        if distance == 0 {
            return label;
        }
        self.stone(label, distance)
    }

    fn stone(&mut self, label: Label, distance: usize) -> Label {
        match self.backwards.get(label) {
            Some(Instruction { code: RETURN, k, .. }) => {
                let (k, action) = (*k, Action::from_return(*k));
                let copy = self.push(RETURN, 0, 0, k);
                self.returns.insert(action, copy);
                copy
            }
            // Programs that long are refused at the end; until then the value does not matter.
            _ => self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX)),
        }
    }

    fn load(&mut self, offset: u32, then: Label) -> Label {
        self.go(then);
        self.push(LOAD, 0, 0, offset)
    }

    /// Writes a comparison that goes to `yes` or `no`.
    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return self.go(yes);
        }
        let (mut yes, mut no) = (yes, no);
        loop {
            let distance = |label: Label| u8::try_from(self.backwards.len() - 1 - label).ok();
            match (distance(yes), distance(no)) {
                (Some(jt), Some(jf)) => return self.push(code, jt, jf, k),
                (None, _) => yes = self.stone(yes, self.backwards.len() - 1 - yes),
                (_, None) => no = self.stone(no, self.backwards.len() - 1 - no),
            }
        }
    }

    /// Writes the binary search over `ranges`.
    fn tree(&mut self, resolved: &Resolved, ranges: &[(u32, Outcome)]) -> Label {
        match ranges {
            [] => self.give(resolved.default_action),
            [(_, outcome)] => self.outcome(resolved, outcome),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let pivot = high.first().map_or(0, |(from, _)| *from);
                let above = self.tree(resolved, high);
                let below = self.tree(resolved, low);
                self.branch(JUMP_GREATER_OR_EQUAL, pivot, above, below)
            }
        }
    }

    fn outcome(&mut self, resolved: &Resolved, outcome: &Outcome) -> Label {
        match outcome {
            Outcome::Action(action) => self.give(*action),
            Outcome::Rules(width, rules) => {
                if let Some(label) = self.blocks.get(outcome) {
                    return *label;
                }
                let mut next = self.give(resolved.default_action);
                for rule in rules.iter().rev().filter_map(|index| resolved.rules.get(*index)) {
                    let mut holds = self.give(rule.action);
                    for condition in rule.conditions.iter().rev() {
                        holds = self.condition(condition, *width, holds, next);
                    }
                    next = holds;
                }
                self.blocks.insert(outcome.clone(), next);
                next
            }
        }
    }

    fn condition(&mut self, condition: &Condition, width: Width, yes: Label, no: Label) -> Label {
        let (high, low) = halves(condition.value);
        let offset = argument_offset(condition.index);
        match condition.operator {
            Operator::Equal => self.masked(offset, width, condition.value, u64::MAX, yes, no),
            Operator::NotEqual => self.masked(offset, width, condition.value, u64::MAX, no, yes),
            Operator::MaskedEqual => self.masked(offset, width, condition.value_two, condition.value, yes, no),
            Operator::Greater => self.ordered(offset, width, JUMP_GREATER, (high, low), yes, no),
            Operator::GreaterOrEqual => self.ordered(offset, width, JUMP_GREATER_OR_EQUAL, (high, low), yes, no),
            Operator::LessOrEqual => self.ordered(offset, width, JUMP_GREATER, (high, low), no, yes),
            Operator::Less => self.ordered(offset, width, JUMP_GREATER_OR_EQUAL, (high, low), no, yes),
        }
    }

    /// Argument and value are the same in the bits of `mask`.
    fn masked(&mut self, offset: u32, width: Width, value: u64, mask: u64, yes: Label, no: Label) -> Label {
        let ((value_high, value_low), (mask_high, mask_low)) = (halves(value & mask), halves(mask));
        let low = self.half(offset, value_low, mask_low, yes, no);
        match width {
            Width::Bits32 => low,
            Width::Bits64 => self.half(offset + 4, value_high, mask_high, low, no),
        }
    }

    fn half(&mut self, offset: u32, value: u32, mask: u32, yes: Label, no: Label) -> Label {
        if mask == 0 {
            return yes;
        }
        let compare = self.branch(JUMP_EQUAL, value, yes, no);
        let masked = if mask == u32::MAX { compare } else { self.push_after(AND, mask, compare) };
        self.load(offset, masked)
    }

    /// Argument is greater than the value, or not less, by `code`.
    fn ordered(&mut self, offset: u32, width: Width, code: u16, (high, low): (u32, u32), yes: Label, no: Label) -> Label {
        let compare = self.branch(code, low, yes, no);
        let low_half = self.load(offset, compare);
        match width {
            Width::Bits32 => low_half,
            Width::Bits64 => {
                let equal = self.branch(JUMP_EQUAL, high, low_half, no);
                let greater = self.branch(JUMP_GREATER, high, yes, equal);
                self.load(offset + 4, greater)
            }
        }
    }

    fn push_after(&mut self, code: u16, k: u32, then: Label) -> Label {
        self.go(then);
        self.push(code, 0, 0, k)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number are what is wanted")]
const fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}
