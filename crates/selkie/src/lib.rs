//! The flags of the command line, apart from the program, so that golden cases and other front ends can parse them.

pub mod flags;
