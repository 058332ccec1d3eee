//! `selkie`: parses the command line, calls the engine, prints. One file a command in `commands`.

#![cfg_attr(not(test), no_main)]
#![recursion_limit = "256"] // one `json!` of all fields of `inspect`

mod cli;
mod commands;
mod context;
mod exit;
mod ui;

use std::process::ExitCode;

use selkie::flags;

#[cfg(not(test))]
selkie_sys::entry!(begin);

#[cfg(test)]
fn main() -> ExitCode {
    begin()
}

fn begin() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|verb| verb == "__monitor") {
        selkie_engine::monitor::main()
    }
    if arguments.first().is_some_and(|name| std::path::Path::new(name).file_name().is_some_and(|name| name == "podman-init")) {
        return commands::init::main(&arguments);
    }
    command_line(arguments)
}

/// Apart from `begin`, whose stack frame a monitor keeps as long as its container runs.
#[inline(never)]
fn command_line(arguments: Vec<std::ffi::OsString>) -> ExitCode {
    if cli::starts_process(&arguments) {
        // It takes as long to start as the command line to be understood; where it is not needed it ends by itself.
        selkie_engine::monitor::start_ahead();
    }
    match cli::parse(arguments.clone()) {
        Ok(cli) => match cli.run() {
            Ok(code) => code,
            Err(failure) => {
                let code = ui::error::show(&failure);
                if failure.is_of_usage() {
                    ui::error::show_more(&cli::see_help(&arguments));
                }
                code
            }
        },
        Err(stop) => ui::error::stop(stop),
    }
}
