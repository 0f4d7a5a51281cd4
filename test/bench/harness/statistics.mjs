// The few numbers that stand for many.

/** The value below which the share `p` of all lies, by the nearest rank. */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of the trials, and the spread: the least and the most of them. */
export function ofTrials(key) {
  return (trials) => spread(trials.map((trial) => trial[key]));
}

/** A percentile of the samples of all trials together; its spread is that of the single trials' percentile. */
export function ofSamples(key, p) {
  return (trials) => ({
    ...spread(trials.map((trial) => percentile(trial[key], p))),
    value: percentile(
      trials.flatMap((trial) => trial[key]),
      p,
    ),
  });
}

/** The median of the ratios that two sides had in the same round, and their spread. */
export function ratio(trials, others, key) {
  const rounds = Math.min(trials.length, others.length);
  return spread(Array.from({ length: rounds }, (_, round) => trials[round][key] / others[round][key]));
}

export function spread(values) {
  return { value: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** Counts values in buckets that are each some 4 % wide, for percentiles of more values than one wants to keep. */
export class Histogram {
  static PER_DOUBLING = 16;

  counts = [];
  max = 0;

  add(value) {
    const bucket = Math.max(0, Math.ceil(Math.log2(value) * Histogram.PER_DOUBLING));
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    if (value > this.max) this.max = value;
  }

  merge({ counts, max }) {
    for (const [bucket, count] of counts.entries()) this.counts[bucket] = (this.counts[bucket] ?? 0) + (count ?? 0);
    this.max = Math.max(this.max, max);
  }

  percentile(p) {
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    let seen = 0;
    const bucket = this.counts.findIndex((count = 0) => (seen += count) >= p * total);
    return Math.min(this.max, 2 ** (bucket / Histogram.PER_DOUBLING));
  }
}
