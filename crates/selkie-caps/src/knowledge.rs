//! placeholder
pub struct Knowledge;
pub struct Danger;
pub struct Operation;
