/** From steady answers to what the page shows: one product, several to choose from, or a hint. Pure. */
import type { By } from '../gallery/fusion.ts';
import type { SteadyAnswer } from '../recognition/smoothing.ts';

export type Shown =
  | { readonly kind: 'looking' }
  | { readonly kind: 'steady' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unsure'; readonly candidates: readonly number[] }
  | { readonly kind: 'product'; readonly index: number; readonly confidence: number };

/** Below it several products are offered instead of one claimed. */
export const SURE_FROM = 0.5;
export const UNKNOWN_AFTER_MS = 2_000;
export const UNSURE_AFTER_MS = 900;

export interface Watch {
  /** Since when the answer has been of this sort without a break. */
  readonly sort: 'known' | 'unsure' | 'unknown';
  readonly sinceMs: number;
}

/** Take one more answer into account. `watch` is null at the start; it is never changed. */
export function decide(
  watch: Watch | null,
  answer: SteadyAnswer & { readonly by?: By },
  atMs: number,
): { readonly watch: Watch; readonly shown: Shown } {
  const best = answer.top[0];
  // A gallery's rule was measured: what it accepts is its answer, whatever the cosine.
  const sure = answer.by === 'gallery' || answer.confidence >= SURE_FROM;
  const sort: Watch['sort'] = !answer.known ? 'unknown' : sure ? 'known' : 'unsure';
  const next: Watch = watch !== null && watch.sort === sort ? watch : { sort, sinceMs: atMs };
  const lastedMs = atMs - next.sinceMs;
  if (sort === 'unknown') {
    return { watch: next, shown: { kind: lastedMs >= UNKNOWN_AFTER_MS ? 'unknown' : 'looking' } };
  }
  if (best === undefined || !answer.settled) return { watch: next, shown: { kind: 'steady' } };
  if (sort === 'known') {
    const { index, probability } = best;
    return { watch: next, shown: { kind: 'product', index, confidence: probability } };
  }
  if (lastedMs < UNSURE_AFTER_MS) return { watch: next, shown: { kind: 'steady' } };
  return { watch: next, shown: { kind: 'unsure', candidates: answer.top.map(({ index }) => index) } };
}
