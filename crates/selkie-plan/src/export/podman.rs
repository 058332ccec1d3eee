//! One `podman run` command line: podman-run(1).

use super::{Notes, Source, shell};

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let request = source.subject.request;
    let mut words = vec!["podman".to_owned(), "run".to_owned()];
    for flag in &source.flags {
        if flag.name == "security-opt" && flag.text().starts_with("nested-userns") {
            notes.unplaced(flag);
        } else {
            words.push(flag.word());
        }
    }
    words.extend(capabilities(source));
    if request.rootfs.is_some() {
        words.push("--rootfs".to_owned());
    }
    let image = match &request.rootfs {
        Some(rootfs) => rootfs,
        None => source.image(notes),
    };
    words.push(image.to_owned());
    words.extend(request.command.iter().cloned());
    format!("{}\n", shell::shell_words(&words))
}

/// Returns the flags of the proven set.
pub(super) fn capabilities(source: &Source<'_>) -> Vec<String> {
    let names = source.short_names();
    let add = (!names.is_empty()).then(|| format!("--cap-add={}", names.join(",")));
    ["--cap-drop=all".to_owned()].into_iter().chain(add).collect()
}
