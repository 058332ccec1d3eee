//! Bytes in and out, terminals, detaching.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Engine, installed};
use crate::{container, engine, run, script, words};

#[test]
fn a_megabyte_through_cat_comes_back_as_it_was() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let data: Vec<u8> = (0_u32..1 << 20).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    container(&engine, "run -d --name a", "sleep 60");
    for line in [words("run --rm -i", &rootfs, "cat"), vec!["exec", "-i", "a", "cat"]] {
        let mut child = engine.command(&line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            let data = &data;
            scope.spawn(move || stdin.write_all(data).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success() && output.stdout == data, "{line:?}: {:?}, {} bytes", output.status, output.stdout.len());
    }
}

#[test]
fn output_of_a_program_that_does_not_end_a_line_is_as_it_was() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let mut words = words("run --rm", &rootfs, "sh -c");
    words.push("printf 'a\\0b\\r\\nc'; printf 'e' >&2; exit 5");
    let said = engine.run(&words);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str(), said.code), ("a\0b\r\nc", "e", 5));
}

#[test]
fn without_interactive_standard_input_is_empty() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let mut child = engine.command(&words("run --rm", &rootfs, "cat")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Nobody reads it.
    let _ = child.stdin.take().unwrap().write_all(b"not for you\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn attach_shows_what_comes_and_ends_with_the_status() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "sleep 0.5; echo here; exit 6");
    let said = run(&engine, "attach a");
    assert_eq!((said.stdout.as_str(), said.code), ("here\n", 6));
    container(&engine, "create --name b", "echo there");
    let said = run(&engine, "start -a b");
    assert_eq!((said.stdout.as_str(), said.code), ("there\n", 0));
}

#[test]
fn detach_keys_leave_the_container_running() {
    let Some(engine) = engine() else { return };
    if !installed("script") {
        return;
    }
    let rootfs = engine.rootfs();
    // Keys that mean nothing to a terminal which is not raw yet when they are typed.
    let said = engine.in_terminal(&words("run -it --detach-keys y,x --name a", &rootfs, "head -n1"), "yx");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(engine.ok(&["ps", "--format", "{{.Names}} {{.State}}"]), "a running");
    let said = engine.in_terminal(&["attach", "--detach-keys", "x", "a"], "x");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(engine.ok(&["ps", "--format", "{{.Names}} {{.State}}"]), "a running");
    let said = engine.in_terminal(&["attach", "a"], "hello\n");
    assert!(said.code == 0 && said.stdout.contains("hello"), "{said:?}");
    assert_eq!(engine.ok(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]), "a exited");
}

#[test]
fn terminal_is_one_in_the_container() {
    let Some(engine) = engine() else { return };
    if !installed("script") {
        return;
    }
    let rootfs = engine.rootfs();
    let said = engine.in_terminal(&words("run -it --rm", &rootfs, "tty"), "");
    assert!(said.code == 0 && said.stdout.contains("/dev/pts/0"), "{said:?}");
    let said = container(&engine, "run --rm", "tty");
    assert_eq!((said.stdout.as_str(), said.code), ("not a tty\n", 1));
}

#[test]
fn interactive_terminal_without_one_warns_and_runs() {
    let Some(engine) = engine() else { return };
    let said = container(&engine, "run --rm -it", "echo here");
    assert_eq!((said.stdout.as_str(), said.code), ("here\r\n", 0), "{said:?}");
    assert!(said.stderr.contains("level=warning") && said.stderr.contains("The input device is not a TTY"), "{said:?}");
}

#[test]
fn signals_reach_the_program() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "trap 'echo got; exit 9' USR1; echo ready; while true; do sleep 0.05; done");
    while engine.run(&["logs", "a"]).stdout != "ready\n" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    engine.ok(&["kill", "-s", "USR1", "a"]);
    assert_eq!(engine.ok(&["wait", "a"]), "9");
    assert_eq!(engine.ok(&["logs", "a"]), "ready\ngot");
}

#[test]
fn help_to_a_reader_that_is_gone_is_no_crash() {
    let Some(engine) = engine() else { return };
    for words in [&["run", "--help"][..], &["--help"], &["--version"], &[]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = engine.command(words).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = if words.is_empty() { (Some(125), "Error: missing command 'selkie COMMAND'\n") } else { (Some(0), "") };
        assert_eq!((output.status.code(), said.as_str()), expected, "{words:?}");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = engine.command(&["run", "--help"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
}

/// Runs a command whose reader goes away after `length` bytes; returns its status.
fn read_a_little(engine: &Engine, words: &[&str], length: usize) -> Option<i32> {
    let mut child = engine.command(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut vec![0; length]).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

#[test]
fn client_that_writes_to_nobody_ends_as_of_sigpipe_and_the_process_goes_on() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    assert_eq!(read_a_little(&engine, &words("run --name a", &rootfs, "yes"), 1), Some(141));
    assert_eq!(engine.ok(&["inspect", "--format", "{{.State.Status}}", "a"]), "running");
    for line in [&["exec", "a", "yes"][..], &["attach", "a"], &["logs", "-f", "a"], &["logs", "a"]] {
        assert_eq!(read_a_little(&engine, line, 1), Some(141), "{line:?}");
    }
    assert_eq!(read_a_little(&engine, &words("create --name b", &rootfs, "yes"), 1), Some(0));
    assert_eq!(read_a_little(&engine, &["start", "-a", "b"], 1), Some(141));
}

#[test]
fn client_that_only_looks_ends_when_nobody_reads_though_nothing_is_written() {
    let Some(engine) = engine() else { return };
    script(&engine, "run -d --name a", "echo ready; sleep 60");
    for (line, length) in [(&["logs", "-f", "a"][..], 5), (&["attach", "a"], 0)] {
        assert_eq!(read_a_little(&engine, line, length), Some(141), "{line:?}");
    }
    script(&engine, "run -d --name silent", "sleep 60");
    assert_eq!(read_a_little(&engine, &["logs", "-f", "silent"], 0), Some(141));
}

#[test]
fn status_of_a_program_that_says_nothing_to_nobody_is_still_told() {
    let Some(engine) = engine() else { return };
    let rootfs = engine.rootfs();
    let mut words = words("run --rm", &rootfs, "sh -c");
    words.push("sleep 0.3; exit 4");
    assert_eq!(read_a_little(&engine, &words, 0), Some(4));
}

#[test]
fn error_is_written_at_once() {
    let Some(engine) = engine() else { return };
    // Of such a pipe each read gives one write.
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::DIRECT).unwrap();
    let mut child = engine.command(&["inspect", "nobody"]).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    child.wait().unwrap();
    let mut piece = [0; 4096];
    let length = std::fs::File::from(reader).read(&mut piece).unwrap();
    let text = String::from_utf8_lossy(&piece[..length]);
    assert!(text.starts_with("Error: ") && text.contains("nobody") && text.ends_with('\n'), "{text:?}");
}

#[test]
fn lines_of_a_terminal_that_nothing_is_typed_to_end_as_the_container_ended_them() {
    let Some(engine) = engine() else { return };
    if !installed("script") {
        return;
    }
    let rootfs = engine.rootfs();
    let said = engine.in_terminal(&words("run -t --rm", &rootfs, "echo here"), "");
    assert_eq!((said.stdout.as_str(), said.code), ("here\r\n", 0));
}
