//! Sizes as Podman prints them: go-units' `HumanSizeWithPrecision` with three digits.

/// Returns `bytes` in the largest unit of 1000 that fits, with a blank before the unit.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{} {}", three_digits(size), UNITS.get(unit).unwrap_or(&"B"))
}

/// Go's `%.3g` of a number below 1000.
fn three_digits(size: f64) -> String {
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{size:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_of_each_unit() {
        let texts = [0, 999, 1000, 11_326, 5_580_000, 77_837_000, 123_456_789, 1_000_000_000].map(human);
        assert_eq!(texts, ["0 B", "999 B", "1 kB", "11.3 kB", "5.58 MB", "77.8 MB", "123 MB", "1 GB"]);
    }
}
