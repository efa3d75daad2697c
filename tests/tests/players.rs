//! Real players play to the end, seek, and get most from another visitor.

mod shelf;
mod stage;

use anyhow::Result;
use dcdn_tests::{Engine, Site};

use self::stage::Stage;

/// Percentage that comes from peers of a long file at the least, on a machine with much to do, too.
const MOST: u64 = 50;

/// And of what is short. A player that adapts to such a machine plays a megabyte in eight segments, and
/// each comes from the server whole of which it is not known within 2 s who has it.
const SOME: u64 = 25;

in_each_engine!(a_video_element_plays_and_seeks);
async fn a_video_element_plays_and_seeks(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let mp4 = shelf::film(&site, "one-hour-up.mp4")?;
    let web_m = shelf::film(&site, "one-hour-up.webm")?;
    let late = "/media/index-last.mp4".to_owned();
    shelf::index_last(&site, &mp4, &late)?;
    let forms = [("MP4", mp4), ("MP4, index last", late), ("WebM", web_m)];
    let films = forms.clone().map(|(_, film)| film);
    let stage = Stage::with(site, engine, &films).await?;
    for (form, film) in forms {
        let page = element("video", &film);
        let share = stage.play(&format!("<video>, {form}"), &page).await?;
        // The WebM has four chunks: one is always the server's, and a machine with much to do
        // connects only after the next.
        let least = if form == "WebM" { SOME } else { MOST };
        assert!(share.percent() >= least, "{form}: {share:?}");
    }
    stage.close().await
}

in_each_engine!(an_audio_element_plays_and_seeks);
async fn an_audio_element_plays_and_seeks(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let mp3 = shelf::film(&site, "one-hour-up.mp3")?;
    let wav = "/media/noise.wav".to_owned();
    shelf::noise(&site, &wav)?;
    let stage = Stage::with(site, engine, &[mp3.clone(), wav.clone()]).await?;
    // It is shorter than two chunks, and of such a file nobody waits for peers.
    stage.play("<audio>, MP3", &element("audio", &mp3)).await?;
    let share = stage.play("<audio>, WAV", &element("audio", &wav)).await?;
    assert!(share.percent() >= MOST, "{share:?}");
    stage.close().await
}

in_each_engine!(every_player_of_the_demo_plays_and_tells_where_its_bytes_came_from);
async fn every_player_of_the_demo_plays_and_tells_where_its_bytes_came_from(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let films = shelf::demo(&site)?;
    let stage = Stage::with(site, engine, &films).await?;
    let viewer = stage.visit("/players.html").await?;
    let players: Vec<String> = viewer
        .eval("[...document.querySelectorAll('#players a')].map((it) => it.href)", &[])
        .await?;
    assert_eq!(players.len(), 8);
    let mut told = Vec::new();
    for player in &players {
        viewer.open(player).await?;
        let share: String = viewer
            .run(
                "const found = () => document.querySelector('#frame video, #frame audio');
                 const share = document.querySelector('#share');
                 await until('the player', found);
                 await until('metadata', () => found().readyState >= HTMLMediaElement.HAVE_METADATA);
                 await found().play();
                 await until('a second of it', () => found().currentTime > 1);
                 await until('a share', () => share.textContent.includes('%'));
                 return share.textContent;",
                &[],
            )
            .await?;
        told.push(share);
    }
    println!("the demo's players in {engine:?}: {told:?}");
    assert!(told.iter().any(|it| it.contains("visitors")), "{told:?}");
    viewer.expect_clean_console().await?;
    viewer.close().await?;
    stage.close().await
}

in_each_engine!(hls_js_plays_and_seeks);
async fn hls_js_plays_and_seeks(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let films = shelf::stream(&site)?;
    let script = shelf::player(&site, "hls.js/dist/hls.min.js")?;
    let page = hls_js(&script);
    let stage = Stage::with(site, engine, &films).await?;
    let share = stage.play("hls.js, segments", &page).await?;
    assert!(share.percent() >= SOME, "{share:?}");
    stage.close().await
}

in_each_engine!(hls_js_plays_parts_of_files);
async fn hls_js_plays_parts_of_files(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    shelf::stream(&site)?;
    let films = shelf::one_file_each(&site)?;
    let script = shelf::player(&site, "hls.js/dist/hls.min.js")?;
    let page = hls_js(&script);
    let stage = Stage::with(site, engine, &films).await?;
    let share = stage.play("hls.js, byte ranges", &page).await?;
    assert!(share.percent() >= SOME, "{share:?}");
    stage.close().await
}

in_each_engine!(shaka_player_plays_and_seeks);
async fn shaka_player_plays_and_seeks(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let films = shelf::stream(&site)?;
    let script = shelf::player(&site, "shaka-player/dist/shaka-player.compiled.js")?;
    let stage = Stage::with(site, engine, &films).await?;
    for (form, playlist) in PLAYLISTS {
        let start = format!(
            "const player = new shaka.Player();
            player.configure({{
              streaming: {{ bufferingGoal: 4, rebufferingGoal: 1 }},
            }});
            const fault = ({{ detail }}) =>
              faults.push(`${{detail.category}}.${{detail.code}}: ${{detail.data}}`);
            player.addEventListener('error', fault);
            player.getNetworkingEngine().addEventListener('retry', ({{ error }}) =>
              fault({{ detail: error }}));
            player.attach(media).then(() => player.load('{playlist}')).catch((detail) =>
              fault({{ detail }}));"
        );
        let page = player(&script, &start);
        let share = stage.play(&format!("Shaka Player, {form}"), &page).await?;
        assert!(share.percent() >= SOME, "{form}: {share:?}");
    }
    stage.close().await
}

in_each_engine!(video_js_plays_and_seeks);
async fn video_js_plays_and_seeks(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let mut films = shelf::stream(&site)?;
    let film = shelf::film(&site, "one-hour-up.mp4")?;
    films.push(film.clone());
    let script = shelf::player(&site, "video.js/dist/video.min.js")?;
    let stage = Stage::with(site, engine, &films).await?;
    let sources = PLAYLISTS.into_iter().chain([("MP4", film.as_str())]);
    for (form, source) in sources {
        let start = format!(
            "const player = videojs(media, {{ html5: {{ vhs: {{ overrideNative: true }} }} }});
            player.on('error', () => faults.push(player.error().message));
            player.on('xhr-hooks-ready', () => {{
              player.tech().vhs.xhr.onResponse((request, error, response) => {{
                if (error || response.statusCode >= 400) faults.push(`${{request.uri}}: ${{error}}`);
              }});
            }});
            player.src('{source}');"
        );
        let page = player(&script, &start);
        let share = stage.play(&format!("video.js, {form}"), &page).await?;
        let least = if form == "MP4" { MOST } else { SOME };
        assert!(share.percent() >= least, "{form}: {share:?}");
    }
    stage.close().await
}

in_each_engine!(pictures_that_the_page_chooses_are_shown);
async fn pictures_that_the_page_chooses_are_shown(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let [small, wide, srcset, inline, sheet] =
        ["ringrise", "mirror", "the-erg", "the-pines", "solar-wind"]
            .map(|name| shelf::film(&site, &format!("{name}.jpg")));
    let (small, wide, srcset, inline, sheet) = (small?, wide?, srcset?, inline?, sheet?);
    shelf::text(&site, "/style/page.css", &format!("#sheet {{ background: url({sheet}) }}"))?;
    let page = format!(
        "<link rel='stylesheet' href='/style/page.css'>
        <style>div {{ width: 300px; height: 200px }}</style>
        <picture>
          <source media='(min-width: 600px)' srcset='{wide}'><img id='picture' src='{small}'>
        </picture>
        <img id='srcset' src='{small}' srcset='{small} 100w, {srcset} 4000w' sizes='100vw'>
        <div style='background-image: image-set(\"{inline}\" 1x)'></div>
        <div id='sheet'></div>"
    );
    let shown = [wide, srcset, inline, sheet];
    let stage = Stage::with(site, engine, &shown).await?;

    let viewer = stage.open(&page).await?;

    for image in ["#picture", "#srcset"] {
        viewer.shown(image).await?;
    }
    for picture in &shown {
        viewer.accounted(picture).await?;
    }
    let asked: Vec<String> = viewer.stats().await?.urls.into_iter().map(|it| it.url).collect();
    assert_eq!(asked.len(), shown.len(), "{asked:?}");
    stage.leave("<picture>, srcset and backgrounds", viewer).await?;
    stage.close().await
}

/// The film's segments, as the players are told of them.
const PLAYLISTS: [(&str, &str); 2] =
    [("HLS", "/media/one-hour-up/master.m3u8"), ("DASH", "/media/one-hour-up/manifest.mpd")];

/// hls.js, which looks ahead so little that what is sought is not there yet.
fn hls_js(script: &str) -> String {
    player(
        script,
        "const hls = new Hls({ maxBufferLength: 4 });
        hls.on(Hls.Events.ERROR, (_, { details, fatal, error }) => {
          // A slow machine, or a visitor who seeks.
          const { BUFFER_STALLED_ERROR, INTERNAL_ABORTED } = Hls.ErrorDetails;
          const harmless = [BUFFER_STALLED_ERROR, INTERNAL_ABORTED].includes(details);
          if (fatal || !harmless) faults.push(`${details}: ${error?.message}`);
        });
        hls.loadSource('/media/one-hour-up/master.m3u8');
        hls.attachMedia(media);",
    )
}

/// A player in a page, with the script that starts it on `media`.
fn player(script: &str, start: &str) -> String {
    format!(
        "<video muted playsinline></video>
        {WATCH}
        <script src='{script}'></script>
        <script>start = () => {{ {start} }};</script>"
    )
}

/// A media element that plays by itself.
fn element(tag: &str, film: &str) -> String {
    format!(
        "<{tag} muted playsinline></{tag}>\n{WATCH}\n<script>start = () => {{ media.src = '{film}' }}</script>"
    )
}

/// Writes down what goes wrong with the media element.
const WATCH: &str = "<script>
    const media = document.querySelector('video, audio');
    media.addEventListener('error', () => faults.push(`element: ${media.error?.message}`));
</script>";
