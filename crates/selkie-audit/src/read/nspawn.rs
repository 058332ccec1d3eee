//! systemd.nspawn(5).

use selkie_caps::{CapSet, Capability};

use super::{Reading, stem};
use crate::subject::{Engine, Mount, Namespace};
use crate::unit::{self, Setting};
use crate::{FileType, Located, ReadError, Subject};

/// What systemd-nspawn gives when nothing is said: systemd-nspawn(1), `--capability=`.
const DEFAULTS: [Capability; 26] = [
    Capability::AuditControl,
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::IpcOwner,
    Capability::Kill,
    Capability::Lease,
    Capability::LinuxImmutable,
    Capability::Mknod,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysChroot,
    Capability::SysNice,
    Capability::SysPtrace,
    Capability::SysResource,
    Capability::SysTtyConfig,
];

pub(super) fn read(reading: &mut Reading, name: &str) -> Result<Vec<Subject>, ReadError> {
    let settings = reading.units()?;
    if !["Exec", "Files", "Network"].iter().any(|section| unit::has_section(reading.source, section)) && !settings.is_empty() {
        let problem = "there is no section [Exec], [Files] or [Network]".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::Nspawn, problem, place: reading.source.place(0, 0) });
    }
    let place = settings.first().map(Setting::place);
    reading.subject = stem(name);
    let defaults = DEFAULTS.into_iter().fold(CapSet::EMPTY, CapSet::with);
    let mut subject = Subject { name: stem(name), engine: Engine::Nspawn, place, defaults, ..Subject::default() };
    // Not said is not known: `systemd-nspawn@.service` adds `-U` and `--network-veth`, the bare command does not.
    let (mut network, mut is_private) = (None, false);
    for setting in &settings {
        let value = &setting.value;
        let words = || {
            setting.words(reading.source).into_iter().flat_map(|word| {
                let place = word.place;
                word.value.split(',').map(|part| Located { value: part.trim().to_owned(), place }).collect::<Vec<_>>()
            })
        };
        match (setting.section.as_str(), setting.key.value.as_str()) {
            ("Exec", "Capability") => subject.added.extend(words()),
            ("Exec", "DropCapability") => subject.dropped.extend(words()),
            ("Exec", "NoNewPrivileges") => subject.no_new_privileges = truth(value),
            ("Exec", "User") => subject.user = Some(value.clone()),
            ("Exec", "PrivateUsers") => {
                let own = unit::truth(&value.value) != Some(false) && value.value != "identity";
                subject.own_users = Some(Located { value: own, place: value.place });
            }
            ("Files", "ReadOnly") => subject.read_only_root = truth(value),
            ("Files", "Bind" | "BindReadOnly") => {
                let mut mount = bind(&value.value);
                mount.read_only = setting.key.value == "BindReadOnly";
                subject.mounts.push(Located { value: mount, place: value.place });
            }
            ("Network", "Private" | "VirtualEthernet") if unit::truth(&value.value) == Some(false) => {
                network = Some(Located { value: Namespace::Network, place: value.place });
            }
            ("Network", "Private" | "VirtualEthernet" | "Bridge" | "Interface" | "MACVLAN" | "IPVLAN" | "Zone") => is_private = true,
            _ => {}
        }
    }
    subject.host_namespaces.extend(network.filter(|_| !is_private));
    Ok(vec![subject])
}

fn truth(value: &Located<String>) -> Option<Located<bool>> {
    unit::truth(&value.value).map(|truth| Located { value: truth, place: value.place })
}

/// `[+]SOURCE[:TARGET[:OPTIONS]]`.
fn bind(text: &str) -> Mount {
    let mut parts = text.trim_start_matches('+').split(':');
    let source = parts.next().unwrap_or_default().to_owned();
    let target = parts.next().unwrap_or(&source).to_owned();
    Mount { of_host: !source.is_empty(), source, target, ..Mount::default() }
}
