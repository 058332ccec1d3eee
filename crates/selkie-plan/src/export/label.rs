//! The label that an image names its capabilities with: a line of a Containerfile.

use super::{Notes, Source, shell};

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let flags: Vec<String> = source.flags.iter().map(|flag| shell::quote(&flag.word())).collect();
    if !flags.is_empty() {
        notes.say(format!("a label holds the capabilities alone; these stay flags: {}", flags.join(" ")));
    }
    if !source.subject.request.command.is_empty() {
        notes.say("the command is not part of the label: `CMD` sets it");
    }
    notes.say("the label is what a container gets at most; flags of its user go before it. Docker and Kubernetes do not read it");
    format!("LABEL io.containers.capabilities=\"{}\"\n", source.names().join(","))
}
