//! The program: its words, variables, directory.

use std::collections::BTreeMap;

use super::{Inputs, Notes};
use crate::value::{NamespaceMode, parse_env, parse_umask};
use crate::{Namespace, PlanError};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the init of `--init` is bound.
pub(crate) const INIT: &str = "/run/podman-init";

/// The program of the first process.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) notes: Notes,
}

/// Computes the program; `home` is the user's, `hostname` the container's.
pub(crate) fn part(inputs: &Inputs, home: &str, hostname: &str, pid: &Namespace) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    let init = inputs.request.process.init.unwrap_or(inputs.facts.conf.init);
    let mut args = arguments(inputs)?;
    if init {
        if *pid != Namespace::Private {
            return Err(PlanError::InitNeedsPidNamespace);
        }
        args.splice(0..0, [INIT, "--"].map(str::to_owned));
        notes.because("init", "added", if inputs.request.process.init.is_some() { "--init" } else { "containers.conf" });
    }
    no_nul("command", &args)?;
    let env = environment(inputs, home, hostname, &mut notes)?;
    let cwd = directory(inputs)?;
    Ok(Part { args, env, cwd, notes })
}

/// Computes the words: the entrypoint, then the command; a given entrypoint discards the image's command.
fn arguments(inputs: &Inputs) -> Result<Vec<String>, PlanError> {
    let (request, image) = (inputs.request, inputs.image);
    let entrypoint = request.process.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let command = if request.command.is_empty() && request.process.entrypoint.is_none() { &image.cmd } else { &request.command };
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if args.is_empty() { Err(PlanError::NoCommand) } else { Ok(args) }
}

/// Computes the variables: defaults, the caller's (`--env-host`), the image's, then the user's; sorted.
fn environment(inputs: &Inputs, home: &str, hostname: &str, notes: &mut Notes) -> Result<Vec<String>, PlanError> {
    let request = &inputs.request.process;
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned()), ("TERM".to_owned(), "xterm".to_owned())]);
    for text in inputs.facts.conf.env.iter().flatten() {
        env.extend(parse_env(text, |_| None)?);
    }
    if request.unset_env_all {
        env.clear();
    }
    let proxies = request.http_proxy.or(inputs.facts.conf.http_proxy).unwrap_or(true);
    if request.env_host || proxies {
        env.extend(request.host_env.iter().cloned());
    }
    if !request.unset_env_all {
        for text in &inputs.image.env {
            // An entry without `=` would be the host's variable of that name in Podman: CVE-2026-57231.
            match text.split_once('=').filter(|(key, _)| !key.is_empty() && !text.contains('\0')) {
                Some((key, value)) => drop(env.insert(key.to_owned(), value.to_owned())),
                None => notes.warn(format!("ignored the variable {text:?} of the image: it is not KEY=value"), None),
            }
        }
    }
    for key in &request.unset_env {
        env.remove(key);
    }
    if !request.unset_env_all {
        env.insert(String::from("container"), String::from("podman"));
    }
    env.insert(String::from("HOSTNAME"), hostname.to_owned());
    env.extend(request.env.iter().cloned());
    env.entry(String::from("HOME")).or_insert_with(|| home.to_owned());
    let env: Vec<String> = env.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    no_nul("--env", &env)?;
    Ok(env)
}

/// Computes the working directory: `--workdir`, the image's, `/`.
pub(crate) fn directory(inputs: &Inputs) -> Result<String, PlanError> {
    let image = Some(inputs.image.working_dir.as_str()).filter(|path| !path.is_empty());
    let asked = inputs.request.process.workdir.as_deref().filter(|path| !path.is_empty());
    let path = asked.or(image).unwrap_or("/");
    working_directory(path)
}

/// Checks a working directory: absolute, without NUL, and no link of procfs, which could lead out of the root.
pub(crate) fn working_directory(path: &str) -> Result<String, PlanError> {
    if !path.starts_with('/') {
        return Err(PlanError::WorkingDirectory { path: path.to_owned() });
    }
    no_nul("--workdir", &[path.to_owned()])?;
    Ok(path.to_owned())
}

/// Fails when a string cannot be passed to execve(2).
pub(crate) fn no_nul(what: &'static str, strings: &[String]) -> Result<(), PlanError> {
    match strings.iter().find(|string| string.contains('\0')) {
        Some(value) => Err(PlanError::ForbiddenCharacter { what, value: value.clone() }),
        None => Ok(()),
    }
}

/// Computes the file mode creation mask: `--umask`, containers.conf, 0022.
pub(crate) fn umask(inputs: &Inputs) -> Result<u32, PlanError> {
    let conf = || inputs.facts.conf.umask.as_deref().map_or(Ok(0o022), parse_umask);
    inputs.request.process.umask.map_or_else(conf, Ok)
}

/// Computes the host name: `--hostname`, the joined container's, the host's, or the first 12 digits of the id.
pub(crate) fn hostname(inputs: &Inputs, uts: &Namespace) -> Result<String, PlanError> {
    let (request, facts) = (inputs.request, inputs.facts);
    let name = match (request.namespaces.hostname.as_ref().filter(|name| !name.is_empty()), &request.namespaces.uts) {
        (Some(_), _) if *uts != Namespace::Private => return Err(PlanError::HostnameOfHost),
        (Some(name), _) => name.clone(),
        (None, NamespaceMode::Container(name)) => {
            facts.joined.get(name).map(|container| container.hostname.clone()).filter(|name| !name.is_empty()).unwrap_or_default()
        }
        (None, _) if *uts == Namespace::Private => facts.container.id.chars().take(12).collect(),
        (None, _) => facts.hostname.clone(),
    };
    let plain = |c: char| c.is_ascii() && !c.is_ascii_control() && !c.is_ascii_whitespace();
    if name.len() > 64 {
        return Err(PlanError::Choice { flag: "--hostname", value: name, expected: "at most 64 characters" });
    }
    if !name.chars().all(plain) {
        return Err(PlanError::ForbiddenCharacter { what: "--hostname", value: name });
    }
    Ok(name)
}
