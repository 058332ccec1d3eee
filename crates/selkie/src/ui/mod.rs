//! What people see: errors, tables, templates, terminals.

pub(crate) mod attach;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod image_filter;
pub(crate) mod out;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod signals;
pub(crate) mod size;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod watch;
pub(crate) mod wrap;
