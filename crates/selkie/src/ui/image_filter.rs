//! `--filter KEY=VALUE` of `images`: every one must fit, except several `reference`s, of which one is enough.

use selkie_image::Image;
use serde_json::Value;

use crate::ui::error::Failure;

/// Filters of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(Vec<(String, String)>);

const KEYS: [&str; 10] = ["reference", "dangling", "label", "before", "since", "after", "id", "readonly", "intermediate", "containers"];

impl Filters {
    /// Parses the flags.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, Failure> {
        let mut filters = Vec::with_capacity(texts.len());
        for text in texts {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::engine(format!("invalid image filter {text:?}: must be in the format \"filter=value\"")))?;
            if !KEYS.contains(&key) {
                return Err(Failure::engine(format!("unsupported image filter {key:?}")));
            }
            let is_switch = matches!(key, "dangling" | "readonly" | "intermediate");
            if is_switch && value.parse::<bool>().is_err() {
                return Err(Failure::engine(format!("non-boolean value {value:?} for {key} filter")));
            }
            if key == "containers" {
                return Err(Failure::engine("the image filter \"containers\": not supported yet"));
            }
            filters.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(filters))
    }

    /// Checks that the images which filters name are there.
    ///
    /// # Errors
    /// One that is not.
    pub(crate) fn check(&self, known: &[Image]) -> Result<(), Failure> {
        let named = self.0.iter().filter(|(key, _)| matches!(key.as_str(), "before" | "since" | "after"));
        for (key, value) in named {
            if other(known, value).is_none() {
                return Err(Failure::engine(format!("could not find local image for filter {key}={value}: {value}: image not known")));
            }
        }
        Ok(())
    }

    /// Returns whether `image` fits; `known` are all images, for those that a filter names.
    pub(crate) fn accept(&self, image: &Image, known: &[Image]) -> bool {
        let mut references = self.0.iter().filter(|(key, _)| key == "reference").peekable();
        let reference_fits = references.peek().is_none() || references.any(|(_, value)| is_called(image, value));
        reference_fits && self.0.iter().all(|(key, value)| fits(image, known, key, value))
    }
}

fn fits(image: &Image, known: &[Image], key: &str, value: &str) -> bool {
    match key {
        "dangling" => image.names.is_empty() == (value == "true"),
        "label" => {
            let labels = image.config.get("config").and_then(|config| config.get("Labels"));
            let found = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
            match value.split_once('=') {
                Some((key, value)) => found(key) == Some(value),
                None => found(value).is_some(),
            }
        }
        "before" | "since" | "after" => other(known, value)
            .is_some_and(|other| if key == "before" { image.created < other.created } else { image.created > other.created }),
        "id" => image.id.starts_with(value),
        // There are no read-only stores and no images between others.
        "readonly" | "intermediate" => value == "false",
        _ => true,
    }
}

/// Returns the image that a filter names.
fn other<'a>(known: &'a [Image], name: &str) -> Option<&'a Image> {
    known.iter().find(|other| other.id.starts_with(name) || is_called(other, name))
}

/// Whether a pattern with `*` and `?` fits one of the image's names, a name's end behind a `/`, or either without the tag.
fn is_called(image: &Image, pattern: &str) -> bool {
    image.names.iter().any(|name| {
        let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
        [name.as_str(), repository].into_iter().any(|name| {
            let ends = std::iter::once(name).chain(name.match_indices('/').filter_map(|(at, _)| name.get(at + 1..)));
            ends.into_iter().any(|end| matches(pattern.as_bytes(), end.as_bytes()))
        })
    })
}

/// Go's path.Match without character classes: `*` is anything but `/`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when a `*` has to take one byte more.
    let (mut at_pattern, mut at_text, mut star) = (0, 0, None);
    loop {
        match (pattern.get(at_pattern), text.get(at_text)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
                continue;
            }
            (Some(b'?'), Some(byte)) if *byte != b'/' => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => match star {
                Some((pattern_star, text_star)) if text.get(text_star).is_some_and(|byte| *byte != b'/') => {
                    star = Some((pattern_star, text_star + 1));
                    (at_pattern, at_text) = (pattern_star + 1, text_star + 1);
                    continue;
                }
                _ => return false,
            },
        }
        at_pattern += 1;
        at_text += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_a_shell_does() {
        let cases = [("a*", "abc"), ("*", ""), ("a?c", "abc"), ("*b*", "abc"), ("a*", "a/b"), ("a", "ab"), ("a*c", "abbcbc")];
        assert_eq!(cases.map(|(pattern, text)| matches(pattern.as_bytes(), text.as_bytes())), [true, true, true, true, false, false, true]);
    }

    #[test]
    fn parse_of_an_unknown_filter_is_refused() {
        assert_eq!(Filters::parse(&["x=y".to_owned()]).map_err(|failure| failure.line()), Err("unsupported image filter \"x\"".to_owned()));
    }
}
