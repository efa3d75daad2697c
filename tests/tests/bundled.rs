//! Pages that are made with a bundler have DCDN from its npm package, with types.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{PATIENT, SERVER};

/// The sample in the docs, in whose packages are Vite and TypeScript's compiler.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/vite");

/// What looks at the types.
const TYPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/types");

/// The picture that the sample shows.
const PICTURE: &str = "/picture.jpg";

in_each_engine!(a_page_made_with_vite_gets_its_picture_from_another_visitor);
async fn a_page_made_with_vite_gets_its_picture_from_another_visitor(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let sample = copy_of_sample()?;
    fs::create_dir(sample.path().join("public"))?;
    fs::copy(site.root().join(&IMAGE[1..]), sample.path().join("public").join(&PICTURE[1..]))?;
    run("tsc", sample.path(), &[]).await?;
    let out = site.root().to_str().context("a folder whose name is not UTF-8")?;
    run("vite", sample.path(), &["build", "--logLevel", "warn", "--outDir", out]).await?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (seed, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;

    seed.install(&server.url("/")).await?;
    seed.open(&server.url("/")).await?;
    seed.holds(&site, &[PICTURE]).await?;
    visitor.install(&server.url("/")).await?;
    visitor.open(&server.url("/")).await?;

    visitor.shown("#picture").await?;
    visitor.expect_from_peers(&site, PICTURE).await?;
    let said = "
        const status = document.querySelector('#status');
        await until('statistics', () => status.textContent.includes('from visitors'));";
    visitor.run::<()>(said, &[]).await?;
    seed.expect_clean_console().await?;
    visitor.expect_clean_console().await?;
    seed.close().await?;
    visitor.close().await
}

#[tokio::test]
async fn without_a_server_a_bundled_page_is_plain_and_hears_why() -> Result<()> {
    let package = Path::new(SAMPLE).join("node_modules/dcdn/dcdn.js");
    let script = format!(
        "import {{ dcdn }} from {};
        const {{ ok }} = await dcdn.configure({{}});
        const [{{ url }}] = await dcdn.prefetch('/a.jpg');
        dcdn.on('done', () => {{}})();
        const {{ peers }} = await dcdn.stats();
        const said = [await dcdn.ready, ok, url, peers];
        console.log(JSON.stringify(said));",
        serde_json::to_string(&package)?
    );

    let run = Command::new("node").args(["--input-type=module", "--eval", &script]).output();
    let said = run.await.context("node")?;

    let text = String::from_utf8_lossy(&said.stdout);
    let expected = r#"[{"mode":"http","reason":"this is no page"},false,"/a.jpg",0]"#;
    assert_eq!(text.trim(), expected, "{}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

/// Names of what there is, sorted, as `members.ts` has them.
const NAMES: &str = "
    const members = await import('/members.js');
    const expected = Object.fromEntries(Object.entries(members).map(([of, its]) =>
        [of, Object.keys(its).sort()]));
    const { dcdn } = window;
    const { urls: [url], totals } = await dcdn.stats();
    const there = { dcdn, status: await dcdn.ready, stats: await dcdn.stats(), totals, url,
        diagnosis: await dcdn.diagnose() };
    const found = Object.fromEntries(Object.entries(there).map(([of, it]) =>
        [of, Object.keys(it).sort()]));
    const kinds = Object.keys(dcdn).every((name) => typeof dcdn[name] === members.dcdn[name]);
    return { expected, found, kinds };";

#[tokio::test]
async fn types_and_script_have_the_same_members_and_so_has_the_package() -> Result<()> {
    let site = Site::new()?;
    let out = site.root().to_str().context("a folder whose name is not UTF-8")?;
    run("tsc", Path::new(TYPES), &["--outDir", out]).await?;
    let package = fs::read_to_string(Path::new(SAMPLE).join("node_modules/dcdn/dcdn.js"))?;
    fs::write(site.root().join("package.js"), package)?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.accounted(IMAGE).await?;

    let names: Value = visitor.run(NAMES, &[]).await?;

    assert_eq!(names["found"], names["expected"]);
    assert_eq!(names["kinds"], true);
    let same = "
        const [{ dcdn: packed }, members] =
            await Promise.all([import('/package.js'), import('/members.js')]);
        return Object.entries(members.dcdn).every(([name, kind]) => typeof packed[name] === kind)
            && Object.keys(packed).length === Object.keys(members.dcdn).length
            && await packed.ready === await window.dcdn.ready;";
    assert!(visitor.run::<bool>(same, &[]).await?, "the package has other members");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

fn copy_of_sample() -> Result<TempDir> {
    let copy = tempfile::Builder::new().prefix("dcdn-vite-").tempdir()?;
    fs::create_dir(copy.path().join("src"))?;
    for file in ["index.html", "package.json", "tsconfig.json", "vite.config.js", "src/main.ts"] {
        fs::copy(Path::new(SAMPLE).join(file), copy.path().join(file)).context(file)?;
    }
    let packages = Path::new(SAMPLE).join("node_modules");
    std::os::unix::fs::symlink(packages, copy.path().join("node_modules"))?;
    Ok(copy)
}

/// Runs a program of the sample's packages in a folder.
async fn run(program: &str, folder: &Path, arguments: &[&str]) -> Result<()> {
    let path = PathBuf::from(SAMPLE).join("node_modules/.bin").join(program);
    let mut command = Command::new(&path);
    let ran = command.args(arguments).current_dir(folder).output().await;
    let ran = ran.with_context(|| {
        format!("{}: `cargo xtask test` fetches it, `npm ci` in {SAMPLE} too", path.display())
    })?;
    let [out, err] = [ran.stdout, ran.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    ensure!(ran.status.success(), "{program}: {out}{err}");
    Ok(())
}
