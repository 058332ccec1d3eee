//! Times as Podman prints them.

use jiff::Timestamp;

use crate::ui::error::Failure;

/// Returns how long `seconds` is, in one unit, as go-units' `HumanDuration` has it.
pub(crate) fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let hours = (seconds + HOUR / 2) / HOUR;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..MINUTE => format!("{seconds} seconds"),
        _ if seconds / MINUTE == 1 => "About a minute".to_owned(),
        _ if seconds / MINUTE < 60 => format!("{} minutes", seconds / MINUTE),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / DAY / 365),
    }
}

/// Returns how long ago `time` (RFC 3339) was, with `ago`.
pub(crate) fn ago(time: &str) -> String {
    format!("{} ago", human_duration(seconds_since(time)))
}

/// Returns the whole seconds since `time` (RFC 3339); 0 when it is none.
pub(crate) fn seconds_since(time: &str) -> i64 {
    parse(time).map_or(0, |then| (Timestamp::now().as_second() - then.as_second()).max(0))
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Returns `time` (RFC 3339) as Go prints a time: `2026-11-28 20:46:27.978937194 +0000 UTC`.
pub(crate) fn full(time: &str) -> String {
    parse(time).map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string())
}

/// Reads an RFC 3339 time.
pub(crate) fn parse(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}

/// Reads a point in time: RFC 3339, UTC without a zone, seconds since 1970, or a duration before now.
///
/// # Errors
/// It is none of them; `flag` is what it was given to.
pub(crate) fn moment(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    moment_or(flag, text, |duration| Timestamp::now().checked_sub(duration))
}

/// The same with a duration from now on: of the end of what is waited for.
///
/// # Errors
/// As [`moment`].
pub(crate) fn coming(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    moment_or(flag, text, |duration| Timestamp::now().checked_add(duration))
}

fn moment_or(
    flag: &str,
    text: Option<&str>,
    by_duration: impl Fn(jiff::SignedDuration) -> Result<Timestamp, jiff::Error>,
) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    if let Some(moment) = parse(text) {
        return Ok(Some(moment));
    }
    let wrong =
        || Failure::engine(format!("unable to parse {flag} {text:?}: expected RFC 3339, seconds since 1970, or a duration such as 10m"));
    // Without a zone it is UTC, as in the times that are shown, and a day begins at midnight.
    let local = text.parse::<jiff::civil::DateTime>().or_else(|_| text.parse::<jiff::civil::Date>().map(Into::into));
    if let Ok(moment) = local.and_then(|local| jiff::tz::TimeZone::UTC.to_timestamp(local)) {
        return Ok(Some(moment));
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).map(Some).map_err(|_| wrong());
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    by_duration(duration).map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_duration_of_each_unit() {
        let text = [0, 1, 59, 60, 119, 120, 3600, 3 * 3600, 3 * 86_400, 15 * 86_400, 90 * 86_400, 800 * 86_400].map(human_duration);
        let expected = [
            "Less than a second",
            "1 second",
            "59 seconds",
            "About a minute",
            "About a minute",
            "2 minutes",
            "About an hour",
            "3 hours",
            "3 days",
            "2 weeks",
            "3 months",
            "2 years",
        ];
        assert_eq!(text, expected);
    }
}
