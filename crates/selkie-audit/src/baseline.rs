//! Findings that somebody accepts, each with the reason.
//!
//! ```json
//! {"version": 1, "exceptions": [{"rule": "host-network", "subject": "dns", "reason": "answers on every address", "expires": "2027-01-31"}]}
//! ```

use selkie_caps::Capability;
use serde::{Deserialize, Serialize};

use crate::{Finding, Rule};

/// The version of the form that this program writes and reads.
const VERSION: u32 = 1;

/// A list of exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of the form.
    version: u32,
    /// The exceptions.
    pub exceptions: Vec<Exception>,
}

/// One kind of finding that is accepted. What it leaves out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Id of the rule.
    pub rule: String,
    /// The file, as it is named on the command line, or the end of its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The capability, without its prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Why it is accepted. Required.
    #[serde(default)]
    pub reason: String,
    /// The last day on which it holds, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Why a baseline is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// It is not of the form.
    #[error("not a baseline: {problem}")]
    Form {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A version that is not known.
    #[error("version {version} is not known, only {VERSION} is")]
    Version {
        /// The version.
        version: u32,
    },
    /// An exception without a reason.
    #[error("exception {number} (`{rule}`) has no reason")]
    NoReason {
        /// Which one, counted from 1.
        number: usize,
        /// Its rule.
        rule: String,
    },
    /// A rule that there is not.
    #[error("exception {number}: there is no rule `{rule}`")]
    NoRule {
        /// Which one, counted from 1.
        number: usize,
        /// What it names.
        rule: String,
    },
    /// A capability that there is not.
    #[error("exception {number}: `{capability}` is not a capability")]
    NoCapability {
        /// Which one, counted from 1.
        number: usize,
        /// What it names.
        capability: String,
    },
    /// A day that is none.
    #[error("exception {number}: `{expires}` is not a day in the form YYYY-MM-DD")]
    NoDay {
        /// Which one, counted from 1.
        number: usize,
        /// What it says.
        expires: String,
    },
}

impl Baseline {
    /// Reads a baseline.
    ///
    /// # Errors
    /// [`BaselineError`]; an exception without a reason is refused, since nobody could tell later whether it still holds.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text).map_err(|error| BaselineError::Form { problem: error.to_string() })?;
        if baseline.version != VERSION {
            return Err(BaselineError::Version { version: baseline.version });
        }
        for (number, exception) in baseline.exceptions.iter().enumerate().map(|(number, exception)| (number + 1, exception)) {
            let rule = exception.rule.clone();
            if Rule::from_id(&rule).is_none() {
                return Err(BaselineError::NoRule { number, rule });
            }
            if let Some(capability) = exception.capability.as_ref().filter(|name| Capability::parse_name(name).is_err()) {
                return Err(BaselineError::NoCapability { number, capability: capability.clone() });
            }
            if exception.reason.trim().is_empty() {
                return Err(BaselineError::NoReason { number, rule });
            }
            if let Some(expires) = exception.expires.as_ref().filter(|day| !is_day(day)) {
                return Err(BaselineError::NoDay { number, expires: expires.clone() });
            }
        }
        Ok(baseline)
    }

    /// Returns a baseline that accepts these findings, each with an empty reason that has to be filled in.
    #[must_use]
    pub fn of<'a>(findings: impl Iterator<Item = (&'a str, &'a Finding)>) -> Self {
        let mut exceptions: Vec<Exception> = Vec::new();
        for (file, finding) in findings.filter(|(_, finding)| finding.accepted.is_none()) {
            let exception = Exception {
                rule: finding.rule.id().to_owned(),
                file: (!file.is_empty()).then(|| file.to_owned()),
                subject: (!finding.subject.is_empty()).then(|| finding.subject.clone()),
                capability: finding.capability.map(|capability| capability.short_name().to_owned()),
                reason: String::new(),
                expires: None,
            };
            if !exceptions.contains(&exception) {
                exceptions.push(exception);
            }
        }
        Self { version: VERSION, exceptions }
    }

    /// Marks the findings that it accepts on `today` (`YYYY-MM-DD`); returns which exceptions matched, by number.
    pub fn apply(&self, file: &str, findings: &mut [Finding], today: &str) -> Vec<usize> {
        let mut used = Vec::new();
        for (number, exception) in self.exceptions.iter().enumerate() {
            for finding in findings.iter_mut().filter(|finding| exception.matches(file, finding)) {
                if exception.has_ended(today) {
                    continue;
                }
                finding.accepted.get_or_insert_with(|| exception.reason.clone());
                used.push(number);
            }
        }
        used.dedup();
        used
    }
}

impl Exception {
    /// Tells whether it no longer holds on `today`.
    #[must_use]
    pub fn has_ended(&self, today: &str) -> bool {
        // Days of this form sort as text.
        self.expires.as_deref().is_some_and(|day| day < today)
    }

    fn matches(&self, file: &str, finding: &Finding) -> bool {
        let of_file = |wanted: &String| file == wanted || file.ends_with(&format!("/{wanted}"));
        self.rule == finding.rule.id()
            && self.file.as_ref().is_none_or(of_file)
            && self.subject.as_ref().is_none_or(|subject| *subject == finding.subject)
            && self.capability.as_ref().is_none_or(|name| {
                finding.capability.is_some_and(|capability| name == capability.short_name() || name == capability.name())
            })
    }
}

/// Tells whether this is a day of the calendar, `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    let number = |part: &str, length: usize| -> Option<u32> {
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else { return false };
    let last = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year >= 1 && (1..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(exception: &str) -> Result<Baseline, BaselineError> {
        Baseline::parse(&format!("{{\"version\": 1, \"exceptions\": [{exception}]}}"))
    }

    #[test]
    fn exception_without_a_reason_is_refused() {
        let refused = baseline("{\"rule\": \"privileged\", \"reason\": \" \"}");
        assert_eq!(refused, Err(BaselineError::NoReason { number: 1, rule: "privileged".to_owned() }));
    }

    #[test]
    fn exception_of_no_rule_and_of_no_day_is_refused() {
        assert!(matches!(baseline("{\"rule\": \"x\", \"reason\": \"y\"}"), Err(BaselineError::NoRule { number: 1, .. })));
        assert!(matches!(
            baseline("{\"rule\": \"privileged\", \"reason\": \"y\", \"expires\": \"2027-13-01\"}"),
            Err(BaselineError::NoDay { .. })
        ));
        assert!(matches!(baseline("{\"rule\": \"privileged\", \"reason\": \"y\", \"why\": 1}"), Err(BaselineError::Form { .. })));
    }

    #[test]
    fn exception_ends_on_a_day_of_the_calendar() {
        let none =
            ["2027-02-30", "2027-02-29", "2100-02-29", "2027-04-31", "2027-00-10", "2027-01-00", "2027-1-01", "0000-01-01", "2027-01"];
        assert_eq!(none.map(is_day), [false; 9]);
        assert_eq!(["2027-02-28", "2028-02-29", "2000-02-29", "2027-12-31", "2027-04-30"].map(is_day), [true; 5]);
    }

    #[test]
    fn exception_of_no_capability_is_refused() {
        let of = |name: &str| baseline(&format!("{{\"rule\": \"capability-added\", \"reason\": \"y\", \"capability\": \"{name}\"}}"));
        assert_eq!(of("NET_ADMN"), Err(BaselineError::NoCapability { number: 1, capability: "NET_ADMN".to_owned() }));
        assert!(["NET_ADMIN", "CAP_NET_ADMIN"].iter().all(|name| of(name).is_ok()));
    }

    #[test]
    fn exception_ends_after_its_day() {
        let exception = Exception { expires: Some("2027-01-31".to_owned()), ..Exception::default() };
        assert!(!exception.has_ended("2027-01-31") && exception.has_ended("2027-02-01"));
    }
}
