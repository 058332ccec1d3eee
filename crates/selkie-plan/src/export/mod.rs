//! A learned container in the form in which people keep their configuration. Pure, as all of this crate.
//!
//! A *subject* is what was asked for together with what was proven: the capability set, and facts about the runs. A *format* is
//! where it goes. Whatever of the subject a format cannot express is a *note*: nothing is dropped in silence. That holds by
//! construction: a format takes what it knows out of one list of flags, and what is left becomes notes.
//!
//! ```text
//! Subject --flags.rs--> [--env=A=1, --read-only, ...] --podman.rs | quadlet.rs | compose.rs | kube.rs | ...--> text
//!                                                      \-- not taken ------------------------------------> notes
//! ```
//! The capabilities of every format are `drop all` and the proven set by name, whatever flags the learning began with.

mod compose;
mod flags;
mod json;
mod kube;
mod label;
mod oci;
mod podman;
mod quadlet;
mod shell;
mod systemd;
mod unit;
mod yaml;

pub use shell::shell_words;

use selkie_caps::CapSet;

use crate::value::SecurityOpt;
use crate::{ImageConfig, Request};
use flags::{Flag, flags};

/// Where an export goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One `podman run` command line.
    Podman,
    /// A `.container` file of Podman's Quadlet (Podman 4.8 or later).
    Quadlet,
    /// A file of the Compose specification.
    Compose,
    /// A Pod of Kubernetes.
    Kube,
    /// The part of an OCI runtime's `config.json` that differs.
    Oci,
    /// A line of a Containerfile: the label that Podman and selkie read.
    Label,
    /// A unit, or the part of one, for the program without a container.
    Systemd,
    /// Everything, for programs.
    Json,
}

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What was asked for when it was learned. Its own capability flags do not count.
    pub request: &'a Request,
    /// What the image says.
    pub image: &'a ImageConfig,
    /// Digest of the image that the set was proven with, for example `sha256:...`.
    pub digest: Option<&'a str>,
    /// The proven set.
    pub capabilities: CapSet,
    /// What the runs have shown besides.
    pub facts: Evidence,
    /// Sysctls of a path to fewer capabilities, verified by a run; they replace those of the request.
    pub sysctls: &'a [(String, String)],
}

/// What runs have shown; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// All processes ended as another user than root.
    pub ends_non_root: Option<bool>,
    /// It passed with no_new_privs.
    pub no_new_privileges: Option<bool>,
    /// It passed with a read-only root file system.
    pub read_only_root: Option<bool>,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file, or the line, ending with a newline.
    pub text: String,
    /// What it cannot express, and what to know before using it; each a sentence without a full stop.
    pub notes: Vec<String>,
}

/// Why something cannot be exported at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A NUL, which no argument of a program and no text file can hold.
    #[error("the value of `{place}` holds a NUL byte, which no format can hold")]
    Nul {
        /// Where.
        place: String,
    },
    /// Not one of the formats.
    #[error("there is no format `{name}`, only {}", Format::ALL.map(Format::name).join(", "))]
    Format {
        /// What was asked for.
        name: String,
    },
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 8] = [Self::Podman, Self::Quadlet, Self::Compose, Self::Kube, Self::Oci, Self::Label, Self::Systemd, Self::Json];

    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Quadlet => "quadlet",
            Self::Compose => "compose",
            Self::Kube => "kube",
            Self::Oci => "oci",
            Self::Label => "label",
            Self::Systemd => "systemd",
            Self::Json => "json",
        }
    }

    /// Returns the format called `name`.
    ///
    /// # Errors
    /// [`ExportError::Format`] with all that there are.
    pub fn parse(name: &str) -> Result<Self, ExportError> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| ExportError::Format { name: name.to_owned() })
    }
}

/// Writes `subject` in `format`. The same subject is always the same text.
///
/// # Errors
/// [`ExportError::Nul`].
pub fn export(subject: &Subject<'_>, format: Format) -> Result<Exported, ExportError> {
    let source = Source::new(subject)?;
    let mut notes = Notes::new(format);
    source.remarks(&mut notes);
    let text = match format {
        Format::Podman => podman::write(&source, &mut notes),
        Format::Quadlet => quadlet::write(&source, &mut notes),
        Format::Compose => compose::write(&source, &mut notes),
        Format::Kube => kube::write(&source, &mut notes),
        Format::Oci => oci::write(&source, &mut notes),
        Format::Label => label::write(&source, &mut notes),
        Format::Systemd => systemd::write(&source, &mut notes),
        Format::Json => json::write(&source),
    };
    Ok(Exported { text, notes: notes.finish() })
}

/// A subject, looked at once for all formats.
struct Source<'a> {
    subject: &'a Subject<'a>,
    /// Without capabilities, with what the evidence adds.
    flags: Vec<Flag>,
    user: Start,
}

/// As whom it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Start {
    /// As it is written; empty is root.
    text: String,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Start {
    fn parse(text: &str) -> Self {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let uid = if user.is_empty() || user == "root" { Some(0) } else { user.parse().ok() };
        Self { text: text.to_owned(), uid, gid: group.and_then(|group| group.parse().ok()) }
    }

    fn is_root(&self) -> bool {
        self.uid == Some(0)
    }
}

impl<'a> Source<'a> {
    fn new(subject: &'a Subject<'a>) -> Result<Self, ExportError> {
        let request = subject.request;
        let mut flags = flags(request);
        let decides = |flag: &Flag| flag.name == "security-opt" && flag.text().starts_with("no-new-privileges");
        if subject.facts.no_new_privileges == Some(true) && !flags.iter().any(decides) {
            flags.push(Flag { name: "security-opt", value: Some("no-new-privileges".to_owned()) });
        }
        if subject.facts.read_only_root == Some(true) && request.mounts.read_only.is_none() {
            flags.push(Flag { name: "read-only", value: None });
        }
        for (key, value) in subject.sysctls {
            let prefix = format!("{key}=");
            flags.retain(|flag| flag.name != "sysctl" || !flag.text().starts_with(&prefix));
            flags.push(Flag { name: "sysctl", value: Some(format!("{key}={value}")) });
        }
        let source = Self { subject, flags, user: Start::parse(request.process.user.as_deref().unwrap_or(&subject.image.user)) };
        source.refuse_nul()?;
        Ok(source)
    }

    fn refuse_nul(&self) -> Result<(), ExportError> {
        let request = self.subject.request;
        let flags = self.flags.iter().map(|flag| (flag.name, flag.text()));
        let words = request.command.iter().map(|word| ("the command", word.as_str()));
        let image = [&request.image, &request.rootfs].into_iter().flatten().map(|image| ("the image", image.as_str()));
        let digest = self.subject.digest.map(|digest| ("the digest", digest));
        match flags.chain(words).chain(image).chain(digest).find(|(_, text)| text.contains('\0')) {
            Some((place, _)) => Err(ExportError::Nul { place: place.to_owned() }),
            None => Ok(()),
        }
    }

    /// Says what holds for every format.
    fn remarks(&self, notes: &mut Notes) {
        if self.subject.request.security.privileged == Some(true) && notes.format != Format::Json {
            notes.say(
                "`--privileged` is left out: the proven capabilities take its place; the devices, the unmasked paths and the missing \
                 system call filter that it brought do not come along",
            );
        }
        if !self.subject.capabilities.unknown().is_empty() {
            notes.say(format!("capabilities without a name are left out: mask {:x}", self.subject.capabilities.unknown()));
        }
    }

    /// Returns the image as it is written, if it is one that other engines have.
    fn image(&self, notes: &mut Notes) -> &'a str {
        let request = self.subject.request;
        if let Some(rootfs) = &request.rootfs {
            notes.say(format!("`--rootfs` {} is a directory of this machine, not an image", shell::quote(rootfs)));
            return rootfs;
        }
        let image = request.image.as_deref().unwrap_or_default();
        if image.starts_with("host:") {
            notes.say("`host:` is this machine's own root: put an image in its place that has the same program");
        }
        image
    }

    /// Returns the names of the proven set with `CAP_`, sorted.
    fn names(&self) -> Vec<&'static str> {
        self.subject.capabilities.sorted_names()
    }

    /// Returns them without `CAP_`.
    fn short_names(&self) -> Vec<&'static str> {
        self.names().into_iter().map(|name| name.strip_prefix("CAP_").unwrap_or(name)).collect()
    }

    /// Returns a line for a comment: what the set was proven with.
    fn provenance(&self) -> String {
        let image = self.subject.request.image.as_deref().or(self.subject.request.rootfs.as_deref()).unwrap_or_default();
        let digest = self.subject.digest.map(|digest| format!(" ({digest})")).unwrap_or_default();
        // Whatever is in a name, it stays one line.
        format!("capabilities proven by selkie with {image}{digest}").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// Returns the last word on no_new_privs.
    fn no_new_privileges(&self) -> Option<bool> {
        let options = self.subject.request.security.options.iter();
        let asked = options.rev().find_map(|option| if let SecurityOpt::NoNewPrivileges(on) = option { Some(*on) } else { None });
        asked.or(self.subject.facts.no_new_privileges)
    }
}

/// What a format cannot express, collected.
struct Notes {
    format: Format,
    said: Vec<String>,
    unplaced: Vec<Flag>,
}

impl Notes {
    const fn new(format: Format) -> Self {
        Self { format, said: Vec::new(), unplaced: Vec::new() }
    }

    fn say(&mut self, note: impl Into<String>) {
        self.said.push(note.into());
    }

    /// A flag that has no place in the format.
    fn unplaced(&mut self, flag: &Flag) {
        self.unplaced.push(flag.clone());
    }

    /// A flag that has no place, and why.
    fn lost(&mut self, flag: &Flag, why: &str) {
        self.say(format!("{} is left out: {why}", shell::quote(&flag.word())));
    }

    /// One note for all flags of a name.
    fn finish(self) -> Vec<String> {
        let Self { format, mut said, unplaced } = self;
        let mut done: Vec<&str> = Vec::new();
        for flag in &unplaced {
            if done.contains(&flag.name) {
                continue;
            }
            done.push(flag.name);
            let words: Vec<String> =
                unplaced.iter().filter(|other| other.name == flag.name).map(|other| shell::quote(&other.word())).collect();
            said.push(format!("{} cannot be expressed in {}", words.join(" "), format.title()));
        }
        // They are printed: what a name or a value holds must not reach the terminal as a control sequence.
        said.into_iter().map(|note| note.chars().flat_map(visible).collect()).collect()
    }
}

/// Returns a character as it is, or one that a terminal acts on as its escape.
fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

impl Format {
    const fn title(self) -> &'static str {
        match self {
            Self::Podman => "a command line of Podman",
            Self::Quadlet => "a Quadlet file",
            Self::Compose => "a Compose file",
            Self::Kube => "a Pod",
            Self::Oci => "this part of config.json",
            Self::Label => "a label",
            Self::Systemd => "a unit of systemd",
            Self::Json => "JSON",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_by_name() {
        assert_eq!(Format::parse("kube"), Ok(Format::Kube));
        let error = Format::parse("helm").unwrap_err().to_string();
        assert_eq!(error, "there is no format `helm`, only podman, quadlet, compose, kube, oci, label, systemd, json");
    }

    #[test]
    fn start_is_a_user_by_name_or_number() {
        assert_eq!(Start::parse("33:44"), Start { text: "33:44".to_owned(), uid: Some(33), gid: Some(44) });
        assert_eq!(Start::parse("www"), Start { text: "www".to_owned(), uid: None, gid: None });
        assert!(Start::parse("").is_root() && Start::parse("root").is_root() && !Start::parse("www").is_root());
    }

    /// A request with a value of every kind.
    const RECORD: &str = include_str!("../../tests/record-1.json");

    /// What a format does by itself, or says in other words.
    const IN_OTHER_WORDS: [&str; 8] = ["detach", "rm", "replace", "restart", "interactive", "tty", "cpu-period", "cpu-quota"];

    /// The last word of a value, which finds its way into the text whatever the format puts around it.
    fn mark(flag: &Flag) -> String {
        if flag.value.as_deref().is_none_or(|value| value == "true" || value == "false") {
            return flag.name.replace('-', "");
        }
        let text = if flag.name == "tmpfs" { flag.text().split(':').next().unwrap_or_default() } else { flag.text() };
        let text = text.trim_end_matches(['b', ']', '"']);
        text.rsplit(|c: char| !c.is_ascii_alphanumeric()).find(|part| !part.is_empty()).unwrap_or(flag.name).to_ascii_lowercase()
    }

    #[test]
    fn no_flag_is_dropped_in_silence() {
        let request: Request = serde_json::from_str(RECORD).unwrap();
        let image = ImageConfig::default();
        let all = flags(&request);
        assert!(all.len() > 60, "{}", all.len());
        for format in Format::ALL {
            let subject = Subject {
                request: &request,
                image: &image,
                digest: None,
                capabilities: CapSet::EMPTY,
                facts: Evidence::default(),
                sysctls: &[],
            };
            let Exported { text, notes } = export(&subject, format).unwrap();
            let (text, notes) = (text.to_ascii_lowercase().replace(['-', '_'], ""), notes.join("\n").to_ascii_lowercase());
            let lost: Vec<&Flag> = all
                .iter()
                .filter(|flag| format != Format::Json && !IN_OTHER_WORDS.contains(&flag.name))
                .filter(|flag| !text.contains(&mark(flag)) && !notes.contains(&format!("--{}", flag.name)) && !notes.contains(&mark(flag)))
                .collect();
            assert_eq!(lost, Vec::<&Flag>::new(), "{} loses flags:\n{text}\n{notes}", format.name());
        }
    }

    #[test]
    fn nul_is_refused_wherever_it_is() {
        let image = ImageConfig::default();
        let mut request = Request { command: vec!["a\0b".to_owned()], ..Request::default() };
        let refused = |request: &Request| {
            let facts = Evidence::default();
            let subject = Subject { request, image: &image, digest: None, capabilities: CapSet::EMPTY, facts, sysctls: &[] };
            export(&subject, Format::Kube).unwrap_err().to_string()
        };
        assert_eq!(refused(&request), "the value of `the command` holds a NUL byte, which no format can hold");
        request.command.clear();
        request.labels.insert("k".to_owned(), "\0".to_owned());
        assert_eq!(refused(&request), "the value of `label` holds a NUL byte, which no format can hold");
    }
}
