//! The rules as functions: one subject in, findings out. One topic a file.

mod capabilities;
mod escapes;
mod mounts;
mod walls;

pub(crate) use self::mounts::clean;

use selkie_caps::{CapSet, Capability};

use crate::subject::{Basis, Engine};
use crate::{Change, Finding, Fix, Place, Rule, Setting, Severity, Subject};

/// What a learned profile proves of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Name of the profile.
    pub profile: String,
    /// The image that it was learned of.
    pub image: Option<String>,
    /// The digest of that image's manifest.
    pub digest: Option<String>,
    /// The capabilities that are needed.
    pub needs: CapSet,
}

/// Lists what is wrong with `subject`, worst first; `learned` are the profiles that there are.
///
/// The order of equal severities is that of the file.
#[must_use]
pub fn check(subject: &Subject, learned: &[Learned]) -> Vec<Finding> {
    let mut findings = Findings { subject, list: Vec::new() };
    capabilities::check(&mut findings, learned);
    walls::flag(&mut findings);
    // Nothing is said of what is not known.
    if subject.basis != Basis::Stopped {
        walls::check(&mut findings);
        mounts::check(&mut findings);
        escapes::check(&mut findings);
    }
    let mut list = findings.list;
    list.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.place));
    list
}

/// What is found so far.
struct Findings<'a> {
    subject: &'a Subject,
    list: Vec<Finding>,
}

impl Findings<'_> {
    /// Adds a finding with the severity of its rule.
    fn add(&mut self, rule: Rule, message: impl Into<String>, place: Option<Place>, fix: Fix) -> &mut Finding {
        self.list.push(Finding {
            rule,
            severity: rule.severity(),
            subject: self.subject.name.clone(),
            message: message.into(),
            capability: None,
            place: place.or(self.subject.place),
            file: None,
            fix,
            accepted: None,
        });
        // Something was pushed just now.
        #[expect(clippy::unwrap_used, reason = "pushed in the line above")]
        self.list.last_mut().unwrap()
    }

    /// Makes what acts through capabilities one step less bad within an own user namespace.
    fn by_users(&self, severity: Severity) -> Severity {
        if self.subject.has_own_users() { severity.less() } else { severity }
    }
}

impl Finding {
    fn with(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    fn of(&mut self, capability: Capability) -> &mut Self {
        self.capability = Some(capability);
        self
    }
}

impl Fix {
    /// In words only.
    fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Fix::default() }
    }

    /// The item at `place` goes.
    fn remove(text: impl Into<String>, place: Option<Place>) -> Self {
        Self { text: text.into(), changes: place.map(|place| Change::Remove { place }).into_iter().collect(), ..Self::default() }
    }

    /// The items at all these places go.
    fn remove_all(text: impl Into<String>, places: impl IntoIterator<Item = Place>) -> Self {
        let changes = places.into_iter().map(|place| Change::Remove { place }).collect();
        Self { text: text.into(), changes, ..Self::default() }
    }

    /// The truth value at `place` becomes `value`.
    fn truth(text: impl Into<String>, place: Option<Place>, value: bool) -> Self {
        let change = |place| Change::Replace { place, value: Setting::Truth(value) };
        Self { text: text.into(), changes: place.map(change).into_iter().collect(), ..Self::default() }
    }

    /// The word at `place` becomes `value`.
    fn word(text: impl Into<String>, place: Option<Place>, value: &str) -> Self {
        let change = |place| Change::Replace { place, value: Setting::Text(value.to_owned()) };
        Self { text: text.into(), changes: place.map(change).into_iter().collect(), ..Self::default() }
    }
}

/// The words in which `engine` says something, and the change of a file that says it.
#[derive(Clone, Copy)]
enum Wish {
    NoNewPrivileges,
    DefaultFilter,
    NonRoot,
    ReadOnlyRoot,
}

/// Returns how to get `wish`; without a change where no file of the engine says it.
fn wish(subject: &Subject, wish: Wish) -> Fix {
    let set = |text: &str, path: &[&'static str], value: Setting| {
        let change = |within| Change::Set { within, path: path.to_vec(), value };
        Fix { text: text.to_owned(), changes: subject.place.map(change).into_iter().collect(), ..Fix::default() }
    };
    let context = "securityContext";
    match (wish, subject.engine) {
        (Wish::NoNewPrivileges, Engine::Kubernetes) => {
            set("allowPrivilegeEscalation: false", &[context, "allowPrivilegeEscalation"], Setting::Truth(false))
        }
        (Wish::NoNewPrivileges, Engine::Docker) => {
            let item = "no-new-privileges:true".to_owned();
            let change = |within| Change::Append { within, path: vec!["security_opt"], item };
            Fix {
                text: "security_opt: [no-new-privileges:true]".to_owned(),
                changes: subject.place.map(change).into_iter().collect(),
                ..Fix::default()
            }
        }
        (Wish::NoNewPrivileges, Engine::Podman) if is_quadlet(subject) => {
            set("NoNewPrivileges=true", &["Container", "NoNewPrivileges"], Setting::Truth(true))
        }
        // Nothing is asked of containers.conf that it does not say: the value is there to be changed.
        (Wish::NoNewPrivileges, Engine::Podman) => {
            Fix::truth("no_new_privileges = true", subject.no_new_privileges.as_ref().and_then(|flag| flag.place), true)
        }
        (Wish::NoNewPrivileges, Engine::Oci) => set("noNewPrivileges: true", &["process", "noNewPrivileges"], Setting::Truth(true)),
        (Wish::NoNewPrivileges, Engine::Lxc) => set("lxc.no_new_privs = 1", &["", "lxc.no_new_privs"], Setting::Text("1".to_owned())),
        (Wish::NoNewPrivileges, Engine::Nspawn) => set("NoNewPrivileges=yes", &["Exec", "NoNewPrivileges"], Setting::Truth(true)),
        (Wish::NoNewPrivileges, Engine::Other) => Fix::words("--security-opt no-new-privileges"),
        (Wish::DefaultFilter, Engine::Kubernetes) => {
            let value = Setting::Text("RuntimeDefault".to_owned());
            set("seccompProfile: {type: RuntimeDefault}", &[context, "seccompProfile", "type"], value)
        }
        (Wish::DefaultFilter, _) => Fix::words("leave the filter to the engine's own profile"),
        (Wish::NonRoot, Engine::Kubernetes) => set("runAsNonRoot: true", &[context, "runAsNonRoot"], Setting::Truth(true)),
        (Wish::NonRoot, Engine::Docker) => Fix::words("user: \"1000\""),
        (Wish::NonRoot, Engine::Podman) => Fix::words("User=1000"),
        (Wish::NonRoot, _) => Fix::words("name a user other than root"),
        (Wish::ReadOnlyRoot, Engine::Kubernetes) => {
            set("readOnlyRootFilesystem: true", &[context, "readOnlyRootFilesystem"], Setting::Truth(true))
        }
        (Wish::ReadOnlyRoot, Engine::Docker) => Fix::words("read_only: true"),
        (Wish::ReadOnlyRoot, Engine::Podman) => Fix::words("ReadOnly=true"),
        (Wish::ReadOnlyRoot, _) => Fix::words("mount the root file system read-only"),
    }
}

/// containers.conf speaks of all containers, and a Quadlet file of one.
fn is_quadlet(subject: &Subject) -> bool {
    !is_conf(subject)
}

fn is_conf(subject: &Subject) -> bool {
    subject.engine == Engine::Podman && subject.name == "containers.conf"
}
