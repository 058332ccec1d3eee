//! Exit statuses, texts and behaviour of the commands, as Podman has them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/podman.rs"]
mod podman;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/streams.rs"]
mod streams;

use harness::{Engine, Said, busybox, lack};

/// An engine with a root file system in which something runs.
fn engine() -> Option<Engine> {
    if busybox().is_none() {
        lack("busybox is not installed");
        return None;
    }
    Engine::new()
}

/// The words of a command line, and the root file system and program behind them.
fn words<'a>(start: &'a str, rootfs: &'a str, program: &'a str) -> Vec<&'a str> {
    let mut words: Vec<&str> = start.split(' ').collect();
    words.extend(["--rootfs", rootfs]);
    words.extend(program.split(' ').filter(|word| !word.is_empty()));
    words
}

/// Runs `start --rootfs ROOT program`.
fn container(engine: &Engine, start: &str, program: &str) -> Said {
    let rootfs = engine.rootfs();
    engine.run(&words(start, &rootfs, program))
}

/// The same with a script for `sh -c`; it has to succeed.
fn script(engine: &Engine, start: &str, script: &str) -> String {
    let rootfs = engine.rootfs();
    let mut words = words(start, &rootfs, "sh -c");
    words.push(script);
    engine.ok(&words)
}

/// Runs a command line without anything in it that has to be quoted.
fn run(engine: &Engine, line: &str) -> Said {
    engine.run(&line.split(' ').collect::<Vec<_>>())
}

/// Status and standard error.
fn failure(said: &Said) -> (i32, &str) {
    (said.code, said.stderr.trim_end())
}
