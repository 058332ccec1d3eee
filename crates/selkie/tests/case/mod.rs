//! The header of a golden case: from words to flags, facts and an image.

use std::collections::BTreeMap;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use selkie::flags::{self, CreateFlags, ExecFlags, Outside, RunFlags};
use selkie_caps::CapSet;
use selkie_plan::{
    CgroupLayout, DeviceKind, DeviceNode, DevicePath, ExecRequest, HostFacts, IdMap, IdMaps, IdRange, ImageConfig, JoinedContainer, Limit,
    PathKind, Plan, PlanError, Request, Running, plan, plan_exec,
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(RunFlags),
    Create(CreateFlags),
    Exec(ExecFlags),
}

/// One case.
pub(crate) struct Case {
    lines: Vec<Vec<String>>,
    show: Vec<String>,
    facts: HostFacts,
    image: ImageConfig,
    outside: Surroundings,
}

/// The caller's surroundings in a case.
#[derive(Default)]
struct Surroundings {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Outside for Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone().into_iter().collect()
    }

    fn directory(&self) -> String {
        String::from("/here")
    }

    fn read(&self, path: &str) -> Result<String, String> {
        self.files.get(path).cloned().ok_or_else(|| String::from("no such file or directory"))
    }
}

impl Case {
    pub(crate) fn parse(header: &str) -> Self {
        let mut case =
            Self { lines: Vec::new(), show: Vec::new(), facts: facts(), image: ImageConfig::default(), outside: Surroundings::default() };
        for line in header.lines() {
            let line = line.strip_prefix("# ").unwrap_or_else(|| panic!("header line without `# `: {line:?}"));
            let words = words(line);
            match words[0].as_str() {
                "selkie" => case.lines.push(words),
                "facts:" => words[1..].iter().for_each(|word| case.fact(word)),
                "image:" => words[1..].iter().for_each(|word| image(&mut case.image, word)),
                "show:" => case.show = words[1..].to_vec(),
                _ => {} // A remark.
            }
        }
        case
    }

    /// Returns the text that the case expects.
    pub(crate) fn run(&self) -> String {
        match self.output() {
            Ok(text) => text,
            Err(error) => format!("Error: {error}\nexit {}\n", error.exit_code()),
        }
    }

    fn output(&self) -> Result<String, PlanError> {
        let request = self.request(&self.lines[0])?;
        let plan = plan(&request, &self.image, &self.facts)?;
        if let Some(line) = self.lines.get(1) {
            let running = Running { request: &request, image: &self.image, plan: &plan };
            return plan_exec(&self.exec(line)?, &running, &self.facts).map(|process| process.render());
        }
        Ok(self.shown(&plan))
    }

    fn shown(&self, plan: &Plan) -> String {
        let names: Vec<&str> = self.show.iter().map(String::as_str).collect();
        let mut text = if names.is_empty() { plan.render() } else { plan.render_sections(&names) };
        if names.contains(&"lint") {
            for finding in selkie_plan::lint(plan) {
                text.push_str(&format!("{:?} {}: {}\n", finding.severity, finding.rule, finding.message));
            }
        }
        if names.contains(&"spec") {
            text.push_str(&serde_json::to_string_pretty(&selkie_plan::spec(plan, None)).unwrap());
            text.push('\n');
        }
        text
    }

    fn request(&self, words: &[String]) -> Result<Request, PlanError> {
        let (matches, refused) = flags::parse(Line::command, words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        if let Some(refused) = refused {
            return Err(refused);
        }
        match Line::from_arg_matches(&matches).unwrap_or_else(|error| panic!("{words:?}: {error}")).command {
            Command::Run(flags) => flags.request(&self.outside),
            Command::Create(flags) => flags.request(&self.outside),
            Command::Exec(_) => panic!("the first line must be run or create"),
        }
    }

    fn exec(&self, words: &[String]) -> Result<ExecRequest, PlanError> {
        match Line::try_parse_from(words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command {
            Command::Exec(flags) => flags.request(&self.outside),
            _ => panic!("the second line must be exec"),
        }
    }

    fn fact(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let facts = &mut self.facts;
        let parts: Vec<&str> = value.split(':').collect();
        let number = |index: usize| parts[index].parse::<u32>().unwrap();
        match key {
            "bounding" => {
                facts.own.bounding = CapSet::from_bits(u64::from_str_radix(value, 16).unwrap());
                facts.own.permitted = facts.own.bounding;
            }
            "permitted" => facts.own.permitted = CapSet::from_bits(u64::from_str_radix(value, 16).unwrap()),
            "last_cap" => facts.kernel.last_cap = value.parse().unwrap(),
            "rootless" => rootless(facts),
            "no-ambient" => facts.kernel.ambient = false,
            "apparmor" => facts.kernel.apparmor = true,
            "selinux" => facts.kernel.selinux = true,
            "no-cgroup" => facts.container.cgroup_parent = None,
            "cgroups" => facts.kernel.cgroups = if value == "missing" { CgroupLayout::Missing } else { CgroupLayout::Hybrid },
            "throttle" => facts.kernel.thermal_throttle.push(value.to_owned()),
            "limit" => {
                let limit = Limit { soft: u64::from(number(1)), hard: u64::from(number(2)) };
                facts.own.limits.insert(parts[0].to_owned(), limit);
            }
            "passwd" => append(&mut facts.passwd, value),
            "passwd-of" => facts.passwd = Some(vec![b'a'; value.parse().unwrap()]),
            "group" => append(&mut facts.group, value),
            "bind" => drop(facts.bind_sources.insert(value.to_owned(), PathKind::Directory)),
            "subid" => {
                let range = IdRange { start: number(0), size: number(1) };
                let ids = &mut facts.subordinate_ids;
                [&mut ids.uids, &mut ids.gids].into_iter().for_each(|ranges| ranges.push(range));
            }
            "taken" => {
                let map = IdMap { container: 0, host: number(0), size: number(1) };
                let taken = &mut facts.subordinate_ids.taken;
                [&mut taken.uids, &mut taken.gids].into_iter().for_each(|maps| maps.push(map));
            }
            "before" => {
                let map = IdMap { container: 0, host: number(0), size: number(1) };
                facts.subordinate_ids.before = Some(IdMaps { uids: vec![map], gids: vec![map] });
            }
            "nsmaps" => facts.user_namespace = Some(IdMaps { uids: vec![shifted()], gids: vec![shifted()] }),
            "nsfile" => facts.namespace_files.push(value.to_owned()),
            "container" => {
                let (pid, own) = (parts.get(1).and_then(|pid| pid.parse().ok()), parts.get(2) == Some(&"userns"));
                let own = own.then(|| IdMaps { uids: vec![shifted()], gids: vec![shifted()] });
                let joined =
                    JoinedContainer { id: "f".repeat(64), pid, user_namespace: own, hostname: String::from("other"), ..Default::default() };
                drop(facts.joined.insert(parts[0].to_owned(), joined));
            }
            "node" => facts.dev_nodes.push(node(&parts)),
            "device" => drop(facts.devices.insert(parts[0].to_owned(), device(&parts))),
            "resolv" => facts.resolv_conf = value.replace('|', "\n"),
            "hosts" => facts.hosts = value.replace('|', "\n"),
            "env" => drop(value.split_once('=').map(|(key, value)| self.outside.variables.insert(key.to_owned(), value.to_owned()))),
            "file" => drop(value.split_once(':').map(|(path, text)| self.outside.files.insert(path.to_owned(), text.replace('|', "\n")))),
            key => self.conf(key.strip_prefix("conf.").unwrap_or_else(|| panic!("unknown fact {word:?}")), value),
        }
    }

    /// Sets a key of containers.conf from its JSON.
    fn conf(&mut self, key: &str, value: &str) {
        let mut conf = serde_json::to_value(&self.facts.conf).unwrap();
        let known = conf.get_mut(key).unwrap_or_else(|| panic!("unknown key {key}"));
        *known = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
        self.facts.conf = serde_json::from_value(conf).unwrap();
    }
}

/// A rootful engine with every capability, on cgroup v2.
fn facts() -> HostFacts {
    let mut facts = HostFacts { hostname: String::from("host"), ..HostFacts::default() };
    facts.container.id = "0123456789abcdef".repeat(4);
    facts.container.name = String::from("web");
    facts.container.cgroup_parent = Some(String::from("/selkie"));
    facts.resolv_conf = String::from("nameserver 192.0.2.53\n");
    facts
}

fn rootless(facts: &mut HostFacts) {
    facts.own.rootless = true;
    facts.own.euid = 1000;
    facts.own.egid = 1000;
    facts.own.user_name = String::from("ann");
    facts.own.uid_map = vec![IdMap { container: 0, host: 1000, size: 1 }, IdMap { container: 1, host: 100_000, size: 65_536 }];
    facts.own.gid_map = facts.own.uid_map.clone();
    facts.container.cgroup_parent = None;
}

fn image(image: &mut ImageConfig, word: &str) {
    let (key, value) = word.split_once('=').unwrap();
    match key {
        "user" => image.user = value.to_owned(),
        "env" => image.env.push(value.to_owned()),
        "cmd" => image.cmd.push(value.to_owned()),
        "entrypoint" => image.entrypoint.push(value.to_owned()),
        "workdir" => image.working_dir = value.to_owned(),
        "volume" => image.volumes.push(value.to_owned()),
        "label" => {
            let (key, value) = value.split_once('=').unwrap();
            image.labels.insert(key.to_owned(), value.to_owned());
        }
        key => panic!("unknown key {key} of an image"),
    }
}

fn append(file: &mut Option<Vec<u8>>, line: &str) {
    let file = file.get_or_insert_default();
    file.extend_from_slice(line.as_bytes());
    file.push(b'\n');
}

/// The map of every user namespace that is joined.
fn shifted() -> IdMap {
    IdMap { container: 0, host: 100_000, size: 65536 }
}

/// `PATH:KIND:MAJOR:MINOR`.
fn node(parts: &[&str]) -> DeviceNode {
    let kind = if parts[1] == "b" { DeviceKind::Block } else { DeviceKind::Char };
    let (major, minor) = (parts[2].parse().unwrap(), parts[3].parse().unwrap());
    DeviceNode { path: parts[0].to_owned(), kind, major, minor, mode: 0o660, uid: 0, gid: 6 }
}

/// `PATH:KIND:MAJOR:MINOR`, `PATH:dir:NAME,NAME`, `PATH:file`.
fn device(parts: &[&str]) -> DevicePath {
    match parts[1] {
        "file" => DevicePath::Other,
        "dir" => DevicePath::Directory(
            (0..)
                .zip(parts[2].split(','))
                .map(|(minor, name)| {
                    let path = format!("{}/{name}", parts[0]);
                    DeviceNode { path, kind: DeviceKind::Char, major: 116, minor, mode: 0o660, uid: 0, gid: 29 }
                })
                .collect(),
        ),
        _ => DevicePath::Node(node(parts)),
    }
}

/// Splits a line as a shell does, with single and double quotes and `\n` in the latter.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (Some('"'), '\\') => match chars.next().unwrap() {
                'n' => word.get_or_insert_default().push('\n'),
                other => word.get_or_insert_default().push(other),
            },
            (Some(_), char) => word.get_or_insert_default().push(char),
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}
