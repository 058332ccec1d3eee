//! `selkie import`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use selkie_image::{Changes, Import as Wanted, Reference};

use crate::commands::load::{limits, open, standard_input};
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Make an image of a tar archive of a root file system.
///
/// Examples:
///   selkie import rootfs.tar.gz mine
///   selkie import --change 'CMD ["/bin/sh"]' --change 'ENV A=1' rootfs.tar mine:2
///   tar -C rootfs -c . | selkie import - mine
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Import {
    /// An instruction of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.
    #[arg(long, short = 'c')]
    change: Vec<String>,
    /// A line for the image's history.
    #[arg(long, short = 'm', default_value = "imported from tarball", hide_default_value = true)]
    message: String,
    /// Do not show progress.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// How large the archive may be, unpacked, for example `10g`.
    #[arg(long, default_value = "64g")]
    max_layer_size: String,
    /// The archive; `-` is standard input.
    path: PathBuf,
    /// The image's name.
    reference: Option<String>,
}

impl Import {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let changes = Changes::parse(&self.change)?;
        let name = self.reference.as_deref().map(Reference::parse).transpose()?;
        let limits = limits(&self.max_layer_size)?;
        let wanted = Wanted { name, changes, message: self.message.clone() };
        let id = context.engine.images().import(input(&self.path)?, wanted, limits)?;
        out::line(&format!("sha256:{id}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn input(path: &Path) -> Result<std::fs::File, Failure> {
    let text = path.to_string_lossy();
    if text == "-" {
        return standard_input("import");
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(Failure::engine(format!("{text}: importing from the network is not supported yet")));
    }
    open(path)
}
