// What DCDN does on this page, for whoever builds the page: `?dcdn=debug` in its address, or
// `data-debug` on the tag. Loaded only then. No styles in markup, so any Content-Security-Policy
// that lets DCDN work lets this work.

const REFRESH = 1_000;
const SOURCES = { p2p: 'other visitors', http: 'the server', cache: 'this browser' };

const STYLE = `
:host { all: initial; position: fixed; z-index: 2147483647; right: 12px; bottom: 12px; left: auto;
  width: min(440px, calc(100% - 24px)); color-scheme: light dark;
  --ground: #fff; --raised: #f3f4f6; --ink: #16181d; --quiet: #565b66; --line: #c9cdd5;
  --p2p: #0b7a55; --http: #b4560d; --cache: #3b55c9; }
@media (prefers-color-scheme: dark) { :host { --ground: #14161b; --raised: #20232b; --ink: #eceef2;
  --quiet: #a8aeba; --line: #3b404b; --p2p: #5fd8aa; --http: #f2ab57; --cache: #93a9ff; } }
section { box-sizing: border-box; max-height: min(70vh, 640px); overflow: auto; scrollbar-width: thin;
  scrollbar-color: var(--line) transparent; color: var(--ink);
  background: var(--ground); border: 1px solid var(--line); border-radius: 10px;
  box-shadow: 0 6px 28px rgb(0 0 0 / .22); font: 13px/1.45 system-ui, sans-serif; }
.head { all: unset; box-sizing: border-box; position: sticky; top: 0; display: flex; gap: 10px;
  align-items: center; width: 100%; padding: 10px 14px; cursor: pointer; background: var(--ground); border-radius: 10px; }
.head:focus-visible { outline: 3px solid var(--cache); outline-offset: -3px; }
.head b { font-weight: 650; } .head .now { margin-left: auto; color: var(--quiet); font-variant-numeric: tabular-nums; }
.head::after { content: '\\25be'; color: var(--quiet); } .head[aria-expanded=false]::after { content: '\\25b4'; }
.body { padding: 0 14px 14px; } .body[hidden] { display: none; }
h3 { margin: 14px 0 6px; font-size: 11px; font-weight: 650; letter-spacing: .06em; text-transform: uppercase; color: var(--quiet); }
p { margin: 4px 0; } ul { margin: 0; padding: 0; list-style: none; } li { margin: 0 0 10px; }
.name { display: flex; gap: 8px; justify-content: space-between; }
.name span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.name span:last-child { flex: none; color: var(--quiet); font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: 14px; margin-top: 4px; background: var(--raised); border-radius: 3px; }
.p2p { fill: var(--p2p); color: var(--p2p); } .http { fill: var(--http); color: var(--http); } .cache { fill: var(--cache); color: var(--cache); }
.total { height: 18px; margin: 0 0 6px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 6px 3px 0; text-align: right; font-weight: 400; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); } th:first-child, td:first-child { text-align: left; } tr:last-child td { border: 0; }
.ids td:first-child { font-family: ui-monospace, monospace; } i { font-style: normal; }
`;

/** Bytes for people. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** An element with attributes and children; text goes in as text. */
function make(name, attributes = {}, ...children) {
  const vector = ['svg', 'rect'].includes(name);
  const it = vector
    ? document.createElementNS('http://www.w3.org/2000/svg', name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

/** Parts of a whole, from its first byte to its last, by where each came from. */
function map({ length, spans, name = '' }) {
  const parts = spans.map(([start, end, source]) =>
    make('rect', { class: source, x: (start / length) * 1000, width: ((end - start) / length) * 1000, height: 1 }));
  const shares = Object.entries(SOURCES).map(([source, from]) => {
    const bytes = spans.filter((span) => span[2] === source).reduce((sum, [start, end]) => sum + end - start, 0);
    return `${Math.round((100 * bytes) / length)} % from ${from}`;
  });
  return make('svg', { class: name, viewBox: '0 0 1000 1', preserveAspectRatio: 'none', role: 'img', 'aria-label': shares.join(', ') }, ...parts);
}

/** All that this page was given, one source after the other. */
function total(totals) {
  let length = 0;
  const spans = Object.keys(SOURCES).map((source) => [length, (length += totals[`bytes_${source}`]), source]);
  return length ? [map({ length, spans, name: 'total' })] : [];
}

function resource(stats) {
  const bytes = stats.bytes_http + stats.bytes_p2p + stats.bytes_cache;
  const name = make('div', { class: 'name' },
    make('span', { title: stats.url }, stats.url),
    make('span', {}, `${size(bytes)} of ${stats.length ? size(stats.length) : 'unknown length'}`));
  return make('li', {}, name, ...(stats.length ? [map(stats)] : []));
}

function table(name, heads, rows) {
  const cells = (kind, row) => make('tr', {}, ...row.map((it) =>
    make(kind, kind === 'th' ? { scope: 'col' } : {}, ...[it].flat())));
  return make('table', { class: name },
    make('thead', {}, cells('th', heads)), make('tbody', {}, ...rows.map((row) => cells('td', row))));
}

function connections(peers) {
  if (!peers.length) return make('p', {}, 'None.');
  return table('ids', ['peer', 'state', 'in', 'out', 'round trip'], peers.map((it) => [
    // Peers of one server have the first half of their ids in common.
    it.peer.slice(-8), it.state, size(it.bytes_in), size(it.bytes_out),
    it.rtt_ms == null ? 'unknown' : `${Math.round(it.rtt_ms)} ms`,
  ]));
}

/** What came and went, in all and per second since the last look. */
function amounts(totals, speed) {
  const row = (key, words) => [words, size(totals[key]), speed[key]];
  return table('', ['bytes', 'in all', 'now'], [
    ...Object.entries(SOURCES).map(([source, from]) =>
      row(`bytes_${source}`, [make('i', { class: source, 'aria-hidden': 'true' }, '■ '), `from ${from}`])),
    row('bytes_uploaded', 'to other visitors'),
  ]);
}

function rates(totals, before, seconds) {
  const rate = ([key, bytes]) => [key, `${size(Math.max(0, bytes - before[key]) / seconds)}/s`];
  return Object.fromEntries(Object.entries(totals).map(rate));
}

/** Shows the overlay for `dcdn`. */
export function show(dcdn) {
  const host = document.createElement('dcdn-overlay');
  const root = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const now = make('span', { class: 'now' }, 'starting');
  const head = make('button', { class: 'head', type: 'button', 'aria-expanded': 'true', 'aria-controls': 'body' }, make('b', {}, 'DCDN'), now);
  const body = make('div', { class: 'body', id: 'body' });
  const section = make('section', { 'aria-label': 'DCDN on this page', tabindex: '-1' }, head, body);
  root.append(section);
  document.body.append(host);

  const toggle = (open) => {
    head.setAttribute('aria-expanded', String(open));
    body.hidden = !open;
  };
  head.addEventListener('click', () => toggle(body.hidden));
  section.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') toggle(false);
  });

  let last = null;
  const look = async () => {
    const [stats, found] = await Promise.all([dcdn.stats(), dcdn.diagnose()]);
    const at = performance.now();
    const { totals } = stats;
    const speed = rates(totals, last?.totals ?? totals, last ? (at - last.at) / 1000 : 1);
    last = { totals, at };
    now.textContent = `${found.mode} · ${stats.peers} ${stats.peers === 1 ? 'peer' : 'peers'} · ↓ ${speed.bytes_p2p} ↑ ${speed.bytes_uploaded}`;
    if (body.hidden) return;
    body.replaceChildren(
      ...found.sentences.map((sentence) => make('p', {}, sentence)),
      make('h3', {}, 'Given to this page'), ...total(totals), amounts(totals, speed),
      make('h3', {}, 'Connections'), connections(found.peers),
      make('h3', {}, 'Media, from first byte to last'),
      stats.urls.length ? make('ul', {}, ...stats.urls.map(resource)) : make('p', {}, 'None yet.'),
    );
  };
  const loop = async () => {
    if (!document.hidden) await look();
    setTimeout(loop, REFRESH);
  };
  loop();
}
