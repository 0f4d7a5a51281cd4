// Sends the requests, keeps what came back, and asks afterwards whether the file is whole.

import { ROUTES } from './routes.js';
import { clockTime, drawTimeline } from './timeline.js';

/** For each value of LOCK: what to expect, and the command that starts the example with another one. */
const HINTS = {
  process: [
    'One request for each file works, and the others are told busy at once; on /turns they wait. To compare: ',
    'LOCK=thread npm start',
  ],
  thread: ['A request in every worker gets 200, and the file loses lines. To compare: ', 'npm start'],
  none: ['Every request gets 200, and the file loses lines. To compare: ', 'npm start'],
};

const form = document.querySelector('#controls');
const button = form.querySelector('button');
const chart = document.querySelector('#chart');
let running = false;

/** What is chosen in the form. */
function choice() {
  const fields = new FormData(form);
  return { route: ROUTES[fields.get('route')], count: Number(fields.get('count')), ms: Number(fields.get('ms')) };
}

function showChoice() {
  const { route, count } = choice();
  button.textContent = count === 1 ? 'Send 1 request' : `Send ${count} requests`;
  document.querySelector('#code').textContent = route.code;
}

async function showMode() {
  const { lock } = await askForJson('/status');
  for (const item of document.querySelectorAll('#modes li')) {
    if (item.dataset.mode === lock) item.setAttribute('aria-current', 'true');
  }
  const [expected, command] = HINTS[lock];
  document.querySelector('#mode-hint').replaceChildren(expected, element('code', command));
}

async function askForJson(path) {
  return (await whenFree(path)).json();
}

/** For what belongs to the page and not to the demonstration: tries again while somebody else has the file. */
async function whenFree(path, method = 'GET') {
  for (let tries = 0; ; tries++) {
    const response = await fetch(path, { method, cache: 'no-store' });
    if (response.ok) return response;
    if (response.status !== 503 || tries === 100) throw new Error(`${method} ${path} gave ${response.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** How often the server is asked which requests it works on. Each takes one of the six connections of a browser. */
const LOOK_MS = 120;

async function run() {
  const { route, count, ms } = choice();
  for (const path of route.documents) await whenFree(path, 'DELETE');
  // Uses up a connection that the browser opened in advance. The ones that follow are new, and the primary deals new
  // connections out to the workers in turn.
  await whenFree('/status');

  const start = Date.now();
  const requests = Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    id: `${start}-${index + 1}`,
    path: route.documents[index % route.documents.length],
    state: 'waiting',
  }));
  const draw = () => drawTimeline(chart, requests, { start, expectedMs: ms });
  const show = () => {
    draw();
    showAnswers(requests);
  };
  show();
  showOutcome(undefined, element('p', 'Checked after the requests.', 'empty'));
  const clock = setInterval(draw, 50);
  const looks = setInterval(() => look(requests).then(show, showFailure), LOOK_MS);
  try {
    await Promise.all(requests.map((request) => send(request, ms).then(show)));
  } finally {
    clearInterval(clock);
    clearInterval(looks);
  }
  showVerdicts(await Promise.all(route.documents.map(async (path) => [path, await askForJson(`${path}/check`)])));
}

/** Writes down in which worker the requests without an answer are, and whether they work there or wait. */
async function look(requests) {
  const { unanswered } = await askForJson('/status');
  for (const request of requests.filter(isUnanswered)) {
    const found = unanswered.find((each) => each.request === request.id);
    if (found === undefined) continue;
    const { worker, arrived, from } = found;
    Object.assign(request, {
      worker: String(worker),
      arrived,
      from,
      state: from === undefined ? 'waiting' : 'working',
    });
  }
}

function isUnanswered({ state }) {
  return state === 'waiting' || state === 'working';
}

/** Sends one request and writes down who answered it, what, and when. */
async function send(request, ms) {
  const headers = { 'X-Request': request.id };
  const response = await fetch(`${request.path}?ms=${ms}`, {
    method: 'POST',
    headers,
    body: `request ${request.number}`,
  });
  request.status = response.status;
  request.worker = response.headers.get('X-Worker');
  request.arrived = Number(response.headers.get('X-Arrived'));
  const text = await response.text();
  if (response.status === 200) {
    const { from, to } = JSON.parse(text);
    Object.assign(request, { state: 'worked', from, to });
  } else {
    Object.assign(request, { state: response.status === 503 ? 'busy' : 'failed', text });
  }
}

function showAnswers(requests) {
  const arrivals = requests.filter(({ arrived }) => arrived).map(({ arrived }) => arrived);
  const zero = Math.min(...arrivals);
  document.querySelector('#answers').replaceChildren(
    ...requests.map((request) => {
      const { number, path, worker, arrived, from, to } = request;
      const row = document.createElement('tr');
      row.append(
        cell('Request', `${number} · ${path}`),
        cell('Worker', worker ?? '–'),
        cell('Answer', answerOf(request, requests), `answer ${request.state}`),
        cell('Arrived', arrived ? clockTime(arrived - zero) : '–', 'number'),
        cell('Worked', from ? `${clockTime(from - zero)} – ${to ? clockTime(to - zero) : ''}` : '–', 'number'),
      );
      return row;
    }),
  );
  const count = (state) => requests.filter((request) => request.state === state).length;
  document.querySelector('#chart-summary').textContent =
    `${count('worked')} worked on the file, ${count('working')} work on it, ${count('waiting')} wait, ` +
    `${count('busy')} were told busy.`;
}

function answerOf({ state, status, text, worker, path }, requests) {
  if (state === 'working') return `worker ${worker} works on it`;
  if (state === 'waiting') {
    const holder = requests.find((other) => other.state === 'working' && other.path === path);
    return holder === undefined ? 'no answer yet' : `waits for worker ${holder.worker}`;
  }
  return state === 'worked' ? '200 OK' : `${status} ${text}`;
}

/** `title` is that of its column, for screens that are too narrow for columns. */
function cell(title, text, className = '') {
  const td = document.createElement('td');
  td.dataset.title = title;
  td.textContent = text;
  td.className = className;
  return td;
}

function showVerdicts(verdicts) {
  showOutcome(
    verdicts.every(([, { ok }]) => ok),
    ...verdicts.flatMap(describeVerdict),
  );
}

function showOutcome(ok, ...parts) {
  const section = document.querySelector('#verdict');
  section.dataset.ok = String(ok);
  section.replaceChildren(section.querySelector('h2'), ...parts);
}

function describeVerdict([path, { ok, lines, appended, sha256, problems }]) {
  const title = element('p', ok ? '✓ Whole, and its derived files match' : '✗ Corrupted', 'outcome');
  const facts = element(
    'p',
    `${path}: ${appended} appended, ${lines} in the file, digest ${sha256.slice(0, 8)}…`,
    'facts',
  );
  const list = document.createElement('ul');
  list.append(...problems.map((problem) => element('li', problem)));
  return problems.length > 0 ? [title, list, facts] : [title, facts];
}

function element(name, text, className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function showFailure(error) {
  showOutcome(false, element('p', `The server did not answer as expected: ${error.message}`));
}

form.addEventListener('input', showChoice);
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (running) return;
  running = true;
  button.setAttribute('aria-disabled', 'true');
  try {
    await run();
  } catch (error) {
    showFailure(error);
  } finally {
    running = false;
    button.removeAttribute('aria-disabled');
  }
});

showChoice();
try {
  await showMode();
} catch (error) {
  showFailure(error);
}
button.disabled = false;
