//! The Dockerfile, as far as it can be followed without anything that runs it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::{Running, program};
use crate::support::SiteDirectory;

/// Port inside the image.
const PORT: &str = "8080";

fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Its instructions, each on one line: what is to be done, and with what.
fn instructions() -> Vec<(String, String)> {
    let text = fs::read_to_string(project().join("Dockerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let lines = lines.replace("\\\n", " ");
    let instruction = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("an instruction says something");
        (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(instruction).collect()
}

/// What follows an instruction that is there once.
fn only(name: &str) -> String {
    let mut found = instructions().into_iter().filter(|(it, _)| it == name);
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(found.next(), None, "{name}");
    value
}

/// Variables of the environment.
fn environment() -> BTreeMap<String, String> {
    let pairs = only("ENV");
    let pair = |text: &str| text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
    pairs.split(' ').map(|text| pair(text).expect("a name and a value")).collect()
}

/// A server as the image starts it, but for where it listens and where its state is.
fn start(site: &SiteDirectory) -> Running {
    let mut command = program();
    assert_eq!(only("ENTRYPOINT"), r#"["coord-server"]"#);
    for (name, value) in environment() {
        match name.as_str() {
            // The test's own, as its port.
            "STATE_DIRECTORY" => drop(command.env(name, site.outside())),
            "DCDN_LISTEN" => assert_eq!(value, format!("0.0.0.0:{PORT}")),
            _ => drop(command.env(name, value)),
        }
    }
    Running::start(command.arg("--root").arg(site.root()))
}

/// The question for its health, put to the server at `port`: whether the answer is good.
fn is_healthy(port: u16) -> bool {
    let check = only("HEALTHCHECK");
    let (_, command) = check.split_once("CMD ").expect("a command");
    let words: Vec<String> = serde_json::from_str(command).unwrap();
    let [program, arguments @ ..] = &words[..] else { panic!("no program") };
    assert!(words.iter().any(|word| word.contains(PORT)), "{words:?}");
    let arguments = arguments.iter().map(|word| word.replace(PORT, &port.to_string()));
    Command::new(program).args(arguments).output().unwrap().status.success()
}

#[test]
fn what_an_image_is_made_of_is_there_and_is_made_by_the_projects_own_command() {
    let steps = instructions();
    let value = |name: &str, place: usize| {
        let mut all = steps.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_str());
        all.nth(place).unwrap_or_else(|| panic!("no {name} number {place}"))
    };

    // The compiler that the project asks for, and the same C library in both stages.
    let manifest = fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    assert_eq!(value("FROM", 0), format!("rust:{version}-slim-bookworm AS build"));
    assert_eq!(value("FROM", 1), "debian:bookworm-slim");

    // All of the checkout, but for what is made in it.
    assert_eq!(value("COPY", 0), ". .");
    let left_out = fs::read_to_string(project().join(".dockerignore")).unwrap();
    let is_made = |path: &str| path == ".git" || path == "target" || path.ends_with("node_modules");
    assert!(left_out.lines().all(is_made), "{left_out}");
    let runs: Vec<_> = steps.iter().filter(|(it, _)| it == "RUN").map(|(_, it)| it).collect();
    assert!(runs.iter().any(|run| *run == "cargo xtask build"), "{runs:?}");

    // What that leaves is what is taken over, and started.
    let work = value("WORKDIR", 0);
    let program = format!("{work}/target/release/coord-server");
    let taken = format!("--from=build {program} /usr/local/bin/coord-server");
    assert_eq!(value("COPY", 1), taken);
}

#[test]
fn an_image_runs_as_somebody_who_may_write_to_its_state_alone() {
    let user = only("USER");
    let steps = instructions();
    let made = steps.iter().map(|(_, it)| it).find(|it| it.starts_with("useradd "));
    let made: Vec<&str> = made.expect("a user is made").split(' ').collect();
    let option = |name: &str| {
        let place = made.iter().position(|it| *it == name);
        place.and_then(|place| made.get(place + 1)).copied().unwrap_or_else(|| panic!("{name}"))
    };

    assert_eq!(made.last(), Some(&user.as_str()));
    assert!(option("--uid").parse::<u32>().unwrap() >= 1000);
    assert!(made.contains(&"--create-home"), "{made:?}");
    let state = environment()["STATE_DIRECTORY"].clone();
    assert_eq!(option("--home-dir"), state);
    assert_eq!(only("VOLUME"), state);
    // The program is root's: who runs it cannot change it.
    let place = |name: &str| steps.iter().rposition(|(it, _)| it == name).unwrap();
    assert!(place("USER") > place("COPY") && place("USER") > place("RUN"));
}

#[test]
fn an_images_health_is_that_of_the_server_in_it() {
    assert_eq!(only("EXPOSE"), PORT);
    let site = SiteDirectory::new();
    let running = start(&site);
    let port = running.address().port();

    assert!(is_healthy(port));
    assert!(site.outside().join("manifests.redb").is_file(), "its state is in the volume");

    drop(running);
    assert!(!is_healthy(port));
}

/// A server that is there and does not answer as it should is not in good health either.
#[test]
fn an_image_in_which_something_else_answers_is_not_healthy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 64];
        let _ = stream.read(&mut question);
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
    });

    assert!(!is_healthy(port));
    answering.join().unwrap();
}
