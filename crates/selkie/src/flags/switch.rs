//! Switches: `--flag`, `--flag=true`, `--flag=false`, with the words of Go's `strconv.ParseBool`.

/// Parses the value of a switch.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Splits every value of a list flag at its commas.
pub(super) fn list(values: &[String]) -> Vec<String> {
    values.iter().flat_map(|value| selkie_plan::value::split_slice(value)).collect()
}
