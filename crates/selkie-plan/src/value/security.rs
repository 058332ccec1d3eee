//! `--security-opt KEY=VALUE`: seccomp, no_new_privs, masks, security modules.

use serde::{Deserialize, Serialize};

use crate::PlanError;

/// One security option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityOpt {
    /// `no-new-privileges[=BOOL]`.
    NoNewPrivileges(bool),
    /// `seccomp=unconfined` or a file of the host.
    Seccomp(String),
    /// `apparmor=unconfined` or a profile.
    Apparmor(String),
    /// `label=...`, for SELinux.
    Label(Label),
    /// `mask=/a:/b`.
    Mask(Vec<String>),
    /// `unmask=ALL`, `unmask=/a:/b`, with patterns; `systempaths=unconfined` is the same as `ALL`.
    Unmask(Vec<String>),
    /// `proc-opts=a,b`: the options of `/proc`.
    ProcOpts(Vec<String>),
    /// `nested-userns[=BOOL]` (ours): processes may make user namespaces, in which they have every capability.
    NestedUserns(bool),
}

/// An option for SELinux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// `disable`.
    Disable,
    /// `nested`.
    Nested,
    /// `user:`, `role:`, `type:`, `level:`, `filetype:`.
    Part(String, String),
}

impl SecurityOpt {
    /// Parses the value of `--security-opt`.
    ///
    /// # Errors
    /// [`PlanError::SecurityOptValue`] without a value, [`PlanError::SecurityOptName`] for anything unknown.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let unknown = || PlanError::SecurityOptName { text: text.to_owned() };
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        let Some((key, value)) = pair else {
            return match text {
                "no-new-privileges" => Ok(Self::NoNewPrivileges(true)),
                "nested-userns" => Ok(Self::NestedUserns(true)),
                _ => Err(PlanError::SecurityOptValue { text: text.to_owned() }),
            };
        };
        let paths = || value.split(':').map(str::to_owned).collect();
        match (key, value) {
            ("no-new-privileges", value) => boolean(value).map(Self::NoNewPrivileges).ok_or_else(unknown),
            ("nested-userns", value) => boolean(value).map(Self::NestedUserns).ok_or_else(unknown),
            ("seccomp" | "apparmor" | "label", "") => Err(unknown()),
            ("seccomp", value) => Ok(Self::Seccomp(value.to_owned())),
            ("apparmor", value) => Ok(Self::Apparmor(value.to_owned())),
            ("label", value) => label(value).map(Self::Label).ok_or_else(unknown),
            ("mask", _) => Ok(Self::Mask(paths())),
            ("unmask", _) => Ok(Self::Unmask(paths())),
            ("systempaths", "unconfined") => Ok(Self::Unmask(vec![String::from("ALL")])),
            ("proc-opts", value) => Ok(Self::ProcOpts(value.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect())),
            _ => Err(unknown()),
        }
    }
}

fn label(value: &str) -> Option<Label> {
    match value {
        "disable" => Some(Label::Disable),
        "nested" => Some(Label::Nested),
        _ => match value.split_once(':') {
            Some((part @ ("user" | "role" | "type" | "level" | "filetype"), value)) => Some(Label::Part(part.to_owned(), value.to_owned())),
            _ => None,
        },
    }
}

/// The words of Go's `strconv.ParseBool`.
fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_opt_grammar() {
        for (text, expected) in [
            ("no-new-privileges", SecurityOpt::NoNewPrivileges(true)),
            ("no-new-privileges:true", SecurityOpt::NoNewPrivileges(true)),
            ("no-new-privileges=0", SecurityOpt::NoNewPrivileges(false)),
            ("seccomp=unconfined", SecurityOpt::Seccomp("unconfined".into())),
            ("seccomp:/a=b", SecurityOpt::Seccomp("b".into())),
            ("label=type:spc_t", SecurityOpt::Label(Label::Part("type".into(), "spc_t".into()))),
            ("label:disable", SecurityOpt::Label(Label::Disable)),
            ("mask=/a:/b", SecurityOpt::Mask(vec!["/a".into(), "/b".into()])),
            ("systempaths=unconfined", SecurityOpt::Unmask(vec!["ALL".into()])),
            ("proc-opts=nosuid,hidepid=2", SecurityOpt::ProcOpts(vec!["nosuid".into(), "hidepid=2".into()])),
            ("nested-userns", SecurityOpt::NestedUserns(true)),
        ] {
            // A key is what is before the first `=`, even when a `:` comes earlier.
            let parsed = SecurityOpt::parse(text);
            if text == "seccomp:/a=b" {
                assert_eq!(parsed, Err(PlanError::SecurityOptName { text: text.into() }));
            } else {
                assert_eq!(parsed, Ok(expected), "{text}");
            }
        }
    }

    #[test]
    fn security_opt_errors() {
        let error = |text| SecurityOpt::parse(text).unwrap_err().to_string();
        assert_eq!(error("foo"), "invalid --security-opt 1: \"foo\"");
        assert_eq!(error("foo=bar"), "invalid --security-opt 2: \"foo=bar\"");
        assert_eq!(error("no-new-privileges=maybe"), "invalid --security-opt 2: \"no-new-privileges=maybe\"");
    }
}
