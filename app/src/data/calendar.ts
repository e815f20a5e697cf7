/** Days and months of Korea, which has had no summer time since 1988: always nine hours ahead. */
const KOREA_AHEAD_MS = 9 * 3_600_000;
export const DAY_MS = 86_400_000;
const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Korean calendar day of an instant, such as 2026-02-24. */
export function koreanDay(atMs: number): string {
  return new Date(atMs + KOREA_AHEAD_MS).toISOString().slice(0, 10);
}

export function koreanMonth(atMs: number): string {
  return koreanDay(atMs).slice(0, 7);
}

/** Whole days from `from` to `to`, both such as 2026-02-24; NaN where one is no day. */
export function daysBetween(from: string, to: string): number {
  if (!DAY.test(from) || !DAY.test(to)) return NaN;
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}

export function isDay(text: unknown): text is string {
  return typeof text === 'string' && DAY.test(text) && Number.isFinite(Date.parse(text));
}
