//! Flags of `run` and `create`.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};
use selkie_plan::value::{parse_annotation, parse_label, parse_name, parse_sysctl};
use selkie_plan::{PlanError, Request};

use super::device::DeviceFlags;
use super::lifecycle::LifecycleFlags;
use super::limits::LimitFlags;
use super::mount::MountFlags;
use super::namespace::NamespaceFlags;
use super::network::NetworkFlags;
use super::outside::Outside;
use super::process::ProcessFlags;
use super::security::SecurityFlags;
use super::switch::switch;

/// Runs a command in a new container.
#[derive(Clone, Debug, Default, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub struct RunFlags {
    /// Run in the background and print the container's id.
    #[arg(long, short = 'd', num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub detach: Option<bool>,
    /// Keys that detach the terminal.
    #[arg(long, allow_hyphen_values = true)]
    pub detach_keys: Option<String>,
    /// Pass signals on to the process (default true).
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub sig_proxy: Option<bool>,
    /// Print the plan and run nothing; as the runtime's own configuration with =spec.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "text", value_enum)]
    pub dry_run: Option<DryRun>,
    /// The container.
    #[command(flatten)]
    pub container: ContainerFlags,
}

/// Makes a container and does not start it.
#[derive(Clone, Debug, Default, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub struct CreateFlags {
    /// Print the plan and make nothing; as the runtime's own configuration with =spec.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "text", value_enum)]
    pub dry_run: Option<DryRun>,
    /// The container.
    #[command(flatten)]
    pub container: ContainerFlags,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DryRun {
    /// For people.
    Text,
    /// The plan itself, as JSON.
    Json,
    /// The OCI runtime specification.
    Spec,
}

/// What `run` and `create` have in common.
#[derive(Clone, Debug, Default, Args)]
pub struct ContainerFlags {
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Name of the container.
    #[arg(long, allow_hyphen_values = true)]
    pub name: Option<String>,
    /// Label KEY[=VALUE].
    #[arg(long, short = 'l', allow_hyphen_values = true)]
    pub label: Vec<String>,
    /// File of labels.
    #[arg(long, allow_hyphen_values = true)]
    pub label_file: Vec<String>,
    /// Annotation KEY=VALUE.
    #[arg(long, allow_hyphen_values = true)]
    pub annotation: Vec<String>,
    /// Kernel setting KEY=VALUE of the container's own namespaces.
    #[arg(long, allow_hyphen_values = true)]
    pub sysctl: Vec<String>,
    /// The first word is not an image but the path of a root file system.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch)]
    pub rootfs: Option<bool>,
    /// The first process.
    #[command(flatten)]
    pub process: ProcessFlags,
    /// Privileges.
    #[command(flatten)]
    pub security: SecurityFlags,
    /// Namespaces.
    #[command(flatten)]
    pub namespaces: NamespaceFlags,
    /// Mounts.
    #[command(flatten)]
    pub mounts: MountFlags,
    /// Devices.
    #[command(flatten)]
    pub devices: DeviceFlags,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Names and name service.
    #[command(flatten)]
    pub network: NetworkFlags,
    /// Around the container.
    #[command(flatten)]
    pub lifecycle: LifecycleFlags,
    /// Image, command and its words.
    #[arg(value_name = "IMAGE COMMAND", trailing_var_arg = true)]
    pub words: Vec<String>,
}

impl RunFlags {
    /// Returns what is asked for.
    ///
    /// # Errors
    /// Podman's texts for values that are not valid.
    pub fn request(&self, outside: &impl Outside) -> Result<Request, PlanError> {
        let mut request = self.container.request(outside)?;
        request.lifecycle.detach = self.detach.unwrap_or(false);
        request.lifecycle.detach_keys.clone_from(&self.detach_keys);
        request.lifecycle.sig_proxy = self.sig_proxy;
        Ok(request)
    }
}

impl CreateFlags {
    /// Returns what is asked for.
    ///
    /// # Errors
    /// Podman's texts for values that are not valid.
    pub fn request(&self, outside: &impl Outside) -> Result<Request, PlanError> {
        self.container.request(outside)
    }
}

impl ContainerFlags {
    /// Returns what is asked for.
    ///
    /// # Errors
    /// Podman's texts for values that are not valid.
    pub fn request(&self, outside: &impl Outside) -> Result<Request, PlanError> {
        let mut words = self.words.iter().cloned();
        let first = words.next().filter(|word| !word.is_empty()).ok_or(PlanError::NoImage)?;
        let is_rootfs = self.rootfs.unwrap_or(false);
        let name = self.name.as_deref().filter(|name| !name.is_empty()).map(parse_name).transpose()?;
        let lifecycle = self.lifecycle.request()?;
        if lifecycle.replace && name.is_none() {
            return Err(PlanError::ReplaceWithoutName);
        }
        Ok(Request {
            image: (!is_rootfs).then(|| first.clone()),
            rootfs: is_rootfs.then_some(first),
            command: words.collect(),
            name,
            labels: self.labels(outside)?,
            annotations: self.annotation.iter().map(|text| parse_annotation(text)).collect::<Result<_, _>>()?,
            process: self.process.request(outside)?,
            security: self.security.request()?,
            namespaces: self.namespaces.request(outside)?,
            mounts: self.mounts.request(outside)?,
            devices: self.devices.request()?,
            limits: self.limits.request()?,
            sysctls: super::switch::list(&self.sysctl).iter().map(|text| parse_sysctl(text)).collect::<Result<_, _>>()?,
            network: self.network.request()?,
            lifecycle,
        })
    }

    fn labels(&self, outside: &impl Outside) -> Result<BTreeMap<String, String>, PlanError> {
        let mut labels = BTreeMap::new();
        for path in &self.label_file {
            let content = outside.read(path).map_err(|problem| PlanError::LabelFile { path: path.clone(), problem })?;
            for line in content.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                labels.extend([parse_label(line)?]);
            }
        }
        for text in &self.label {
            labels.extend([parse_label(text)?]);
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use selkie_plan::value::RestartPolicy;
    use selkie_plan::{Lifecycle, LogDriver, PullPolicy, Stream};

    use super::*;

    struct Nothing;

    impl Outside for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
        fn variables(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn directory(&self) -> String {
            String::from("/")
        }
        fn read(&self, _: &str) -> Result<String, String> {
            Err(String::from("no such file or directory"))
        }
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunFlags,
    }

    fn request(words: &str) -> Result<Request, PlanError> {
        Line::try_parse_from(std::iter::once("run").chain(words.split(' '))).unwrap().run.request(&Nothing)
    }

    #[test]
    fn run_lifecycle_is_what_the_flags_say() {
        let words = "-d --rmi --restart on-failure:3 --pull always -q --cidfile c --pidfile p --log-driver json-file \
                     --log-opt max-size=1m -a stdin,stdout --detach-keys ctrl-a --sig-proxy=false --stop-timeout 5 --timeout 9 \
                     --platform linux/arm64 --tls-verify=false --authfile f --replace --name web img";
        let expected = Lifecycle {
            detach: true,
            remove_image: true,
            replace: true,
            restart: RestartPolicy::OnFailure { retries: Some(3) },
            pull: PullPolicy::Always,
            quiet: true,
            cidfile: Some("c".into()),
            pidfile: Some("p".into()),
            log_driver: Some(LogDriver::JsonFile),
            log_options: vec![("max-size".into(), "1m".into())],
            attach: vec![Stream::Stdin, Stream::Stdout],
            detach_keys: Some("ctrl-a".into()),
            sig_proxy: Some(false),
            stop_timeout: Some(5),
            timeout: Some(9),
            platform: Some("linux/arm64".into()),
            tls_verify: Some(false),
            authfile: Some("f".into()),
            ..Lifecycle::default()
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(request(&words.join(" ")).unwrap().lifecycle, expected);
    }

    #[test]
    fn run_words_are_image_and_command() {
        let request = request("--rm img sh -c x --rm").unwrap();
        assert_eq!(request.image.as_deref(), Some("img"));
        assert_eq!(request.command, ["sh", "-c", "x", "--rm"]);
        assert!(request.lifecycle.remove);
    }

    #[test]
    fn run_unknown_flag_is_an_error_of_the_parser() {
        assert!(Line::try_parse_from(["run", "--foo", "img"]).is_err());
    }
}
