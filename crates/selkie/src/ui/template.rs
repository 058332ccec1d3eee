//! Go templates for `--format`, with Podman's functions.

use serde_json::Value;

use crate::ui::error::Failure;

/// Renders `format` once for each of `values`; `json` prints them as JSON.
pub(crate) fn render(format: &str, command: &str, values: &[Value]) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::engine(format!("template: {command}:{error}"));
    if format.trim() == "json" {
        let text = serde_json::to_string(values).map_err(|error| failed(&error))?;
        return Ok(format!("{text}\n"));
    }
    let template = gotmpl::Template::new(command).parse(format).map_err(|error| failed(&error))?;
    let mut text = String::new();
    for value in values {
        let data = gotmpl::to_value(value).map_err(|error| failed(&error))?;
        text.push_str(&template.execute_to_string(&data).map_err(|error| failed(&error))?);
        text.push('\n');
    }
    Ok(text)
}
