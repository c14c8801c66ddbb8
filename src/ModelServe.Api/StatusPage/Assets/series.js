// Numbers over time: rates and percentiles between two readings of counters, and small charts of them.

const WINDOW_SECONDS = 30;
const POINTS = 60;

/** The difference of two histograms' counts, as {bounds, counts}. */
function between(before, after) {
  return { bounds: after.bounds, counts: after.counts.map((count, i) => count - (before?.counts[i] ?? 0)) };
}

/** Adds histograms of equal bounds. */
function add(histograms) {
  if (histograms.length === 0) return { bounds: [], counts: [] };
  return { bounds: histograms[0].bounds, counts: histograms[0].counts.map((_, i) => histograms.reduce((sum, h) => sum + h.counts[i], 0)) };
}

/** The value below which that share lies, interpolated inside its bucket; null when nothing was counted. */
export function percentile(histogram, share) {
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  let left = total * share;
  for (let i = 0; i < histogram.counts.length; i++) {
    if (left <= histogram.counts[i] && histogram.counts[i] > 0) {
      const low = i === 0 ? 0 : histogram.bounds[i - 1];
      const high = i < histogram.bounds.length ? histogram.bounds[i] : low;
      return low + (high - low) * (left / histogram.counts[i]);
    }
    left -= histogram.counts[i];
  }
  return histogram.bounds.at(-1);
}

/** Keeps the readings of the last half minute and derives what the page shows. */
export class History {
  #readings = [];
  #series = new Map();

  /** Takes a reading in and returns the figures of this moment. */
  take(data, now) {
    const last = this.#readings.at(-1);
    if (last && data.server.uptime_seconds < last.data.server.uptime_seconds) {
      this.#readings = []; // The server was started anew.
    }
    this.#readings.push({ data, now });
    while (this.#readings.length > 2 && now - this.#readings[0].now > WINDOW_SECONDS) this.#readings.shift();
    const first = this.#readings[0];
    const previous = this.#readings.at(-2) ?? first;
    const sum = (reading, field) => reading.data.models.reduce((total, model) => total + model[field], 0);
    const rate = (from, field) => now > from.now ? Math.max(0, (sum({ data }, field) - sum(from, field)) / (now - from.now)) : 0;
    // Of the last half minute; where nothing happened in it, since the server's start.
    const histogram = field => {
      const recent = add(data.models.map(model =>
        between(first.data.models.find(other => other.name === model.name)?.[field], model[field])));
      return recent.counts.some(count => count > 0) ? recent : add(data.models.map(model => model[field]));
    };
    const blocks = sum({ data }, 'blocks');
    const figures = {
      output: rate(previous, 'generated_tokens'),
      prompt: rate(previous, 'prompt_tokens'),
      running: sum({ data }, 'running'),
      waiting: sum({ data }, 'waiting'),
      kv: blocks > 0 ? sum({ data }, 'blocks_in_use') / blocks : 0,
      firstToken: histogram('first_token'),
      interToken: histogram('inter_token'),
      cpu: now > previous.now ? (data.server.cpu_seconds - previous.data.server.cpu_seconds) / (now - previous.now) : 0,
    };
    this.#note('output', figures.output);
    this.#note('prompt', figures.prompt);
    this.#note('load', figures.running + figures.waiting);
    this.#note('kv', figures.kv);
    this.#note('ttft', percentile(figures.firstToken, 0.5) ?? 0);
    this.#note('itl', percentile(figures.interToken, 0.5) ?? 0);
    return figures;
  }

  /** The last minute of one figure, oldest first. */
  series(name) { return this.#series.get(name) ?? []; }

  #note(name, value) {
    const values = this.series(name);
    values.push(value);
    if (values.length > POINTS) values.shift();
    this.#series.set(name, values);
  }
}

/** Draws values as a line with its area, scaled to the largest, or to a given ceiling. */
export function draw(svg, values, ceiling) {
  const top = Math.max(ceiling ?? 0, ...values, 1e-9);
  const at = (value, i) => `${(120 * (i + POINTS - values.length)) / (POINTS - 1)},${(30 - 27 * (value / top)).toFixed(2)}`;
  const points = values.map(at);
  if (svg.childElementCount === 0) {
    for (const name of ['area', 'line']) {
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      path.setAttribute('class', name);
      svg.append(path);
    }
  }
  const [area, line] = svg.children;
  const line_path = points.length > 1 ? `M${points.join('L')}` : '';
  line.setAttribute('d', line_path);
  area.setAttribute('d', line_path && `${line_path}L120,32L${points[0].split(',')[0]},32Z`);
}

/** A count in few characters. */
export function short(value) {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)}B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toFixed(1);
}

/** Seconds in the unit that fits. */
export function duration(seconds) {
  if (seconds === null) return '–';
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
