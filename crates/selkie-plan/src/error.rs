//! Why a request cannot become a plan. Texts are Podman's where Podman has one.

use thiserror::Error;

/// Everything that can be wrong with a request, an image or the facts of a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A flag or value that Podman has and this version does not.
    #[error("{flag}: not supported yet")]
    NotSupportedYet {
        /// The flag, with the value when only that value is not supported.
        flag: String,
    },

    // Capabilities.
    /// A name that is no capability of this kernel.
    #[error("{name:?}: unknown capability")]
    UnknownCapability {
        /// Normalised name.
        name: String,
    },
    /// `all` both added and dropped.
    #[error("adding all caps and removing all caps not allowed")]
    AllAddedAndDropped,
    /// A capability both added and dropped.
    #[error("capability {name:?} cannot be dropped and added")]
    AddedAndDropped {
        /// Normalised name.
        name: String,
    },
    /// A bad name in `--cap-add` on the path of a user that is not root.
    #[error("capabilities requested by user are not valid: {names:?}")]
    UserCapabilities {
        /// What the user wrote, joined.
        names: String,
        /// Which name and why.
        source: Box<PlanError>,
    },
    /// A bad name in the label `io.containers.capabilities`.
    #[error("capabilities requested by user or image are not valid: \"\"")]
    LabelCapabilities {
        /// Which name and why.
        source: Box<PlanError>,
    },
    /// `exec --cap-add` above the container's bounding set.
    #[error("capability {name:?} is not in the bounding set of the container")]
    BeyondContainer {
        /// Normalised name.
        name: String,
    },

    /// `exec --privileged --cap-add` above what the engine has.
    #[error("capability {name:?} is not in the bounding set of the engine")]
    BeyondEngine {
        /// Normalised name.
        name: String,
    },

    // Users.
    /// A name that the image's passwd file does not have.
    #[error("unable to find user {user}: no matching entries in passwd file")]
    UnknownUser {
        /// As written.
        user: String,
    },
    /// A name that the image's group file does not have.
    #[error("unable to find group {group}: no matching entries in group file")]
    UnknownGroup {
        /// As written.
        group: String,
    },
    /// An id outside of the range.
    #[error("uids and gids must be in range 0-2147483647: found {id:?}")]
    IdRange {
        /// As written.
        id: String,
    },
    /// The image's passwd or group file is longer than we read.
    #[error("{file} of the image is not usable: {problem}")]
    AccountFile {
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An id that the container's user namespace does not map.
    #[error("cannot use {kind} {id}: it is not mapped in the container's user namespace")]
    UnmappedId {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The id.
        id: u32,
    },

    // The process.
    /// Neither an image nor a root file system.
    #[error("requires at least 1 arg(s), only received 0")]
    NoImage,
    /// Neither a command nor an entrypoint.
    #[error("no command or entrypoint provided, and no CMD or ENTRYPOINT from image")]
    NoCommand,
    /// `exec` without a command.
    #[error("must provide a non-empty command to start an exec session: invalid argument")]
    NoExecCommand,
    /// A working directory that is not absolute.
    #[error("the working directory {path:?} is invalid, it needs to be an absolute path")]
    WorkingDirectory {
        /// As written.
        path: String,
    },
    /// A string with a NUL or a newline where the kernel or a file format allows none.
    #[error("{what} {value:?} has a character that is not allowed there")]
    ForbiddenCharacter {
        /// Which flag or field.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// `--env` with an empty name.
    #[error("invalid environment variable: {text:?}")]
    Environment {
        /// As written.
        text: String,
    },
    /// `--label` with an empty key.
    #[error("unable to process labels: invalid label format: {text:?}")]
    LabelFormat {
        /// As written.
        text: String,
    },
    /// `--annotation` without a value.
    #[error("annotations must be formatted KEY=VALUE")]
    AnnotationFormat {
        /// As written.
        text: String,
    },
    /// `--umask`.
    #[error("running container create option: invalid umask string {text}: invalid argument")]
    Umask {
        /// As written.
        text: String,
    },
    /// `--stop-signal`.
    #[error("invalid signal: {text}")]
    Signal {
        /// As written.
        text: String,
    },
    /// `--tz`.
    #[error("running container create option: stat {path}: no such file or directory")]
    Timezone {
        /// The zone's file of the host.
        path: String,
    },
    /// `--name`.
    #[error("running container create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument")]
    Name {
        /// As written.
        text: String,
    },
    /// `--replace` alone.
    #[error("cannot replace container without --name being set")]
    ReplaceWithoutName,
    /// A flag with a value that is not among the possible ones.
    #[error("invalid value {value:?} for {flag}: expected {expected}")]
    Choice {
        /// The flag.
        flag: &'static str,
        /// As written.
        value: String,
        /// The possible ones.
        expected: &'static str,
    },
    /// `--cpu-period`.
    #[error("CPU cfs period cannot be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000): found {period}")]
    CpuPeriod {
        /// As given, in microseconds.
        period: u64,
    },
    /// A flag whose number is none.
    #[error("invalid argument {value:?} for {flag:?} flag: strconv.{function}: parsing {value:?}: {problem}")]
    Number {
        /// The flag.
        flag: &'static str,
        /// As written.
        value: String,
        /// The Go function whose text scripts know.
        function: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two flags that exclude each other.
    #[error("{first} and {second} cannot be set together")]
    Conflict {
        /// One flag.
        first: &'static str,
        /// The other flag.
        second: &'static str,
    },
    /// `--restart`.
    #[error("running container create option: {text:?} is not a valid restart policy: invalid argument")]
    RestartPolicy {
        /// As written.
        text: String,
    },
    /// `--restart on-failure:X`.
    #[error("parsing restart policy retry count: strconv.Atoi: parsing {text:?}: invalid syntax")]
    RestartRetries {
        /// As written.
        text: String,
    },
    /// `--restart always:3`.
    #[error("restart policy retries can only be specified with on-failure restart policy")]
    RestartRetriesPolicy,
    /// `--rm` together with `--restart`.
    #[error("the --rm option conflicts with --restart, when the restartPolicy is not \"\" and \"no\"")]
    RestartAndRemove,
    /// `--pull`.
    #[error("unsupported pull policy {text:?}")]
    PullPolicy {
        /// As written.
        text: String,
    },
    /// `--log-driver`.
    #[error("running container create option: invalid log driver: invalid argument")]
    LogDriver {
        /// As written.
        text: String,
    },
    /// `--attach`.
    #[error("invalid stream {text:?} for --attach - must be one of stdin, stdout, or stderr: invalid argument")]
    AttachStream {
        /// As written.
        text: String,
    },
    /// `--image-volume`.
    #[error("invalid image volume mode {text:?} required value: anonymous, tmpfs, ignore")]
    ImageVolume {
        /// As written.
        text: String,
    },
    /// `--init` without a PID namespace of its own.
    #[error("cannot add init binary as PID 1 (PID namespace isn't private)")]
    InitNeedsPidNamespace,
    /// `--log-opt` without a value.
    #[error("invalid log option {text:?}")]
    LogOption {
        /// As written.
        text: String,
    },
    /// `--cgroups`.
    #[error("running container create option: invalid cgroup mode {text:?}: invalid argument")]
    CgroupMode {
        /// As written.
        text: String,
    },
    /// `--env-file` that cannot be read.
    #[error("parsing env file {path:?}: open {path}: {problem}")]
    EnvFile {
        /// As written.
        path: String,
        /// The system's words.
        problem: String,
    },
    /// `--mount U=X`.
    #[error("'U' or 'chown' must be set to true or false, instead received {value:?}: must provide an argument for option")]
    MountGive {
        /// As written.
        value: String,
    },
    /// `--env-file` with a line that is no variable.
    #[error("parsing env file {path:?}")]
    EnvFileLine {
        /// As written.
        path: String,
        /// What is wrong with the line.
        source: Box<PlanError>,
    },
    /// `--label-file` that cannot be read.
    #[error("unable to process labels: open {path}: {problem}")]
    LabelFile {
        /// As written.
        path: String,
        /// The system's words.
        problem: String,
    },

    // Sizes and limits.
    /// A size that is none.
    #[error("{context}: invalid size: '{text}'")]
    Size {
        /// Podman's words for the flag.
        context: &'static str,
        /// As written.
        text: String,
    },
    /// `--ulimit`.
    #[error("ulimit option {text:?} requires name=SOFT:HARD, failed to be parsed: {problem}")]
    Ulimit {
        /// As written.
        text: String,
        /// Podman's words.
        problem: String,
    },
    /// A hard limit above ours, which we cannot raise.
    #[error("cannot set --ulimit {resource}={soft}:{hard}: our own hard limit is {ours} and raising it needs CAP_SYS_RESOURCE")]
    LimitAboveOwn {
        /// Resource.
        resource: String,
        /// Soft limit.
        soft: String,
        /// Hard limit.
        hard: String,
        /// Our own hard limit.
        ours: String,
    },
    /// `--memory-swappiness`.
    #[error("invalid value: {value}, valid memory swappiness range is 0-100")]
    Swappiness {
        /// As written.
        value: i64,
    },
    /// `--memory-swap` alone.
    #[error("you should always set a memory limit when using a memoryswap limit, see usage")]
    SwapWithoutMemory,
    /// `--memory-swap` below `--memory`.
    #[error("minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapBelowMemory,
    /// `--oom-score-adj`.
    #[error("invalid value {value} for --oom-score-adj: the range is -1000 to 1000")]
    OomScore {
        /// As written.
        value: i64,
    },
    /// Processors or memory nodes that the host does not have.
    #[error("requested {what} are not available - requested {asked}, available: {available}")]
    NotAvailable {
        /// `CPUs` or `memory nodes`.
        what: &'static str,
        /// As written.
        asked: String,
        /// The host's.
        available: String,
    },
    /// A limit was asked for and there is no cgroup that could hold it.
    #[error("cannot set {flag}: {problem}")]
    NoCgroup {
        /// The flag.
        flag: String,
        /// Why there is none.
        problem: &'static str,
    },

    // Namespaces.
    /// A namespace mode that does not exist.
    #[error("unrecognized namespace mode {mode} passed")]
    NamespaceMode {
        /// As written.
        mode: String,
    },
    /// `--userns private` without a map.
    #[error("must provide at least one UID or GID mapping to configure a user namespace")]
    NoIdMap,
    /// `--uidmap` or `--gidmap`.
    #[error("initializing ID mappings: {kind} setting is malformed expected [\"uint32:uint32:uint32\"]: [{text:?}]")]
    IdMap {
        /// `UID` or `GID`.
        kind: &'static str,
        /// As written.
        text: String,
    },
    /// An option of `--userns auto`.
    #[error("{problem} option specified: {option:?}")]
    AutoOption {
        /// `invalid` or `unknown`.
        problem: &'static str,
        /// As written.
        option: String,
    },
    /// `--userns auto` where all ids are taken, or there are none.
    #[error("creating container storage: not enough unused IDs in user namespace")]
    NotEnoughIds {
        /// How many ranges of ids there are.
        ranges: usize,
    },
    /// `--userns auto` with an image that needs very many ids.
    #[error("the container needs a user namespace with size {size} that is bigger than the maximum value allowed with userns=auto {most}")]
    TooManyIds {
        /// How many it needs.
        size: u32,
        /// How many it may have.
        most: u32,
    },
    /// `--userns` beside a map.
    #[error("--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive")]
    UsernsAndMaps,
    /// A mode that only rootless engines have.
    #[error("{mode} is only supported in rootless mode")]
    RootlessOnly {
        /// The mode.
        mode: &'static str,
    },
    /// A namespace of a container that is not there.
    #[error("no container with name or ID {name:?} found: no such container")]
    NoContainer {
        /// As written.
        name: String,
    },
    /// An IPC namespace that its container keeps to itself.
    #[error("joining IPC of container {id} is not allowed: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")]
    IpcNotShareable {
        /// The container that has it.
        id: String,
    },
    /// A namespace of a container that does not run.
    #[error("cannot join the {kind} namespace of container {name:?}: it is not running")]
    NotRunning {
        /// Which namespace.
        kind: &'static str,
        /// As written.
        name: String,
    },
    /// A namespace file that is not there.
    #[error("cannot find specified {kind} namespace path: stat {path}: no such file or directory")]
    NamespacePath {
        /// Which namespace.
        kind: &'static str,
        /// As written.
        path: String,
    },
    /// `--hostname` with a host's UTS namespace.
    #[error("invalid config provided: cannot set hostname when running in the host UTS namespace: invalid configuration")]
    HostnameOfHost,

    // Sysctls.
    /// `--sysctl` without `=`.
    #[error("{text} is invalid, sysctl values must be in the form of KEY=VALUE")]
    SysctlFormat {
        /// As written.
        text: String,
    },
    /// Blanks around the `=`.
    #[error("'{text}' is invalid, extra spaces found")]
    SysctlSpaces {
        /// As written.
        text: String,
    },
    /// A setting that is not namespaced.
    #[error("sysctl '{key}' is not allowed")]
    SysctlNotAllowed {
        /// The key.
        key: String,
    },
    /// A setting of a namespace that is the host's.
    #[error("sysctl {key}={value} can't be set since {namespace} Namespace set to host: invalid argument")]
    SysctlOfHost {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// `Network`, `IPC` or `UTS`.
        namespace: &'static str,
    },

    // Mounts.
    /// `--volume` with too many or too few parts.
    #[error("{text}: incorrect volume format, should be [host-dir:]ctr-dir[:option]")]
    VolumeFormat {
        /// As written.
        text: String,
    },
    /// `--volume :/x`.
    #[error("host directory cannot be empty")]
    EmptySource,
    /// `--volume /x:`.
    #[error("container directory cannot be empty")]
    EmptyDestination,
    /// A destination that is not absolute.
    #[error("invalid container path {path:?}, must be an absolute path")]
    RelativeDestination {
        /// As written.
        path: String,
    },
    /// A destination that nothing can be mounted on.
    #[error("invalid container path {path:?}: the root of the container cannot be a mount of its own")]
    RootDestination {
        /// As written.
        path: String,
    },
    /// Two mounts for one place.
    #[error("{path}: duplicate mount destination")]
    DuplicateDestination {
        /// The place.
        path: String,
    },
    /// A bind mount of nothing.
    #[error("statfs {path}: no such file or directory")]
    NoSource {
        /// As written.
        path: String,
    },
    /// A mount option that does not exist.
    #[error("invalid option type {option:?}")]
    MountOption {
        /// As written.
        option: String,
    },
    /// Options that exclude each other.
    #[error("invalid options {options:?}, can only specify 1 {choice}")]
    MountOptionConflict {
        /// Those given, joined by `, `.
        options: String,
        /// Of which only one may be given.
        choice: &'static str,
    },
    /// `--tmpfs` with an option that does not exist.
    #[error("unknown mount option {option:?}: invalid mount option")]
    TmpfsOption {
        /// As written.
        option: String,
    },
    /// `--tmpfs` with options that exclude each other.
    #[error("only one of '{one}' and '{other}' can be used: duplicate mount option passed")]
    TmpfsOptionConflict {
        /// One option.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// `--mount ...,ro=X`.
    #[error("'readonly', 'ro', or 'rw' must be set to true or false, instead received {value:?}: must provide an argument for option")]
    MountSwitch {
        /// As written.
        value: String,
    },
    /// `--mount` without a type or a list.
    #[error("incorrect mount format: should be --mount type=<bind|tmpfs|volume>,[src=<host-dir|volume-name>,]target=<ctr-dir>[,options]")]
    MountFormat {
        /// As written.
        text: String,
    },
    /// `--mount type=X`.
    #[error("invalid filesystem type {kind:?}")]
    MountType {
        /// As written.
        kind: String,
    },
    /// `--mount` without a target.
    #[error("must set volume destination")]
    NoDestination,
    /// `--mount` with a key that does not exist for its type.
    #[error("{option}: invalid mount option")]
    MountKey {
        /// As written.
        option: String,
    },

    // Devices.
    /// `--device` with too many parts.
    #[error("invalid device specification: {text}")]
    DeviceFormat {
        /// As written.
        text: String,
    },
    /// Letters that are not among `rwm`.
    #[error("invalid device mode: {mode}")]
    DeviceMode {
        /// As written.
        mode: String,
    },
    /// A device that is not there.
    #[error("stat {path}: no such file or directory")]
    NoDevice {
        /// As written.
        path: String,
    },
    /// A path that is no device.
    #[error("{path}: not a device node")]
    NotADevice {
        /// As written.
        path: String,
    },
    /// A device in a place that is not beneath `/dev`.
    #[error("invalid device specification: {text}: the path in the container must be beneath /dev")]
    DevicePlace {
        /// As written.
        text: String,
    },
    /// `--device-cgroup-rule`.
    #[error("invalid device cgroup rule requires type, major:Minor, and access rules: {text:?}")]
    CgroupRule {
        /// As written.
        text: String,
    },
    /// `--device-cgroup-rule` for something else than `a`, `b` and `c`.
    #[error("invalid device type in device-access-add: {kind}")]
    CgroupRuleType {
        /// As written.
        kind: String,
    },
    /// Device rules where they cannot be enforced.
    #[error("device cgroup rules are not supported in rootless mode or in a user namespace")]
    CgroupRuleRootless,

    // Security options.
    /// An option without a value.
    #[error("invalid --security-opt 1: {text:?}")]
    SecurityOptValue {
        /// As written.
        text: String,
    },
    /// An option that does not exist.
    #[error("invalid --security-opt 2: {text:?}")]
    SecurityOptName {
        /// As written.
        text: String,
    },
    /// An AppArmor profile without AppArmor.
    #[error("apparmor profile {profile:?} specified, but Apparmor is not enabled on this system")]
    NoApparmor {
        /// The profile.
        profile: String,
    },
    /// `--seccomp-policy X`.
    #[error("invalid seccomp policy {text:?}: valid policies are [\"default\" \"image\"]")]
    SeccompPolicy {
        /// As written.
        text: String,
    },
    /// `--seccomp-policy image` and the image has none.
    #[error("no seccomp policy defined by image")]
    NoSeccompInImage,

    // Names.
    /// `--add-host` without a colon.
    #[error("bad format for add-host: {text:?}")]
    AddHost {
        /// As written.
        text: String,
    },
    /// `--add-host` with something that is no address.
    #[error("invalid IP address in add-host: {address:?}")]
    AddHostAddress {
        /// As written.
        address: String,
    },
    /// `--dns` with something that is no address.
    #[error("{text} is not an ip address")]
    Dns {
        /// As written.
        text: String,
    },
    /// `--no-hosts` together with `--add-host`.
    #[error("--no-hosts and --add-host cannot be set together")]
    NoHostsAndAddHost,
}

impl PlanError {
    /// Returns the exit code of `run`: 126 for what Podman finds only when it starts the process, else 125.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownUser { .. } | Self::UnknownGroup { .. } | Self::IdRange { .. } | Self::UnmappedId { .. } => 126,
            _ => 125,
        }
    }

    /// Returns what the user can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownCapability { .. } => Some(String::from("`selkie caps list` prints all names")),
            Self::BeyondContainer { .. } => {
                Some(String::from("start the container with this --cap-add, or give --privileged to this exec"))
            }
            Self::LimitAboveOwn { resource, ours, .. } => Some(format!("--ulimit {resource}={ours}:{ours} is the most that works here")),
            Self::NotEnoughIds { ranges: 0 } => Some(String::from(
                "no ranges for user \"containers\" in /etc/subuid or /etc/subgid; for example containers:2147483647:2147483648",
            )),
            Self::NotEnoughIds { .. } => {
                Some(String::from("remove containers, or give user \"containers\" more in /etc/subuid and /etc/subgid"))
            }
            Self::NoIdMap => Some(String::from("add --uidmap 0:100000:65536 --gidmap 0:100000:65536")),
            Self::RootDestination { .. } => Some(String::from("--rootfs PATH runs another root file system")),
            _ => None,
        }
    }
}
