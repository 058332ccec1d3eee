//! Sizes with a suffix, as Docker's go-units reads them: powers of 1024, one letter, an optional `b`.

use crate::PlanError;

/// Parses `512m`, `1.5g`, `64kb`, `100`; `context` is Podman's text for the flag.
///
/// # Errors
/// [`PlanError::Size`] for anything else.
pub fn parse_size(context: &'static str, text: &str) -> Result<u64, PlanError> {
    let error = || PlanError::Size { context, text: text.to_owned() };
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = lower.get(digits.len()..).unwrap_or_default();
    let shift = match suffix {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return Err(error()),
    };
    let digits = digits.strip_suffix(' ').unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |part: &str| if part.bytes().all(|b| b.is_ascii_digit()) { part.parse::<u64>().ok() } else { None };
    let whole = number(whole).filter(|whole| whole.leading_zeros() > shift).map(|whole| whole << shift).ok_or_else(error)?;
    if fraction.is_empty() {
        return if digits.ends_with('.') { Err(error()) } else { Ok(whole) };
    }
    let scale = u32::try_from(fraction.len()).ok().and_then(|length| 10_u128.checked_pow(length)).ok_or_else(error)?;
    let part = (u128::from(number(fraction).ok_or_else(error)?) << shift) / scale;
    u64::try_from(part).ok().and_then(|part| whole.checked_add(part)).ok_or_else(error)
}

/// Formats bytes as tmpfs options do: in `k` when it is a multiple of 1024.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    if bytes != 0 && bytes.is_multiple_of(1024) { format!("{}k", bytes / 1024) } else { bytes.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("10", 10), ("1k", 1024), ("1K", 1024), ("2mb", 2 << 20), ("1.5g", 3 << 29), ("64KiB", 65536), ("1 m", 1 << 20)]
        {
            assert_eq!(parse_size("x", text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error_with_the_text() {
        for text in ["", "m", "-1", "1x", "1.k", "0x10", "99999999999g", "1kk"] {
            assert_eq!(parse_size("x", text), Err(PlanError::Size { context: "x", text: text.to_owned() }), "{text}");
        }
        assert_eq!(
            parse_size("invalid value for memory", "foo").map_err(|error| error.to_string()),
            Err(String::from("invalid value for memory: invalid size: 'foo'"))
        );
    }
}
