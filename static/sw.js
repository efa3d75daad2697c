// DCDN's service worker: the listeners, and nothing else. A listener that is added
// after this script's first run never hears anything, so all are added here, at
// once; what they do is in the wasm module (crate dcdn-sw).

const BUILD = "__DCDN_BUILD__";
const RUNTIME = `dcdn-runtime-${BUILD}`;
const WASM = `/dcdn/worker_bg.wasm?v=${BUILD}`;
const SCRIPT = `/dcdn/dcdn.js?v=${BUILD}`;

// Defines wasm_bindgen. The browser keeps it together with this script.
importScripts(`/dcdn/worker.js?v=${BUILD}`);

// Between two releases: "are you through?", and "try to take over again".
const SUCCESSOR = "dcdn:successor";
const SUCCEED = "dcdn:succeed";
const SUCCESSION_MS = 20_000;

const isPage = /^(text\/html|application\/xhtml)/i;

let worker; // once it is ready
let starting;
let offline = false; // the last page that was opened came out of the cache
const switchedOff = new Set(); // pages that were opened with ?dcdn=off

// Chromium ends a media element with an error if it gets a response that a worker has made
// after one of the network's, or the reverse. So what an element began with, it goes on with.
const begun = new Map(); // by page and URL: whether a worker has made the first response
const MOST_BEGUN = 500;
const BEGUN = "dcdn:begun"; // from a page: the URLs that its elements had from the network
const CLAIMED = "/dcdn/claimed"; // in the cache, for when this worker is started again
let claimed = new Map(); // pages that were there before the worker: the same by URL, once told

function start() {
  starting ??= (async () => {
    const cached = await caches.match(WASM, { cacheName: RUNTIME });
    if (!cached) {
      // Everything has been removed, and only the pages that were open are still here.
      await self.registration.unregister();
      throw new Error("DCDN has been removed");
    }
    await wasm_bindgen({ module_or_path: cached });
    const [started, pages] = await Promise.all([wasm_bindgen.Worker.start(), claimedPages()]);
    claimed = new Map(pages);
    worker = started;
    return worker;
  })().catch((error) => {
    starting = undefined; // the next event tries again
    throw error;
  });
  return starting;
}

// A panic ends in a trap and leaves the module unusable: from then on everything is plain HTTP,
// and requests that still wait for it are answered by the network.
let giveUp;
const givenUp = new Promise((resolve) => (giveUp = resolve));

function guard(run) {
  return (...given) => {
    try {
      return run(...given);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) {
        console.error("DCDN has stopped working", error);
        start = () => Promise.reject(error);
        worker = undefined;
        giveUp();
      }
      throw error;
    }
  };
}

// All ways into the module go through here (xtask/src/slim.rs puts this into its glue), whoever
// calls it and whatever becomes of the error.
self.dcdnGuarded = (exports) =>
  Object.fromEntries(
    Object.entries(exports).map(([name, it]) => [name, it instanceof Function ? guard(it) : it]),
  );

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const runtime = await caches.open(RUNTIME);
      await runtime.addAll([WASM, SCRIPT]);
      await (await start()).refresh();
      await succeed();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const before = await claimedPages();
      await (await start()).dropOldCaches(RUNTIME);
      // Pages are asked for while the worker is still starting.
      await self.registration.navigationPreload?.enable();
      await claim(before);
    })(),
  );
});

self.addEventListener("message", (event) => {
  const { type } = event.data ?? {};
  if (type === SUCCEED) return event.waitUntil(succeed());
  if (type === SUCCESSOR) return event.waitUntil(answerSuccessor(event.ports[0]));
  if (type === BEGUN) return event.waitUntil(learnBegun(event.source.id, event.data.urls));
  event.waitUntil(start().then((worker) => worker.message(event), () => {}));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(`${self.location.origin}/`)) return;
  if (request.mode === "navigate") return openPage(event);
  if (request.url === `${self.location.origin}/dcdn/dcdn.js`) {
    return event.respondWith(ownScript(request));
  }
  if (offline && isPagePart(request)) return event.respondWith(fetchOrKept(request));
  if (switchedOff.has(event.clientId)) return;
  if (!isMedia(request)) return;
  const answer = () =>
    start().then(
      (worker) => Promise.race([worker.respond(event), givenUp.then(() => fetch(request))]),
      () => fetch(request),
    );
  if (["video", "audio"].includes(request.destination)) return play(event, answer);
  if (worker && !worker.isOurs(request)) return;
  event.respondWith(answer());
});

// Answers a media element in the way in which it was answered before.
function play(event, answer) {
  const { request, clientId } = event;
  const { url } = request;
  const element = `${clientId} ${url}`;
  const way = () => begun.get(element) ?? claimed.get(clientId)?.[url];
  const begin = (isMade) => {
    if (begun.size >= MOST_BEGUN) begun.delete(begun.keys().next().value);
    begun.set(element, isMade);
    if (!claimed.get(clientId)) return;
    claimed.get(clientId)[url] = isMade;
    event.waitUntil(keepClaimed());
  };
  // As long as the page has not told what it plays; and it cannot tell of all.
  const mayHaveBegun = () =>
    claimed.has(clientId) && !(claimed.get(clientId) && startsAtZero(request));
  if (way() === undefined && worker && (mayHaveBegun() || !worker.isOurs(request))) begin(false);
  if (way() === false) return;
  const respond = async () => {
    await start().catch(() => {});
    const before = way();
    const isPlain = before === false || (before === undefined && mayHaveBegun());
    const response = await (isPlain ? fetch(request) : answer());
    const isMade = response.url === "";
    if (before === undefined) begin(isMade);
    return before && !isMade ? new Response(response.body, response) : response;
  };
  event.respondWith(respond());
}

function startsAtZero({ headers }) {
  return /^(bytes=0-.*)?$/.test(headers.get("Range") ?? "");
}

// Pages that are open already may be playing what came from the network.
async function claim(before) {
  const ids = async (options) => (await self.clients.matchAll(options)).map(({ id }) => id);
  const ours = await ids();
  const open = await ids({ includeUncontrolled: true });
  const known = new Map(before);
  const pages = open.filter((id) => known.has(id) || !ours.includes(id));
  claimed = new Map(pages.map((id) => [id, known.get(id) ?? null]));
  await keepClaimed();
  await self.clients.claim();
}

async function learnBegun(page, urls) {
  await start();
  if (claimed.get(page) !== null) return;
  claimed.set(page, Object.fromEntries(urls.map((url) => [url, false])));
  await keepClaimed();
}

async function keepClaimed() {
  // Opening would bring back a cache that has been removed.
  if (!(await caches.has(RUNTIME))) return;
  await (await caches.open(RUNTIME)).put(CLAIMED, Response.json([...claimed]));
}

async function claimedPages() {
  const kept = await caches.match(CLAIMED);
  return kept ? kept.json() : [];
}

// Takes over from the worker of the last release once that sends nothing any more: Firefox
// would end what it has begun as if that were all. If it stays busy this one waits, and is
// told to try again when a page is opened.
async function succeed() {
  const { active } = self.registration;
  if (!active || (await isThrough(active))) await self.skipWaiting();
}

function isThrough(worker) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(true);
    setTimeout(resolve, SUCCESSION_MS, false);
    worker.postMessage({ type: SUCCESSOR }, [port2]);
  });
}

async function answerSuccessor(port) {
  // One that does not work has nothing to end.
  await start().then((worker) => worker.idle(), () => {});
  port?.postMessage(true);
}

// A first, coarse sieve for the moments before the module can decide.
function isMedia({ destination }) {
  return ["image", "video", "audio", ""].includes(destination);
}

// The page's script comes without a round trip, and of the worker's own version. (It is to
// know itself by the page's address of it, not by ours.)
async function ownScript(request) {
  const kept = await caches.match(SCRIPT, { cacheName: RUNTIME });
  return kept ? new Response(kept.body, kept) : fetch(request);
}

function isPagePart({ destination, url }) {
  const ours = url.startsWith(`${self.location.origin}/dcdn/`);
  return ours || ["script", "style", "font", "manifest", "worker"].includes(destination);
}

// A page comes from the network, and only without one from the cache. The worker
// starts meanwhile, so that it is ready when the page asks for its media.
function openPage(event) {
  const { request } = event;
  if (new URL(request.url).searchParams.get("dcdn") === "off") {
    switchedOff.add(event.resultingClientId);
  } else {
    // While the page is on its way; the socket will wait for the answer.
    event.waitUntil(start().then((worker) => worker.probe(), () => {}));
  }
  self.registration.waiting?.postMessage({ type: SUCCEED });
  let copy;
  const preloaded = Promise.resolve(event.preloadResponse);
  const response = preloaded.then((response) => response ?? fetch(request)).then((response) => {
    // What Firefox makes of a server that cannot be reached, instead of a rejection.
    if (response.type === "error") throw new TypeError("the page could not be preloaded");
    // Now, because later the browser has begun to read it.
    if (response.ok && isPage.test(response.headers.get("Content-Type"))) copy = response.clone();
    return response;
  });
  event.respondWith(
    response.then(
      (response) => {
        offline = false;
        return response;
      },
      async (error) => {
        const kept = await (await start()).keptPage(request.url);
        if (!kept) throw error;
        offline = true;
        return kept;
      },
    ),
  );
  event.waitUntil(
    Promise.all([start(), response])
      .then(async ([worker]) => {
        // First whether the site still wants anything kept.
        await worker.refresh();
        await (copy && worker.keepPage(request.url, copy));
      })
      .catch(() => {}),
  );
}

async function fetchOrKept(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await (await start()).keptPage(request.url);
    if (kept) return kept;
    throw error;
  }
}
