//! Files of `/proc`, of which a process chooses parts: its name, its cgroup, what is mounted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_host::{Stat, Status, cgroup, idmap, mountinfo};

fuzz_target!(|bytes: &[u8]| {
    let _ = (Status::parse(bytes), Stat::parse(bytes), cgroup::parse(bytes), idmap::parse(bytes), mountinfo::parse(bytes));
});
