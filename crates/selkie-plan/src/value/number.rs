//! Plain numbers of flags, with the texts of Go's strconv that scripts know.

use crate::PlanError;

/// Parses an unsigned number.
///
/// # Errors
/// [`PlanError::Number`].
pub fn parse_unsigned(flag: &'static str, text: &str) -> Result<u64, PlanError> {
    text.parse().map_err(|_| number(flag, text, "ParseUint"))
}

/// Parses a signed number.
///
/// # Errors
/// [`PlanError::Number`].
pub fn parse_signed(flag: &'static str, text: &str) -> Result<i64, PlanError> {
    text.parse().map_err(|_| number(flag, text, "ParseInt"))
}

/// Parses `--cpus`: how many processors, into microseconds of each 100 ms period; 0 is no limit.
///
/// # Errors
/// [`PlanError::Number`].
pub fn parse_cpus(text: &str) -> Result<Option<i64>, PlanError> {
    let error = || number("--cpus", text, "ParseFloat");
    let cpus = text.parse::<f64>().ok().filter(|cpus| cpus.is_finite() && (0.0..1e6).contains(cpus)).ok_or_else(error)?;
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1e11 by the test above")]
    let quota = (cpus * 100_000.0) as i64;
    Ok((quota > 0).then_some(quota))
}

/// Parses `--umask`: one to four octal digits, of which umask(2) takes the permissions.
///
/// # Errors
/// [`PlanError::Umask`].
pub fn parse_umask(text: &str) -> Result<u32, PlanError> {
    let octal = (1..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let value = if octal { u32::from_str_radix(text, 8).ok() } else { None };
    value.map(|value| value & 0o777).ok_or_else(|| PlanError::Umask { text: text.to_owned() })
}

fn number(flag: &'static str, text: &str, function: &'static str) -> PlanError {
    let all_digits = !text.is_empty() && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) && function != "ParseUint";
    let problem = if all_digits { "value out of range" } else { "invalid syntax" };
    PlanError::Number { flag, value: text.to_owned(), function, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umask_is_octal() {
        assert_eq!(parse_umask("022"), Ok(0o22));
        assert_eq!(parse_umask("7777"), Ok(0o777));
        for text in ["99", "00222222", "", "+22"] {
            assert_eq!(parse_umask(text), Err(PlanError::Umask { text: text.into() }));
        }
    }

    #[test]
    fn cpus_become_a_quota() {
        assert_eq!(parse_cpus("1.5"), Ok(Some(150_000)));
        assert_eq!(parse_cpus("0"), Ok(None));
        assert!(parse_cpus("x").is_err());
        assert!(parse_cpus("nan").is_err());
        assert!(parse_cpus("-1").is_err());
    }

    #[test]
    fn number_error_is_gos() {
        assert_eq!(
            parse_signed("--pids-limit", "x").map_err(|error| error.to_string()),
            Err(String::from("invalid argument \"x\" for \"--pids-limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"))
        );
    }
}
