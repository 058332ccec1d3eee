//! Gives memory back that a long-lived process used only at its start: malloc_trim(3), madvise(2).
//! Or makes it present at once that is about to be used.

use std::mem::MaybeUninit;

/// Makes allocations from a few pages on mappings of their own, which go back to the kernel as soon as they are freed.
///
/// For a process that needs much at its start and little for the rest of a long life.
pub fn keep_heap_small() {
    // SAFETY: mallopt changes a number of the allocator, before anything else of this process depends on it.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 8192);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8192);
        libc::mallopt(libc::M_TOP_PAD, 0);
    }
}

/// Makes the pages of `memory` present in one call, which takes half as long as a fault for each when it is touched first. Nothing else
/// changes. On a kernel that does not know how (before Linux 5.14) they are made as ever.
pub fn populate<T>(memory: &mut [MaybeUninit<T>]) {
    let range = memory.as_mut_ptr_range();
    let start = range.start.addr().next_multiple_of(4096);
    let length = range.end.addr().saturating_sub(start) & !4095;
    if length > 0 {
        // SAFETY: the range is within `memory`, which nobody else uses; MADV_POPULATE_WRITE leaves what is written there as it is.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_POPULATE_WRITE) };
    }
}

/// Returns free heap pages and the unused part of the stack to the kernel, and lets go of the pages of the running program that are
/// not needed right now.
///
/// Of the program only pages that are exactly as in its file are dropped; the kernel reads them again when they are touched. A
/// program file cannot change while it runs (`ETXTBSY`).
pub fn release() {
    // SAFETY: malloc_trim only gives back pages that the allocator owns and does not use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let (ranges, stack) = {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let mut ranges = [(0, 0); 4];
        ranges.iter_mut().zip(clean_program_pages(&maps)).for_each(|(range, found)| *range = found);
        (ranges, stack(&maps))
    };
    release_stack(stack);
    // Last, so that little code is left that has to be mapped again.
    for (start, length) in ranges {
        // SAFETY: the range is a private mapping of the program's own file without a page of its own (`Anonymous: 0 kB`) that is
        // not writable, so whatever is read there again is what is there now; nothing is done where there is none.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Drops the pages of `stack` that earlier calls have used and nobody uses now; nothing when the caller runs on another one.
#[inline(never)]
fn release_stack(stack: Option<(usize, usize)>) {
    /// What is left alone beneath this local: the rest of this frame, the red zone, and the call of madvise(2). A signal that comes
    /// meanwhile puts its frame on fresh pages.
    const NEAR: usize = 1024;
    let here = 0_u8;
    let here = (&raw const here).addr();
    let end = here.saturating_sub(NEAR) & !4095;
    let Some((lowest, _)) = stack.filter(|(lowest, highest)| *lowest < end && here < *highest) else { return };
    // SAFETY: the range is the part of this thread's stack that is well below its lowest frame, which has a few words: this
    // function is not inlined. Nothing alive is there, and what is pushed there later finds zeros.
    unsafe { libc::madvise(lowest as *mut libc::c_void, end - lowest, libc::MADV_DONTNEED) };
}

/// Finds the mapping of the first thread's stack.
fn stack(smaps: &str) -> Option<(usize, usize)> {
    let line = smaps.lines().find(|line| line.ends_with(" [stack]"))?;
    let (lowest, rest) = line.split_once('-')?;
    let (highest, _) = rest.split_once(' ')?;
    Some((usize::from_str_radix(lowest, 16).ok()?, usize::from_str_radix(highest, 16).ok()?))
}

/// Finds the mappings of the program's file that are not writable and have not been changed (relocations would be lost).
fn clean_program_pages(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current: Option<(usize, usize)> = None;
    let mut program: Option<(String, String)> = None;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [range, permissions, _, device, inode, ..] if range.contains('-') && permissions.len() == 4 => {
                // The first mapping is the program's own; a static program maps no other file.
                let file = ((*device).to_owned(), (*inode).to_owned());
                let is_program = *inode != "0" && *program.get_or_insert_with(|| file.clone()) == file;
                current = range.split_once('-').filter(|_| is_program && permissions.as_bytes().get(1) == Some(&b'-')).and_then(
                    |(start, end)| {
                        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
                        Some((start, end.checked_sub(start)?))
                    },
                );
            }
            ["Anonymous:", "0", "kB"] => found.extend(current.take()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn populate_leaves_what_is_there() {
        let mut memory: Vec<u32> = (0..10_000).collect();
        memory.reserve(100_000);
        for spare in [memory.spare_capacity_mut(), &mut []] {
            populate(spare);
        }
        assert_eq!(memory, (0..10_000).collect::<Vec<_>>());
    }

    const SMAPS: &str = "\
1000-2000 r--p 00000000 fe:00 77 /x
Anonymous:             0 kB
2000-5000 r-xp 00001000 fe:00 77 /x
Anonymous:             0 kB
5000-6000 r--p 00004000 fe:00 77 /x
Anonymous:             4 kB
6000-7000 rw-p 00005000 fe:00 77 /x
Anonymous:             0 kB
8000-9000 r--p 00000000 00:00 0 [vvar]
Anonymous:             0 kB
9000-a000 r-xp 00000000 fe:00 78 /other
Anonymous:             0 kB
b000-d000 rw-p 00000000 00:00 0                          [stack]
Anonymous:             8 kB
";

    #[test]
    fn stack_is_found_by_its_name() {
        assert_eq!((stack(SMAPS), stack("")), (Some((0xb000, 0xd000)), None));
    }

    #[test]
    fn only_unchanged_pages_of_the_program_are_found() {
        assert_eq!(clean_program_pages(SMAPS), [(0x1000, 0x1000), (0x2000, 0x3000)]);
    }

    #[test]
    fn release_leaves_the_program_running() {
        release();
        assert_eq!(clean_program_pages(""), []);
    }
}
