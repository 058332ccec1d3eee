//! What engines themselves say of their containers, over the sockets of their interfaces. Asked only when somebody wants it.
//!
//! Whoever serves a socket may lie, be slow, or send without end. Only sockets of root, and of the user whose engine it would be, are
//! asked; what a user's says counts for that user's processes alone, as that user's files do.
//!
//! Not for containerd and CRI-O: theirs is gRPC, which takes more code than all of this crate.

mod answers;
mod http;

use std::path::Path;
use std::time::{Duration, Instant};

pub use http::Problem;
use selkie_sys::Result;

use self::http::{Question, get};
use super::tree::Tree;
use super::{Found, HostContainer};
use crate::procfs;

/// How much of an answer is read.
const LIMIT: usize = 32 << 20;
/// How long one engine may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long all of them together may take.
const ALTOGETHER: Duration = Duration::from_secs(10);

/// Sockets beneath `/run`, or beneath a user's directory there, with what is asked and who reads the answer.
const INTERFACES: [Interface; 2] = [
    Interface { socket: "podman/podman.sock", path: "/v4.0.0/libpod/containers/json?all=true", parse: answers::podman },
    Interface { socket: "docker.sock", path: "/containers/json?all=1", parse: answers::docker },
];

struct Interface {
    socket: &'static str,
    path: &'static str,
    parse: fn(&[u8]) -> Option<Vec<HostContainer>>,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The containers that engines tell of, stopped ones too.
    pub containers: Vec<HostContainer>,
    /// How many engines have answered.
    pub engines: usize,
    /// Sockets without an answer that counts, and why.
    pub problems: Vec<(String, Problem)>,
}

/// Asks every engine beneath `root` that has a socket.
///
/// # Errors
/// When `root` itself cannot be opened.
pub fn ask(root: &Path) -> Result<Answers> {
    ask_within(root, PATIENCE, ALTOGETHER)
}

fn ask_within(root: &Path, patience: Duration, altogether: Duration) -> Result<Answers> {
    let mut host = Tree::open(root)?;
    let deadline = Instant::now() + altogether;
    let mut answers = Answers::default();
    let mut runs: Vec<(String, Option<u32>)> = vec![("run".to_owned(), None)];
    runs.extend(
        host.list("run/user").into_iter().filter_map(|name| Some((format!("run/user/{name}"), Some(procfs::number(name.as_bytes())?)))),
    );
    for (run, user) in runs {
        let Some(tree) = (match user {
            None => host.beneath(&run),
            Some(user) => host.of_user(&run, user),
        }) else {
            continue;
        };
        for interface in INTERFACES {
            let Some(place) = tree.place(interface.socket) else { continue };
            let left = deadline.saturating_duration_since(Instant::now()).min(patience);
            // Who asks without being root may be the one whose engine it is.
            let user = user.unwrap_or_else(|| rustix::process::geteuid().as_raw());
            let question = Question { path: interface.path, user, limit: LIMIT, patience: left };
            match get(&place, question).and_then(|body| (interface.parse)(&body).ok_or(Problem::NoList)) {
                Ok(containers) => {
                    answers.engines += 1;
                    answers.containers.extend(containers.into_iter().map(|container| HostContainer { user: tree.user, ..container }));
                }
                Err(problem) => answers.problems.push((format!("/{run}/{}", interface.socket), problem)),
            }
        }
    }
    Ok(answers)
}

impl Found {
    /// Adds what engines say to what their files say. The kernel's word, and then the file's, counts more, but for the name of a pod:
    /// Podman's files have only digits of its id.
    pub fn complete(&mut self, told: Vec<HostContainer>) {
        for container in told {
            let same = |known: &&mut HostContainer| {
                known.owner.id == container.owner.id
                    && known.user == container.user
                    && (known.owner.engine == container.owner.engine || known.owner.engine.is_runtime())
            };
            match self.containers.iter_mut().find(same) {
                Some(known) => {
                    known.owner = container.owner.clone();
                    known.pod = container.pod.clone().or(known.pod.take());
                    known.complete_from(container);
                }
                None => self.containers.push(container),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::Engine;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Serves one request at `run/docker.sock` beneath a new root by `serve`, and returns what came of asking.
    fn asked(serve: impl FnOnce(std::os::unix::net::UnixStream) + Send + 'static) -> Answers {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        let listener = UnixListener::bind(root.path().join("run/docker.sock")).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /containers/json?all=1 HTTP/1.0\r\n"));
            serve(stream);
        });
        let answers = ask_within(root.path(), Duration::from_millis(300), Duration::from_secs(2)).unwrap();
        server.join().unwrap();
        answers
    }

    fn problem(answers: &Answers) -> (&str, Problem) {
        assert_eq!((answers.engines, answers.containers.len(), answers.problems.len()), (0, 0, 1), "{answers:?}");
        (&answers.problems[0].0, answers.problems[0].1)
    }

    #[test]
    fn ask_of_a_good_engine_has_its_containers() {
        let list = format!(r#"[{{"Id": "{ID}", "Names": ["/web"], "State": "running"}}]"#);
        let answers = asked(move |mut stream| write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len()).unwrap());
        assert_eq!((answers.engines, answers.problems.len()), (1, 0));
        assert_eq!((answers.containers[0].title(), answers.containers[0].user), ("web", None));
    }

    #[test]
    fn ask_of_a_slow_engine_is_given_up() {
        let begun = Instant::now();
        // A byte now and then, never the end.
        let answers = asked(|mut stream| {
            while stream.write_all(b"H").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert_eq!(problem(&answers), ("/run/docker.sock", Problem::Late { patience: Duration::from_millis(300) }));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn ask_of_an_engine_without_end_stops_at_the_limit() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n[");
            while head.is_ok() && stream.write_all(&[b' '; 4096]).is_ok() {}
        });
        let place = Tree::open(root.path()).unwrap().place("socket").unwrap();
        let user = rustix::process::geteuid().as_raw();
        let question = Question { path: "/", user, limit: 1 << 20, patience: Duration::from_secs(20) };
        assert_eq!(get(&place, question), Err(Problem::Long { limit: 1 << 20 }));
        server.join().unwrap();
    }

    #[test]
    fn ask_of_garbage_is_none() {
        let answers = asked(|mut stream| stream.write_all(b"\x1b[2J\0\xff\r\n\r\n").unwrap());
        assert_eq!(problem(&answers).1, Problem::Garbage);
        let answers = asked(|mut stream| stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"message\":\"x\"}").unwrap());
        assert_eq!(problem(&answers).1, Problem::NoList);
        let deep = "[".repeat(100_000);
        let answers = asked(move |mut stream| write!(stream, "HTTP/1.0 200 OK\r\n\r\n{deep}").unwrap());
        assert_eq!(problem(&answers).1, Problem::NoList);
        let answers = asked(|mut stream| stream.write_all(b"HTTP/1.0 500 No\r\n\r\n").unwrap());
        assert_eq!(problem(&answers).1, Problem::Status { code: 500 });
    }

    #[test]
    fn ask_where_there_is_no_engine_says_so() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/podman")).unwrap();
        assert_eq!(ask(root.path()).unwrap(), Answers::default());
        std::fs::write(root.path().join("run/docker.sock"), "").unwrap();
        // A socket that nobody serves any more.
        drop(UnixListener::bind(root.path().join("run/podman/podman.sock")).unwrap());
        let problems = ask(root.path()).unwrap().problems;
        let refused = Problem::Refused { errno: selkie_sys::Errno::CONNREFUSED };
        assert_eq!(problems, [("/run/podman/podman.sock".to_owned(), refused), ("/run/docker.sock".to_owned(), Problem::NoSocket)]);
    }

    #[test]
    fn ask_of_a_strangers_socket_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/user/4321")).unwrap();
        let _listener = UnixListener::bind(root.path().join("run/user/4321/docker.sock")).unwrap();
        let owner = rustix::process::geteuid().as_raw();
        let socket = root.path().join("run/user/4321/docker.sock");
        if owner == 0 && std::os::unix::fs::chown(&socket, Some(1234), None).is_ok() {
            let problems = ask(root.path()).unwrap().problems;
            assert_eq!(problems, [("/run/user/4321/docker.sock".to_owned(), Problem::Stranger { owner: 1234 })]);
        }
        // A link out of the user's directory leads to nothing.
        std::fs::remove_file(&socket).unwrap();
        std::os::unix::fs::symlink("/run/docker.sock", &socket).unwrap();
        assert_eq!(ask(root.path()).unwrap(), Answers::default());
    }

    #[test]
    fn complete_adds_what_files_lack_and_takes_the_name_of_a_pod() {
        let told = |user, name: &str| HostContainer {
            name: Some(name.to_owned()),
            pod: Some("front".to_owned()),
            image: Some("nginx:1".to_owned()),
            state: Some("paused"),
            user,
            ..HostContainer::unknown(Engine::Podman, ID)
        };
        let file = HostContainer {
            name: Some("web".to_owned()),
            pod: Some("0123456789ab".to_owned()),
            ..HostContainer::unknown(Engine::Podman, ID)
        };
        let mut found = Found { containers: vec![file], denied: Vec::new() };
        found.complete(vec![told(None, "forged"), told(Some(1000), "theirs")]);
        let shown: Vec<_> =
            found.containers.iter().map(|one| (one.title(), one.user, one.pod.as_deref(), one.image.as_deref(), one.state)).collect();
        let both = (Some("front"), Some("nginx:1"), Some("paused"));
        assert_eq!(shown, [("web", None, both.0, both.1, both.2), ("theirs", Some(1000), both.0, both.1, both.2)]);
    }
}
