/** One answer from classifier and gallery, as `promolens_runtime.gallery.fusion` decides. Pure. */
import type { GalleryRule } from './manifest.ts';

/** A product's place in the gallery, and the cosine, -1..1, of its most similar picture. */
export interface Hit {
  readonly index: number;
  readonly cosine: number;
}

export type By = 'classifier' | 'gallery' | 'nobody';

/** The most similar products, best first; equal ones in the gallery's order. */
export function bestHits(cosines: ArrayLike<number>, top: number): readonly Hit[] {
  const hits: Hit[] = [];
  for (let index = 0; index < cosines.length; index += 1) {
    const cosine = cosines[index]!;
    const last = hits.at(-1);
    if (hits.length >= top && last !== undefined && cosine <= last.cosine) continue;
    let at = hits.length;
    while (at > 0 && hits[at - 1]!.cosine < cosine) at -= 1;
    hits.splice(at, 0, { index, cosine });
    if (hits.length > top) hits.pop();
  }
  return hits;
}

/**
 * Whose answer counts.
 *
 * `named` is the place in the gallery of the product that the classifier names where its own rule
 * accepts it: a number, 'elsewhere' where the gallery has no picture of it, null where nothing is known.
 */
export function fuse(
  named: number | 'elsewhere' | null,
  cosines: ArrayLike<number>,
  hits: readonly Hit[],
  rule: GalleryRule,
): By {
  const best = hits[0];
  const found = best !== undefined && isAccepted(hits, rule);
  if (named === null) return found ? 'gallery' : 'nobody';
  // Without a picture of its own there is nothing to compare: who was trained on it is believed.
  if (!found || best.index === named || named === 'elsewhere') return 'classifier';
  return best.cosine - cosines[named]! < rule.override_margin ? 'classifier' : 'gallery';
}

function isAccepted(hits: readonly Hit[], rule: GalleryRule): boolean {
  const [best, second] = hits;
  if (best === undefined) return false;
  const lead = best.cosine - (second?.cosine ?? -1);
  return best.cosine >= rule.accept_at_least && lead >= rule.margin_at_least;
}
