//! `--ulimit NAME=SOFT[:HARD]`: setrlimit(2).

use serde::{Deserialize, Serialize};

use crate::PlanError;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ulimit {
    /// `host`: all limits are the engine's own.
    Host,
    /// A limit for one resource.
    Set {
        /// For example `nofile`.
        resource: String,
        /// Soft limit.
        soft: LimitValue,
        /// Hard limit.
        hard: LimitValue,
    },
}

/// A number of setrlimit(2); `u64::MAX` is infinity.
pub type LimitValue = u64;

/// The resources of setrlimit(2) by their usual names.
pub(crate) const RESOURCES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Ulimit {
    /// Parses `nofile=1024:2048`, `nofile=1024`, `nofile=-1` or `host`.
    ///
    /// # Errors
    /// [`PlanError::Ulimit`] with Podman's words.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let error = |problem: String| PlanError::Ulimit { text: text.to_owned(), problem };
        if text == "host" {
            return Ok(Self::Host);
        }
        let (name, values) = text.split_once('=').ok_or_else(|| error(format!("invalid ulimit argument: {text}")))?;
        let resource = RESOURCES.into_iter().find(|known| *known == name).ok_or_else(|| error(format!("invalid ulimit type: {name}")))?;
        let (soft, hard) = match values.split_once(':') {
            Some((_, hard)) if hard.contains(':') => {
                return Err(error(format!("too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")));
            }
            Some((soft, hard)) => (soft, hard),
            None => (values, values),
        };
        // The hard limit first, so that the error is about the same number as Podman's.
        let hard = limit(hard).map_err(&error)?;
        let soft = limit(soft).map_err(&error)?;
        if soft > hard {
            let shown = |value: u64| if value == u64::MAX { String::from("-1") } else { value.to_string() };
            return Err(error(format!("ulimit soft limit must be less than or equal to hard limit: {} > {}", shown(soft), shown(hard))));
        }
        Ok(Self::Set { resource: resource.to_owned(), soft, hard })
    }
}

fn limit(text: &str) -> Result<LimitValue, String> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        digits => digits
            .parse::<i64>()
            .ok()
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| format!("strconv.ParseInt: parsing {digits:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimit_text_becomes_resource_and_limits() {
        let set = |resource: &str, soft, hard| Ok(Ulimit::Set { resource: resource.to_owned(), soft, hard });
        assert_eq!(Ulimit::parse("nofile=1:2"), set("nofile", 1, 2));
        assert_eq!(Ulimit::parse("core=0"), set("core", 0, 0));
        assert_eq!(Ulimit::parse("memlock=-1:-1"), set("memlock", u64::MAX, u64::MAX));
        assert_eq!(Ulimit::parse("host"), Ok(Ulimit::Host));
    }

    #[test]
    fn ulimit_errors_have_podmans_words() {
        let text = |text| Ulimit::parse(text).map_err(|error| error.to_string());
        let words =
            |value: &str, problem: &str| Err(format!("ulimit option {value:?} requires name=SOFT:HARD, failed to be parsed: {problem}"));
        assert_eq!(text("foo"), words("foo", "invalid ulimit argument: foo"));
        assert_eq!(text("foo=1"), words("foo=1", "invalid ulimit type: foo"));
        assert_eq!(text("nofile=x"), words("nofile=x", "strconv.ParseInt: parsing \"x\": invalid syntax"));
        assert_eq!(text("nofile=2:1"), words("nofile=2:1", "ulimit soft limit must be less than or equal to hard limit: 2 > 1"));
        assert_eq!(
            text("nofile=1:2:3"),
            words("nofile=1:2:3", "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`")
        );
        assert_eq!(text("nofile=a:b"), words("nofile=a:b", "strconv.ParseInt: parsing \"b\": invalid syntax"));
    }
}
