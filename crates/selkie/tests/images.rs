//! The verbs on images: output, exit codes and what a container sees of an image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::path::Path;
use std::process::{Command, Stdio};

use harness::Engine;

/// An engine and the archive of a root file system with a few programs.
fn engine_with_archive() -> Option<(Engine, String)> {
    let engine = Engine::new()?;
    let archive = engine.path("rootfs.tar");
    pack(Path::new(&engine.rootfs()), &archive);
    Some((engine, archive.display().to_string()))
}

fn pack(directory: &Path, archive: &Path) {
    let packed = Command::new("tar").arg("-C").arg(directory).arg("-cf").arg(archive).arg(".").status().unwrap();
    assert!(packed.success());
}

/// Writes a docker-archive of layers, each a list of files and their contents.
fn docker_archive(engine: &Engine, name: &str, layers: &[&[(&str, &str)]], config: &str) -> String {
    let directory = engine.path(&format!("archive-{name}"));
    let mut members = Vec::new();
    let mut diff_ids = Vec::new();
    for (number, files) in layers.iter().enumerate() {
        let tree = directory.join(format!("tree-{number}"));
        std::fs::create_dir_all(&tree).unwrap();
        for (path, content) in *files {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let member = format!("layer-{number}.tar");
        std::fs::create_dir_all(directory.join("out")).unwrap();
        pack(&tree, &directory.join("out").join(&member));
        let sum = Command::new("sha256sum").arg(directory.join("out").join(&member)).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        diff_ids.push(format!("\"sha256:{}\"", sum.split(' ').next().unwrap()));
        members.push(format!("\"{member}\""));
    }
    let config = format!(
        r#"{{"created":"2024-01-02T03:04:05Z","architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    std::fs::write(directory.join("out/config.json"), config).unwrap();
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":["quay.io/t/{name}:1"],"Layers":[{}]}}]"#, members.join(","));
    std::fs::write(directory.join("out/manifest.json"), manifest).unwrap();
    let archive = engine.path(&format!("{name}.tar"));
    pack(&directory.join("out"), &archive);
    archive.display().to_string()
}

#[test]
fn working_directory_of_an_image_is_made_for_its_user() {
    let Some((engine, archive)) = engine_with_archive() else { return };
    engine.ok(&["import", "--quiet", "--change", "WORKDIR /app/data", "--change", "USER 1000:1000", &archive, "mine:3"]);
    assert_eq!(engine.ok(&["run", "--rm", "mine:3", "stat", "-c", "%u:%g %a", "/app/data"]), "1000:1000 755");
}

#[test]
fn import_prints_the_id_and_the_image_runs() {
    let Some((engine, archive)) = engine_with_archive() else { return };
    let printed = engine.ok(&["import", "--change", r#"CMD ["/probe"]"#, "--change", "ENV GREETING=hello", &archive, "mine:2"]);
    let id = engine.ok(&["image", "inspect", "--format", "{{.Id}}", "mine:2"]);
    assert_eq!(printed, format!("sha256:{id}"));
    assert_eq!(
        engine.ok(&["inspect", "--format", "{{.Config.Cmd}} {{.Config.Env}} {{.RepoTags}}", "mine:2"]),
        "[/probe] [GREETING=hello] [localhost/mine:2]"
    );
    assert!(engine.ok(&["run", "--rm", "mine:2"]).contains("CapEff"));
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

#[test]
fn images_table_is_podmans() {
    let Some(engine) = Engine::new() else { return };
    engine.ok(&["load", "-i", &docker_archive(&engine, "a", &[&[("f", "x")]], "{}")]);
    let id = engine.ok(&["images", "-q"]);
    let size = engine.ok(&["images", "--format", "{{.Size}}"]);
    let ago = engine.ok(&["images", "--format", "{{.CreatedSince}}"]);
    let expected = format!("REPOSITORY   TAG         IMAGE ID      CREATED      SIZE\nquay.io/t/a  1           {id}  {ago}  {size}");
    assert_eq!(engine.ok(&["images"]), expected);
    assert_eq!(engine.ok(&["images", "--noheading", "--format", "table {{.Repository}}"]), "quay.io/t/a");
    assert_eq!(engine.ok(&["images", "--filter", "reference=t/*"]), expected);
    assert_eq!(engine.ok(&["images", "-q", "--filter", "dangling=true"]), "");
    assert_eq!(engine.ok(&["images", "-q", "other"]), "");
}

#[test]
fn image_that_does_not_exist_is_not_known() {
    let Some(engine) = Engine::new() else { return };
    for (words, code, text) in [
        (vec!["run", "nope"], 125, "Error: nope: image not known\n"),
        (vec!["rmi", "nope"], 1, "Error: nope: image not known\n"),
        (vec!["rmi", "a", "b"], 1, "Error: 2 errors occurred:\n\t* a: image not known\n\t* b: image not known\n"),
        (vec!["rmi", "a", "a"], 1, "Error: a: image not known\n"),
        (vec!["images", "--filter", "since=nope"], 125, "Error: could not find local image for filter since=nope: nope: image not known\n"),
        (vec!["rmi"], 125, "Error: image name or ID must be specified\n"),
        (vec!["tag", "nope", "x"], 125, "Error: nope: image not known\n"),
        (vec!["image", "exists", "nope"], 1, ""),
    ] {
        let said = engine.run(&words);
        assert_eq!((said.code, said.stderr.as_str()), (code, text), "{words:?}");
    }
    assert_eq!(engine.run(&["rmi", "-i", "nope"]).code, 0);
}

#[test]
fn rmi_of_an_image_in_use_needs_force() {
    let Some((engine, archive)) = engine_with_archive() else { return };
    let printed = engine.ok(&["import", &archive, "x"]);
    let container = engine.ok(&["create", "x", "/probe"]);
    let said = engine.run(&["rmi", "x"]);
    let expected = format!(
        "Error: image used by {container}: image is in use by a container: consider listing external containers and force-removing image\n"
    );
    assert_eq!((said.code, said.stderr), (2, expected));
    let id = printed.trim_start_matches("sha256:");
    assert_eq!(engine.ok(&["rmi", "-f", "x"]), format!("Untagged: localhost/x:latest\nDeleted: {id}"));
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
    assert_eq!(engine.ok(&["images", "-q"]), "");
}

#[test]
fn tag_and_untag_change_names_only() {
    let Some(engine) = Engine::new() else { return };
    assert_eq!(engine.ok(&["load", "-q", "-i", &docker_archive(&engine, "a", &[&[("f", "x")]], "{}")]), "Loaded image: quay.io/t/a:1");
    engine.ok(&["tag", "a:1", "x", "docker.io/y:2"]);
    assert_eq!(engine.ok(&["inspect", "--format", "{{.RepoTags}}", "y:2"]), "[quay.io/t/a:1 localhost/x:latest docker.io/library/y:2]");
    engine.ok(&["untag", "y:2", "quay.io/t/a:1"]);
    assert_eq!(engine.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "localhost/x:latest\ndocker.io/library/y:2");
    assert_eq!(engine.run(&["untag", "x", "z"]).stderr, "Error: localhost/z:latest: tag not known\n");
    assert_eq!(engine.run(&["tag", "x", "Upper"]).code, 125);
}

#[test]
fn load_from_a_pipe_says_what_it_loaded() {
    let Some(engine) = Engine::new() else { return };
    let archive = docker_archive(&engine, "a", &[&[("f", "x")]], "{}");
    let mut cat = Command::new("cat").arg(&archive).stdout(Stdio::piped()).spawn().unwrap();
    let output = engine.command(&["load"]).stdin(cat.stdout.take().unwrap()).output().unwrap();
    cat.wait().unwrap();
    assert_eq!(
        (String::from_utf8(output.stdout).unwrap().as_str(), output.stderr.as_slice()),
        ("Loaded image: quay.io/t/a:1\n", b"".as_slice())
    );
}

#[test]
fn load_of_what_is_no_image_is_refused() {
    let Some((engine, archive)) = engine_with_archive() else { return };
    let said = engine.run(&["load", "-i", &archive]);
    assert_eq!(said.code, 125);
    assert!(said.stderr.starts_with("Error: payload does not match any of the supported image formats"), "{}", said.stderr);
    let none = "Error: payload does not match any of the supported image formats (oci-archive, docker-archive): it is no archive\n";
    for (name, content) in [("text", "root:x:0:0:root:/root:/bin/sh\n".repeat(100)), ("short", "hi\n".to_owned())] {
        std::fs::write(engine.path(name), content).unwrap();
        let said = engine.run(&["load", "-i", engine.path(name).to_str().unwrap()]);
        assert_eq!((said.stderr.as_str(), said.code), (none, 125), "{name}");
    }
    assert_eq!(engine.run(&["load", "-i", "/nonexistent"]).stderr, "Error: open /nonexistent: no such file or directory\n");
    assert_eq!(engine.ok(&["images", "-qa"]), "");
}

/// An overlay with `volatile` refuses to be mounted again until its mark is gone: both of these mount a second time.
#[test]
fn container_with_rm_can_be_mounted_a_second_time() {
    let Some((engine, archive)) = engine_with_archive() else { return };
    engine.ok(&["import", &archive, "x"]);
    engine.ok(&["run", "--rm", "--no-hosts", "x", "/probe"]);
    engine.ok(&["create", "--rm", "--name", "c", "x", "/probe"]);
    engine.ok(&["start", "--attach", "c"]);
}

#[test]
fn container_sees_the_layers_over_each_other() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let base = engine.path("base.tar");
    pack(Path::new(&rootfs), &base);
    if !Path::new(&rootfs).join("bin/busybox").exists() {
        harness::lack("busybox is not installed");
        return;
    }
    // The layers of the archive alone, with busybox bound in.
    let layers: [&[(&str, &str)]; 3] = [
        &[("d/gone", "1"), ("d/kept", "1"), ("o/below", "1"), ("f", "low"), ("bin/x", ""), ("proc/x", ""), ("sys/x", ""), ("dev/x", "")],
        &[("d/.wh.gone", ""), ("o/.wh..wh..opq", ""), ("o/above", "2"), ("f", "middle")],
        &[("f", "high")],
    ];
    let archive = docker_archive(&engine, "layers", &layers, r#"{"Env":["SECRET*","A=1"]}"#);
    engine.ok(&["load", "-i", &archive]);
    let busybox = format!("{rootfs}/bin:/bin:ro");
    let seen = engine
        .command(&["run", "--rm", "-v", &busybox, "layers:1", "/bin/sh", "-c", "cat /f; echo; ls /d /o; env | grep -c SECRET"])
        .env("SECRET_A", "leak")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(seen.stdout).unwrap(), "high\n/d:\nkept\n\n/o:\nabove\n0\n");
}
