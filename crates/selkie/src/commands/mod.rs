//! The verbs, one file each. A verb's arguments only validate; what is done is in the engine.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Command, Subcommand};

use crate::cli::Globals;
use crate::ui::error::Failure;

mod attach;
mod audit;
mod caps;
mod completion;
mod create;
mod demo;
mod doctor;
mod enforce;
mod exec;
mod exists;
mod export;
mod hidden;
mod image_exists;
pub(crate) mod images;
mod import;
mod info;
pub(crate) mod init;
mod inspect;
mod kill;
mod learn;
mod load;
mod logs;
mod many;
mod members;
mod observe;
mod pause;
mod port;
mod privileged;
mod processes;
mod profile;
mod prune;
pub(crate) mod ps;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod running;
mod start;
mod stop;
mod subject;
mod tag;
mod top;
pub(crate) mod unsupported;
mod untag;
mod version;
mod wait;
mod why;

/// Declares the verbs once: the enum and its dispatch.
macro_rules! verbs {
    ($($(#[$attribute:meta])* $variant:ident($module:ident :: $arguments:ident),)*) => {
        /// A verb with its arguments.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $($(#[$attribute])* $variant(Box<$module::$arguments>),)*
            /// A verb of Podman that is not there yet.
            #[command(external_subcommand)]
            Other(Vec<OsString>),
        }

        impl Verb {
            /// Returns the command line of the verb `name` alone; `None` for hidden and unknown verbs.
            ///
            /// All verbs together have some four hundred flags, and building them takes longer than most verbs do.
            pub(crate) fn command(name: &str) -> Option<Command> {
                $(if stringify!($variant).eq_ignore_ascii_case(name) {
                    return Some($module::$arguments::augment_args(Command::new(name.to_owned())));
                })*
                None
            }

            /// Does what the verb says.
            pub(crate) fn run(self, globals: &Globals) -> Result<ExitCode, Failure> {
                // What looks only at itself works where no configuration can be read, as inside a container.
                let alone = match &self {
                    Self::Audit(arguments) => arguments.alone(globals),
                    Self::Caps(arguments) => arguments.alone(),
                    Self::Privileged(arguments) => arguments.alone(),
                    Self::Observe(arguments) => Some(arguments.alone(globals)),
                    Self::Workload(arguments) => Some(arguments.serve()),
                    _ => None,
                };
                if let Some(done) = alone {
                    return done;
                }
                match self {
                    $(Self::$variant(arguments) => arguments.run(&globals.context()?),)*
                    Self::Other(words) => unsupported::run(&words),
                }
            }
        }
    };
}

verbs! {
    Attach(attach::Attach),
    Audit(audit::Audit),
    Caps(caps::Caps),
    Completion(completion::Completion),
    /// The verbs of containers under their longer names, `container ls`
    Container(hidden::Group),
    Create(create::Create),
    Demo(demo::Demo),
    Doctor(doctor::Doctor),
    Exec(exec::Exec),
    Export(export::Export),
    /// The verbs of images under their longer names, `image ls`
    Image(hidden::Group),
    Images(images::Images),
    Import(import::Import),
    Info(info::Info),
    Inspect(inspect::Inspect),
    Kill(kill::Kill),
    Learn(learn::Learn),
    Load(load::Load),
    Logs(logs::Logs),
    Observe(observe::Observe),
    Pause(pause::Pause),
    Port(port::Port),
    Privileged(privileged::Privileged),
    Profile(profile::ProfileVerb),
    Ps(ps::Ps),
    Rename(rename::Rename),
    Restart(restart::Restart),
    Rm(rm::Rm),
    Rmi(rmi::Rmi),
    Run(run::Run),
    Start(start::Start),
    Stop(stop::Stop),
    Tag(tag::Tag),
    Top(top::Top),
    Unpause(pause::Unpause),
    Untag(untag::Untag),
    Version(version::Version),
    Wait(wait::Wait),
    Why(why::Why),
    #[command(name = "__watch", hide = true)]
    Watch(hidden::Watch),
    #[command(name = "__demo", hide = true)]
    Workload(demo::Workload),
    #[command(name = "__container-prune", hide = true, override_usage = "selkie container prune [OPTIONS]")]
    ContainerPrune(prune::ContainerPrune),
    #[command(name = "__cleanup", hide = true)]
    Cleanup(hidden::Cleanup),
    #[command(name = "__trial", hide = true)]
    Trial(hidden::Trial),
    #[command(name = "__restart", hide = true)]
    RestartAgain(hidden::RestartAgain),
    #[command(name = "__container-exists", hide = true)]
    ContainerExists(exists::ContainerExists),
    #[command(name = "__image-exists", hide = true)]
    ImageExists(image_exists::ImageExists),
    #[command(name = "__group-help", hide = true)]
    GroupHelp(hidden::GroupHelp),
}
