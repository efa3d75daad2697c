// DCDN: one script tag, and the visitors of a site deliver its media to each other.
//
//   <script type="module" src="/dcdn/dcdn.js"></script>
//
// Registers the service worker and starts the page's part of it. Whatever is in
// the way, the page works as without DCDN, and `dcdn.diagnose()` says what it was.
// `data-policy`, `data-slack-ms`, `data-slack-percent`, `data-mixed-http-percent` and
// `data-coord` on the tag override the site's configuration for this page, `data-token` is its join
// token where the site asks for one; `?dcdn=off` in
// the page's address switches it off, `?dcdn=debug` there or `data-debug` on the tag shows an
// overlay that says what it does.

const BUILD = '__DCDN_BUILD__';
const WORKER = '/sw.js';
const SCOPE = '/';
const POLICIES = ['http', 'basic', 'prefetch', 'head-start', 'mixed', 'adaptive'];
/** Settings that are whole numbers, by their names in `dataset`. */
const NUMBERS = {
  slack_ms: { key: 'slackMs', most: 999_999_999 },
  slack_percent: { key: 'slackPercent', most: 1000 },
  mixed_http_percent: { key: 'mixedHttpPercent', most: 100 },
};

/** Longest waits, in milliseconds, before `ready` gives up and says `http`. */
const CONTROL_TIMEOUT = 10_000;
const CLAIM_TIMEOUT = 2_000;
const WELCOME_TIMEOUT = 10_000;
/** A little more than the page's part waits for the worker, twice. */
const STATS_TIMEOUT = 5_000;
/** How long `unregister` waits for the worker to remove everything, before it does so itself. */
const REMOVAL_TIMEOUT = 10_000;

/** Resources that one `prefetch` fetches at a time. */
const PREFETCHED_AT_ONCE = 3;
/** What we keep outside of the worker's caches, by its keys in `localStorage`. */
const KEPT = ['dcdn.group', 'dcdn.consent', 'dcdn.peers'];

/** Thrown inside `start` when the page goes on as plain HTTP; not an error. */
class Obstacle extends Error {}

const listeners = new Map();
let status = { mode: 'http', reason: 'still starting' };
let shim = null;
let errands = 0;
const answers = new Map();
let welcomed;
let nextWelcome;
expectWelcome();
const firstWelcome = nextWelcome;
let settings = {};
let lastStats = {
  urls: [],
  totals: { bytes_http: 0, bytes_p2p: 0, bytes_cache: 0, bytes_uploaded: 0 },
  peers: 0,
};

const api = () => ({
  /**
   * Resolves, and never rejects, to `{mode, reason}`: `p2p` when the worker serves this page and
   * peers may, `cache` when it serves without peers, `http` when DCDN is not in use.
   */
  ready: start().then(
    (running) => (status = running),
    (problem) => {
      const reason = problem instanceof Obstacle ? problem.message : `unexpected: ${problem}`;
      return (status = { mode: 'http', reason });
    },
  ),

  /**
   * What this page was served, and from where: `{urls: [{url, policy, length, bytes_http, bytes_p2p,
   * bytes_cache, requested_ms, ttfb_ms, ttlb_ms}], totals: {bytes_http, bytes_p2p, bytes_cache,
   * bytes_uploaded}, peers}`. Times count from navigationStart, `peers` are open connections.
   */
  async stats() {
    lastStats = await attempt((it) => it.stats(), lastStats);
    return lastStats;
  },

  /**
   * Calls `fn` on every `progress` ({url, loaded, total, source}; ten times a second at most for a
   * resource, and whenever another source takes over), `done` ({url}), `error` ({url, message}) or `peer` ({peer, state: 'up' | 'down', peers}). Returns a function that stops it.
   */
  on(event, fn) {
    if (!listeners.has(event)) listeners.set(event, new Set());
    listeners.get(event).add(fn);
    return () => listeners.get(event).delete(fn);
  },

  /**
   * Fetches resources of this site into the store, from peers and server as they come, so that they
   * are there at once when a page needs them, without a network too. `urls` is one or several; a few
   * are fetched at a time. Resolves, and never rejects, to one `{url, ok, bytes, error}` for each, in
   * their order: `bytes` are those of the whole resource, `error` says why it is not stored (there is
   * none if it is). `onprogress` is called with `{url, loaded, total}` in bytes; an `AbortSignal` as
   * `signal` stops what has not come yet, and what has come stays.
   */
  async prefetch(urls, { onprogress, signal } = {}) {
    const list = typeof urls === 'string' || urls instanceof URL ? [urls] : [...urls];
    const results = [];
    let next = 0;
    const fetchNext = async () => {
      while (next < list.length) {
        const place = next++;
        results[place] = await prefetchOne(String(list[place]), onprogress, signal);
      }
    };
    await Promise.all(Array.from({ length: PREFETCHED_AT_ONCE }, fetchNext));
    return results;
  },

  /**
   * Removes a resource of this site from the store; peers are no longer offered it. Resolves, and
   * never rejects, to `{url, ok, bytes, error}` with the bytes that this freed: 0 if it was not there,
   * or if another URL has the same content.
   */
  async forget(url) {
    return { url: String(url), ...(await errand(String(url), (id, path) => shim.forget(id, path))) };
  },

  /**
   * Removes everything from the store: media, and pages that were kept for offline use. Resolves, and
   * never rejects, to `{ok, bytes, error}`.
   */
  clear: () => errand(null, (id) => shim.clear(id)),

  /**
   * Removes everything of DCDN from this browser: what is stored, and the worker. This page goes on
   * over plain HTTP; the next page with the script tag installs DCDN anew. Resolves, and never rejects,
   * to `{ok, error}`.
   */
  async unregister() {
    await dcdn.ready;
    if (status.mode !== 'http') {
      await within(REMOVAL_TIMEOUT, shim.unregister(errands++), 'no answer').catch(() => {});
      // Its connections end with it.
      shim.free();
      shim = null;
      status = { mode: 'http', reason: 'the page has removed DCDN' };
    }
    const ok = await remove();
    return ok ? { ok } : { ok, error: 'the browser did not let go of everything' };
  },

  /**
   * Other settings for this page from now on: any of `{policy, slack_ms, slack_percent,
   * mixed_http_percent, coord, token}`; those that are not named stay, `undefined` takes one back to the
   * site's own. What is under way goes on as it began. Resolves, and never rejects, to `{ok, error}`;
   * nothing changes if one of them makes no sense.
   */
  async configure(changes) {
    const { found, mistakes } = check({ ...settings, ...changes });
    if (mistakes.length) return { ok: false, error: mistakes.join('; ') };
    settings = found;
    return tell((it) => it.configure(settings));
  },

  /**
   * Whether the visitor consents to connections with other visitors, which see the address of
   * this one. Remembered in this browser. `false` ends them. Resolves, and never rejects, to
   * `{ok, error}`.
   */
  consent: (given) => tell((it) => it.consent(given === true)),

  /**
   * Why there is P2P or why not: `{mode, reason, controlled, coordination, refused, consent, not_uploading,
   * peers: [{peer, state, bytes_in, bytes_out, rtt_ms}], tried, failed, banned, urls: [{url, shared,
   * reason}], sentences}`. `urls` are the media elements' that DCDN has not served; the server is asked
   * why not.
   */
  async diagnose() {
    const { mode, reason } = status;
    const controlled = Boolean(navigator.serviceWorker?.controller);
    const found = await attempt((it) => it.diagnose(), {
      coordination: 'closed',
      refused: null,
      consent: false,
      not_uploading: null,
      peers: [],
      tried: 0,
      failed: 0,
      banned: 0,
      sentences: [],
    });
    const urls = mode === 'http' ? [] : await Promise.all((await unserved()).map(examined));
    const sentences = mode === 'http'
      ? [`This page is served over plain HTTP: ${reason}.`]
      : [...found.sentences, ...urls.map(({ url, reason: why }) => `${url} did not come through DCDN: ${why}.`)];
    return { mode, reason, controlled, ...found, urls, sentences };
  },
});

// A page that loads this twice, under two addresses, still has one. (Before the first,
// `window.dcdn` may be an element with that id.)
export const dcdn = window.dcdn?.ready instanceof Promise ? window.dcdn : api();
window.dcdn = dcdn;
dcdn.ready.then(showOverlay).catch(() => {});

async function start() {
  const obstacle = missing();
  if (obstacle) throw new Obstacle(obstacle);
  settings = readTag();

  const { controller } = navigator.serviceWorker;
  let loading;
  if (!controller) {
    await askSite();
    loading = load(settings);
    await register();
  } else if (isOurs(controller)) {
    loading = load(settings);
  } else {
    throw new Obstacle('another service worker controls this page');
  }
  const problem = await loading;
  if (problem) throw new Obstacle(problem);
  try {
    await within(WELCOME_TIMEOUT, firstWelcome, 'the service worker does not answer');
  } catch (problem) {
    // Firefox ends a worker that has unregistered before the page that it opened is there.
    await askSite();
    throw problem;
  }
  if (status.mode !== 'http') nameParts(!controller);
  return status;
}

/** The overlay for whoever builds the page, if it is wanted. */
async function showOverlay() {
  const inAddress = new URLSearchParams(location.search).get('dcdn') === 'debug';
  if (!inAddress && ownTag()?.dataset.debug === undefined) return;
  const { show } = await import(`./overlay.js?v=${BUILD}`);
  show(dcdn);
}

/**
 * Tells the worker what this page consists of besides its media, so that a site that wants its
 * pages offline has them whole.
 */
async function nameParts(isNew) {
  if (document.readyState !== 'complete') {
    await new Promise((resolve) => window.addEventListener('load', resolve, { once: true }));
  }
  const isPart = ({ name, initiatorType }) =>
    name.startsWith(`${location.origin}/`) &&
    (['script', 'link', 'css', 'other'].includes(initiatorType) || /\/dcdn\/[^/]*\.(js|wasm)\b/.test(name));
  const parts = performance.getEntriesByType('resource').filter(isPart).map(({ name }) => name);
  // A page that the worker has seen being opened is kept already.
  const urls = [...new Set([...(isNew ? [location.href] : []), import.meta.url, ...parts])];
  navigator.serviceWorker.controller?.postMessage({ type: 'dcdn:shell', urls });
}

/** What this page cannot do without, or null. */
function missing() {
  if (new URLSearchParams(location.search).get('dcdn') === 'off') return 'switched off by ?dcdn=off';
  if (!window.isSecureContext) return 'the page is not in a secure context (https or localhost)';
  if (!('serviceWorker' in navigator)) return 'this browser has no service workers';
  if (typeof WebAssembly !== 'object') return 'this browser has no WebAssembly';
  return null;
}

/** Our own script tag. A module has no `document.currentScript`. */
function ownTag() {
  const address = (url) => url.split(/[?#]/, 1)[0];
  const own = address(import.meta.url);
  return [...document.scripts].find((script) => script.src && address(script.src) === own);
}

/** The settings on our own script tag. */
function readTag() {
  const { policy, coord, token, ...rest } = ownTag()?.dataset ?? {};
  const numbers = Object.entries(NUMBERS).map(([name, { key }]) => [name, rest[key]]);
  const { found, mistakes } = check({ policy, coord, token, ...Object.fromEntries(numbers) });
  mistakes.forEach((mistake) => console.warn(`dcdn: ${mistake}`));
  return found;
}

/** Those of some settings that make sense, and what is wrong with the others. */
function check({ policy, coord, token, ...numbers }) {
  const found = {};
  const mistakes = [];
  if (POLICIES.includes(policy)) {
    found.policy = policy;
  } else if (policy) {
    mistakes.push(`there is no policy "${policy}", only ${POLICIES.join(', ')}`);
  }
  for (const [name, value] of Object.entries(numbers)) {
    const most = NUMBERS[name]?.most;
    if (value === undefined || value === null) continue;
    if (most === undefined) mistakes.push(`there is no setting "${name}"`);
    else if (/^\d{1,9}$/.test(value) && Number(value) <= most) found[name] = Number(value);
    else mistakes.push(`${name} is a number from 0 to ${most}, not "${value}"`);
  }
  if (coord) found.coord = String(coord);
  if (token) found.token = String(token);
  return { found, mistakes };
}

/** Without a worker's word: does the site want DCDN? */
async function askSite() {
  try {
    const response = await fetch('/dcdn/config.json', { credentials: 'omit' });
    if (!response.ok) throw new Obstacle('the site has no DCDN configuration');
    if ((await response.json()).enabled === false) {
      remove();
      throw new Obstacle('the site has switched DCDN off');
    }
  } catch (problem) {
    if (problem instanceof Obstacle) throw problem;
    throw new Obstacle('the site’s DCDN configuration could not be read');
  }
}

/** Registers the worker and waits until it controls the page. */
async function register() {
  const container = navigator.serviceWorker;
  const existing = await container.getRegistration(SCOPE).catch(() => undefined);
  const other = existing && [existing.installing, existing.waiting, existing.active].find(Boolean);
  if (other && new URL(existing.scope).pathname === SCOPE && !isOurs(other)) {
    throw new Obstacle('the site has another service worker');
  }

  const controlled = new Promise((resolve) => {
    container.addEventListener('controllerchange', resolve, { once: true });
    if (container.controller) resolve();
  });
  let registration;
  try {
    registration = await container.register(WORKER, { scope: SCOPE, updateViaCache: 'none' });
  } catch (problem) {
    throw new Obstacle(`the service worker could not be registered: ${problem.message}`);
  }
  // A worker that is done starting does not claim pages any more: this is a forced reload.
  const settled = registration.active && !registration.installing && !registration.waiting;
  await within(
    settled ? CLAIM_TIMEOUT : CONTROL_TIMEOUT,
    controlled,
    settled ? 'the page was reloaded past its service worker' : 'the service worker did not start',
  );
  container.controller?.postMessage({ type: 'dcdn:begun', urls: begun() });
}

/** What media elements have from the network already, and must go on to have from there. */
function begun() {
  const isMedia = ({ initiatorType }) => ['video', 'audio'].includes(initiatorType);
  const ended = performance.getEntriesByType('resource').filter(isMedia).map(({ name }) => name);
  const has = (it) => it.readyState > 0 || it.networkState === HTMLMediaElement.NETWORK_LOADING;
  const shown = mediaIn(document).filter(has).map((it) => it.currentSrc.split('#', 1)[0]);
  return [...new Set([...ended, ...shown])];
}

function mediaIn(root) {
  return [...root.querySelectorAll('*')].flatMap((it) => [
    ...(it instanceof HTMLMediaElement ? [it] : []),
    ...(it.shadowRoot ? mediaIn(it.shadowRoot) : []),
  ]);
}

function isOurs(worker) {
  return new URL(worker.scriptURL).pathname === WORKER;
}

/**
 * Loads the page's part, which shakes hands with the worker as soon as there is one. Resolves to
 * the problem, if there is any.
 */
async function load(settings) {
  try {
    const [{ default: init, Shim }, code] = await Promise.all([
      import(`./page_shim.js?v=${BUILD}`),
      fetch(new URL(`./page_shim_bg.wasm?v=${BUILD}`, import.meta.url)),
    ]);
    await init({ module_or_path: code });
    shim = new Shim(settings, hear);
    navigator.serviceWorker.startMessages();
    return null;
  } catch (problem) {
    return `the page’s part of DCDN could not be loaded: ${problem.message}`;
  }
}

/** Events of the page's part. */
function hear({ event, ...detail }) {
  if (event === 'welcome') {
    welcome(detail);
    return;
  }
  for (const fn of listeners.get(event) ?? []) {
    try {
      fn(detail);
    } catch (problem) {
      reportError(problem);
    }
  }
}

/** A worker has answered: the first one, or one that has taken its place. */
function welcome({ compatible, enabled, peers, consent, persist }) {
  if (!compatible) {
    // The newer of the two is on its way to the browser, and will say welcome in its turn.
    const reason = 'the page and its service worker are of different versions';
    status = { mode: 'http', reason };
  } else if (!enabled) {
    status = { mode: 'http', reason: 'DCDN has been switched off' };
    remove();
  } else {
    const obstacle = !peers ? 'no WebRTC' : !consent ? 'the visitor has not consented to peers' : null;
    status = { mode: obstacle ? 'cache' : 'p2p', reason: obstacle };
    // A worker cannot ask for this, and a browser that does not want to need not.
    if (persist) navigator.storage?.persist?.().catch(() => {});
  }
  welcomed();
  expectWelcome();
}

function expectWelcome() {
  nextWelcome = new Promise((resolve) => (welcomed = resolve));
}

/** Has the worker hear something from this page, and waits until it has answered. */
async function tell(say) {
  await dcdn.ready;
  if (status.mode === 'http') return { ok: false, error: `this page is served over plain HTTP: ${status.reason}` };
  const heard = nextWelcome;
  say(shim);
  try {
    await within(WELCOME_TIMEOUT, heard, 'the service worker does not answer');
    return { ok: true };
  } catch (problem) {
    return { ok: false, error: problem.message };
  }
}

/** Removes everything of ours from this browser: the next page is served without us. */
async function remove() {
  try {
    const registration = await navigator.serviceWorker?.getRegistration(SCOPE);
    if (registration?.active && isOurs(registration.active)) await registration.unregister();
    const names = (await window.caches?.keys()) ?? [];
    await Promise.all(names.filter((it) => it.startsWith('dcdn-')).map((it) => caches.delete(it)));
    KEPT.forEach((key) => localStorage.removeItem(key));
    return true;
  } catch {
    return false;
  }
}

/** The media of this page's elements that the worker knows nothing of. */
async function unserved() {
  const { urls } = await dcdn.stats();
  const served = new Set(urls.map(({ url }) => url));
  const shown = [...document.querySelectorAll('img, video, audio')].map((it) => it.currentSrc);
  const path = (url) => (url.startsWith(`${location.origin}/`) ? url.slice(location.origin.length) : url);
  const addresses = shown.filter((url) => /^https?:/.test(url)).map((url) => path(url.split('#', 1)[0]));
  return [...new Set(addresses)].filter((url) => !served.has(url));
}

/** Why a resource did not come through DCDN: each is asked about once. */
function examined(url) {
  if (!answers.has(url)) answers.set(url, examine(url));
  return answers.get(url);
}

async function examine(url) {
  const because = (reason, shared = false) => ({ url, shared, reason });
  if (!url.startsWith('/')) return because('it is of another origin');
  try {
    const coord = (settings.coord ?? '').replace(/\/+$/, '');
    // Softly: a refusal is no error on the page's console.
    const response = await fetch(`${coord}/dcdn/manifest?soft=1&url=${encodeURIComponent(url)}`, {
      credentials: 'omit',
    });
    if (!response.headers.get('content-type')?.includes('json')) {
      response.body?.cancel();
      return because('it was loaded before the service worker had this page; it is shared from the next view on', true);
    }
    const { error } = await response.json();
    return because(`it is not shared, because ${error.message}`);
  } catch {
    return because('the coordination server cannot be asked about it');
  }
}

/** One of `prefetch`. */
async function prefetchOne(url, onprogress, signal) {
  let undo;
  let stop;
  const outcome = await errand(url, (id, path) => {
    if (onprogress) {
      stop = dcdn.on('progress', ({ url: of, loaded, total }) => {
        if (of === path) onprogress({ url, loaded, total });
      });
    }
    undo = () => shim?.undo(id);
    signal?.addEventListener('abort', undo, { once: true });
    return shim.prefetch(id, path);
  }, signal);
  stop?.();
  signal?.removeEventListener('abort', undo);
  return { url, ...outcome };
}

function parse(url) {
  try {
    return new URL(url, document.baseURI);
  } catch {
    return null;
  }
}

/** Has the worker do something about a resource of this site, or about none. */
async function errand(url, run, signal) {
  const failed = (error) => ({ ok: false, bytes: 0, error });
  let path = null;
  if (url !== null) {
    const parsed = parse(url);
    if (!parsed) return failed('this is no URL');
    // Without a name and password in it, too, which no shared content has.
    if (!parsed.href.startsWith(`${location.origin}/`)) return failed('it is of another origin');
    path = parsed.pathname + parsed.search;
  }
  await dcdn.ready;
  if (status.mode === 'http') return failed(`this page is served over plain HTTP: ${status.reason}`);
  if (signal?.aborted) return failed('aborted');
  try {
    const { ok, bytes, error } = await run(errands++, path);
    if (ok) return { ok, bytes };
    return failed(signal?.aborted ? 'aborted' : error);
  } catch (problem) {
    return failed(`unexpected: ${problem}`);
  }
}

/** Asks the page's part, if there is one; `otherwise` if it does not answer in time. */
async function attempt(question, otherwise) {
  if (status.mode === 'http') return otherwise;
  try {
    return await within(STATS_TIMEOUT, question(shim), 'no answer');
  } catch {
    return otherwise;
  }
}

function within(ms, promise, reason) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Obstacle(reason)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
