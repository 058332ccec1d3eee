//! References: how images are called.
//!
//! ```text
//! quay.io:443/group/name:tag@sha256:0123...
//! ~~~~~~~~~~~ ~~~~~~~~~~ ~~~ ~~~~~~~~~~~~~~
//! domain      path       tag digest
//! ```
//! The grammar is that of distribution's `reference` package, which Podman uses. A first part without a dot, a colon and
//! other than `localhost` is no domain but belongs to the path: such a name is short.

use std::fmt;

use crate::digest::Digest;
use crate::error::{Error, Result};

/// A name as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and port of a registry; `None` in a short name.
    pub domain: Option<String>,
    /// The path on the registry.
    pub path: String,
    /// The tag.
    pub tag: Option<String>,
    /// The manifest's digest.
    pub digest: Option<Digest>,
}

/// How long domain and path may be together.
const NAME_LIMIT: usize = 255;

impl Reference {
    /// Parses a reference. Total: any text gives a reference or an error.
    ///
    /// # Errors
    /// [`Error::Reference`] with the part that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text).map_err(|problem| Error::Reference { reference: text.to_owned(), problem })
    }

    /// Returns the repository: domain and path.
    #[must_use]
    pub fn repository(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{domain}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// Returns the full name under which an image is kept: a short name belongs to `localhost`, a name without a tag is `latest`.
    ///
    /// Docker Hub's names of one part are those of `library`. A digest is no part of a name that is kept.
    #[must_use]
    pub fn to_local_name(&self) -> String {
        let tag = self.tag.as_deref().unwrap_or("latest");
        format!("{}:{tag}", self.in_domain("localhost"))
    }

    /// Returns the repository, in `domain` if the name is short.
    pub(crate) fn in_domain(&self, domain: &str) -> String {
        let domain = match self.domain.as_deref().unwrap_or(domain) {
            "index.docker.io" => "docker.io",
            domain => domain,
        };
        if domain == "docker.io" && !self.path.contains('/') {
            format!("docker.io/library/{}", self.path)
        } else {
            format!("{domain}/{}", self.path)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn parse(text: &str) -> std::result::Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("repository name must have at least one component");
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(Digest::parse(digest).ok_or("the digest is not `sha256:` and 64 hexadecimal digits")?)),
        None => (text, None),
    };
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    if !tag.is_none_or(is_tag) {
        return Err("invalid reference format");
    }
    let (domain, path) = match repository.split_once('/') {
        Some((first, path)) if is_domain_like(first) => (Some(first), path),
        _ => (None, repository),
    };
    if repository.len() > NAME_LIMIT {
        return Err("repository name must not be more than 255 characters");
    }
    if !domain.is_none_or(is_domain) {
        return Err("invalid reference format");
    }
    if !path.split('/').all(is_component) {
        let lower = path.to_ascii_lowercase();
        return Err(if lower != path && lower.split('/').all(is_component) {
            "invalid reference format: repository name must be lowercase"
        } else {
            "invalid reference format"
        });
    }
    // Nobody could tell such a name from an id.
    if domain.is_none() && digest.is_none() && tag.is_none() && Digest::from_hex(path).is_some() {
        return Err("a name of 64 hexadecimal digits would be an id");
    }
    Ok(Reference { domain: domain.map(str::to_owned), path: path.to_owned(), tag: tag.map(str::to_owned), digest })
}

fn is_domain_like(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(|label| {
            let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
        }),
    };
    port_fits && host_fits
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators_fit = text
        .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'));
    let ends_fit = text.bytes().next().is_some_and(alphanumeric) && text.bytes().next_back().is_some_and(alphanumeric);
    separators_fit && ends_fit
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128 && text.bytes().next().is_some_and(word) && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn local(text: &str) -> String {
        Reference::parse(text).map_or_else(|error| error.to_string(), |reference| reference.to_local_name())
    }

    #[test]
    fn local_name_of_a_short_name_is_in_localhost() {
        assert_eq!(local("centos"), "localhost/centos:latest");
        assert_eq!(local("group/name:1"), "localhost/group/name:1");
    }

    #[test]
    fn local_name_of_a_full_name_is_itself() {
        assert_eq!(local("quay.io:443/a/b:t"), "quay.io:443/a/b:t");
        assert_eq!(local("localhost/x"), "localhost/x:latest");
        assert_eq!(local("host:5000/x"), "host:5000/x:latest");
        assert_eq!(local("[::1]:5000/x"), "[::1]:5000/x:latest");
    }

    #[test]
    fn local_name_on_docker_hub_is_in_library() {
        assert_eq!(local("docker.io/alpine"), "docker.io/library/alpine:latest");
        assert_eq!(local("index.docker.io/a/b"), "docker.io/a/b:latest");
    }

    #[test]
    fn local_name_leaves_the_digest_out() {
        assert_eq!(local(&format!("quay.io/x:1@{}", Digest::of(b""))), "quay.io/x:1");
    }

    #[test]
    fn parse_of_upper_case_says_lower_case() {
        assert_eq!(local("Centos"), "invalid reference \"Centos\": invalid reference format: repository name must be lowercase");
    }

    #[test]
    fn parse_of_what_is_no_reference_is_refused() {
        let bad =
            ["", ":", "a b", "a//b", "/a", "a/", "a:", "-a", "a-", "a___b", "a..b", "a:b c", "a@sha256:00", "x.y:z/a", "a\n", "../x", "é"];
        let accepted: Vec<_> = bad.into_iter().filter(|text| Reference::parse(text).is_ok()).collect();
        assert_eq!(accepted, Vec::<&str>::new());
    }

    #[test]
    fn parse_of_an_id_as_name_is_refused() {
        assert!(Reference::parse(&"a".repeat(64)).is_err());
    }

    proptest! {
        #[test]
        fn parse_of_any_text_ends(text in "\\PC*") {
            let _ = Reference::parse(&text);
        }

        #[test]
        fn parse_of_a_printed_reference_is_the_reference(
            text in "([a-z]{1,8}\\.[a-z]{2,3}(:[0-9]{1,4})?/)?[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,6})?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,9})?"
        ) {
            let reference = Reference::parse(&text).unwrap();
            prop_assert_eq!(reference.to_string(), text);
        }

        #[test]
        fn local_name_of_a_local_name_is_itself(text in "[a-zA-Z0-9./:_-]{1,24}") {
            if let Ok(reference) = Reference::parse(&text) {
                let name = reference.to_local_name();
                prop_assert_eq!(Reference::parse(&name).unwrap().to_local_name(), name);
            }
        }
    }
}
