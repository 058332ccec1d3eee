//! `selkie version`

use std::process::ExitCode;

use clap::Args;
use selkie_sys::machine::architecture;

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, template};

/// Print the version.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print as `json` or a Go template.
    #[arg(long, short = 'f')]
    format: Option<String>,
}

impl Version {
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        let version = env!("CARGO_PKG_VERSION");
        let platform = format!("linux/{}", architecture());
        let value = serde_json::json!({"Client": {"APIVersion": version, "Version": version, "OsArch": platform, "Os": "linux"}});
        // What is known of Podman's is known of ours, or empty.
        let mut known = value.clone();
        if let Some(client) = known.pointer_mut("/Client").and_then(serde_json::Value::as_object_mut) {
            ["BuiltTime", "GitCommit", "GoVersion"].into_iter().for_each(|field| drop(client.insert(field.to_owned(), "".into())));
            client.insert("Built".to_owned(), 0.into());
        }
        match self.format.as_deref() {
            None => out::print(&format!("Client:       selkie\nVersion:      {version}\nOS/Arch:      {platform}\n"))?,
            Some(format) if template::is_json(format) => out::json(&value)?,
            Some(format) => out::print(&template::render(format, "version", std::slice::from_ref(&known))?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
