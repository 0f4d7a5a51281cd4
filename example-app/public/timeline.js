// Draws who worked on a file when: a row for each worker, in it a lane for each request. Where two bars of one file
// overlap, two workers were in the file at once, and that stretch is marked through all rows.

/**
 * @param {HTMLElement} chart - where to draw.
 * @param {object[]} requests - each with `number`, `path` and `state`; those that a worker has with `worker` and
 *   `arrived`, those that work or worked with `from`, and those that worked with `to`. Times are milliseconds of the
 *   server's clock.
 * @param {{ start: number, expectedMs: number }} times - when the requests were sent, and how long one works.
 */
export function drawTimeline(chart, requests, { start, expectedMs }) {
  const arrivals = requests.filter(({ arrived }) => arrived).map(({ arrived }) => arrived);
  const zero = arrivals.length > 0 ? Math.min(...arrivals) : start;
  const unanswered = requests.some(({ state }) => state === 'waiting' || state === 'working');
  const elapsed = unanswered ? Date.now() - start : 0;
  const now = zero + elapsed;
  const latest = Math.max(expectedMs, elapsed, ...requests.map(({ to = zero }) => to - zero));
  const axis = makeAxis(latest);
  const place = (from, to) => ({ left: (from - zero) / axis.end, width: (to - from) / axis.end });

  const tracks = part('tracks');
  tracks.append(...axis.ticks.map((at) => tick(at, at / axis.end)));
  tracks.append(...overlaps(requests, now).map(([from, to]) => placed('overlap', place(from, to))));

  const rows = byWorker(requests).map(([worker, own]) => {
    const row = part('row');
    const label = part('worker');
    label.textContent = worker === undefined ? 'no answer yet' : `worker ${worker}`;
    const lanes = part('lanes');
    lanes.append(...own.map((request) => lane(request, place, zero, now)));
    row.append(label, lanes);
    return row;
  });
  chart.replaceChildren(tracks, ...rows);
}

/** Milliseconds as a reader wants them. */
export function clockTime(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function lane(request, place, zero, now) {
  const { number, path, state, arrived, from, to = now } = request;
  const made = part('lane');
  if (arrived < from) {
    const wait = placed('ghost', place(arrived, from));
    wait.title = `Request ${number} waited from ${clockTime(arrived - zero)} to ${clockTime(from - zero)}`;
    made.append(wait);
  }
  if (state === 'worked' || state === 'working') {
    const bar = placed('bar', place(from, Math.max(from, to)));
    bar.textContent = path.startsWith('/files/') ? `#${number} ${path.slice('/files/'.length)}` : `#${number}`;
    bar.title = `Request ${number}: ${clockTime(from - zero)} to ${clockTime(to - zero)}`;
    made.append(bar);
  } else if (state === 'waiting') {
    const bar = placed('ghost', place(arrived ?? zero, Math.max(arrived ?? zero, now)));
    bar.textContent = `#${number}`;
    made.append(bar);
  } else {
    const mark = placed('mark', { left: place(arrived, arrived).left });
    mark.textContent = `#${number} ${state}`;
    mark.title = `Request ${number}: ${state} at ${clockTime(arrived - zero)}`;
    made.append(mark);
  }
  return made;
}

/** The requests of each worker; those of which that is not known yet come last. */
function byWorker(requests) {
  const groups = new Map();
  for (const request of requests) {
    if (!groups.has(request.worker)) groups.set(request.worker, []);
    groups.get(request.worker).push(request);
  }
  return [...groups].sort(([a], [b]) => (a === undefined) - (b === undefined) || Number(a) - Number(b));
}

/** The stretches of time in which two requests worked on the same file. */
function overlaps(requests, now) {
  const worked = requests.filter(({ from }) => from !== undefined).map((request) => ({ to: now, ...request }));
  const shared = worked.flatMap((one, index) =>
    worked
      .slice(index + 1)
      .filter(({ path }) => path === one.path)
      .map((other) => [Math.max(one.from, other.from), Math.min(one.to, other.to)])
      .filter(([from, to]) => from < to),
  );
  return merge(shared);
}

/** Joins stretches that touch, so that none is drawn twice. */
function merge(stretches) {
  const merged = [];
  for (const [from, to] of stretches.sort(([a], [b]) => a - b)) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** A round step that gives four to eight ticks, and an end with some room for the last label. */
function makeAxis(latest) {
  const step = [20, 50, 100, 200, 500, 1000, 2000].find((size) => latest / size <= 6) ?? 5000;
  const ticks = Array.from({ length: Math.floor(latest / step) + 1 }, (_, index) => index * step);
  return { ticks, end: latest * 1.08 };
}

function tick(at, left) {
  const made = placed('tick', { left });
  made.textContent = at < 1000 ? `${at} ms` : `${at / 1000} s`;
  return made;
}

function placed(className, { left, width }) {
  const made = part(className);
  made.style.setProperty('left', `${left * 100}%`);
  if (width !== undefined) made.style.setProperty('width', `${width * 100}%`);
  return made;
}

function part(className) {
  const made = document.createElement('div');
  made.className = className;
  return made;
}
