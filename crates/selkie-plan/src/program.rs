//! The program of a process: where execvp(3) looks for it, as whom it is executed, and whether its file capabilities let it be.
//!
//! Not here: finding the file, which is the engine's before a start and the runtime's at execve(2). Both look in the same places.

use std::path::Path;

use selkie_caps::{Credentials, Exec, File, FileCaps, Gain, Ids};

use crate::part::process::INIT;
use crate::{Plan, Process, UserNamespace, Warning};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Process {
    /// Returns the paths at which the program is looked for, first to last: itself with a slash in it, else one for each directory
    /// of `PATH`.
    #[must_use]
    pub fn candidates(&self) -> Vec<String> {
        candidates(self.args.first().map_or("", String::as_str), &self.env)
    }

    /// Returns what the process holds when it executes its program.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            user: Ids::all(self.user.uid),
            group: Ids::all(self.user.gid),
            sets: self.sets,
            no_new_privs: self.no_new_privileges,
            ..Credentials::default()
        }
    }
}

impl UserNamespace {
    /// Returns the uids that root of this namespace and of the engine's is, as the engine numbers them: whose file capabilities count.
    #[must_use]
    pub fn roots(&self) -> Vec<u32> {
        self.maps().and_then(crate::IdMaps::root).map(|(uid, _)| uid).into_iter().chain([0]).collect()
    }
}

impl Plan {
    /// Returns the absolute paths at which the container's program is looked for in its root file system, up to the first that a
    /// mount covers: what lies there is not known. Behind `--init`, it is the program that init is to start.
    #[must_use]
    pub fn programs(&self) -> Vec<String> {
        let args = match self.process.args.as_slice() {
            [init, dashes, rest @ ..] if init == INIT && dashes == "--" => rest,
            args => args,
        };
        let program = args.first().map_or("", String::as_str);
        let absolute = candidates(program, &self.process.env).into_iter().map(|path| {
            let path = Path::new(&self.process.cwd).join(path);
            path.to_string_lossy().into_owned()
        });
        if program.is_empty() { Vec::new() } else { absolute.take_while(|path| !self.is_covered(path)).collect() }
    }

    /// Returns whether a mount lies over `path`.
    #[must_use]
    pub fn is_covered(&self, path: &str) -> bool {
        self.mounts.iter().any(|mount| Path::new(path).starts_with(&mount.destination))
    }

    /// Returns a warning when execve(2) of the program `path` will fail for its file capabilities: they are effective at once, and
    /// the container cannot get them (`cap_bprm_creds_from_file`).
    ///
    /// `capabilities` are as the engine's user namespace numbers their root.
    #[must_use]
    pub fn refused_program(&self, path: &str, capabilities: FileCaps) -> Option<Warning> {
        let roots = self.namespaces.user.roots();
        let file = File { capabilities: Some(capabilities), ..File::default() };
        let exec = Exec { file, groups: &self.process.user.groups, namespace_roots: &roots, ..Exec::default() };
        let Gain::Refused { missing } = exec.gain(&self.process.credentials()) else { return None };
        let names: Vec<&str> = missing.iter().map(selkie_caps::Capability::short_name).collect();
        let are = if names.len() == 1 { "is" } else { "are" };
        Some(Warning {
            message: format!(
                "{path:?} cannot be executed (EPERM): its file capabilities need {}, which {are} not in the bounding set",
                names.join(", ")
            ),
            hint: Some(format!("--cap-add {} gives it, or `setcap -r {path}` in the image removes them from the file", names.join(","))),
        })
    }
}

/// An empty part of `PATH` means the working directory to a shell; here it would run what the image left lying there.
fn candidates(program: &str, env: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(PATH);
    path.split(':').filter(|directory| !directory.is_empty()).map(|directory| format!("{directory}/{program}")).collect()
}

#[cfg(test)]
mod tests {
    use selkie_caps::{CapSet, Capability};

    use super::*;
    use crate::{ContainersConf, HostFacts, ImageConfig, KernelFacts, OwnFacts, Request, plan};

    const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);

    fn planned(words: &[&str], change: impl FnOnce(&mut Request)) -> Plan {
        let mut request = Request { image: Some("host:".to_owned()), ..Request::default() };
        request.command = words.iter().map(|word| (*word).to_owned()).collect();
        change(&mut request);
        let own = OwnFacts { bounding: CapSet::KNOWN, permitted: CapSet::KNOWN, ..OwnFacts::default() };
        let kernel = KernelFacts { last_cap: 40, ambient: true, ..KernelFacts::default() };
        let facts = HostFacts { own, kernel, conf: ContainersConf::default(), ..HostFacts::default() };
        plan(&request, &ImageConfig::default(), &facts).unwrap()
    }

    fn warned(plan: &Plan, effective: bool) -> Option<String> {
        let capabilities = FileCaps::new(NET_RAW, CapSet::EMPTY, effective);
        plan.refused_program("/bin/ping", capabilities).map(|warning| format!("{} ({})", warning.message, warning.hint.unwrap_or_default()))
    }

    #[test]
    fn programs_of_a_name_are_those_of_path_up_to_a_mount() {
        let plan = planned(&["ping"], |request| request.process.env = vec![("PATH".into(), "/a::b:/dev/x:/c".into())]);
        assert_eq!(plan.programs(), ["/a/ping", "/b/ping"]);
    }

    #[test]
    fn programs_of_a_path_is_that_path_from_the_working_directory() {
        assert_eq!(planned(&["/bin/ping"], |_| {}).programs(), ["/bin/ping"]);
        assert_eq!(planned(&["./ping"], |request| request.process.workdir = Some("/srv".into())).programs(), ["/srv/./ping"]);
    }

    #[test]
    fn programs_behind_init_is_the_one_that_it_starts() {
        let plan = planned(&["/bin/ping"], |request| request.process.init = Some(true));
        assert_eq!(plan.programs(), ["/bin/ping"]);
    }

    #[test]
    fn refused_program_names_the_capability_and_both_fixes() {
        let expected = "\"/bin/ping\" cannot be executed (EPERM): its file capabilities need NET_RAW, which is not in the bounding set \
                        (--cap-add NET_RAW gives it, or `setcap -r /bin/ping` in the image removes them from the file)";
        assert_eq!(warned(&planned(&["x"], |_| {}), true).as_deref(), Some(expected));
    }

    #[test]
    fn refused_program_is_none_with_the_capability_or_without_the_flag() {
        assert_eq!(warned(&planned(&["x"], |request| request.security.cap_add = vec!["net_raw".into()]), true), None);
        assert_eq!(warned(&planned(&["x"], |_| {}), false), None);
    }

    #[test]
    fn refused_program_of_a_foreign_namespace_is_none() {
        let capabilities = FileCaps::new(NET_RAW, CapSet::EMPTY, true).with_rootid(1000);
        assert_eq!(planned(&["x"], |_| {}).refused_program("/bin/ping", capabilities), None);
    }
}
