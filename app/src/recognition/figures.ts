/** Median and ninetieth percentile of what was measured, in milliseconds. */

export interface Figures {
  readonly medianMs: number;
  readonly p90Ms: number;
}

export function figuresOf(timesMs: readonly number[]): Figures {
  const sorted = [...timesMs].sort((a, b) => a - b);
  return { medianMs: quantile(sorted, 0.5), p90Ms: quantile(sorted, 0.9) };
}

/** Between the two nearest values of a sorted list; NaN of an empty one. */
export function quantile(sorted: readonly number[], fraction: number): number {
  const place = (sorted.length - 1) * fraction;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) return NaN;
  return low + (high - low) * (place - Math.floor(place));
}
