// The film in other players, one at a time: each has a page view of its own, so that what the
// page API counts is that player's. The players come from npm, by `cargo xtask demo`; this page
// uses each as its own documentation says.

const FILM = 'media/one-hour-up';
const HLS = `${FILM}/master.m3u8`;
const DASH = `${FILM}/manifest.mpd`;

/** Milliseconds between two looks at the statistics. */
const REFRESH_MS = 500;

const byId = (id) => document.getElementById(id);

function element(tag, source) {
  const media = document.createElement(tag);
  Object.assign(media, { controls: true, playsInline: true, muted: true, width: 1280, height: 720 });
  media.setAttribute('aria-label', 'A flight around snow peaks above the fog at sunrise, with music');
  byId('frame').append(media);
  if (source) media.src = source;
  return media;
}

function script(file) {
  return new Promise((resolve, reject) => {
    const tag = document.createElement('script');
    tag.addEventListener('load', resolve);
    tag.addEventListener('error', reject);
    tag.src = `players/${file}`;
    document.head.append(tag);
  });
}

async function hlsJs() {
  await script('hls.min.js');
  const hls = new Hls();
  hls.loadSource(HLS);
  hls.attachMedia(element('video'));
}

async function shakaPlayer(source) {
  await script('shaka-player.compiled.js');
  const player = new shaka.Player();
  await player.attach(element('video'));
  await player.load(source);
}

async function videoJs(source) {
  await script('video.min.js');
  // Without its own look: that would be one more file, and the browser's will do.
  const player = videojs(element('video'), {
    controls: false,
    html5: { vhs: { overrideNative: true }, nativeControlsForTouch: true },
  });
  player.src(source);
  const media = player.el().querySelector('video');
  media.controls = true;
}

const PLAYERS = {
  'video, MP4': () => element('video', `${FILM}.mp4`),
  'video, WebM': () => element('video', `${FILM}.webm`),
  'audio, MP3': () => element('audio', `${FILM}.mp3`),
  'hls.js, HLS': hlsJs,
  'Shaka Player, HLS': () => shakaPlayer(HLS),
  'Shaka Player, DASH': () => shakaPlayer(DASH),
  'video.js, HLS': () => videoJs(HLS),
  'video.js, DASH': () => videoJs(DASH),
};

/** What the players fetch that is large enough to go among visitors. */
const FILES = [
  ...['mp4', 'webm', 'mp3'].map((kind) => `${FILM}.${kind}`),
  ...[0, 1, 2].flatMap((stream) => [1, 2, 3, 4].map((part) => `${FILM}/${stream}-${part}.m4s`)),
];

const asked = new URLSearchParams(location.search).get('player');
const chosen = Object.hasOwn(PLAYERS, asked ?? '') ? asked : Object.keys(PLAYERS)[0];

function link(text, href) {
  const anchor = document.createElement('a');
  Object.assign(anchor, { textContent: text, href });
  return anchor;
}

for (const name of Object.keys(PLAYERS)) {
  const anchor = link(name, `?player=${encodeURIComponent(name)}`);
  if (name === chosen) anchor.setAttribute('aria-current', 'page');
  byId('players').append(anchor);
}
byId('files').append(
  ...FILES.map((file) => {
    const item = document.createElement('li');
    item.append(link(file.slice('media/'.length), file));
    return item;
  }),
);
byId('name').textContent = chosen;
document.title = `Elsewhere: ${chosen}`;

// The worker first: an element goes on with what it began with.
const mode = await window.dcdn?.ready;
try {
  await PLAYERS[chosen]();
} catch (error) {
  byId('missing').hidden = !(error instanceof Event);
  if (!(error instanceof Event)) throw error;
}

async function refresh() {
  const { totals } = await dcdn.stats();
  const parts = [
    ['visitors', totals.bytes_p2p],
    ['server', totals.bytes_http],
    ['cache', totals.bytes_cache],
  ];
  const all = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  const words = parts
    .filter(([, bytes]) => bytes > 0)
    .map(([name, bytes]) => `${Math.round((100 * bytes) / all)} % ${name}`);
  byId('share').textContent = words.join(', ');
}

if (mode && mode.mode !== 'http') {
  setInterval(() => refresh().catch(() => {}), REFRESH_MS);
} else {
  byId('share').textContent = 'from the server: reload once, the first view installs the worker';
}
