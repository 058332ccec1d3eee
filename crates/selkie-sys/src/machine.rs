//! What machine this is.

/// Returns the architecture in the words of Go, which images and Podman use for it; one that Go has not keeps its name.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn architecture_is_gos_word() {
        let word = super::architecture();
        assert!(!["x86_64", "x86", "aarch64", "powerpc64", "loongarch64", ""].contains(&word), "{word}");
        assert!(cfg!(not(target_arch = "x86_64")) || word == "amd64", "{word}");
    }
}
