//! Seccomp profiles: the JSON of containers-common and Docker, and the OCI form that a `config.json` holds.
//!
//! Not for what a profile means on one machine with one capability set: [`resolve`](crate::resolve()).
//!
//! ```json
//! { "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
//!   "archMap": [{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] }],
//!   "syscalls": [{ "names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_CHROOT"] } }] }
//! ```
//! A key that no known producer writes is an error: a misspelt `excludes` would open what it was to close.

use std::borrow::Cow;

use selkie_caps::{CapSet, Capability, UnknownCapability};
use serde::Deserialize;

use crate::{Action, Arch, Condition, Operator, arch, errno};

/// A profile as it was written, or the built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What happens to calls that no rule matches.
    pub default_action: Action,
    /// Which architectures go with the native one.
    pub architectures: Architectures,
    /// Flags of seccomp(2).
    pub flags: Flags,
    /// Where the listener of `SCMP_ACT_NOTIFY` is sent.
    pub listener: Option<Listener>,
    /// The rules in order.
    pub rules: Vec<Rule>,
}

/// Which architectures a profile covers. The native one always belongs to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Architectures {
    /// These, for any machine (`architectures`).
    Listed(Vec<Arch>),
    /// By native architecture (`archMap`).
    Map(Vec<(Arch, Vec<Arch>)>),
}

/// The socket that gets the listener of `SCMP_ACT_NOTIFY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Path of a listening Unix socket.
    pub path: String,
    /// What the profile wants passed along.
    pub metadata: Option<String>,
}

/// Flags of `seccomp(SECCOMP_SET_MODE_FILTER)`, the kernel's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u32);

/// What happens to some calls under some conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names of system calls; those that no architecture has are skipped.
    pub names: Vec<Cow<'static, str>>,
    /// What happens.
    pub action: Action,
    /// What the arguments have to be, all of it.
    pub conditions: Vec<Condition>,
    /// Where the rule counts at all.
    pub applies: Applies,
    /// The profile's own words on it.
    pub comment: Cow<'static, str>,
}

/// On which machines, and with which capabilities, a rule counts (`includes`, `excludes`).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Applies {
    /// All of these are in the bounding set.
    pub with: CapSet,
    /// None of these is.
    pub without: CapSet,
    /// The native architecture is one of these Go names; empty means any.
    pub arches: Vec<Cow<'static, str>>,
    /// The native architecture is none of these Go names.
    pub not_arches: Vec<Cow<'static, str>>,
    /// The kernel is at least this version.
    pub min_kernel: Option<KernelVersion>,
    /// The kernel is older than this version (`minKernel` of `excludes`).
    pub below_kernel: Option<KernelVersion>,
}

/// Major and minor version of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// 6 of 6.18.
    pub major: u32,
    /// 18 of 6.18.
    pub minor: u32,
}

/// A profile that cannot be used, with the place.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not JSON, or not of this shape; the source has line and column.
    #[error("not a seccomp profile")]
    Json(#[source] serde_json::Error),
    /// A word that is not one of those known.
    #[error("{place}: `{value}` is not {wanted}")]
    Word {
        /// Where, for example `syscalls[3].args[0].op`.
        place: String,
        /// The word.
        value: String,
        /// What is expected.
        wanted: &'static str,
    },
    /// A capability that does not exist.
    #[error("{place}")]
    Capability {
        /// Where.
        place: String,
        /// Which.
        #[source]
        source: UnknownCapability,
    },
    /// A number out of range.
    #[error("{place}: {value} is out of range (0 to {max})")]
    Range {
        /// Where.
        place: String,
        /// The number.
        value: u64,
        /// The most that it may be.
        max: u64,
    },
    /// Two keys of which only one may be there.
    #[error("{place}: `{first}` and `{second}` exclude each other")]
    Both {
        /// Where.
        place: String,
        /// One key.
        first: &'static str,
        /// The other key.
        second: &'static str,
    },
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError`] with the place.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        let raw: RawProfile = serde_json::from_str(json).map_err(ProfileError::Json)?;
        let errno = errno_of("defaultErrno", raw.default_errno.as_deref(), raw.default_errno_ret)?;
        let rules = raw.syscalls.unwrap_or_default();
        Ok(Self {
            default_action: action("defaultAction", &raw.default_action, errno)?,
            architectures: architectures(raw.architectures, raw.arch_map)?,
            flags: Flags::parse(&raw.flags.unwrap_or_default())?,
            listener: raw.listener_path.filter(|path| !path.is_empty()).map(|path| Listener { path, metadata: raw.listener_metadata }),
            rules: rules.into_iter().enumerate().map(|(index, raw)| raw.rule(&format!("syscalls[{index}]"))).collect::<Result<_, _>>()?,
        })
    }
}

impl Flags {
    const NAMES: [(&'static str, u32); 4] = [
        ("SECCOMP_FILTER_FLAG_TSYNC", 1),
        ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
        ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2),
        ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1 << 5),
    ];

    fn parse(names: &[String]) -> Result<Self, ProfileError> {
        names.iter().enumerate().try_fold(Self(0), |flags, (index, name)| {
            let known = Self::NAMES.iter().find(|(known, _)| known == name);
            let wanted = "a flag of seccomp(2) that a profile may ask for";
            let (_, bit) = known.ok_or_else(|| word(format!("flags[{index}]"), name, wanted))?;
            Ok(Self(flags.0 | bit))
        })
    }

    /// Returns the kernel's bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Iterates over the names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(name, _)| name)
    }
}

impl KernelVersion {
    /// Reads `6.18` or longer, as uname(2) writes it: what follows the second number is ignored.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let (major, rest) = release.split_once('.')?;
        let minor = rest.split(|character: char| !character.is_ascii_digit()).next()?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawProfile {
    default_action: String,
    default_errno_ret: Option<u64>,
    default_errno: Option<String>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<RawArchitecture>>,
    flags: Option<Vec<String>>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<RawRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawArchitecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRule {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: String,
    args: Option<Vec<RawCondition>>,
    #[serde(default)]
    comment: Option<String>,
    includes: Option<RawFilter>,
    excludes: Option<RawFilter>,
    errno_ret: Option<u64>,
    errno: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCondition {
    index: u64,
    value: u64,
    value_two: Option<u64>,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFilter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl RawRule {
    fn rule(self, place: &str) -> Result<Rule, ProfileError> {
        let name = self.name.filter(|name| !name.is_empty());
        let names = self.names.unwrap_or_default();
        if name.is_some() && !names.is_empty() {
            return Err(ProfileError::Both { place: place.into(), first: "name", second: "names" });
        }
        let errno = errno_of(&format!("{place}.errno"), self.errno.as_deref(), self.errno_ret)?;
        let (includes, excludes) = (self.includes.unwrap_or_default(), self.excludes.unwrap_or_default());
        let conditions = self.args.unwrap_or_default().into_iter().enumerate();
        Ok(Rule {
            names: name.into_iter().chain(names).map(Cow::Owned).collect(),
            action: action(&format!("{place}.action"), &self.action, errno)?,
            conditions: conditions.map(|(index, raw)| raw.condition(&format!("{place}.args[{index}]"))).collect::<Result<_, _>>()?,
            applies: Applies {
                with: caps(&format!("{place}.includes"), includes.caps)?,
                without: caps(&format!("{place}.excludes"), excludes.caps)?,
                arches: includes.arches.unwrap_or_default().into_iter().map(Cow::Owned).collect(),
                not_arches: excludes.arches.unwrap_or_default().into_iter().map(Cow::Owned).collect(),
                min_kernel: kernel(&format!("{place}.includes"), includes.min_kernel)?,
                below_kernel: kernel(&format!("{place}.excludes"), excludes.min_kernel)?,
            },
            comment: Cow::Owned(self.comment.unwrap_or_default()),
        })
    }
}

impl RawCondition {
    fn condition(self, place: &str) -> Result<Condition, ProfileError> {
        let index = u8::try_from(self.index).ok().filter(|index| *index < 6);
        let operator = Operator::from_name(&self.op);
        Ok(Condition {
            index: index.ok_or_else(|| ProfileError::Range { place: format!("{place}.index"), value: self.index, max: 5 })?,
            operator: operator.ok_or_else(|| word(format!("{place}.op"), &self.op, "a comparison such as `SCMP_CMP_EQ`"))?,
            value: self.value,
            value_two: self.value_two.unwrap_or(0),
        })
    }
}

fn word(place: String, value: &str, wanted: &'static str) -> ProfileError {
    ProfileError::Word { place, value: value.into(), wanted }
}

fn action(place: &str, name: &str, data: u16) -> Result<Action, ProfileError> {
    Action::from_name(name, data).ok_or_else(|| word(place.into(), name, "an action such as `SCMP_ACT_ERRNO`"))
}

/// The errno by name, else by number, else EPERM, as containers-common and the OCI runtimes choose it.
fn errno_of(place: &str, name: Option<&str>, number: Option<u64>) -> Result<u16, ProfileError> {
    /// The kernel's `MAX_ERRNO`, to which it would cut a greater number.
    const MAX: u16 = 4095;
    match (name.filter(|name| !name.is_empty()), number) {
        (Some(name), _) => errno::number(name).ok_or_else(|| word(place.into(), name, "the name of an errno")),
        (None, Some(value)) => {
            let errno = u16::try_from(value).ok().filter(|errno| *errno <= MAX);
            errno.ok_or_else(|| ProfileError::Range { place: format!("{place}Ret"), value, max: MAX.into() })
        }
        (None, None) => Ok(1),
    }
}

fn caps(place: &str, names: Option<Vec<String>>) -> Result<CapSet, ProfileError> {
    names.unwrap_or_default().iter().enumerate().try_fold(CapSet::EMPTY, |set, (index, name)| {
        let capability =
            Capability::parse_name(name).map_err(|source| ProfileError::Capability { place: format!("{place}.caps[{index}]"), source })?;
        Ok(set.with(capability))
    })
}

fn kernel(place: &str, version: Option<String>) -> Result<Option<KernelVersion>, ProfileError> {
    let Some(version) = version.filter(|version| !version.is_empty()) else { return Ok(None) };
    let parsed = KernelVersion::parse(&version);
    parsed.map(Some).ok_or_else(|| word(format!("{place}.minKernel"), &version, "a kernel version such as `4.8`"))
}

fn architectures(listed: Option<Vec<String>>, map: Option<Vec<RawArchitecture>>) -> Result<Architectures, ProfileError> {
    let (listed, map) = (listed.unwrap_or_default(), map.unwrap_or_default());
    if !listed.is_empty() && !map.is_empty() {
        return Err(ProfileError::Both { place: "profile".into(), first: "architectures", second: "archMap" });
    }
    if map.is_empty() {
        return arches("architectures", &listed).map(Architectures::Listed);
    }
    let mut entries = Vec::new();
    for (index, entry) in map.iter().enumerate() {
        let natives = arches(&format!("archMap[{index}].architecture"), std::slice::from_ref(&entry.architecture))?;
        let subs = entry.sub_architectures.as_deref().unwrap_or_default();
        let subs = arches(&format!("archMap[{index}].subArchitectures"), subs)?;
        entries.extend(natives.into_iter().map(|native| (native, subs.clone())));
    }
    Ok(Architectures::Map(entries))
}

/// Reads names of architectures; those that cannot occur on a machine of ours are left out.
fn arches(place: &str, names: &[String]) -> Result<Vec<Arch>, ProfileError> {
    let mut found = Vec::new();
    for name in names {
        match Arch::from_name(name) {
            Some(arch) => found.push(arch),
            None if arch::FOREIGN.contains(&name.as_str()) => {}
            None => return Err(word(place.into(), name, "an architecture such as `SCMP_ARCH_X86_64`")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;

    fn message(json: &str) -> String {
        let error = Profile::parse(json).unwrap_err();
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }

    #[test]
    fn parse_small_profile_returns_all_parts() {
        let profile = Profile::parse(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_S390X"],
                "flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/run/l","listenerMetadata":"m",
                "syscalls":[{"names":["chmod"],"action":"SCMP_ACT_TRACE","errnoRet":7,"comment":"c",
                  "args":[{"index":1,"value":4095,"valueTwo":2,"op":"SCMP_CMP_MASKED_EQ"}],
                  "includes":{"caps":["CAP_CHOWN"],"minKernel":"4.8"},"excludes":{"arches":["arm64"]}}]}"#,
        )
        .unwrap();
        let rule = Rule {
            names: vec!["chmod".into()],
            action: Action::Trace(7),
            conditions: vec![Condition::masked(1, 4095, 2)],
            applies: Applies {
                with: CapSet::EMPTY.with(Capability::Chown),
                not_arches: vec!["arm64".into()],
                min_kernel: Some(KernelVersion { major: 4, minor: 8 }),
                ..Applies::default()
            },
            comment: "c".into(),
        };
        let wanted = Profile {
            default_action: Action::Errno(38),
            architectures: Architectures::Listed(vec![Arch::X86_64]),
            flags: Flags(2),
            listener: Some(Listener { path: "/run/l".into(), metadata: Some("m".into()) }),
            rules: vec![rule],
        };
        assert_eq!(profile, wanted);
    }

    #[test]
    fn parse_wrong_values_name_the_place() {
        let rule = |rule: &str| message(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#));
        assert_eq!(message(r#"{"defaultAction":"ALLOW"}"#), "defaultAction: `ALLOW` is not an action such as `SCMP_ACT_ERRNO`");
        assert_eq!(
            rule(r#"{"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":0,"op":"EQ"}]}"#),
            "syscalls[0].args[0].op: `EQ` is not a comparison such as `SCMP_CMP_EQ`"
        );
        assert_eq!(
            rule(r#"{"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}"#),
            "syscalls[0].args[0].index: 6 is out of range (0 to 5)"
        );
        assert_eq!(
            rule(r#"{"names":["a"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}"#),
            "syscalls[0].errnoRet: 4096 is out of range (0 to 4095)"
        );
        assert_eq!(
            rule(r#"{"names":["a"],"action":"SCMP_ACT_ERRNO","errno":"ENOPE"}"#),
            "syscalls[0].errno: `ENOPE` is not the name of an errno"
        );
        assert_eq!(rule(r#"{"name":"a","names":["b"],"action":"SCMP_ACT_ERRNO"}"#), "syscalls[0]: `name` and `names` exclude each other");
        assert_eq!(
            rule(r#"{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_CHWON"]}}"#),
            "syscalls[0].includes.caps[0]: `CAP_CHWON` is not a capability (did you mean `CAP_CHOWN`?)"
        );
    }

    #[test]
    fn parse_misspelt_key_is_refused_with_its_line() {
        assert_eq!(
            message("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n\"syscals\":[]}"),
            "not a seccomp profile: unknown field `syscals`, expected one of `defaultAction`, `defaultErrnoRet`, `defaultErrno`, \
             `architectures`, `archMap`, `flags`, `listenerPath`, `listenerMetadata`, `syscalls` at line 2 column 9"
        );
    }

    #[test]
    fn kernel_version_parse_reads_releases() {
        assert_eq!(KernelVersion::parse("6.18.44-fc"), Some(KernelVersion { major: 6, minor: 18 }));
        assert_eq!(KernelVersion::parse("4.8"), Some(KernelVersion { major: 4, minor: 8 }));
        assert_eq!(KernelVersion::parse("6"), None);
    }

    proptest! {
        #[test]
        fn parse_any_text_does_not_panic(text in ".{0,200}") {
            let _ = Profile::parse(&text);
        }
    }
}
