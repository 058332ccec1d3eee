//! `selkie demo`: the main job on an image that is built from selkie's own binary, so that nothing has to be fetched.
//!
//! Run a workload as the internet says, with `--privileged`; learn what it needs, with the proof; run it with that; run it with
//! nothing; write it down for others. The demo has a store of its own and removes it, with the profile in it, and what it loaded
//! into the kernel.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::out;

/// Show the main job on a small image of selkie itself: run, learn, prove, show, export.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the demo's images and containers.
    #[arg(long)]
    keep: bool,
    /// How checks are seen: `auto`, `bpf` or `ptrace`.
    #[arg(long, default_value = "auto")]
    observer: String,
}

/// Where the demo keeps what it makes.
struct Stage {
    directory: PathBuf,
    binary: PathBuf,
    keep: bool,
    /// Nothing watched capability checks before; so nothing shall afterwards.
    unload: bool,
}

/// The workload: it opens a port and becomes user 1000.
const WORKLOAD: [&str; 5] = ["demo", "serve", "80", "--as", "1000"];
/// What takes the place of its capabilities, as `learn` proposes it.
const ZERO: [&str; 4] = ["--user", "1000:1000", "--sysctl", "net.ipv4.ip_unprivileged_port_start=80"];

impl Demo {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let stage = Stage::new(context.engine.binary(), self.keep)?;
        stage.show(&self.observer)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Stage {
    fn new(binary: &Path, keep: bool) -> Result<Self, Failure> {
        let directory = std::env::temp_dir().join(format!("selkie-demo-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|error| Failure::engine(format!("cannot create `{}`: {error}", directory.display())))?;
        let unload = selkie_observe::status().is_ok_and(|status| status.pinned.is_empty());
        Ok(Self { directory, binary: binary.to_path_buf(), keep, unload })
    }

    fn show(&self, observer: &str) -> Result<(), Failure> {
        out::print("An image is made of this very binary: one static file.\n")?;
        self.make_image()?;
        self.step(&["images"])?;

        out::print("\n1. As the internet says: --privileged.\n\n")?;
        self.step(&with(&["run", "-d", "--name", "web", "--privileged"], &WORKLOAD))?;
        self.step(&["privileged", "web"])?;
        self.step(&["ps", "--caps"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])?;

        out::print("\n2. What does it need? Learn it: each capability comes with the run that failed without it.\n\n")?;
        let how: &[&str] = if observer == "auto" { &[] } else { &["--observer", observer] };
        if !self.step(&with(&with(&["learn", "--http", ":80/"], how), &WORKLOAD))? {
            return Err(Failure::engine("the demo's workload could not be learned"));
        }
        self.step(&["profile", "ls"])?;

        out::print("\n3. With that and nothing else.\n\n")?;
        self.step(&with(&["run", "-d", "--name", "web", "--profile", "demo"], &WORKLOAD))?;
        self.step(&["privileged", "web"])?;
        self.step(&["ps", "--caps"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])?;

        out::print("\n4. With one less: what is refused, and what to do about it.\n\n")?;
        self.step(&with(&["run", "--rm", "--why", "--cap-drop", "net_bind_service"], &WORKLOAD))?;
        self.step(&["caps", "explain", "net_bind_service"])?;

        out::print("\n5. With no capability: the changes that were tried and passed.\n\n")?;
        let flags = with(&["run", "-d", "--name", "web", "--cap-drop", "all"], &ZERO);
        self.step(&with(&flags, &WORKLOAD))?;
        self.step(&["ps", "--caps"])?;
        self.step(&["exec", "web", "/selkie", "caps", "show"])?;
        self.step(&["rm", "-f", "-t", "0", "web"])?;

        out::print("\n6. For where you keep your configuration.\n\n")?;
        self.step(&["export", "demo", "--to", "podman"])?;
        self.step(&["export", "demo", "--to", "quadlet", "--zero", "2"])?;
        self.step(&["export", "demo", "--to", "kube", "--zero", "2"]).map(drop)
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

    /// Shows a command as a person would type it, runs it, lets its output through, and returns whether it succeeded.
    fn step(&self, words: &[&str]) -> Result<bool, Failure> {
        let typed: Vec<String> =
            words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() }).collect();
        out::line(&format!("$ selkie {}", typed.join(" ")))?;
        let status =
            self.command(words).stdin(Stdio::null()).status().map_err(|error| Failure::engine(format!("cannot run selkie: {error}")))?;
        if !status.success() {
            out::line(&format!("(exit code {})", status.code().unwrap_or(-1)))?;
        }
        Ok(status.success())
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
        if self.unload {
            let _ = selkie_observe::unload();
        }
    }
}

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    words.iter().chain(more).copied().collect()
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
        /// The user and group to become once the port is open.
        #[arg(long = "as", value_name = "ID")]
        id: Option<u32>,
    },
}

impl Workload {
    /// Every verb is called alike; this one is done before the configuration is read.
    pub(crate) fn run(&self, _context: &Context) -> Result<ExitCode, Failure> {
        self.serve()
    }

    pub(crate) fn serve(&self) -> Result<ExitCode, Failure> {
        const TERMINATE: i32 = 15;
        let What::Serve { port, id } = self.what;
        selkie_sys::process::set_name(c"web");
        // The first process of a container gets no signal that it does not ask for.
        let signals = selkie_sys::signal::descriptor(&[TERMINATE])?;
        let listener = std::net::TcpListener::bind(("0.0.0.0", port))
            .map_err(|error| Failure::engine(format!("bind(0.0.0.0:{port}): {error}")).with_code(1))?;
        if let Some(id) = id.filter(|id| *id != rustix::process::getuid().as_raw())
            && let Err(error) = selkie_sys::process::set_ids(id, id, Some(&[id]))
        {
            // As servers do that one would rather not have: it works, as root. Only who looks at the process sees it.
            crate::ui::progress::say(&format!("goes on as root: {error}"));
        }
        loop {
            let mut polled =
                [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN), PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            // Whoever interrupts this is in one of the descriptors.
            let _ = poll(&mut polled, None);
            let [_, signal] = polled.map(|entry| entry.revents());
            if signal.contains(PollFlags::IN) {
                return Ok(ExitCode::SUCCESS);
            }
            if let Ok((visitor, _)) = listener.accept() {
                answer(visitor);
            }
        }
    }
}

/// Answers one request. A visitor who is gone has missed it.
fn answer(mut visitor: std::net::TcpStream) {
    use std::io::{Read, Write};
    let _ = visitor.set_read_timeout(Some(std::time::Duration::from_secs(1)));
    let _ = visitor.read(&mut [0; 1024]);
    let _ = visitor.write_all(b"HTTP/1.0 200 OK\r\n\r\nserved by selkie\n");
}
