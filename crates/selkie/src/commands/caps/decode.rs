//! `selkie caps decode`: a capability set in any form, in all other forms.

use std::process::ExitCode;

use clap::Args;
use selkie_caps::{CapSet, CapState, Capability, Iab};
use serde_json::{Value, json};

use crate::ui::error::Failure;
use crate::ui::{out, template};

/// Say what a capability set in any form means, in every other form.
///
/// Takes masks (0x1000, 00000000a80425fb, CapEff: 3fffffffff), names and numbers (net_admin,chown or 12),
/// decimal masks (above 63), the text of capsh and getcap (cap_chown=ep), and IAB (!cap_chown,^cap_kill).
///
/// Examples:
///   selkie caps decode 00000000a80425fb
///   selkie caps decode 'cap_net_raw=ep cap_chown+i'
///   grep Cap /proc/1/status | while read line; do selkie caps decode "$line"; done
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Decode {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// What to decode.
    #[arg(required = true, allow_hyphen_values = true)]
    text: Vec<String>,
}

/// What a text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decoded {
    Set(&'static str, CapSet),
    State(CapState),
    Iab(Iab),
}

impl Decode {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let decoded: Vec<(String, Decoded)> =
            self.text.iter().map(|text| Ok((text.clone(), decode(text)?))).collect::<Result<_, Failure>>()?;
        let text = match self.format.as_deref() {
            Some(format) => {
                let values: Vec<Value> = decoded.iter().map(|(text, decoded)| value(text, decoded)).collect();
                template::render(format, "caps decode", &values)?
            }
            None => decoded.iter().map(|(text, decoded)| show(text, decoded)).collect::<Vec<_>>().join("\n"),
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a text in whatever form it is. `12` is the capability, not the mask: masks in decimal begin above the last number.
fn decode(text: &str) -> Result<Decoded, Failure> {
    let text = text.trim();
    // As copied from /proc/PID/status.
    let text = match text.split_once(':') {
        Some((name, rest)) if name.len() == 6 && name.starts_with("Cap") => rest.trim(),
        _ => text,
    };
    let failed = |what: &str, error: &dyn std::fmt::Display| Failure::engine(format!("cannot decode `{text}` as {what}: {error}"));
    if text.contains(['=', '+']) {
        return CapState::parse(text).map(Decoded::State).map_err(|error| failed("libcap's text", &error));
    }
    if text.contains(['!', '^', '%']) {
        return Iab::parse(text).map(Decoded::Iab).map_err(|error| failed("IAB", &error));
    }
    if text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() != 16 {
        return text
            .parse()
            .map(|bits| Decoded::Set("decimal mask", CapSet::from_bits(bits)))
            .map_err(|error| failed("a decimal mask", &error));
    }
    match CapSet::parse(text) {
        Ok(set) => {
            let mask =
                text.starts_with("0x") || text.starts_with("0X") || text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            Ok(Decoded::Set(if mask { "mask" } else { "names" }, set))
        }
        Err(error) => {
            // No capability's name is made of hexadecimal digits only.
            let bare = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let bits = bare.then(|| u64::from_str_radix(text, 16).ok()).flatten();
            bits.map(|bits| Decoded::Set("mask", CapSet::from_bits(bits)))
                .ok_or_else(|| failed("names", &error).with_hint("forms: 0x1000, net_admin,chown, 'cap_chown=ep', '!cap_chown,^cap_kill'"))
        }
    }
}

/// The sets in a text, each with its name.
fn sets(decoded: &Decoded) -> Vec<(&'static str, CapSet)> {
    match decoded {
        Decoded::Set(_, set) => vec![("set", *set)],
        Decoded::State(state) => vec![("effective", state.effective), ("permitted", state.permitted), ("inheritable", state.inheritable)],
        Decoded::Iab(iab) => vec![("inheritable", iab.inheritable()), ("ambient", iab.ambient()), ("not in bounding", iab.blocked())],
    }
}

fn form(decoded: &Decoded) -> &'static str {
    match decoded {
        Decoded::Set(form, _) => form,
        Decoded::State(_) => "libcap text",
        Decoded::Iab(_) => "IAB",
    }
}

fn show(text: &str, decoded: &Decoded) -> String {
    let line = |name: &str, value: &str| format!("{name:<16}{value}\n");
    let mut lines = line("text", &crate::ui::text::one_line(text)) + &line("form", form(decoded));
    for (name, set) in sets(decoded) {
        lines += &line(name, &set.to_string());
        lines += &line("  mask", &format!("{set:016x} = 0x{:x} = {}", set.bits(), set.bits()));
        lines += &line("  count", &count(set));
        if !set.unknown().is_empty() {
            let numbers: Vec<String> = set.unknown().numbers().map(|number| number.to_string()).collect();
            lines += &line("  unknown", &numbers.join(","));
        }
        if let Decoded::Set(..) = decoded {
            lines += &line("  lower case", &set.lower_names().to_string());
            lines += &line("  libcap", &state(set).to_string());
            lines += &line("  as bounding", &bounding(set).to_string());
            lines += &line("  flags", &flags(set));
        }
    }
    match decoded {
        Decoded::State(state) => lines += &line("libcap", &state.to_string()),
        Decoded::Iab(iab) => lines += &line("IAB", &iab.to_string()),
        Decoded::Set(..) => {}
    }
    lines
}

fn count(set: CapSet) -> String {
    format!("{} of {}", set.len(), Capability::ALL.len())
}

/// The text of a process or file that has the set permitted and effective.
fn state(set: CapSet) -> CapState {
    CapState { effective: set, inheritable: CapSet::EMPTY, permitted: set }
}

/// The IAB of a process whose bounding set it is.
fn bounding(set: CapSet) -> Iab {
    Iab::new(CapSet::EMPTY, CapSet::EMPTY, CapSet::KNOWN.difference(set))
}

/// The flags of `run` that grant exactly the set.
fn flags(set: CapSet) -> String {
    if set == CapSet::KNOWN {
        return "--cap-add all".to_owned();
    }
    let mut flags = "--cap-drop all".to_owned();
    for capability in set.iter() {
        flags.push_str(" --cap-add ");
        flags.push_str(&capability.short_name().to_ascii_lowercase());
    }
    flags
}

fn value(text: &str, decoded: &Decoded) -> Value {
    let sets: serde_json::Map<String, Value> = sets(decoded)
        .into_iter()
        .map(|(name, set)| {
            let key = match name {
                "effective" => "Effective",
                "permitted" => "Permitted",
                "inheritable" => "Inheritable",
                "ambient" => "Ambient",
                "not in bounding" => "NotInBounding",
                _ => "Set",
            };
            let names: Vec<&str> = set.iter().map(Capability::name).collect();
            let unknown: Vec<u8> = set.unknown().numbers().collect();
            let value = json!({
                "Mask": format!("{set:016x}"), "Decimal": set.bits(), "Count": set.len(), "Names": names, "Unknown": unknown,
                "Libcap": state(set).to_string(), "AsBounding": bounding(set).to_string(), "Flags": flags(set),
            });
            (key.to_owned(), value)
        })
        .collect();
    let mut value = json!({"Text": text, "Form": form(decoded)});
    if let Some(object) = value.as_object_mut() {
        object.extend(sets);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> CapSet {
        match decode(text) {
            Ok(Decoded::Set(_, set)) => set,
            other => unreachable!("{text}: {other:?}"),
        }
    }

    #[test]
    fn decode_every_form_of_dockers_default_set_is_the_same() {
        let wanted = CapSet::from_bits(0xa804_25fb);
        let names = wanted.to_string();
        for text in ["00000000a80425fb", "0xa80425fb", "a80425fb", "CapEff:\t00000000a80425fb", "2818844155", names.as_str()] {
            assert_eq!(set(text), wanted, "{text}");
        }
    }

    #[test]
    fn decode_a_small_number_is_the_capability() {
        assert_eq!(set("12"), CapSet::EMPTY.with(Capability::NetAdmin));
    }

    #[test]
    fn decode_libcap_text_and_iab() {
        assert_eq!(form(&decode("cap_chown=ep").unwrap()), "libcap text");
        assert_eq!(form(&decode("!cap_chown,^cap_kill").unwrap()), "IAB");
    }

    #[test]
    fn decode_of_nonsense_says_what_is_wrong() {
        assert_eq!(
            decode("net_admim").unwrap_err().line(),
            "cannot decode `net_admim` as names: item 1 of the list: `net_admim` is not a capability (did you mean `CAP_NET_ADMIN`?)"
        );
        assert!(decode("99999999999999999999").unwrap_err().line().contains("decimal mask"));
    }

    #[test]
    fn show_has_every_form() {
        let text = show("setuid,setgid", &decode("setuid,setgid").unwrap());
        for form in
            ["CAP_SETGID,CAP_SETUID", "00000000000000c0", "cap_setgid,cap_setuid=ep", "--cap-drop all --cap-add setgid --cap-add setuid"]
        {
            assert!(text.contains(form), "{text}");
        }
    }
}
