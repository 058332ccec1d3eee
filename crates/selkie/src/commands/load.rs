//! `selkie load`

use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selkie_image::tar::TarError;
use selkie_image::{Limits, Progress};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::{out, progress};

/// Load images from an archive: docker-archive or oci-archive.
///
/// Examples:
///   selkie load -i image.tar
///   docker save alpine | selkie load
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Load {
    /// The archive; without it, standard input.
    #[arg(long, short = 'i')]
    input: Option<PathBuf>,
    /// Do not show progress.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// How large a layer may be, unpacked, for example `10g`.
    #[arg(long, default_value = "64g")]
    max_layer_size: String,
}

impl Load {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let input = match self.input.as_deref() {
            Some(path) if path.as_os_str() != "-" => open(path)?,
            _ => standard_input("load")?,
        };
        let limits = limits(&self.max_layer_size)?;
        let mut show = |step: Progress| {
            if !self.quiet {
                progress::line(&match step {
                    Progress::Layer { diff_id, size } => format!("Unpacking layer {} ({size} bytes)", short(diff_id.hex())),
                    Progress::Known { diff_id } => format!("Layer {} is there already", short(diff_id.hex())),
                    Progress::Commit => "Writing to disk".to_owned(),
                });
            }
        };
        let loaded = context.engine.images().load(input, limits, &mut show).map_err(unless_archive)?;
        for image in loaded {
            if image.names.is_empty() {
                out::line(&format!("Loaded image: sha256:{}", image.id))?;
            }
            for name in image.names {
                out::line(&format!("Loaded image: {name}"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says of what is no archive at all that it is none, in Podman's words; its bytes are of no interest then.
fn unless_archive(error: selkie_image::Error) -> Failure {
    let selkie_image::Error::Tar { what, source } = &error else { return error.into() };
    let is_none = match source {
        TarError::Header { offset, .. } => *offset == 0,
        // Shorter than one header.
        TarError::Read { offset, source } => *offset < 512 && source.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => false,
    };
    if what != "of the image" || !is_none {
        return error.into();
    }
    Failure::engine("payload does not match any of the supported image formats (oci-archive, docker-archive): it is no archive")
}

fn short(digits: &str) -> &str {
    digits.get(..12).unwrap_or(digits)
}

/// Opens an archive that the user named.
pub(super) fn open(path: &std::path::Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::engine(format!("open {}: {}", path.display(), crate::ui::text::reason(&error)));
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Failure::engine(format!("{} is a directory: oci: and dir: layouts are not supported yet", path.display())));
    }
    Ok(file)
}

/// Returns standard input, from which nobody types an archive.
pub(super) fn standard_input(verb: &str) -> Result<File, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::engine(format!("cannot read from terminal, use command-line redirection or name a file to {verb}")));
    }
    let copy = rustix::io::fcntl_dupfd_cloexec(&stdin, 3).map_err(std::io::Error::from)?;
    Ok(File::from(copy))
}

/// Parses `--max-layer-size`.
pub(super) fn limits(size: &str) -> Result<Limits, Failure> {
    let number = size.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor: u64 = match size.get(number.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        _ => 0,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|bytes| *bytes > 0);
    bytes
        .map(|layer_size| Limits { layer_size })
        .ok_or_else(|| Failure::engine(format!("--max-layer-size: {size:?} is not a size such as 500m or 10g")))
}
