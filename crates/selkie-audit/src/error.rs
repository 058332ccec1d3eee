//! Why a file cannot be audited.

use crate::{FileType, Place};

/// A file that says nothing about containers that could be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes than are read.
    #[error("the file has more than the {limit} bytes that are read at most")]
    TooLarge {
        /// How many are read.
        limit: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line}: byte {byte} is not UTF-8 text")]
    NotText {
        /// Line, counted from 1.
        line: usize,
        /// The first bad byte, counted from 0.
        byte: usize,
    },
    /// The file breaks the rules of its syntax.
    #[error("line {}, column {}: not {syntax}: {problem}", .place.line, .place.column)]
    Syntax {
        /// `YAML`, `JSON`, ...
        syntax: &'static str,
        /// What is wrong.
        problem: String,
        /// Where.
        place: Place,
    },
    /// A few bytes that stand for very many values ("billion laughs").
    #[error("line {}, column {}: aliases or `extends` make more than {limit} values of this file", .place.line, .place.column)]
    TooManyValues {
        /// How many are allowed.
        limit: usize,
        /// The alias, or the service, that is one too many.
        place: Place,
    },
    /// Lists in lists in lists.
    #[error("line {}, column {}: values are nested more than {limit} deep", .place.line, .place.column)]
    TooDeep {
        /// How deep they may be.
        limit: usize,
        /// Where it is too deep.
        place: Place,
    },
    /// A service of a compose file that extends itself, be it by way of others.
    #[error("line {}, column {}: services extend each other in a circle: {circle}", .place.line, .place.column)]
    Circle {
        /// The services, each with the one that it extends behind it.
        circle: String,
        /// What of them says so last.
        place: Place,
    },
    /// A drop-in of the file that cannot be read.
    #[error("{file}: {error}")]
    DropIn {
        /// The drop-in.
        file: String,
        /// What is wrong with it.
        #[source]
        error: Box<ReadError>,
    },
    /// More containers than are audited.
    #[error("the file describes more than {limit} containers")]
    TooManySubjects {
        /// How many are allowed.
        limit: usize,
    },
    /// Neither name nor content say what the file is.
    #[error("cannot tell what kind of file this is (kinds: {})", kinds())]
    Unrecognised,
    /// The file is of its kind by name, and has nothing that makes it one.
    #[error("line {}, column {}: not a {kind} file: {problem}", .place.line, .place.column)]
    NotThatKind {
        /// What it was taken for.
        kind: FileType,
        /// What is missing or wrong.
        problem: String,
        /// Where.
        place: Place,
    },
}

impl ReadError {
    /// Returns where the file is wrong, if it is at one place.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::TooManyValues { place, .. }
            | Self::TooDeep { place, .. }
            | Self::Circle { place, .. }
            | Self::NotThatKind { place, .. } => Some(*place),
            Self::TooLarge { .. } | Self::NotText { .. } | Self::DropIn { .. } | Self::TooManySubjects { .. } | Self::Unrecognised => None,
        }
    }

    /// Returns what a person could do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unrecognised => Some("name the kind with --type"),
            Self::Syntax { syntax: "YAML", problem, .. } if problem.contains("{{") => {
                Some("a template has to be rendered first, for example by `helm template`")
            }
            _ => None,
        }
    }
}

fn kinds() -> String {
    FileType::ALL.map(FileType::name).join(", ")
}
