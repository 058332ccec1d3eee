//! What the tests of the whole program share: an engine of their own, a root file system, a terminal.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests"
)]

#[path = "../../../../tests/skip.rs"]
pub(crate) mod skip;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
pub(crate) use skip::{lack, skip};

/// The program under test.
pub const SELKIE: &str = env!("CARGO_BIN_EXE_selkie");

/// An engine with records of its own, whose containers are gone when it goes out of scope.
pub struct Engine {
    directory: tempfile::TempDir,
}

/// What a command has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Engine {
    /// Makes an engine; `None`, with the reason on standard error, where containers cannot be made.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("containers need root in this version");
            return None;
        }
        Some(Self { directory: tempfile::Builder::new().prefix("selkie-test-").tempdir().unwrap() })
    }

    /// A directory of the test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command with the engine's flags before `words`.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SELKIE);
        command.arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run")).args(words);
        // The host's configuration is not the test's.
        command.env("CONTAINERS_CONF", "/dev/null").env_remove("CONTAINERS_CONF_OVERRIDE");
        command
    }

    /// The same engine as the library has it, for what happens between two of its steps.
    pub fn library(&self) -> selkie_engine::Engine {
        let store = selkie_engine::Store::new(self.path("root"), self.path("run"));
        selkie_engine::Engine::new(store, selkie_plan::ContainersConf::default(), SELKIE.into())
    }

    /// Runs a command without a terminal and without input.
    pub fn run(&self, words: &[&str]) -> Said {
        said(self.command(words).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs a command that has to succeed, and returns its standard output without the last end of a line.
    pub fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs a command in a terminal of its own, typing `input`; returns everything that appeared.
    pub fn in_terminal(&self, words: &[&str], input: &str) -> Said {
        use std::io::Write;
        let quoted: Vec<String> =
            [SELKIE.to_owned(), "--root".to_owned(), text(&self.path("root")), "--runroot".to_owned(), text(&self.path("run"))]
                .into_iter()
                .chain(words.iter().map(|word| (*word).to_owned()))
                .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
                .collect();
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--echo", "never", "--command", &quoted.join(" "), "/dev/null"])
            .env("CONTAINERS_CONF", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        script.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        said(script.wait_with_output().unwrap())
    }

    /// Runs the probe in a new container with `flags`, and returns what it saw.
    pub fn probe(&self, flags: &[&str]) -> Value {
        let rootfs = self.rootfs();
        let words: Vec<&str> = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "/probe"]).collect();
        let output = self.ok(&words);
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{flags:?}: {error}: {output}"))
    }

    /// Returns a root file system with the probe and, where it is installed, a static busybox.
    pub fn rootfs(&self) -> String {
        let root = self.path("rootfs");
        if !root.exists() {
            for directory in ["bin", "etc", "tmp", "proc", "sys", "dev", "run"] {
                std::fs::create_dir_all(root.join(directory)).unwrap();
            }
            for name in ["probe", "attack"] {
                std::fs::copy(example(name), root.join(name)).unwrap();
            }
            std::fs::write(
                root.join("etc/passwd"),
                "root:x:0:0:root:/root:/bin/sh\nu1:x:1000:1000::/home/u1:/bin/sh\nbin:x:2:2::/:/bin/sh\n",
            )
            .unwrap();
            std::fs::write(root.join("etc/group"), "root:x:0:\nbin:x:2:\ng5:x:5:u1\nu1:x:1000:\n").unwrap();
            if let Some(busybox) = busybox() {
                std::fs::copy(busybox, root.join("bin/busybox")).unwrap();
                for name in [
                    "sh", "cat", "echo", "id", "ls", "ps", "sleep", "true", "false", "grep", "touch", "mount", "ip", "ping", "kill",
                    "head", "stat", "yes", "wc", "dd", "env", "mkdir", "ln", "rm", "chmod", "test", "trap", "printf", "seq", "tty", "stty",
                    "hostname", "readlink", "find", "mkfifo", "nc", "unshare", "mknod",
                ] {
                    let _ = std::os::unix::fs::symlink("busybox", root.join("bin").join(name));
                }
            }
        }
        text(&root)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.command(&["rm", "--all", "--force", "--time", "0"]).output();
    }
}

fn said(output: Output) -> Said {
    Said {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// An example, beside the program under test: `probe` looks, `attack` attacks, `refused` does what is refused.
pub fn example(name: &str) -> PathBuf {
    let path = Path::new(SELKIE).parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build -p selkie -p selkie-sys --bins --examples", path.display());
    path
}

/// A static busybox, if one is installed.
pub fn busybox() -> Option<&'static Path> {
    ["/bin/busybox", "/usr/bin/busybox", "/usr/sbin/busybox"].iter().map(Path::new).find(|path| path.exists())
}

/// Returns whether `program`, which `make test` installs, is there; says that the test is skipped if not.
pub fn installed(program: &str) -> bool {
    let found = is_there(program);
    if !found {
        lack(&format!("{program} is not installed"));
    }
    found
}

/// The same for a program that is only compared with where somebody has installed it: Podman, another shell.
pub fn peer(program: &str) -> bool {
    let found = is_there(program);
    if !found {
        skip(&format!("{program} is not installed, and nothing here installs it"));
    }
    found
}

fn is_there(program: &str) -> bool {
    ["/bin", "/usr/bin", "/sbin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(program).exists())
}

/// The bounding set of this very process: the ceiling of every container.
pub fn own_bounding() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}
