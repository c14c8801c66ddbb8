// The status page: one reading a second, shown.

import { History, draw, duration, percentile, short } from '/status/series.js';
import { Chat } from '/status/chat.js';

const byId = id => document.getElementById(id);
const history = new History();
let key = null; // In memory only.

const headers = () => key === null ? {} : { authorization: `Bearer ${key}` };
const chat = new Chat(headers);

// Theme: what the system says, until the visitor says otherwise.
const themes = ['system', 'light', 'dark'];
const dark = matchMedia('(prefers-color-scheme: dark)');
let theme = 'system';
function applyTheme() {
  document.documentElement.dataset.theme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  byId('theme-button').textContent = { system: '◐', light: '☀', dark: '☾' }[theme];
  byId('theme-button').setAttribute('aria-label', `Theme: ${theme}`);
}
byId('theme-button').addEventListener('click', () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  applyTheme();
});
dark.addEventListener('change', applyTheme);
applyTheme();

function setTile(name, value, note, ceiling) {
  const tile = byId(`tile-${name}`);
  tile.querySelector('[data-value]').textContent = value;
  if (note !== undefined) tile.querySelector('[data-note]').textContent = note;
  draw(tile.querySelector('svg'), history.series(name), ceiling);
}

function setHealth(text, kind) {
  const pill = byId('health');
  if (pill.textContent !== text) pill.textContent = text;
  pill.className = `pill ${kind}`;
}

const conditions = { Serving: ['serving', 'good'], Draining: ['draining', 'warn'], Paused: ['paused', 'warn'], Stalled: ['stalled', 'bad'], Failed: ['failed', 'bad'] };

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function meter(label, value, most, text) {
  const made = element('div', 'meter');
  const line = element('div', 'meter-label');
  line.append(element('span', '', label), element('span', '', text));
  const bar = element('progress');
  bar.max = Math.max(most, 1);
  bar.value = value;
  bar.setAttribute('aria-label', label);
  made.append(line, bar);
  return made;
}

function modelCard(model) {
  const card = element('article', 'card model');
  const head = element('div', 'model-head');
  const [word, kind] = conditions[model.condition] ?? [model.condition, 'warn'];
  head.append(element('span', 'model-name', model.name), element('span', `pill ${kind}`, word));
  const facts = element('dl', 'facts');
  const hits = model.prefix_queries > 0 ? `${Math.round((100 * model.prefix_hits) / model.prefix_queries)} %` : '–';
  for (const [name, value] of [
    ['Context tokens', short(model.context_tokens)],
    ['Prefix hits', hits],
    ['Step p50', duration(percentile(model.step, 0.5))],
    ['Requests', short(model.accepted)],
    ['Refused', short(model.rejected)],
    ['Output tokens', short(model.generated_tokens)],
  ]) {
    const fact = element('div');
    fact.append(element('dt', '', name), element('dd', '', value));
    facts.append(fact);
  }
  card.append(
    head,
    meter('Slots', model.running, model.max_running, `${model.running} of ${model.max_running}${model.waiting ? `, ${model.waiting} waiting` : ''}`),
    meter('KV blocks', model.blocks_in_use, model.blocks, `${short(model.blocks_in_use)} of ${short(model.blocks)}`),
    facts,
  );
  return card;
}

function requestRow(request) {
  const row = element('tr');
  const id = element('td', 'id', request.id);
  id.title = request.id;
  row.append(
    id,
    element('td', '', request.model),
    element('td', '', request.state),
    element('td', 'number', short(request.prompt_tokens)),
    element('td', 'number', `${short(request.sent_tokens)} / ${short(request.max_tokens)}`),
    element('td', 'number', duration(request.age_seconds)),
  );
  return row;
}

function show(data) {
  const figures = history.take(data, performance.now() / 1000);
  setTile('output', short(figures.output));
  setTile('prompt', short(figures.prompt));
  setTile('load', `${figures.running} · ${figures.waiting}`);
  setTile('kv', `${(100 * figures.kv).toFixed(figures.kv < 0.1 ? 1 : 0)} %`, undefined, 1);
  const tail = histogram => {
    const value = percentile(histogram, 0.95);
    return value === null ? 'no finished request yet' : `p95 ${duration(value)} · p99 ${duration(percentile(histogram, 0.99))}`;
  };
  setTile('ttft', duration(percentile(figures.firstToken, 0.5)), tail(figures.firstToken));
  setTile('itl', duration(percentile(figures.interToken, 0.5)), tail(figures.interToken));
  byId('version').textContent = data.server.version.split('+')[0];
  byId('process').textContent =
    `up ${duration(data.server.uptime_seconds)} · ${figures.cpu.toFixed(1)} of ${data.server.processors} cores · ${(data.server.resident_bytes / 2 ** 30).toFixed(1)} GiB`;
  const down = data.models.filter(model => model.condition !== 'Serving');
  if (data.server.draining) setHealth('draining', 'warn');
  else if (down.length === 0) setHealth('serving', 'good');
  else setHealth(down.length === data.models.length ? 'not serving' : 'partly serving', 'bad');
  byId('models').replaceChildren(...data.models.map(modelCard));
  byId('request-count').textContent = String(data.server.live_requests);
  byId('requests').replaceChildren(...data.requests.map(requestRow));
  byId('no-requests').hidden = data.requests.length > 0;
  chat.offer(data.models.filter(model => model.chat).map(model => model.name));
}

async function askForKey(refused) {
  byId('key-button').hidden = false;
  byId('key-error').textContent = refused ? 'The server does not know this key.' : '';
  const dialog = byId('key-dialog');
  dialog.showModal();
  await new Promise(resolve => dialog.addEventListener('close', resolve, { once: true }));
  const given = byId('key-input').value.trim();
  byId('key-input').value = '';
  if (given !== '') key = given;
}
byId('key-button').addEventListener('click', () => void askForKey(false));

async function read() {
  const response = await fetch('/status/data', { headers: headers(), cache: 'no-store' });
  if (response.status === 401 || response.status === 403) {
    setHealth('key needed', 'warn');
    await askForKey(key !== null);
    return;
  }
  if (!response.ok) throw new Error(String(response.status));
  show(await response.json());
}

for (;;) {
  const start = performance.now();
  try {
    if (!document.hidden) await read();
  } catch {
    setHealth('unreachable', 'bad');
  }
  await new Promise(resolve => setTimeout(resolve, Math.max(100, 1000 - (performance.now() - start))));
}
