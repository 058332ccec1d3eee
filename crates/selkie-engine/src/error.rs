//! Everything that can go wrong in the engine, with Podman's exit code and a hint for each.

use std::fmt::Display;
use std::path::PathBuf;

use selkie_runtime::Kind;

/// The result of an operation of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation of the engine that failed. Texts are Podman's where Podman has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or id that matches nothing.
    #[error("no container with name or ID {name:?} found: no such container")]
    NoSuchContainer {
        /// As written.
        name: String,
    },
    /// An id prefix that matches several containers.
    #[error("more than one result for container {name:?}: container already exists")]
    Ambiguous {
        /// As written.
        name: String,
        /// Those that are meant.
        candidates: Vec<crate::id::ContainerId>,
    },
    /// An empty name.
    #[error("name or ID cannot be empty")]
    EmptyName,
    /// A name with a character that names cannot have.
    #[error("names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument")]
    InvalidName {
        /// As written.
        name: String,
    },
    /// A name that is too long.
    #[error("a name of {length} characters is too long, expected at most {most}: invalid argument")]
    LongName {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A name that another container has.
    #[error(
        "the container name {name:?} is already in use by {id}. You have to remove that container to be able to reuse that name: that name is already in use, or use --replace to instruct selkie to do so."
    )]
    NameInUse {
        /// As written.
        name: String,
        /// Who has it.
        id: String,
    },
    /// A container that does not run, and has nothing to connect to.
    #[error("you can only attach to running containers")]
    NotAttachable,
    /// An operation that the container's state does not allow.
    #[error("{operation}: container state improper")]
    State {
        /// What cannot be done, with the id and the state.
        operation: String,
    },
    /// Removal of a container that runs, without `--force`.
    #[error(
        "cannot remove container {id} as it is {status} - running or paused containers cannot be removed without force: container state improper"
    )]
    Running {
        /// The container.
        id: String,
        /// Its state.
        status: &'static str,
    },
    /// A request that cannot become a plan.
    #[error(transparent)]
    Plan(#[from] selkie_plan::PlanError),
    /// An image that cannot be had.
    #[error(transparent)]
    Image(#[from] selkie_image::Error),
    /// A system call filter that cannot be made.
    #[error("opening seccomp profile failed: open {path}")]
    SeccompFile {
        /// Where it should be.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A seccomp profile that is none.
    #[error("seccomp profile {profile}: {problem}")]
    Seccomp {
        /// Its file, or `built-in`.
        profile: String,
        /// What is wrong.
        problem: String,
    },
    /// A container that could not be started.
    #[error(transparent)]
    Runtime(#[from] selkie_runtime::Error),
    /// A profile that is not there.
    #[error("no profile with name {name:?} found: no such profile")]
    NoSuchProfile {
        /// As written.
        name: String,
    },
    /// A profile that must not be enforced.
    #[error("profile {name:?} {problem}")]
    Profile {
        /// Its name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// A trial whose container could not be run at all.
    #[error("{problem}")]
    Trial {
        /// Podman's exit code for it.
        code: u8,
        /// Why, with all causes.
        problem: String,
    },
    /// The user has had enough.
    #[error("interrupted")]
    Interrupted,
    /// A container that could not be watched, and was not let go therefore.
    #[error("cannot watch the container: {problem}")]
    Observe {
        /// What failed.
        problem: String,
    },
    /// A file of the engine.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A record that is not what the engine writes.
    #[error("record `{}` is damaged", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A configuration file that cannot be read.
    #[error("configuration file `{}` is not valid: {problem}", path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// A system call of the engine itself.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: String,
        /// What the kernel answered.
        source: selkie_sys::SyscallError,
    },
    /// A layer of a container's root that cannot be shown with other ids.
    #[error("cannot map the ids of `{}` for the container's user namespace", path.display())]
    MapIds {
        /// The layer.
        path: PathBuf,
        /// What the kernel answered.
        source: selkie_sys::SyscallError,
    },
    /// A monitor that ended, or said something that it should not.
    #[error("the monitor of container {id} {problem}")]
    Monitor {
        /// The container.
        id: String,
        /// What happened.
        problem: String,
    },
    /// Something that this version cannot do.
    #[error("{what}: not supported yet")]
    NotSupported {
        /// What was asked for.
        what: String,
    },
    /// A directory that the host itself needs as it is, to be given to the user of a container.
    #[error("chowning host path {path:?} is not allowed. You can manually `chown -R {uid}:{gid} {}`", path.display())]
    OfTheHost {
        /// The directory.
        path: std::path::PathBuf,
        /// To whom.
        uid: u32,
        /// And to which group.
        gid: u32,
    },
    /// A value that cannot be used.
    #[error("{problem}")]
    Invalid {
        /// Which value, and why.
        problem: String,
    },
}

/// Returns an error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Error {
    /// Builds the failure of an observer.
    pub(crate) fn observe(error: &selkie_observe::Error) -> Self {
        Self::Observe { problem: with_causes(error) }
    }

    /// Builds the error of a system call of the engine itself.
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(selkie_sys::SyscallError) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }

    /// Returns Podman's exit code of `run` for this error: 125 of the engine, 126 of a program that cannot be run, 127 of none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(error) => match error.kind {
                Kind::NotFound => 127,
                Kind::NotExecutable | Kind::Setup => 126,
            },
            Self::Plan(error) => error.exit_code(),
            Self::Trial { code, .. } => *code,
            Self::OfTheHost { .. } => 126,
            Self::Interrupted => 130,
            _ => 125,
        }
    }

    /// Returns what to do about it, if something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Ambiguous { candidates, .. } => {
                Some(format!("one of {}", short_list(candidates.iter().map(crate::id::ContainerId::short))))
            }
            Self::NameInUse { id, .. } => Some(format!("selkie rm {}", id.get(..12).unwrap_or(id))),
            Self::Running { .. } => Some("stop it first, or remove it with --force".to_owned()),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("run as root, or choose directories of your own with --root and --runroot".to_owned())
            }
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space: `selkie rm` and `selkie rmi` work on a full disk".to_owned())
            }
            Self::MapIds { source, .. } if source.errno == selkie_sys::Errno::INVAL => Some(
                "its file system cannot do that in this kernel: tmpfs can since Linux 6.3, ext4, xfs and btrfs can before; use --root \
                 there, or --rootfs with a directory that belongs to the container's ids"
                    .to_owned(),
            ),
            Self::NotSupported { what } if what.starts_with("containers of a user") => {
                Some("run as root; what only looks (`caps`, `privileged`, `doctor`) works for everybody".to_owned())
            }
            Self::Plan(error) => error.hint(),
            Self::NoSuchProfile { .. } => Some("`selkie profile ls` shows what there is".to_owned()),
            Self::Profile { name, .. } => Some(format!("learn it again: selkie profile verify {name}, or selkie learn")),
            Self::Record { .. } => Some("`selkie rm --force ID` removes the container; everything else is unharmed".to_owned()),
            _ => None,
        }
    }
}

/// Returns the first few of `words` in one line, and how many more there are.
pub fn short_list(words: impl ExactSizeIterator<Item: Display>) -> String {
    const SHOWN: usize = 8;
    let more = match words.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    words.take(SHOWN).map(|word| word.to_string()).collect::<Vec<_>>().join(", ") + &more
}
