//! The fields that Podman's structs have and its JSON leaves out when they are empty: a template may ask for them all the same.
//!
//! Nothing here is what a container or image has; a field that is in neither of these tables nor in the JSON is an error.

use serde_json::{Value, json};

use crate::ui::template::Null;

/// Lists and tables: where they are `null`, a template sees empty ones.
const LISTS: [&str; 23] = [
    "AdditionalMACAddresses",
    "AdditionalMacAddresses",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "BoundingCaps",
    "ChrootDirs",
    "Cmd",
    "CreateCommand",
    "Dependencies",
    "EffectiveCaps",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "Links",
    "Log",
    "Mounts",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
    "Secrets",
    "VolumesFrom",
];
const TABLES: [&str; 5] = ["CgroupConf", "Config", "ExposedPorts", "Labels", "Volumes"];

/// What `null` in a field of this name means.
pub(super) fn null(field: &str) -> Null {
    match field {
        field if LISTS.contains(&field) => Null::List,
        field if TABLES.contains(&field) => Null::Table,
        _ => Null::Nothing,
    }
}

/// Adds to an object for a template what Podman knows of it and does not print.
pub(super) fn complete(mut object: Value) -> Value {
    let is_container = object.get("HostConfig").is_some();
    add(&mut object, if is_container { container() } else { image() });
    object
}

fn add(object: &mut Value, known: Value) {
    let (Value::Object(object), Value::Object(known)) = (object, known) else { return };
    for (name, value) in known {
        match object.get_mut(&name) {
            Some(there) if value.is_object() => add(there, value),
            Some(_) => {}
            None => {
                object.insert(name, value);
            }
        }
    }
}

/// Go's names of fields are taken as well where JSON has others.
fn container() -> Value {
    let health = || json!({"Status": "", "FailingStreak": 0, "Log": null});
    json!({
        "LockNumber": 0,
        "OCIConfigPath": "",
        "SizeRootFs": 0,
        "SizeRw": null,
        "UseImageHostname": false,
        "UseImageHosts": false,
        "State": {
            "CheckpointLog": "",
            "CheckpointPath": "",
            "Health": health(),
            "Healthcheck": health(),
            "RestoreLog": "",
            "Restored": false,
        },
        "NetworkSettings": {
            "AdditionalMACAddresses": null,
            "AdditionalMacAddresses": null,
            "SecondaryIPAddresses": null,
            "SecondaryIPv6Addresses": null,
        },
        "Config": {
            "ChrootDirs": null,
            "DomainName": "",
            "ExposedPorts": null,
            "HealthLogDestination": "",
            "HealthMaxLogCount": 0,
            "HealthMaxLogSize": 0,
            "Healthcheck": null,
            "HealthcheckOnFailureAction": "",
            "SdNotifyMode": "container",
            "SdNotifySocket": "",
            "Secrets": null,
            "StartupHealthCheck": null,
            "SystemdMode": false,
            "Timezone": "",
            "sdNotifySocket": "",
        },
        "HostConfig": {
            "AutoRemoveImage": false,
            "HostsFile": "",
            "IDMappings": null,
            "IntelRdtClosID": "",
        },
    })
}

fn image() -> Value {
    json!({
        "HealthCheck": null,
        "Healthcheck": null,
        "Config": {
            "ArgsEscaped": false,
            "Cmd": null,
            "Entrypoint": null,
            "Env": null,
            "ExposedPorts": null,
            "Healthcheck": null,
            "Labels": null,
            "StopSignal": "",
            "User": "",
            "Volumes": null,
            "WorkingDir": "",
        },
    })
}
