//! Extended attributes of entries: which are kept.
//!
//! `trusted.overlay.*` and `user.overlay.*` would tell overlayfs where to look, `security.*` other than capabilities
//! belongs to the host's own policy, and `system.*` has names of the host's users (access control lists).

/// Returns whether an entry keeps the attribute `name`.
pub(super) fn is_kept(name: &[u8]) -> bool {
    match name.strip_prefix(b"user.") {
        Some(rest) => !rest.is_empty() && !rest.starts_with(b"overlay.") && !name.contains(&0) && name.len() <= 255,
        None => name == CAPABILITY,
    }
}

/// File capabilities: they are set last, because a change of the owner or of the content takes them away.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_overlay_are_dropped() {
        let names: [&[u8]; 4] = [b"trusted.overlay.opaque", b"trusted.overlay.redirect", b"user.overlay.opaque", b"trusted.x"];
        assert_eq!(names.map(is_kept), [false; 4]);
    }

    #[test]
    fn attributes_of_users_and_capabilities_are_kept() {
        let names: [&[u8]; 3] = [b"user.comment", b"security.capability", b"security.selinux"];
        assert_eq!(names.map(is_kept), [true, true, false]);
    }
}
