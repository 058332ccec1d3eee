//! Which image a reference means: Podman's rules for local images.
//!
//! An id, a full name, the beginning of exactly one id, and then, for a short name, the same name in `localhost`, on
//! Docker Hub, and at last in any repository that ends in `/NAME`.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::reference::Reference;

/// Finds the id of the image that `reference` means.
pub(crate) fn find(index: &Index, reference: &str) -> Result<Digest> {
    let unknown = || Error::NotKnown { name: reference.to_owned() };
    let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
    if let Some(id) = Digest::from_hex(digits) {
        return if index.images.contains_key(&id) { Ok(id) } else { Err(unknown()) };
    }
    let by_name =
        |name: &str| index.images.iter().find(|(_, record)| record.names.iter().any(|known| known == name)).map(|(id, _)| id.clone());
    if let Some(id) = by_name(reference).or_else(|| by_prefix(index, digits)) {
        return Ok(id);
    }
    let parsed = Reference::parse(reference)?;
    if let Some(digest) = &parsed.digest {
        let repositories = candidates(&parsed);
        let found = index.images.iter().find(|(_, record)| {
            record.manifest == *digest && record.names.iter().any(|name| repositories.iter().any(|wanted| fits(repository(name), wanted)))
        });
        return found.map(|(id, _)| id.clone()).ok_or_else(unknown);
    }
    for wanted in names(&parsed) {
        let found = index.images.iter().find(|(_, record)| record.names.iter().any(|name| fits(name, &wanted)));
        if let Some((id, _)) = found {
            return Ok(id.clone());
        }
    }
    Err(unknown())
}

/// Returns the one of an image's `names` that `reference` means.
pub(crate) fn matching_name<'a>(names: &'a [String], reference: &str) -> Option<&'a str> {
    if let Some(name) = names.iter().find(|name| *name == reference) {
        return Some(name);
    }
    let parsed = Reference::parse(reference).ok()?;
    if parsed.digest.is_some() {
        let repositories = candidates(&parsed);
        return names.iter().find(|name| repositories.iter().any(|wanted| fits(repository(name), wanted))).map(String::as_str);
    }
    self::names(&parsed).iter().find_map(|wanted| names.iter().find(|name| fits(name, wanted)).map(String::as_str))
}

fn by_prefix(index: &Index, digits: &str) -> Option<Digest> {
    if digits.is_empty() {
        return None;
    }
    let mut matching = index.images.keys().filter(|id| id.hex().starts_with(digits));
    let first = matching.next()?;
    matching.next().is_none().then(|| first.clone())
}

/// Returns where the repository of `reference` may be, the likeliest first; one with `/` in front is the end of any.
fn candidates(reference: &Reference) -> Vec<String> {
    match reference.domain {
        Some(_) => vec![reference.in_domain("")],
        None => vec![reference.in_domain("localhost"), reference.in_domain("docker.io"), format!("/{}", reference.path)],
    }
}

/// As [`candidates`], with the tag.
fn names(reference: &Reference) -> Vec<String> {
    let tag = reference.tag.as_deref().unwrap_or("latest");
    candidates(reference).into_iter().map(|repository| format!("{repository}:{tag}")).collect()
}

fn fits(name: &str, wanted: &str) -> bool {
    if wanted.starts_with('/') { name.ends_with(wanted) } else { name == wanted }
}

/// Returns a full name without its tag.
pub(crate) fn repository(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(repository, _)| repository)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Record;

    /// An index of images called `names`; the id of the n-th begins with the digit n.
    fn index(names: &[&[&str]]) -> Index {
        let record = |names: &[&str]| Record {
            manifest: Digest::of(b"manifest"),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            history: Vec::new(),
            created: String::new(),
            size: 0,
            layers: Vec::new(),
        };
        let images = names.iter().enumerate().map(|(number, names)| (id(number), record(names))).collect();
        Index { images, ..Index::default() }
    }

    fn id(number: usize) -> Digest {
        Digest::from_hex(&format!("{number}f{}", "0".repeat(62))).unwrap()
    }

    #[test]
    fn find_of_a_short_name_takes_localhost_first() {
        let index = index(&[&["docker.io/library/centos:latest"], &["quay.io/x/centos:latest"], &["localhost/centos:latest"]]);
        assert_eq!(find(&index, "centos").unwrap(), id(2));
    }

    #[test]
    fn find_of_a_short_name_takes_docker_hub_second() {
        let index = index(&[&["quay.io/x/centos:latest"], &["docker.io/library/centos:latest"]]);
        assert_eq!(find(&index, "centos").unwrap(), id(1));
    }

    #[test]
    fn find_of_a_short_name_takes_any_repository_that_ends_in_it() {
        let index = index(&[&["quay.io/x/centos:9"], &["quay.io/x/mycentos:latest"]]);
        assert_eq!(find(&index, "centos:9").unwrap(), id(0));
        assert_eq!(find(&index, "x/centos:9").unwrap(), id(0));
        assert_eq!(find(&index, "centos").unwrap_err().to_string(), "centos: image not known");
    }

    #[test]
    fn find_of_an_id_or_its_beginning() {
        let index = index(&[&["localhost/a:latest"], &[]]);
        assert_eq!(find(&index, id(1).hex()).unwrap(), id(1));
        assert_eq!(find(&index, &id(1).to_string()).unwrap(), id(1));
        assert_eq!(find(&index, "1f").unwrap(), id(1));
        assert_eq!(find(&index, "2f").unwrap_err().to_string(), "2f: image not known");
    }

    #[test]
    fn find_of_a_full_name_does_not_look_elsewhere() {
        let index = index(&[&["localhost/a:latest"]]);
        assert_eq!(find(&index, "docker.io/a").unwrap_err().to_string(), "docker.io/a: image not known");
        assert_eq!(find(&index, "localhost/a").unwrap(), id(0));
    }

    #[test]
    fn find_by_digest_needs_the_repository_too() {
        let index = index(&[&["quay.io/a:latest"]]);
        let digest = Digest::of(b"manifest");
        assert_eq!(find(&index, &format!("quay.io/a@{digest}")).unwrap(), id(0));
        assert_eq!(find(&index, &format!("quay.io/b@{digest}")).unwrap_err().to_string(), format!("quay.io/b@{digest}: image not known"));
    }

    #[test]
    fn matching_name_of_an_id_is_none() {
        assert_eq!(matching_name(&["localhost/a:latest".to_owned()], "1f00"), None);
    }
}
