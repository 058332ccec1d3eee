//! From a kept record to a [`Call`], and from many alike to one.

use std::collections::BTreeMap;
use std::path::Path;

use selkie_learn::{Call, Check, Detail};

use super::detail;
use super::kinds::{self, Kind};
use super::layout::{self, COMPAT, Denial, NO_CALL};
use crate::argument::file_capabilities;
use crate::symbols::Symbols;

/// What is known of a container beside its records.
pub(super) struct Surroundings<'a> {
    /// Its root directory.
    pub(super) root: Option<&'a std::os::fd::OwnedFd>,
    /// Functions by address.
    pub(super) symbols: &'a Symbols,
    /// Addresses by the hash of the stack.
    pub(super) stacks: &'a BTreeMap<u64, Vec<u64>>,
}

impl Surroundings<'_> {
    /// Says what a record means.
    pub(super) fn call(&self, record: &layout::Call) -> Call {
        let compat = record.nr != NO_CALL && record.nr & COMPAT != 0;
        // A worker makes no call; what it was told to do is not known here.
        let syscall = if record.nr == NO_CALL { "worker".to_owned() } else { kinds::name(record.nr & !COMPAT, compat) };
        let kind = if compat { Kind::Nothing } else { Kind::of(&syscall) };
        let mut detail = detail::of(record, kind);
        if matches!(syscall.as_str(), "execve" | "execveat") && record.result == -1 {
            detail = self.program(detail);
        }
        let mut arguments = record.arguments;
        arguments.iter_mut().skip(kinds::arguments(&syscall)).for_each(|beyond| *beyond = 0);
        Call {
            at: record.at,
            pid: record.pid,
            comm: record.comm.clone(),
            program: record.program.clone(),
            syscall,
            arguments,
            detail,
            result: record.result,
            denied: record.denied.iter().filter_map(|denial| self.check(*denial)).collect(),
            credentials: record.credentials,
            count: 1,
        }
    }

    /// Returns the functions of a stack by its hash.
    pub(super) fn stack(&self, hash: u64) -> Vec<String> {
        self.stacks.get(&hash).map(|addresses| self.symbols.stack(addresses)).unwrap_or_default()
    }

    fn check(&self, denial: Denial) -> Option<Check> {
        let (flags, stack) = (layout::flags(denial.flags), self.stack(denial.stack));
        Some(Check { capability: denial.capability()?, denied: true, flags, stack })
    }

    /// Looks whether the program that was refused has file capabilities. The path is the container's, and so is what is there.
    fn program(&self, detail: Detail) -> Detail {
        let Detail::Path { path, .. } = &detail else { return detail };
        let found = self.root.filter(|_| path.starts_with('/')).and_then(|root| file_capabilities(root, Path::new(path)));
        let Some(found) = found else { return detail };
        Detail::Program {
            path: path.clone(),
            capabilities: Some(found.to_string()),
            permitted: found.permitted(),
            effective: found.effective(),
        }
    }
}

/// Makes one of calls that are alike in everything but time, process, and addresses of their memory.
pub(super) fn merge(calls: Vec<Call>) -> Vec<Call> {
    let mut merged: Vec<Call> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        let mut alike = Call { at: 0, pid: 0, count: 1, ..call.clone() };
        for place in Kind::of(&call.syscall).pointers() {
            if let Some(argument) = alike.arguments.get_mut(*place) {
                *argument = 0;
            }
        }
        let place = places.entry(format!("{alike:?}")).or_insert(merged.len());
        match merged.get_mut(*place) {
            Some(first) => first.count = first.count.saturating_add(call.count),
            None => merged.push(call),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(pid: u32, path: &str, pointer: u64) -> Call {
        let detail = Detail::Path { path: path.to_owned(), other: None };
        Call { pid, syscall: "chown".to_owned(), arguments: [pointer, 1, 2, 0, 0, 0], detail, result: -1, count: 1, ..Call::default() }
    }

    #[test]
    fn calls_alike_but_for_process_and_pointers_become_one() {
        let merged = merge(vec![call(1, "/a", 100), call(2, "/a", 200), call(1, "/b", 100)]);
        assert_eq!(merged, [Call { count: 2, ..call(1, "/a", 100) }, call(1, "/b", 100)]);
    }
}
