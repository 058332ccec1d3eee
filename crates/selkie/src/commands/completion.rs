//! `selkie completion`: what a shell completes, from the same definitions as the flags themselves.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Print a script that completes commands and flags in a shell.
///
/// Examples:
///   source <(selkie completion bash)
///   selkie completion fish > ~/.config/fish/completions/selkie.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completion {
    /// Into this file.
    #[arg(long, short = 'f')]
    file: Option<PathBuf>,
    /// Without descriptions (as Podman; ignored).
    #[arg(long, hide = true)]
    no_desc: bool,
    /// Which shell.
    #[arg(value_enum)]
    shell: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        let text = script(self.shell);
        match &self.file {
            Some(path) => {
                std::fs::write(path, text).map_err(|error| Failure::engine(format!("cannot write `{}`: {error}", path.display())))?
            }
            None => out::print(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn script(kind: Kind) -> String {
    let shell = match kind {
        Kind::Bash => Shell::Bash,
        Kind::Zsh => Shell::Zsh,
        Kind::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    // Verbs that only selkie itself calls are nobody's to complete.
    let whole = crate::cli::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let mut shown = clap::Command::new("selkie").version(env!("CARGO_PKG_VERSION")).args(whole.get_arguments().cloned()).subcommands(verbs);
    clap_complete::generate(shell, &mut shown, "selkie", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_of_every_shell_knows_verbs_and_flags() {
        for kind in [Kind::Bash, Kind::Zsh, Kind::Fish] {
            let script = script(kind);
            assert!(script.contains("rename") && script.contains("cap-drop"), "{kind:?}");
            assert!(!script.contains("__cleanup") && !script.contains("group-help"), "{kind:?}");
        }
    }
}
