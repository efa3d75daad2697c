//! What the documentation tells people to type and to write does what it says.

mod fences;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dcdn_tests::companion::{Companion, free_address, sample};
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor, server};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use self::fences::{Fence, commands, fences};
use crate::SERVER;

/// The workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where `sh` blocks send people, and who else sees to those commands: `cargo xtask` is parsed by
/// xtask's own tests.
const ELSEWHERE: [&str; 2] = ["cargo xtask ", "cargo test "];

#[tokio::test]
async fn every_command_in_the_book_does_its_work() -> Result<()> {
    let desk = Desk::new().await?;
    let mut done = 0;
    for fence in fences(Path::new(ROOT), "sh")? {
        for command in commands(&fence.text) {
            if ELSEWHERE.iter().any(|it| command.starts_with(it)) {
                continue;
            }
            desk.perform(&command).await.with_context(|| format!("{}: {command}", fence.place))?;
            done += 1;
        }
    }
    assert!(done > 10, "only {done} commands found");
    Ok(())
}

#[tokio::test]
async fn settings_in_the_book_are_understood() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for Fence { place, text, .. } in fences(Path::new(ROOT), "toml")? {
        let file = folder.path().join("dcdn.toml");
        fs::write(&file, text)?;
        let check = server::command()?.args(["config", "check"]).arg(&file).output().await?;
        assert!(check.status.success(), "{place}: {}", String::from_utf8_lossy(&check.stderr));
    }
    Ok(())
}

#[test]
fn what_the_book_has_of_nginx_is_in_the_sample_that_runs() -> Result<()> {
    let sample = fs::read_to_string(Path::new(ROOT).join("docs/samples/nginx.conf"))?;
    let known: Vec<&str> = sample.lines().map(str::trim).collect();
    let blocks = fences(Path::new(ROOT), "nginx")?;
    assert!(!blocks.is_empty());
    for Fence { place, text, .. } in blocks {
        for line in text.lines().map(str::trim) {
            assert!(known.contains(&line), "{place}: the sample has no line {line}");
        }
    }
    Ok(())
}

in_each_engine!(every_script_in_the_book_runs);
async fn every_script_in_the_book_runs(engine: Engine) -> Result<()> {
    let site = furnished()?;
    let package = fs::read(Path::new(ROOT).join("npm/dcdn.js"))?;
    fs::write(site.root().join("package.js"), package)?;
    let mut scripts = Vec::new();
    for (number, Fence { place, text, .. }) in
        fences(Path::new(ROOT), "js")?.into_iter().enumerate()
    {
        let path = format!("/script-{number}.js");
        let text = text.replace("from \"dcdn\"", "from \"/package.js\"");
        fs::write(site.root().join(&path[1..]), text)?;
        scripts.push((place, path));
    }
    assert!(scripts.len() > 4, "only {} scripts found", scripts.len());
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    for (place, path) in scripts {
        visitor.install(&server.url(EMPTY_PAGE)).await?;
        let run = format!("await import('{path}')");
        visitor.run::<()>(&run, &[]).await.with_context(|| place)?;
    }
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(every_page_in_the_book_is_served_with_peers);
async fn every_page_in_the_book_is_served_with_peers(engine: Engine) -> Result<()> {
    let site = furnished()?;
    let mut pages = Vec::new();
    for (number, Fence { place, text, .. }) in
        fences(Path::new(ROOT), "html")?.into_iter().enumerate()
    {
        let path = format!("/page-{number}.html");
        if text.starts_with("<!doctype") {
            fs::write(site.root().join(&path[1..]), text)?;
        } else {
            site.page(&path, &text)?;
        }
        pages.push((place, path));
    }
    assert!(pages.len() > 2, "only {} pages found", pages.len());
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    for (place, path) in pages {
        let ready = visitor.install(&server.url(&path)).await.with_context(|| place.clone())?;
        assert_eq!(ready.mode, "p2p", "{place}");
    }
    visitor.expect_clean_console().await?;
    visitor.close().await
}

/// A site with the files that the book speaks of.
fn furnished() -> Result<Site> {
    let site = Site::new()?;
    for path in ["/picture.jpg", "/a.jpg", "/film.mp4"] {
        fs::copy(site.root().join(&IMAGE[1..]), site.root().join(&path[1..]))?;
    }
    Ok(site)
}

/// Where somebody sits who follows the book: a site, nginx before it as in the sample, and a server.
struct Desk {
    site: Site,
    folder: TempDir,
    server: Server,
    nginx: Companion,
    /// Of nginx.
    address: String,
}

impl Desk {
    async fn new() -> Result<Self> {
        let site = furnished()?;
        let address = free_address()?;
        let server = Server::before(&format!("http://{address}"), SERVER).await?;
        let config = sample("nginx.conf", site.root(), &address, server.address())?;
        let nginx = Companion::nginx(&address, &config).await?;
        let folder = tempfile::tempdir()?;
        std::os::unix::fs::symlink(
            PathBuf::from(ROOT).join("target"),
            folder.path().join("target"),
        )?;
        std::os::unix::fs::symlink(site.root(), folder.path().join("public"))?;
        Ok(Self { site, folder, server, nginx, address })
    }

    /// The command with what is at this desk in place of what is at the reader's.
    fn here(&self, command: &str) -> String {
        let there = |path: &Path| path.display().to_string();
        let sample = Path::new(ROOT).join("docs/samples/dcdn.toml");
        [
            ("/var/www/site", there(self.site.root())),
            ("/etc/dcdn/dcdn.toml", there(&sample)),
            ("/var/lib/dcdn", there(self.folder.path())),
            ("http://127.0.0.1:80 ", format!("http://{} ", self.address)),
            ("http://127.0.0.1/", self.nginx.url("/")),
            ("http://127.0.0.1:8080", self.server.url("")),
            ("--listen 127.0.0.1:8080", "--listen 127.0.0.1:0".to_owned()),
            ("--listen 0.0.0.0:8080", "--listen 127.0.0.1:0".to_owned()),
        ]
        .into_iter()
        .fold(format!("{command} "), |command, (from, to)| command.replace(from, &to))
    }

    async fn perform(&self, command: &str) -> Result<()> {
        let command = self.here(command);
        let words: Vec<&str> = command.split_whitespace().map(|it| it.trim_matches('\'')).collect();
        match words.split_first().context("nothing to do")? {
            (&"coord-server", arguments) => self.serve(arguments).await,
            (program @ (&"curl" | &"npm" | &"openssl"), arguments) => {
                self.run(program, arguments).await
            }
            (other, _) => anyhow::bail!("nobody knows how to try {other}"),
        }
    }

    /// Runs the server until it says its URL; what does not serve runs to its end.
    async fn serve(&self, arguments: &[&str]) -> Result<()> {
        let mut command = server::command()?;
        command.args(arguments).current_dir(self.folder.path());
        if matches!(arguments.first(), Some(&("config" | "manifest" | "token"))) {
            return success(command).await;
        }
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut process =
            command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let serves = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("http://") {
                    return Ok(());
                }
            }
            anyhow::bail!("it ended before it said its URL")
        };
        timeout(dcdn_tests::PATIENCE, serves).await.context("it does not say its URL")?
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        success(command).await
    }
}

async fn success(mut command: Command) -> Result<()> {
    let ran = command.env("XDG_CACHE_HOME", std::env::temp_dir()).output().await?;
    let [out, err] = [ran.stdout, ran.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    ensure!(ran.status.success(), "{}: {out}{err}", ran.status);
    Ok(())
}
