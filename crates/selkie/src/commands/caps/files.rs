//! `selkie caps files`: programs with file capabilities or set-id bits, and what they give. getcap(8) that knows the container.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use selkie_caps::{Capability, Exec, File, FileCaps, Gain};
use selkie_engine::Container;
use selkie_engine::programs::{Attribute, Place, Program, Programs, programs};
use selkie_plan::Request;
use serde_json::{Value, json};

use crate::commands::members;
use crate::commands::subject::procfs;
use crate::context::Context;
use crate::ui::error::{Failure, warn};
use crate::ui::{out, table, template};

/// List programs with file capabilities or set-user-ID and set-group-ID bits, and what each would give.
///
/// An image is shown as a new container of it would see it, a container as it is (when it does not run: without
/// its volumes; of another engine only while it runs), and of the host a file, or a directory with everything beneath; such a path begins with / or ./.
///
/// AFTER EXEC is what execve(2) of the program does to a process with the container's user, bounding set and
/// no_new_privs. EPERM is a broken binary: it insists on capabilities that it cannot get.
///
/// Mounts of FUSE, NFS and the like are not looked into, and said to be so: whoever serves them could keep this waiting.
///
/// Examples:
///   selkie caps files web
///   selkie caps files centos --user 1000
///   selkie caps files /usr/bin --cap-drop all --format '{{.Path}} {{.Outcome}}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Files {
    /// Of an image or path: as if a container had this, too, as `run` takes it.
    #[arg(long, value_name = "CAP", allow_hyphen_values = true)]
    cap_add: Vec<String>,
    /// Of an image or path: as if a container lacked this.
    #[arg(long, value_name = "CAP", allow_hyphen_values = true)]
    cap_drop: Vec<String>,
    /// Print as `table`, `json`, or as a Go template, with `table ` before it as a table.
    #[arg(long, short = 'f')]
    format: Option<String>,
    /// Without the line of headings.
    #[arg(long)]
    noheading: bool,
    /// Who executes them, in place of the configured user.
    #[arg(long, short = 'u', value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// An image, a container, or a path of the host.
    #[arg(value_name = "IMAGE|CONTAINER|PATH")]
    subject: String,
}

impl Files {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (place, name) = self.place(context)?;
        let found = programs(&place, &name);
        said_once(&found);
        let view = View { roots: if place.own_ids { vec![0] } else { place.plan.namespaces.user.roots() }, place };
        let text = match self.format.as_deref() {
            Some(format) if format != "table" => {
                let values: Vec<Value> = found.found.iter().map(|program| view.value(program)).collect();
                template::list(format, "caps files", &values, &[], !self.noheading)?
            }
            _ => view.table(&found.found, !self.noheading),
        };
        out::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Finds what is meant; returns with it how its root is called.
    fn place(&self, context: &Context) -> Result<(Place, std::path::PathBuf), Failure> {
        let (engine, subject) = (&context.engine, self.subject.as_str());
        let is_path = matches!(subject, "." | "..") || ["/", "./", "../"].iter().any(|start| subject.starts_with(start));
        if is_path || subject == "host:" {
            let path = Path::new(if is_path { subject } else { "/" });
            return Ok((engine.look_into_path(path, self.request())?, path.to_path_buf()));
        }
        let root = Path::new("/").to_path_buf();
        match engine.store().find(subject) {
            Ok(_) if !self.cap_add.is_empty() || !self.cap_drop.is_empty() => Err(Failure::engine(
                "--cap-add and --cap-drop are for images and paths: a container has the capabilities that it was given",
            )),
            Ok(id) => {
                let container = Container::load(engine.store(), &id)?;
                Ok((engine.look_into_container(&container, self.user.as_deref())?, root))
            }
            Err(error @ selkie_engine::Error::Ambiguous { .. }) => Err(error.into()),
            Err(_) if engine.images().find(subject).is_err() => Ok((self.foreign(context)?, root)),
            Err(_) => Ok((engine.look_into_image(Request { image: Some(subject.to_owned()), ..self.request() })?, root)),
        }
    }

    /// Finds a container of another engine.
    fn foreign(&self, context: &Context) -> Result<Place, Failure> {
        let subject = &self.subject;
        let Some(found) = members::foreign(context, subject, &procfs()?)? else {
            return Err(
                Failure::engine(format!("no such container or image: {subject:?}")).with_hint("a path of the host begins with / or ./")
            );
        };
        let (engine, id) = (found.owner.engine, found.owner.short());
        if !self.cap_add.is_empty() || !self.cap_drop.is_empty() || self.user.is_some() {
            let text = format!("container {id} is of {engine}: --user, --cap-add and --cap-drop are for selkie's own, images and paths");
            return Err(Failure::engine(text));
        }
        let pid = found.pid.ok_or_else(|| Failure::engine(format!("container {id} of {engine} does not run: its files cannot be seen")))?;
        Ok(context.engine.look_into_process(pid)?)
    }

    fn request(&self) -> Request {
        let mut request = Request::default();
        let list = |names: &[String]| names.iter().flat_map(|names| selkie_plan::value::split_slice(names)).collect();
        request.security.cap_add = list(&self.cap_add);
        request.security.cap_drop = list(&self.cap_drop);
        request.process.user.clone_from(&self.user);
        request
    }
}

/// Says on standard error what is missing in the list.
fn said_once(found: &Programs) {
    if let Some((path, reason)) = &found.first_unseen {
        let first = path.display();
        match found.unseen {
            1 => warn(&format!("{first} could not be looked at: {reason}")),
            number => warn(&format!("{number} places could not be looked at, the first is {first}: {reason}")),
        }
    }
    if found.cut {
        warn(&format!("there are more than the {} programs listed", found.found.len()));
    }
}

/// Everything that turns a program into text.
struct View {
    place: Place,
    roots: Vec<u32>,
}

impl View {
    fn table(&self, programs: &[Program], heading: bool) -> String {
        let headings = ["PROGRAM", "SET-ID", "CAPABILITIES", "AFTER EXEC"].map(str::to_owned).to_vec();
        let row = |program: &Program| {
            let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
            vec![
                program.path.display().to_string(),
                dash(self.set_ids(program)),
                dash(attribute(&program.capabilities)),
                self.outcome(program),
            ]
        };
        let rows: Vec<Vec<String>> = heading.then_some(headings).into_iter().chain(programs.iter().map(row)).collect();
        table::layout(&rows)
    }

    fn value(&self, program: &Program) -> Value {
        let names = |set: selkie_caps::CapSet| set.iter().map(Capability::name).collect::<Vec<_>>();
        let (permitted, effective, missing) = match self.gain(program) {
            Ok(Gain::Holds { permitted, effective, .. }) => (names(permitted), names(effective), Vec::new()),
            Ok(Gain::Refused { missing }) => (Vec::new(), Vec::new(), names(missing)),
            _ => (Vec::new(), Vec::new(), Vec::new()),
        };
        let word = match self.gain(program) {
            Err(()) => "malformed",
            Ok(Gain::Refused { .. }) => "refused",
            Ok(Gain::Ignored(_)) => "ignored",
            Ok(Gain::Nothing) => "nothing",
            Ok(Gain::Holds { .. }) => "holds",
        };
        json!({
            "Path": program.path.display().to_string(),
            "Mode": format!("{:04o}", program.mode & 0o7777),
            "Uid": self.inside(program.owner).0,
            "Gid": self.inside(program.owner).1,
            "SetUserId": program.sets_user_id(),
            "SetGroupId": program.sets_group_id(),
            "FileCapabilities": attribute(&program.capabilities),
            "Nosuid": program.nosuid,
            "Result": word,
            "Outcome": self.outcome(program),
            "Permitted": permitted,
            "Effective": effective,
            "Missing": missing,
        })
    }

    fn set_ids(&self, program: &Program) -> String {
        let (user, group) = self.inside(program.owner);
        let number = |id: Option<u32>| id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let user = program.sets_user_id().then(|| format!("uid {}", number(user)));
        let group = program.sets_group_id().then(|| format!("gid {}", number(group)));
        user.into_iter().chain(group).collect::<Vec<_>>().join(" ")
    }

    fn outcome(&self, program: &Program) -> String {
        self.gain(program).map_or_else(|()| "EINVAL: the attribute is malformed".to_owned(), |gain| gain.to_string())
    }

    /// What executing it does; `Err` for an attribute that keeps it from being executed at all.
    fn gain(&self, program: &Program) -> Result<Gain, ()> {
        let capabilities: Option<FileCaps> = match &program.capabilities {
            Attribute::Missing => None,
            Attribute::Capabilities(capabilities) => Some(*capabilities),
            Attribute::Malformed(_) if program.nosuid => None,
            Attribute::Malformed(_) => return Err(()),
        };
        let (user, group) = self.inside(program.owner);
        // The kernel ignores both bits when one of the ids has no number inside: bprm_fill_uid.
        let mapped = user.is_some() && group.is_some();
        let file = File {
            owner: user.unwrap_or_default(),
            group: group.unwrap_or_default(),
            set_user_id: program.sets_user_id() && mapped,
            set_group_id: program.sets_group_id() && mapped,
            capabilities,
            nosuid: program.nosuid,
        };
        let process = &self.place.process;
        let exec = Exec { file, groups: &process.user.groups, namespace_roots: &self.roots, ..Exec::default() };
        Ok(exec.gain(&process.credentials()))
    }

    /// Owner and group as the container numbers them.
    fn inside(&self, (user, group): (u32, u32)) -> (Option<u32>, Option<u32>) {
        match self.place.plan.namespaces.user.maps().filter(|_| !self.place.own_ids) {
            None => (Some(user), Some(group)),
            Some(maps) => (maps.user_inside(user), maps.group_inside(group)),
        }
    }
}

/// As getcap(8) shows it, or why it cannot be shown.
fn attribute(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Missing => String::new(),
        Attribute::Capabilities(capabilities) => capabilities.to_string(),
        Attribute::Malformed(why) => format!("malformed: {why}"),
    }
}
