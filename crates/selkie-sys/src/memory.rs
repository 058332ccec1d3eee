//! Gives memory back that a long-lived process used only at its start: malloc_trim(3), madvise(2).

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

/// Returns free heap pages to the kernel, and lets go of the pages of the running program that are not needed right now.
///
/// Only pages that are exactly as in the program's file are dropped; the kernel reads them again when they are touched. A
/// program file cannot change while it runs (`ETXTBSY`).
pub fn release() {
    // SAFETY: malloc_trim only gives back pages that the allocator owns and does not use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (start, length) in clean_program_pages(&maps) {
        // SAFETY: the range is a private mapping of the program's own file without a page of its own (`Anonymous: 0 kB`) that is
        // not writable, so whatever is read there again is what is there now.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
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
";

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
