//! What flags refer to outside of themselves: the caller's variables, files and directory.

/// The caller's surroundings, so that tests need none.
pub trait Outside {
    /// Returns the caller's variable `name`.
    fn variable(&self, name: &str) -> Option<String>;
    /// Returns all variables of the caller that are valid text.
    fn variables(&self) -> Vec<(String, String)>;
    /// Returns the caller's directory, absolute.
    fn directory(&self) -> String;
    /// Reads a file that a flag names.
    ///
    /// # Errors
    /// The system's words.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// The real surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Outside for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn variables(&self) -> Vec<(String, String)> {
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
    }

    fn directory(&self) -> String {
        let directory = std::env::current_dir().ok().and_then(|path| path.into_os_string().into_string().ok());
        directory.unwrap_or_else(|| String::from("/"))
    }

    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => String::from("no such file or directory"),
            std::io::ErrorKind::PermissionDenied => String::from("permission denied"),
            _ => error.to_string(),
        })
    }
}
