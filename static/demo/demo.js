// The gallery's own script: a lightbox, and a panel that shows what DCDN did.
// It uses nothing but the page API (`window.dcdn`), and works without it.

const byId = (id) => document.getElementById(id);

const SOURCES = ['p2p', 'http', 'cache'];
const field = (source) => `bytes_${source}`;

/** Milliseconds between two refreshes of the panel at the least. */
const REFRESH_MS = 250;

/** Milliseconds after which a worker that is not ready yet is called slow. */
const SLOW_START_MS = 8000;

// --- words ---------------------------------------------------------------

function bytes(n) {
  if (n < 1000) return `${n} B`;
  const unit = n < 1e6 ? ['kB', 1e3] : ['MB', 1e6];
  const value = n / unit[1];
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit[0]}`;
}

const sum = (counts) => SOURCES.reduce((all, source) => all + (counts[field(source)] ?? 0), 0);

/** Whole percents that do not say 100 or 0 when it is not quite so. */
function percent(part, whole) {
  if (!whole) return '0 %';
  const share = (100 * part) / whole;
  if (share > 99 && share < 100) return '99 %';
  if (share > 0 && share < 1) return '<1 %';
  return `${Math.round(share)} %`;
}

function inWords(counts) {
  const names = { p2p: 'visitors', http: 'server', cache: 'cache' };
  const all = sum(counts);
  return SOURCES.filter((source) => counts[field(source)] > 0)
    .map((source) => `${percent(counts[field(source)], all)} ${names[source]}`)
    .join(', ');
}

// --- bars and badges -----------------------------------------------------

function makeBar() {
  const bar = document.createElement('span');
  bar.className = 'bar';
  for (const source of SOURCES) bar.append(Object.assign(document.createElement('i'), { className: source }));
  return bar;
}

/** Fills a bar; with `length`, what is still missing stays empty. */
function fill(bar, counts, length = 0) {
  const all = Math.max(sum(counts), length);
  for (const part of bar.children) {
    const share = all ? (100 * (counts[field(part.className)] ?? 0)) / all : 0;
    part.style.width = `${share}%`;
  }
}

/** One badge for each picture and film, by path and query, as `stats()` names them. */
function makeBadges() {
  const badges = new Map();
  for (const media of document.querySelectorAll('.work img, .work video')) {
    const { pathname, search } = new URL(media.getAttribute('src'), document.baseURI);
    const badge = document.createElement('div');
    const text = document.createElement('span');
    badge.className = 'badge';
    badge.hidden = true;
    badge.append(makeBar(), text);
    media.closest('.work').querySelector('figcaption').append(badge);
    badges.set(pathname + search, { badge, bar: badge.firstChild, text });
  }
  return badges;
}

function showBadge({ badge, bar, text }, entry) {
  const loaded = sum(entry);
  badge.hidden = loaded === 0;
  fill(bar, entry, entry.length ?? 0);
  const whole = entry.length && loaded >= entry.length;
  text.textContent = whole || !entry.length ? inWords(entry) : `${percent(loaded, entry.length)} loaded`;
  badge.title = SOURCES.map((source) => `${source}: ${bytes(entry[field(source)])}`).join('\n');
}

// --- the panel -----------------------------------------------------------

/** Writes only what is new, so that a screen reader says it once. */
function say(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** `reason` as a sentence. */
function sentence(reason) {
  if (!reason) return '';
  return `${reason[0].toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? '' : '.'}`;
}

/** Lamp, headline and note, from what is known. */
function describe({ mode, reason, controlled, online, peers, totals }) {
  const all = sum(totals);
  if (!online) return ['cache', 'Offline', 'No network. What this browser has seen before is still here.'];
  if (mode === 'starting') return ['starting', 'Worker starting', 'The pictures load as on any page meanwhile.'];
  if (mode === 'http') return ['http', 'Plain HTTP', `${sentence(reason) || 'DCDN is not active here.'} The page works as usual.`];
  if (totals.bytes_p2p > 0) return ['p2p', `${percent(totals.bytes_p2p, all)} from visitors`, ''];
  if (!controlled) return ['starting', 'First visit', 'This first visit came from the server; reload to see peers.'];
  if (mode === 'cache') return ['cache', 'Cache only', sentence(reason) || 'No connections to other visitors.'];
  if (all === 0) return ['starting', 'Ready', 'Nothing has been asked for yet.'];
  if (totals.bytes_cache === all) return ['cache', 'From your own cache', 'You have been here before; nothing had to be sent.'];
  if (peers > 0) return ['p2p', 'Connected', 'Visitors are here; nothing has come from them yet.'];
  return ['http', 'Nobody else here', 'Open this page in a second browser or profile.'];
}

function showState(now) {
  const [lamp, headline, note] = describe(now);
  byId('lamp').className = `lamp ${lamp}`;
  say('headline', headline);
  say('state', note);
}

function showTotals({ totals, peers }) {
  const all = sum(totals);
  for (const source of SOURCES) say(`bytes-${source}`, bytes(totals[field(source)]));
  say('peers', String(peers));
  say('peers-word', peers === 1 ? 'peer' : 'peers');
  say('offload', percent(all - totals.bytes_http, all));
  say('uploaded', bytes(totals.bytes_uploaded));
  fill(byId('total-bar'), totals);
  byId('total-bar').setAttribute('aria-label', inWords(totals) || 'no bytes yet');
}

/** Runs `task` when called, at most every `REFRESH_MS` and never twice at a time. */
function throttled(task) {
  let wanted = false;
  let busy = false;
  return async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      await task();
      await new Promise((resolve) => { setTimeout(resolve, REFRESH_MS); });
    }
    busy = false;
  };
}

async function runPanel() {
  // DCDN's own overlay says more, in the same place.
  if (new URLSearchParams(location.search).get('dcdn') === 'debug') return;
  const empty = { bytes_http: 0, bytes_p2p: 0, bytes_cache: 0, bytes_uploaded: 0 };
  const now = { mode: 'starting', reason: '', controlled: true, online: navigator.onLine, peers: 0, totals: empty };
  const show = () => { showState(now); showTotals(now); };
  const { dcdn } = window;

  byId('panel').hidden = false;
  if (window.matchMedia('(max-width: 40rem)').matches) byId('panel-details').open = false;
  for (const event of ['online', 'offline']) {
    window.addEventListener(event, () => { now.online = navigator.onLine; show(); });
  }
  if (!dcdn) {
    Object.assign(now, { mode: 'http', reason: 'DCDN is not on this server.' });
    show();
    return;
  }
  show();

  const badges = makeBadges();
  // On a first visit the browser loads what the page names before there is a worker to ask.
  now.controlled = Boolean(navigator.serviceWorker?.controller);
  const refresh = throttled(async () => {
    try {
      const { urls, totals, peers } = await dcdn.stats();
      Object.assign(now, { totals, peers });
      for (const entry of urls) {
        const badge = badges.get(entry.url);
        if (badge) showBadge(badge, entry);
      }
      show();
    } catch {
      // The worker went away in between; the next event asks again.
    }
  });
  for (const event of ['progress', 'peer', 'done']) dcdn.on(event, refresh);

  const slow = setTimeout(() => {
    say('state', 'Still starting. The page is complete without it.');
  }, SLOW_START_MS);
  try {
    const { mode, reason } = await dcdn.ready;
    Object.assign(now, { mode, reason: reason ?? '' });
  } catch (error) {
    Object.assign(now, { mode: 'http', reason: `DCDN could not start: ${error?.message ?? error}.` });
  }
  clearTimeout(slow);
  show();
  if (now.mode === 'http') return;
  refresh();
  // What others fetch from us has no event of its own.
  setInterval(() => { if (!document.hidden) refresh(); }, 2000);
  document.addEventListener('visibilitychange', refresh);
}

// --- the lightbox --------------------------------------------------------

function runLightbox() {
  const box = byId('lightbox');
  const links = [...document.querySelectorAll('a.frame')];
  if (typeof box.showModal !== 'function') return;
  let current = 0;

  const show = (index) => {
    current = (index + links.length) % links.length;
    const work = links[current].closest('.work');
    const image = links[current].querySelector('img');
    const large = byId('lightbox-image');
    large.src = image.currentSrc || image.src;
    large.width = image.getAttribute('width');
    large.height = image.getAttribute('height');
    large.alt = image.alt;
    byId('lightbox-title').textContent = work.querySelector('h2').textContent;
    byId('lightbox-note').textContent = work.querySelector('figcaption p').textContent;
  };

  links.forEach((link, index) => {
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show(index);
      box.showModal();
    });
  });
  box.querySelector('.back').addEventListener('click', () => show(current - 1));
  box.querySelector('.on').addEventListener('click', () => show(current + 1));
  box.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') show(current - 1);
    if (event.key === 'ArrowRight') show(current + 1);
  });
  box.addEventListener('click', (event) => {
    if (event.target === box || event.target.tagName === 'FIGURE') box.close();
  });
  box.addEventListener('close', () => links[current].focus());
}

runLightbox();
runPanel();
