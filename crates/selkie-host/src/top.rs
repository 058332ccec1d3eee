//! The columns of `top`: one process and a *descriptor*, the name of a column, give a cell. Pure; names and forms are psgo's.
//!
//! Numbers are as the container sees them, names are from the container's own files; descriptors that begin with `h` are this
//! machine's view of the same.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Accounts, IdMap, Stat, Status, TICKS_A_SECOND, idmap};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// What the user writes.
    pub name: &'static str,
    /// What `ps -o` of AIX writes, for example `%u`; empty where it has none.
    pub aix: &'static str,
    /// The heading.
    pub heading: &'static str,
    cell: fn(&Process, &World) -> String,
}

/// What is known of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number on this machine.
    pub pid: u32,
    /// From `status`.
    pub status: Status,
    /// From `stat`.
    pub stat: Stat,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// From `cmdline`, words ended by NUL.
    pub command_line: Vec<u8>,
    /// From `attr/current`: what a security module calls it.
    pub label: Vec<u8>,
}

/// What cells need beside the process itself.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Names in the container.
    pub accounts: Accounts,
    /// Names on this machine.
    pub host_accounts: Accounts,
    /// The container's user ids.
    pub uids: Vec<IdMap>,
    /// The container's group ids.
    pub gids: Vec<IdMap>,
    /// Numbers on this machine to numbers in the container, of every process shown.
    pub inner: HashMap<u32, u32>,
    /// How long this machine is up.
    pub uptime: Duration,
    /// Seconds since 1970.
    pub now: u64,
    /// Bytes of a page.
    pub page_size: u64,
}

macro_rules! descriptors {
    ($($name:literal $aix:literal $heading:literal $cell:expr;)*) => {
        /// Every descriptor, in alphabetical order.
        pub const DESCRIPTORS: [Descriptor; [$($name),*].len()] =
            [$(Descriptor { name: $name, aix: $aix, heading: $heading, cell: $cell }),*];
    };
}

descriptors! {
    "args" "%a" "COMMAND" |process, _| command_line(process);
    "capamb" "" "AMBIENT CAPS" |process, _| process.status.sets.ambient.psgo().to_string();
    "capbnd" "" "BOUNDING CAPS" |process, _| process.status.sets.bounding.psgo().to_string();
    "capeff" "" "EFFECTIVE CAPS" |process, _| process.status.sets.effective.psgo().to_string();
    "capinh" "" "INHERITED CAPS" |process, _| process.status.sets.inheritable.psgo().to_string();
    "capprm" "" "PERMITTED CAPS" |process, _| process.status.sets.permitted.psgo().to_string();
    "comm" "%c" "COMMAND" |process, _| String::from_utf8_lossy(&process.stat.name).into_owned();
    "etime" "%t" "ELAPSED" |process, world| go_duration(elapsed(process, world));
    "gid" "" "GID" |process, world| inside(&world.gids, process.status.gids[1]).to_string();
    "group" "%g" "GROUP" |process, world| group(world, process.status.gids[1]);
    "groups" "" "GROUPS" |process, world| list(&process.groups, |id| group(world, id));
    "hgroup" "" "HGROUP" |process, world| host_group(world, process.status.gids[1]);
    "hgroups" "" "HGROUPS" |process, world| list(&process.groups, |id| host_group(world, id));
    "hpid" "" "HPID" |process, _| process.pid.to_string();
    "huid" "" "HUID" |process, _| process.status.uids[1].to_string();
    "huser" "" "HUSER" |process, world| host_user(world, process.status.uids[1]);
    "label" "" "LABEL" |process, _| label(process);
    "nice" "%n" "NI" |process, _| process.stat.nice.to_string();
    "pcpu" "%C" "%CPU" |process, world| percent(process, world);
    "pgid" "%r" "PGID" |process, world| inner(world, process.stat.group);
    "pid" "%p" "PID" |process, _| process.status.inner_pid.unwrap_or(process.pid).to_string();
    "ppid" "%P" "PPID" |process, world| inner(world, process.status.parent);
    "rgroup" "%G" "RGROUP" |process, world| group(world, process.status.gids[0]);
    "rss" "" "RSS" |process, world| (process.stat.resident_pages.saturating_mul(world.page_size) / 1024).to_string();
    "ruser" "%U" "RUSER" |process, world| user(world, process.status.uids[0]);
    "seccomp" "" "SECCOMP" |process, _| seccomp(process);
    "state" "" "STATE" |process, _| char::from(process.stat.state).to_string();
    "stime" "" "STIME" |process, world| date(world.now.saturating_sub(elapsed(process, world).as_secs()));
    "time" "%x" "TIME" |process, _| go_duration(Duration::from_secs(ticks(process) / TICKS_A_SECOND));
    "tty" "%y" "TTY" |process, _| terminal(process.stat.terminal);
    "uid" "" "UID" |process, world| inside(&world.uids, process.status.uids[1]).to_string();
    "user" "%u" "USER" |process, world| user(world, process.status.uids[1]);
    "vsz" "%z" "VSZ" |process, _| (process.stat.virtual_size / 1024).to_string();
}

/// What `top` shows without being asked.
pub const DEFAULT: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

impl Descriptor {
    /// Finds a descriptor by either of its names.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        // Podman's manual calls these so.
        let name = match name {
            "elapsed" => "etime",
            "command" => "args",
            other => other,
        };
        DESCRIPTORS.into_iter().find(|known| known.name == name || !known.aix.is_empty() && known.aix == name)
    }

    /// Returns the text of its cell. It may hold anything: names are the container's.
    #[must_use]
    pub fn cell(&self, process: &Process, world: &World) -> String {
        (self.cell)(process, world)
    }
}

/// Prints a duration as Go does: `1h2m3.5s`, `0s`.
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos > 0 {
        let (unit, divisor) = match nanos {
            1_000_000.. => ("ms", 1_000_000),
            1_000.. => ("µs", 1_000),
            _ => ("ns", 1),
        };
        let digits = divisor.to_string().len() - 1;
        let fraction = format!("{:0digits$}", nanos % divisor);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || divisor == 1 { String::new() } else { format!(".{fraction}") };
        return format!("{}{point}{unit}", nanos / divisor);
    }
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}{point}s"),
        (0, _) => format!("{minutes}m{rest}{point}s"),
        _ => format!("{hours}h{minutes}m{rest}{point}s"),
    }
}

/// A moment as Go prints it: `2006-01-02 15:04:05 +0000 UTC`.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in whole cycles of 400 years: the calendar repeats after 146097 days.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = cycle * 400 + year + carry;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} +0000 UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

fn ticks(process: &Process) -> u64 {
    process.stat.user_time.saturating_add(process.stat.system_time)
}

fn elapsed(process: &Process, world: &World) -> Duration {
    // In whole milliseconds: a clock tick is ten of them.
    world.uptime.saturating_sub(Duration::from_millis(process.stat.start_time.saturating_mul(1000 / TICKS_A_SECOND)))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage with three digits")]
fn percent(process: &Process, world: &World) -> String {
    let elapsed = elapsed(process, world).as_secs_f64();
    let used = ticks(process) as f64 / TICKS_A_SECOND as f64;
    if elapsed > 0.0 { format!("{:.3}", 100.0 * used / elapsed) } else { "0.000".to_owned() }
}

fn command_line(process: &Process) -> String {
    let line = process.command_line.strip_suffix(b"\0").unwrap_or(&process.command_line);
    if line.is_empty() {
        return format!("[{}]", String::from_utf8_lossy(&process.stat.name));
    }
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ")
}

fn label(process: &Process) -> String {
    let text = String::from_utf8_lossy(&process.label);
    let text = text.trim_matches(['\0', '\n']);
    if text.is_empty() { "?".to_owned() } else { text.to_owned() }
}

fn seccomp(process: &Process) -> String {
    match process.status.seccomp {
        Some(1) => "strict",
        Some(2) => "filter",
        Some(0) | None => "disabled",
        Some(_) => "unknown",
    }
    .to_owned()
}

/// The number of a process of the container; 0 for one outside of it, as the container itself sees it.
fn inner(world: &World, pid: u32) -> String {
    world.inner.get(&pid).copied().unwrap_or(0).to_string()
}

/// Ids of another user namespace; without a map they are the same.
fn inside(maps: &[IdMap], id: u32) -> u32 {
    if maps.is_empty() { id } else { idmap::inside(maps, id).unwrap_or(65534) }
}

fn user(world: &World, id: u32) -> String {
    let id = inside(&world.uids, id);
    world.accounts.user(id).map_or_else(|| id.to_string(), str::to_owned)
}

fn group(world: &World, id: u32) -> String {
    let id = inside(&world.gids, id);
    world.accounts.group(id).map_or_else(|| id.to_string(), str::to_owned)
}

fn host_user(world: &World, id: u32) -> String {
    world.host_accounts.user(id).map_or_else(|| id.to_string(), str::to_owned)
}

fn host_group(world: &World, id: u32) -> String {
    world.host_accounts.group(id).map_or_else(|| id.to_string(), str::to_owned)
}

fn list(ids: &[u32], name: impl Fn(u32) -> String) -> String {
    ids.iter().map(|id| name(*id)).collect::<Vec<_>>().join(",")
}

/// The name of a terminal from its device number: `Documentation/admin-guide/devices.txt`.
fn terminal(device: u32) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match (major, minor) {
        (0, 0) => "?".to_owned(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, ..64) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".to_owned(),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        let status = "Name:\tsleep\nState:\tS\nPPid:\t400\nUid:\t100000\t100033\t0\t0\nGid:\t100000\t100033\t0\t0\nNSpid:\t421\t7\n\
            CapInh:\t0000000000000000\nCapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t000001ffffffffff\n\
            CapAmb:\t0000000000000000\nSeccomp:\t2\n";
        let stat = "421 (sleep) S 400 421 9 34816 8 0 1 2 3 4 150 60 0 0 20 -5 1 0 500 2048 3 0";
        Process {
            pid: 421,
            status: Status::parse(status.as_bytes()).unwrap(),
            stat: Stat::parse(stat.as_bytes()).unwrap(),
            groups: vec![100_033, 100_004],
            command_line: [&b"sleep"[..], b"100", b""].join(&0),
            label: b"unconfined\0".to_vec(),
        }
    }

    fn world() -> World {
        let map = IdMap { inside: 0, outside: 100_000, count: 65_536 };
        World {
            accounts: Accounts::parse(b"root:x:0:0::/:\nwww:x:33:33::/:\n", b"root:x:0:\nweb:x:33:\n"),
            host_accounts: Accounts::parse(b"sub:x:100033:1::/:\n", b""),
            uids: vec![map],
            gids: vec![map],
            inner: HashMap::from([(421, 7), (400, 1)]),
            uptime: Duration::from_millis(65_500),
            now: 1_000_000,
            page_size: 4096,
        }
    }

    #[test]
    fn cells_of_every_descriptor() {
        let (process, world) = (process(), world());
        let cells: Vec<(&str, String)> =
            DESCRIPTORS.iter().map(|descriptor| (descriptor.name, descriptor.cell(&process, &world))).collect();
        let wanted = [
            ("args", "sleep 100"),
            ("capamb", "none"),
            ("capbnd", "full"),
            ("capeff", "SETGID,SETUID"),
            ("capinh", "none"),
            ("capprm", "SETGID,SETUID"),
            ("comm", "sleep"),
            ("etime", "1m0.5s"),
            ("gid", "33"),
            ("group", "web"),
            ("groups", "web,4"),
            ("hgroup", "100033"),
            ("hgroups", "100033,100004"),
            ("hpid", "421"),
            ("huid", "100033"),
            ("huser", "sub"),
            ("label", "unconfined"),
            ("nice", "-5"),
            ("pcpu", "3.471"),
            ("pgid", "7"),
            ("pid", "7"),
            ("ppid", "1"),
            ("rgroup", "root"),
            ("rss", "12"),
            ("ruser", "root"),
            ("seccomp", "filter"),
            ("state", "S"),
            ("stime", "1970-01-12 13:45:40 +0000 UTC"),
            ("time", "2s"),
            ("tty", "pts/0"),
            ("uid", "33"),
            ("user", "www"),
            ("vsz", "2"),
        ];
        let shown: Vec<(&str, &str)> = cells.iter().map(|(name, cell)| (*name, cell.as_str())).collect();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn command_line_of_a_process_without_one_is_its_name() {
        assert_eq!(command_line(&Process { command_line: Vec::new(), ..process() }), "[sleep]");
    }

    #[test]
    fn find_takes_both_names() {
        assert_eq!(Descriptor::find("%u").unwrap().name, "user");
        assert_eq!(Descriptor::find("capeff").unwrap().heading, "EFFECTIVE CAPS");
        assert!(Descriptor::find("").is_none());
        assert!(DEFAULT.into_iter().all(|name| Descriptor::find(name).is_some()));
    }

    #[test]
    fn go_duration_of_each_unit() {
        let text = [0, 1, 1_500, 2_500_000, 1_000_000_000, 61_500_000_000, 3_723_000_000_000]
            .map(|nanos| go_duration(Duration::from_nanos(nanos)));
        assert_eq!(text, ["0s", "1ns", "1.5µs", "2.5ms", "1s", "1m1.5s", "1h2m3s"]);
    }

    #[test]
    fn date_of_leap_days_and_centuries() {
        let text = [0, 951_782_400, 1_709_164_800, 4_107_542_399].map(date);
        let wanted = ["1970-01-01 00:00:00", "2000-02-29 00:00:00", "2024-02-29 00:00:00", "2100-02-28 23:59:59"];
        assert_eq!(text.map(|text| text.replace(" +0000 UTC", "")), wanted);
    }

    #[test]
    fn terminal_of_each_kind() {
        assert_eq!([0, 34816, 1025, 1088, 1281].map(terminal), ["?", "pts/0", "tty1", "ttyS0", "console"]);
    }
}
