//! `selkie`: parses the command line, calls the engine, prints. One file a command in `commands`.

#![recursion_limit = "256"] // one `json!` of all fields of `inspect`

mod cli;
mod commands;
mod context;
mod exit;
mod ui;

use std::process::ExitCode;

use selkie::flags;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let [_, verb, rest @ ..] = &arguments[..]
        && verb == "__monitor"
    {
        selkie_engine::monitor::main(rest)
    }
    if arguments.first().is_some_and(|name| std::path::Path::new(name).file_name().is_some_and(|name| name == "podman-init")) {
        return commands::init::main(&arguments);
    }
    match cli::parse(arguments) {
        Ok(cli) => match cli.run() {
            Ok(code) => code,
            Err(failure) => ui::error::show(&failure),
        },
        Err(stop) => ui::error::stop(stop),
    }
}
