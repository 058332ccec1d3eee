//! `selkie demo`: the main job on an image that is built from selkie's own binary, so that nothing has to be fetched.
//!
//! Run a workload as the internet says, with `--privileged`; look at what it could do; run it again with what it
//! needs; look again. The demo has a store of its own and removes it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Show the main job on a small image of selkie itself: run, look, run with less, look again.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the demo's images and containers.
    #[arg(long)]
    keep: bool,
}

/// Where the demo keeps what it makes.
struct Stage {
    directory: PathBuf,
    binary: PathBuf,
    keep: bool,
}

impl Demo {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let stage = Stage::new(context.engine.binary(), self.keep)?;
        stage.show()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Stage {
    fn new(binary: &Path, keep: bool) -> Result<Self, Failure> {
        let directory = std::env::temp_dir().join(format!("selkie-demo-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|error| Failure::engine(format!("cannot create `{}`: {error}", directory.display())))?;
        Ok(Self { directory, binary: binary.to_path_buf(), keep })
    }

    fn show(&self) -> Result<(), Failure> {
        out::print("An image is made of this very binary: one static file.\n")?;
        self.make_image()?;
        self.step(&["images"])?;

        out::print("\n1. As the internet says: --privileged.\n\n")?;
        self.step(&["run", "-d", "--name", "web", "--privileged", "demo", "serve", "80"])?;
        self.step(&["privileged", "web"])?;
        self.step(&["ps", "--caps"])?;
        self.step(&["exec", "web", "/selkie", "caps", "show"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])?;

        out::print("\n2. With nothing at all: what does it need?\n\n")?;
        self.step(&["run", "--rm", "--cap-drop", "all", "demo", "serve", "80"])?;
        self.step(&["caps", "explain", "net_bind_service"])?;

        out::print("\n3. With what it needs, and as somebody who is not root.\n\n")?;
        self.step(&[
            "run",
            "-d",
            "--name",
            "web",
            "--user",
            "1000",
            "--cap-drop",
            "all",
            "--cap-add",
            "net_bind_service",
            "demo",
            "serve",
            "80",
        ])?;
        self.step(&["privileged", "web"])?;
        self.step(&["ps", "--caps"])?;
        self.step(&[
            "inspect",
            "--format",
            "privileged={{.HostConfig.Privileged}} effective={{.EffectiveCaps}} bounding={{.BoundingCaps}}",
            "web",
        ])?;
        self.step(&["caps", "ps", "--container", "web"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])?;

        out::print("\n4. With no capability: the kernel's own setting for the port.\n\n")?;
        self.step(&[
            "run",
            "-d",
            "--name",
            "web",
            "--user",
            "1000",
            "--cap-drop",
            "all",
            "--sysctl",
            "net.ipv4.ip_unprivileged_port_start=80",
            "demo",
            "serve",
            "80",
        ])?;
        self.step(&["privileged", "web"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])
    }

    /// Packs the binary, with the few files that a root file system needs, and imports it.
    fn make_image(&self) -> Result<(), Failure> {
        let archive = self.directory.join("demo.tar");
        let failed = |error: std::io::Error| Failure::engine(format!("cannot write `{}`: {error}", archive.display()));
        let binary =
            std::fs::read(&self.binary).map_err(|error| Failure::engine(format!("cannot read `{}`: {error}", self.binary.display())))?;
        let passwd: &[u8] = b"root:x:0:0:root:/:/selkie\nweb:x:1000:1000:web:/:/selkie\n";
        let mut text = Vec::new();
        let group: &[u8] = b"root:x:0:\nweb:x:1000:\n";
        for (name, content, mode) in [("selkie", binary.as_slice(), 0o755), ("etc/passwd", passwd, 0o644), ("etc/group", group, 0o644)] {
            append(&mut text, name, content, mode);
        }
        // Two empty blocks end an archive.
        text.extend([0; 1024]);
        std::fs::write(&archive, text).map_err(failed)?;
        let status = self
            .command(&["import", "--change", "ENTRYPOINT [\"/selkie\", \"__demo\"]"])
            .arg(&archive)
            .arg("localhost/demo")
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::engine("the demo's image could not be made")),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(self.directory.join("root")).arg("--runroot").arg(self.directory.join("run")).args(words);
        command
    }

    /// Shows a command as a person would type it, runs it, and lets its output through.
    fn step(&self, words: &[&str]) -> Result<(), Failure> {
        let typed: Vec<String> =
            words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() }).collect();
        out::line(&format!("$ selkie {}", typed.join(" ")))?;
        let status =
            self.command(words).stdin(Stdio::null()).status().map_err(|error| Failure::engine(format!("cannot run selkie: {error}")))?;
        if !status.success() {
            out::line(&format!("(exit code {})", status.code().unwrap_or(-1)))?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // A demo that leaves something behind would be a poor one; what cannot be removed is in the temporary directory.
        let _ = self.command(&["rm", "--all", "--force", "--time", "0"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Appends a regular file to a tar archive: POSIX.1-1988 ustar, one header of 512 bytes, content in whole blocks.
fn append(archive: &mut Vec<u8>, name: &str, content: &[u8], mode: u32) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(field) = header.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    if let Some(field) = header.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive.extend(header);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// What runs inside the demo's containers.
#[derive(Debug, Args)]
pub(crate) struct Workload {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Answers every connection to a TCP port with one line.
    Serve {
        /// The port.
        port: u16,
    },
}

impl Workload {
    /// Every verb is called alike; this one is done before the configuration is read.
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        self.serve()
    }

    pub(crate) fn serve(&self) -> Result<ExitCode, Failure> {
        let What::Serve { port } = self.what;
        let listener = std::net::TcpListener::bind(("0.0.0.0", port))
            .map_err(|error| Failure::engine(format!("bind(0.0.0.0:{port}): {error}")).with_code(1))?;
        for connection in listener.incoming().flatten() {
            use std::io::Write;
            // A visitor who is gone has missed it.
            let _ = (&connection).write_all(b"HTTP/1.0 200 OK\r\n\r\nserved by selkie\n");
        }
        Ok(ExitCode::SUCCESS)
    }
}
