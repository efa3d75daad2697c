// The dashboard's figures, asked for every two seconds while somebody looks.

const EVERY = 2_000;
const KEPT = 300; // figures that the lines are made of: ten minutes

const history = []; // [seconds, visitors, bytes in all]
const at = (id) => document.getElementById(id);
const nothing = at('largest').firstElementChild; // what stands there until something is shared
const whole = new Intl.NumberFormat();

/** Bytes for people. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** `3 min`, `2 h 5 min`, `4 d 1 h`. */
function age(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** Draws values as a line from left to right, the largest at the top. */
function draw(svg, values) {
  const most = Math.max(1, ...values);
  const points = values.map((value, n) =>
    `${((300 * n) / Math.max(1, values.length - 1)).toFixed(1)} ${(98 - (96 * value) / most).toFixed(1)}`);
  svg.querySelector('path').setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '');
}

function show({ up_seconds, peers, swarms, origin_bytes, redis, largest }) {
  history.push([performance.now() / 1000, peers, origin_bytes]);
  if (history.length > KEPT) history.shift();
  const rates = history.slice(1).map(([now, , bytes], n) =>
    Math.max(0, bytes - history[n][2]) / Math.max(0.001, now - history[n][0]));
  const visitors = history.map(([, count]) => count);

  at('peers').textContent = whole.format(peers);
  at('swarms').textContent = whole.format(swarms);
  at('bytes').textContent = size(origin_bytes);
  at('rate').textContent = rates.length ? `${size(rates.at(-1))}/s` : '–';
  at('peers-most').textContent = `at most ${whole.format(Math.max(...visitors))}`;
  at('rate-most').textContent = rates.length ? `at most ${size(Math.max(...rates))}/s` : '';
  draw(at('peers-line'), visitors);
  draw(at('rate-line'), rates);

  const others = redis === null ? '' : redis ? ', in touch with other servers' : ', alone: Redis is out of reach';
  at('state').textContent = `up ${age(up_seconds)}${others}`;
  at('state').className = redis === false ? 'bad' : 'quiet';
  const rows = largest.map(({ content, url, browsers }) => {
    const row = document.createElement('tr');
    row.insertCell().textContent = url ?? `${content.slice(0, 16)}…`;
    row.insertCell().textContent = whole.format(browsers);
    return row;
  });
  at('largest').replaceChildren(...(rows.length ? rows : [nothing]));
}

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch('/dcdn/status.json');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    at('state').textContent = `the server does not answer (${error.message})`;
    at('state').className = 'bad';
  }
}

document.addEventListener('visibilitychange', ask);
setInterval(ask, EVERY);
await ask();
