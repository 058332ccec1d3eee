//! Conditions on the arguments of a system call, as libseccomp compares them: seccomp_rule_add(3).

use crate::arch::Width;

/// How an argument is compared. All comparisons are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Different.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Equal.
    Equal,
    /// Greater or equal.
    GreaterOrEqual,
    /// Greater.
    Greater,
    /// Equal in the bits of [`Condition::value`] to [`Condition::value_two`].
    MaskedEqual,
}

/// One comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub operator: Operator,
    /// With what; the mask of [`Operator::MaskedEqual`].
    pub value: u64,
    /// What the masked argument has to be; nothing else uses it.
    pub value_two: u64,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::NotEqual, Self::Less, Self::LessOrEqual, Self::Equal, Self::GreaterOrEqual, Self::Greater, Self::MaskedEqual];

    /// Returns the name in profiles, for example `SCMP_CMP_EQ`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotEqual => "SCMP_CMP_NE",
            Self::Less => "SCMP_CMP_LT",
            Self::LessOrEqual => "SCMP_CMP_LE",
            Self::Equal => "SCMP_CMP_EQ",
            Self::GreaterOrEqual => "SCMP_CMP_GE",
            Self::Greater => "SCMP_CMP_GT",
            Self::MaskedEqual => "SCMP_CMP_MASKED_EQ",
        }
    }

    /// Returns the operator that profiles call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }
}

impl Condition {
    /// Builds "argument `index` is `value`".
    #[must_use]
    pub const fn equal(index: u8, value: u64) -> Self {
        Self { index, operator: Operator::Equal, value, value_two: 0 }
    }

    /// Builds "argument `index` is not `value`".
    #[must_use]
    pub const fn not_equal(index: u8, value: u64) -> Self {
        Self { index, operator: Operator::NotEqual, value, value_two: 0 }
    }

    /// Builds "argument `index` is `value` in the bits of `mask`".
    #[must_use]
    pub const fn masked(index: u8, mask: u64, value: u64) -> Self {
        Self { index, operator: Operator::MaskedEqual, value: mask, value_two: value }
    }

    /// Returns whether `arguments` meet the condition. Values wider than the call's arguments are cut, as libseccomp does.
    pub(crate) fn holds(&self, arguments: &[u64; 6], width: Width) -> bool {
        let cut = |value: u64| match width {
            Width::Bits32 => value & 0xffff_ffff,
            Width::Bits64 => value,
        };
        let argument = cut(arguments.get(usize::from(self.index)).copied().unwrap_or(0));
        let value = cut(self.value);
        match self.operator {
            Operator::NotEqual => argument != value,
            Operator::Less => argument < value,
            Operator::LessOrEqual => argument <= value,
            Operator::Equal => argument == value,
            Operator::GreaterOrEqual => argument >= value,
            Operator::Greater => argument > value,
            Operator::MaskedEqual => argument & value == self.value_two & value,
        }
    }
}
