// The dashboard's figures, asked for every two seconds while somebody looks.

const EVERY = 2_000;
const BARS = [12, 60]; // at least, so that the first is not a wall, and at most
const TOKEN = 'dcdn.dashboard'; // in sessionStorage

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat();
const SHARE = at('share-title').textContent;
let before; // [seconds, bytes sent] when last asked
let refused = false;

/** Sets a text where it has changed: what is read aloud is read once. */
function write(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

/** Bytes for people. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** `20 s`, `3 min`, `2 h 5 min`, `4 d 1 h`; `1 h`, not `1 h 0 min`. */
function age(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const [large, small] = hours >= 24 ? [[Math.floor(hours / 24), 'd'], [hours % 24, 'h']] : [[hours, 'h'], [minutes % 60, 'min']];
  return [large, small].filter(([count]) => count).map((part) => part.join(' ')).join(' ');
}

const sum = (steps, field) => steps.reduce((all, step) => all + step[field], 0);

/** Steps put together so that there are not too many bars, the last one of the last ones. */
function grouped(steps) {
  const many = Math.ceil(steps.length / BARS[1]);
  const groups = [];
  for (let end = steps.length; end > 0; end -= many) groups.unshift(steps.slice(Math.max(0, end - many), end));
  return { many, groups };
}

/** Bars of three parts each, the newest at the right. */
function drawBars({ many, groups }, seconds) {
  const parts = ['shared', 'store', 'origin'];
  const bars = groups.map((steps) => parts.map((part) => sum(steps, part)));
  const most = Math.max(...bars.map((bar) => bar[0] + bar[1] + bar[2]));
  const room = Math.max(BARS[0], bars.length);
  const wide = 600 / room;
  const paths = ['', '', ''];
  bars.forEach((bar, n) => {
    let foot = 160;
    bar.forEach((bytes, part) => {
      const high = (bytes / Math.max(1, most)) * 156;
      if (high) paths[part] += `M${((room - bars.length + n + 0.1) * wide).toFixed(1)} ${foot.toFixed(1)}h${0.8 * wide}v${(-high).toFixed(1)}h${-0.8 * wide}z`;
      foot -= high;
    });
  });
  parts.forEach((part, n) => at('over').querySelector(`.${part}`).setAttribute('d', paths[n]));
  write('over-most', most ? `up to ${size(most)} in ${age(many * seconds)}` : 'nothing reported yet');
  write('over-since', `${age(room * many * seconds)} ago`);
  const all = (part) => size(sum(groups.flat(), part));
  at('over').setAttribute('aria-label',
    `In this time ${all('shared')} came from other visitors, ${all('origin')} from the site, ${all('store')} from visitors' own stores.`);
}

/** A line from left to right, with what is below it. */
function drawLine(id, values, text) {
  const most = Math.max(1, ...values);
  const points = values.map((value, n) =>
    `${((600 * n) / Math.max(1, values.length - 1)).toFixed(1)} ${(158 - (150 * value) / most).toFixed(1)}`);
  const line = values.length > 1 ? `M${points.join('L')}` : '';
  at(id).querySelector('.line').setAttribute('d', line);
  at(id).querySelector('.area').setAttribute('d', line && `${line}L600 160L0 160z`);
  at(id).setAttribute('aria-label', text);
}

/** Lines of a table: a file and a number each. */
function list(id, lines) {
  const rows = lines.map(([file, number]) => {
    const row = document.createElement('tr');
    row.insertCell().textContent = file;
    row.insertCell().textContent = whole.format(number);
    return row;
  });
  if (!rows.length) {
    const row = document.createElement('tr');
    Object.assign(row.insertCell(), { textContent: 'nothing yet', className: 'quiet' });
    row.insertCell();
    rows.push(row);
  }
  at(id).replaceChildren(...rows);
}

function showShare({ bytes_http: origin, bytes_p2p: shared, bytes_cache: store }) {
  const sent = origin + shared;
  const percent = sent ? (100 * shared) / sent : 0;
  // Before there is a share a sign for none, as large as that, would be all that is seen.
  at('share').hidden = !sent;
  write('share-title', sent ? SHARE : 'Nothing has been delivered yet: the first visitors bring the figures.');
  if (sent) {
    const unit = document.createElement('small');
    unit.textContent = '%';
    at('share').replaceChildren(`${Math.round(percent)}`, unit);
  }
  at('bar').querySelector('.shared').setAttribute('d', sent ? `M0 0h${percent}v1H0z` : '');
  at('bar').querySelector('.origin').setAttribute('d', sent ? `M${percent} 0H100v1H${percent}z` : '');
  write('from-shared', size(shared));
  write('from-origin', size(origin));
  write('from-store', size(store));
}

function show(status) {
  const { up_seconds: up, peers, redis, history, step_seconds: seconds, origin_bytes: sent } = status;
  const now = performance.now() / 1000;
  const rate = before && Math.max(0, sent - before[1]) / Math.max(0.001, now - before[0]);
  before = [now, sent];
  showShare(status.reported);
  write('peers', whole.format(peers));
  write('swarms', whole.format(status.swarms));
  write('bytes', size(sent));
  write('rate', before && rate !== undefined ? `${size(rate)}/s` : '–');

  drawBars(grouped(history), seconds);
  const visitors = history.map((step) => step.peers);
  const most = `up to ${whole.format(Math.max(...visitors))}`;
  write('peers-most', most);
  drawLine('peers-line', visitors, `Visitors connected: ${whole.format(peers)} now, ${most}.`);
  const rates = history.slice(0, -1).map((step) => step.sent / seconds); // the last is not over
  const fastest = rates.length ? `up to ${size(Math.max(...rates))}/s` : '';
  write('rate-most', fastest);
  drawLine('rate-line', rates, `Sent by this server, per second: ${fastest || 'nothing yet'}.`);
  list('largest', status.largest.map(({ content, url, browsers }) => [url ?? `${content.slice(0, 16)}…`, browsers]));
  list('top', status.top.map(({ url, asked }) => [url, asked]));

  const others = redis === null ? '' : redis ? ', in touch with other servers' : ', alone: Redis is out of reach';
  say(`up ${age(up)}${others}`, redis === false);
}

function say(text, isBad) {
  write('state', text);
  at('state').className = isBad ? 'bad' : 'quiet';
}

/** Shows either the figures or the question for a token, or none of them. */
function reveal(id) {
  for (const it of ['figures', 'locked']) at(it).hidden = it !== id;
}

async function ask() {
  if (document.hidden || refused) return;
  const token = sessionStorage.getItem(TOKEN);
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch('/dcdn/status.json', { headers });
    if (answer.ok) {
      show(await answer.json());
      reveal('figures');
    } else if (answer.status === 401) {
      refused = true;
      sessionStorage.removeItem(TOKEN);
      reveal('locked');
      at('token').setAttribute('aria-invalid', String(Boolean(token)));
      at('token').focus();
      if (token) say('that is not the token', true);
      else if (at('state').className !== 'bad') say('these figures need a token', false);
    } else if (answer.status === 403) {
      refused = true;
      reveal();
      say((await answer.json()).error.message, false);
    } else {
      throw new Error(`status ${answer.status}`);
    }
  } catch (error) {
    say(`the server does not answer (${error.message})`, true);
  }
}

at('locked').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at('token').value.trim());
  at('token').value = '';
  refused = false;
  ask();
});
document.addEventListener('visibilitychange', ask);
setInterval(ask, EVERY);
await ask();
