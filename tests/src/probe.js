// What every test asks of a page; put before each script that a test runs there.

/** Milliseconds that a condition may take. Below the driver's limit, so that ours is the message. */
const PATIENCE = 55_000;

const hex = (buffer) =>
  Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');

const sha256 = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));

/** Resolves with what `condition` gives once that is truthy; rejects naming `what`. */
async function until(what, condition) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (performance.now() > deadline) {
      throw new Error(`still waiting for ${typeof what === 'function' ? what() : what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Where the worker writes down what it holds. */
const CATALOGUE = '/dcdn/store/catalogue';

/** The next event `name`; an `error` event instead of it rejects. */
function next(target, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} event`)), PATIENCE);
    target.addEventListener(name, () => { clearTimeout(timer); resolve(); }, { once: true });
    target.addEventListener('error', () => {
      clearTimeout(timer);
      reject(new Error(`${target.error?.message ?? 'an error'} while waiting for ${name}`));
    }, { once: true });
  });
}

/** What `fetch` delivers of a URL. */
async function fetched(url, options) {
  const response = await fetch(url, options);
  const body = await response.arrayBuffer();
  return {
    status: response.status,
    type: response.headers.get('Content-Type'),
    length: body.byteLength,
    sha256: await sha256(body),
  };
}

/** Begins to fetch a URL, and reads until there is a piece and `enough`. See `finished`. */
async function begun(url, enough = () => true) {
  const response = await fetch(url);
  const reader = response.body.getReader();
  const pieces = [];
  do {
    const { done, value } = await reader.read();
    if (done) throw new Error(`all of ${url} has come already`);
    pieces.push(value);
  } while (!(await enough()));
  window.begunFetch = { response, reader, pieces };
}

/** How the fetch that has `begun` ends: as `fetched`, or `null` for an error in the body. */
async function finished() {
  const { response, reader, pieces } = window.begunFetch;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
    }
  } catch {
    return null;
  }
  return fetched(URL.createObjectURL(new Blob(pieces, { type: response.headers.get('Content-Type') })));
}

/** What an `<img>` shows: its size, and the hash of its pixels at most 1024 wide. */
async function shown(image) {
  if (!image.complete) await next(image, 'load');
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = Math.min(1, 1024 / width);
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  // Not crypto.subtle: a page that is not a secure context has none.
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(data.buffer)) hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
  return { width, height, pixels: hash };
}

/** How far a media element is, for a message. */
function described({ currentTime, readyState, networkState, paused, seeking, buffered, error }) {
  const spans = Array.from({ length: buffered.length }, (_, n) => [buffered.start(n), buffered.end(n)]);
  const state = { currentTime, readyState, networkState, paused, seeking, spans };
  return JSON.stringify({ ...state, error: error?.message, hidden: document.hidden });
}

/** Plays the beginning of a `<video>`, seeks into its middle and plays its end. */
async function played(video) {
  video.muted = true;
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) await next(video, 'loadeddata');
  await video.play();
  await until(
    () => `the video to advance: ${described(video)}`,
    () => video.currentTime > 0.2,
  );
  video.pause();
  const { duration, videoWidth: width, videoHeight: height } = video;
  const middle = next(video, 'seeked');
  video.currentTime = duration / 2;
  await middle;
  const end = next(video, 'seeked');
  video.currentTime = duration - 0.5;
  await end;
  const ended = next(video, 'ended');
  await video.play();
  await ended;
  return { width, height, duration };
}

/** Adds an element with these properties to the page. */
function insert(tag, properties) {
  return document.body.appendChild(Object.assign(document.createElement(tag), properties));
}

/** The entry of `dcdn.stats()` for a URL, once all of its bytes are counted. */
function accounted(url) {
  return until(`dcdn.stats() to account for all of ${url}`, async () => {
    const entry = (await dcdn.stats()).urls.find((it) => it.url === url);
    const bytes = entry ? entry.bytes_http + entry.bytes_p2p + entry.bytes_cache : 0;
    return entry?.length && bytes >= entry.length && entry;
  });
}

/** Each chunk in the browser's store: `[cache, request]`. */
async function chunkEntries() {
  if (!(await caches.has(STORE))) return [];
  const cache = await caches.open(STORE);
  const ofChunks = ({ url }) => new URL(url).pathname.startsWith(CHUNKS);
  return (await cache.keys()).filter(ofChunks).map((request) => [cache, request]);
}

/** The hash of each chunk in the browser's store, by its path. */
async function storedChunks() {
  const hashes = {};
  for (const [cache, request] of await chunkEntries()) {
    const body = await (await cache.match(request)).arrayBuffer();
    hashes[new URL(request.url).pathname] = await sha256(body);
  }
  return hashes;
}

/** Resolves once the chunks at these paths are in the browser's store. */
function stored(paths) {
  let missing = paths;
  return until(() => `${missing.length} of ${paths.length} chunks to be stored`, async () => {
    const held = new Set((await chunkEntries()).map(([, { url }]) => new URL(url).pathname));
    missing = paths.filter((path) => !held.has(path));
    return missing.length === 0;
  });
}

/** The worker's own list of what the browser's store holds. */
async function catalogue() {
  if (!(await caches.has(STORE))) return null;
  const found = await (await caches.open(STORE)).match(CATALOGUE);
  return found ? found.json() : null;
}

/** What the browser's store really holds, and how many contents the catalogue says. */
async function storeSize() {
  let bytes = 0;
  const contents = new Set();
  const entries = await chunkEntries();
  for (const [cache, request] of entries) {
    bytes += (await (await cache.match(request)).blob()).size;
    contents.add(new URL(request.url).pathname.slice(CHUNKS.length).split('/')[0]);
  }
  const keys = await (await caches.open(STORE)).keys();
  const manifests = keys.filter(({ url }) => new URL(url).pathname === '/dcdn/store/manifest').length;
  const noted = Object.keys((await catalogue())?.contents ?? {}).length;
  return { bytes, contents: contents.size, manifests, noted };
}

/** Inverts every bit of every stored chunk. */
async function corruptStore() {
  for (const [cache, request] of await chunkEntries()) {
    const response = await cache.match(request);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const wrong = bytes.map((byte) => ~byte);
    await cache.put(request, new Response(wrong, { headers: response.headers }));
  }
}
