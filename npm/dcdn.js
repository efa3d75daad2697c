// DCDN for bundlers. The page's part, the service worker and the WebAssembly must fit each other and
// the server, so all of them come from there, as with the script tag: this module loads
// `/dcdn/dcdn.js` at run time, and hands on what it can do. Importing it is enough to start.
//
// Where there is no such server (a test, a renderer on the server) nothing fails: `ready` says
// `http` and why.

const ADDRESS = '/dcdn/dcdn.js';

const nothing = () => ({
  urls: [],
  totals: { bytes_http: 0, bytes_p2p: 0, bytes_cache: 0, bytes_uploaded: 0 },
  peers: 0,
});

/** What there is instead of the real thing, and says why. */
function absent(reason) {
  const status = { mode: 'http', reason };
  const error = `this page is served over plain HTTP: ${reason}`;
  const refused = { ok: false, error };
  const failed = { ok: false, bytes: 0, error };
  const list = (urls) => (typeof urls === 'string' || urls instanceof URL ? [urls] : [...urls]);
  return {
    ready: Promise.resolve(status),
    stats: async () => nothing(),
    on: () => () => {},
    prefetch: async (urls) => list(urls).map((url) => ({ url: String(url), ...failed })),
    forget: async (url) => ({ url: String(url), ...failed }),
    clear: async () => failed,
    configure: async () => refused,
    consent: async () => refused,
    unregister: async () => refused,
    diagnose: async () => ({
      ...status,
      controlled: false,
      coordination: 'closed',
      refused: null,
      consent: false,
      not_uploading: null,
      peers: [],
      tried: 0,
      failed: 0,
      banned: 0,
      urls: [],
      sentences: [`This page is served over plain HTTP: ${reason}.`],
    }),
  };
}

async function load() {
  if (typeof document === 'undefined') return absent('this is no page');
  try {
    // No bundler is to look for it: it is on the server.
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ ADDRESS)).dcdn;
  } catch {
    return absent(`${ADDRESS} could not be loaded`);
  }
}

const loaded = load();
const later = (name) => async (...args) => (await loaded)[name](...args);

export const dcdn = {
  ready: loaded.then(({ ready }) => ready),
  stats: later('stats'),
  on(event, fn) {
    let wanted = true;
    let stop = () => {};
    loaded.then((it) => {
      if (wanted) stop = it.on(event, fn);
    });
    return () => {
      wanted = false;
      stop();
    };
  },
  prefetch: later('prefetch'),
  forget: later('forget'),
  clear: later('clear'),
  configure: later('configure'),
  consent: later('consent'),
  diagnose: later('diagnose'),
  unregister: later('unregister'),
};
