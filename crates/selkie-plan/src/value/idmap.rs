//! `--uidmap` and `--gidmap CONTAINER:HOST:SIZE`: user_namespaces(7).

use crate::{IdMap, PlanError};

/// Parses one map; `kind` is `UID` or `GID` for the text of the error.
///
/// # Errors
/// [`PlanError::IdMap`] when it is not three numbers, or when it leaves the range of ids.
pub fn parse_id_map(kind: &'static str, text: &str) -> Result<IdMap, PlanError> {
    let error = || PlanError::IdMap { kind, text: text.to_owned() };
    if text.starts_with(['+', '@']) || text.contains(":@") {
        return Err(PlanError::NotSupportedYet { flag: format!("--{}map {text}", kind.to_ascii_lowercase()) });
    }
    let numbers = text.split(':').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<u32>>>().ok_or_else(error)?;
    match *numbers.as_slice() {
        [container, host, size] if size > 0 && container.checked_add(size).is_some() && host.checked_add(size).is_some() => {
            Ok(IdMap { container, host, size })
        }
        _ => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_map_is_three_numbers_in_range() {
        assert_eq!(parse_id_map("UID", "0:100000:10"), Ok(IdMap { container: 0, host: 100_000, size: 10 }));
        for text in ["0:1", "0:1:x", "0:1:0", "4294967295:0:2", "0:1:2:3", ""] {
            assert_eq!(parse_id_map("UID", text), Err(PlanError::IdMap { kind: "UID", text: text.into() }));
        }
    }
}
