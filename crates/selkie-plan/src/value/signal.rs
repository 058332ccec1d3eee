//! Signals by name or number: signal(7), the numbers of x86 and arm.

use crate::PlanError;

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
    "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;

/// Parses `SIGTERM`, `term`, `15`, `RTMIN+3` or `RTMAX-1`.
///
/// # Errors
/// [`PlanError::Signal`].
pub fn parse_signal(text: &str) -> Result<u32, PlanError> {
    let error = || PlanError::Signal { text: text.to_owned() };
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (1..=RTMAX).contains(number)).ok_or_else(error);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = (1..).zip(SIGNALS).find_map(|(number, known)| (known == name).then_some(number)) {
        return Ok(number);
    }
    let offset = |rest: &str, sign: char| if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse::<u32>().ok() };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX"), name) {
        (Some(rest), ..) => offset(rest, '+').and_then(|offset| RTMIN.checked_add(offset)),
        (_, Some(rest), _) => offset(rest, '-').and_then(|offset| RTMAX.checked_sub(offset)),
        (.., "IOT") => Some(6),
        (.., "CLD") => Some(17),
        (.., "POLL") => Some(29),
        _ => None,
    };
    let real_time = name.starts_with("RT");
    number.filter(|number| !real_time || (RTMIN..=RTMAX).contains(number)).ok_or_else(error)
}

/// Returns the name of a signal, for example `SIGTERM`, or its number.
#[must_use]
pub fn signal_name(number: u32) -> String {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| SIGNALS.get(index)).map_or_else(|| number.to_string(), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_by_name_or_number() {
        for (text, number) in
            [("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("sigrtmin", 34), ("IOT", 6), ("SYS", 31)]
        {
            assert_eq!(parse_signal(text), Ok(number), "{text}");
        }
        for text in ["", "FOO", "0", "65", "RTMIN+40", "RTMAX-63", "-1"] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
        assert_eq!(signal_name(3), "SIGQUIT");
        assert_eq!(signal_name(40), "40");
    }
}
