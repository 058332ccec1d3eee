//! Classic BPF as seccomp(2) takes it, and an interpreter of the part that our filters use.
//!
//! ```text
//! seccomp_data:  0 nr   4 arch   8 instruction pointer   16 + 8*i argument i (low half first on the machines we build for)
//! ```

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A filter that the kernel accepts: not empty, at most [`Program::MAX`] instructions, every path ends in a return.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Program {
    instructions: Vec<Instruction>,
}

/// What the kernel shows a filter of a call: `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Data {
    /// Number of the call.
    pub number: u32,
    /// `AUDIT_ARCH_` token.
    pub arch: u32,
    /// Where it was called from.
    pub instruction_pointer: u64,
    /// The arguments.
    pub arguments: [u64; 6],
}

/// A program that the interpreter cannot run to its end. Our own never does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// An instruction outside the part of BPF that is interpreted here.
    #[error("instruction {index} has the unknown code {code:#06x}")]
    Code {
        /// Which instruction.
        index: usize,
        /// Its code.
        code: u16,
    },
    /// A load from outside `seccomp_data`.
    #[error("instruction {index} loads from offset {offset}")]
    Offset {
        /// Which instruction.
        index: usize,
        /// Where it loads from.
        offset: u32,
    },
    /// A jump past the end.
    #[error("the program ends without a return at instruction {index}")]
    End {
        /// The index past the end.
        index: usize,
    },
}

/// BPF_LD | BPF_W | BPF_ABS
pub(crate) const LOAD: u16 = 0x20;
/// BPF_ALU | BPF_AND | BPF_K
pub(crate) const AND: u16 = 0x54;
/// BPF_JMP | BPF_JA
pub(crate) const JUMP: u16 = 0x05;
/// BPF_JMP | BPF_JEQ | BPF_K
pub(crate) const JUMP_EQUAL: u16 = 0x15;
/// BPF_JMP | BPF_JGT | BPF_K
pub(crate) const JUMP_GREATER: u16 = 0x25;
/// BPF_JMP | BPF_JGE | BPF_K
pub(crate) const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
/// BPF_JMP | BPF_JSET | BPF_K, which libseccomp's filters may use.
const JUMP_SET: u16 = 0x45;
/// BPF_RET | BPF_K
pub(crate) const RETURN: u16 = 0x06;

pub(crate) const NUMBER_OFFSET: u32 = 0;
pub(crate) const ARCH_OFFSET: u32 = 4;

/// Returns the offset of the low half of argument `index`; the high half is 4 further.
pub(crate) const fn argument_offset(index: u8) -> u32 {
    16 + 8 * index as u32
}

impl Program {
    /// The most instructions that the kernel takes (`BPF_MAXINSNS`).
    pub const MAX: usize = 4096;

    pub(crate) const fn new(instructions: Vec<Instruction>) -> Self {
        Self { instructions }
    }

    /// Returns the instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }
}

/// Runs `program` on one call and returns what it returns.
///
/// # Errors
/// [`SimulateError`] for programs that the kernel, or this interpreter, would refuse.
pub fn simulate(program: &[Instruction], data: &Data) -> Result<u32, SimulateError> {
    let mut accumulator = 0_u32;
    let mut index = 0;
    loop {
        let instruction = program.get(index).ok_or(SimulateError::End { index })?;
        let Instruction { code, jt, jf, k } = *instruction;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        index += 1;
        match code {
            LOAD => accumulator = data.word(k).ok_or(SimulateError::Offset { index: index - 1, offset: k })?,
            AND => accumulator &= k,
            JUMP => index += usize::try_from(k).unwrap_or(usize::MAX / 2),
            JUMP_EQUAL => index += branch(accumulator == k),
            JUMP_GREATER => index += branch(accumulator > k),
            JUMP_GREATER_OR_EQUAL => index += branch(accumulator >= k),
            JUMP_SET => index += branch(accumulator & k != 0),
            RETURN => return Ok(k),
            _ => return Err(SimulateError::Code { index: index - 1, code }),
        }
    }
}

impl Data {
    fn word(&self, offset: u32) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a number are what is wanted")]
        let half = |value: u64| Some(if offset.is_multiple_of(8) { value as u32 } else { (value >> 32) as u32 });
        match offset {
            NUMBER_OFFSET => Some(self.number),
            ARCH_OFFSET => Some(self.arch),
            8 | 12 => half(self.instruction_pointer),
            16..64 if offset.is_multiple_of(4) => half(*self.arguments.get(usize::try_from((offset - 16) / 8).ok()?)?),
            _ => None,
        }
    }
}
