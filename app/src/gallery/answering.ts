/**
 * The answer of classifier and gallery together, for one picture and for a stream of frames.
 *
 * A product of the gallery has the place `labels.length + its place in the gallery`, so that whoever
 * shows an answer need not know where it came from. Its "probability" is its cosine, at least 0.
 *
 * Over frames each product's cosine is averaged, and not the embedding: the mean of cosines lies on the
 * scale on which the rule was measured, while the mean of embeddings, brought to length 1 again, is
 * nearer to every product (the frames' noise is gone), and would let more unknown things pass.
 */
import type { Label } from '../bundle/labels.ts';
import { readBarcode } from '../data/barcode_text.ts';
import { TOP, type Answer, type Candidate } from '../recognition/calibration.ts';
import { smooth, SMOOTHING, type SmoothState, type SteadyAnswer } from '../recognition/smoothing.ts';
import { bestHits, fuse, type By, type Hit } from './fusion.ts';
import type { GalleryRule } from './manifest.ts';

/** What is known of an open gallery. */
export interface GalleryFacts {
  readonly galleryId: string;
  readonly version: number;
  readonly products: readonly Label[];
  readonly rule: GalleryRule;
}

/** A recogniser's own products, and those of its gallery. */
export interface Known {
  readonly labels: readonly Label[];
  readonly gallery: GalleryFacts | null;
}

export type Fused<A extends Answer> = A & { readonly by: By };

/** The product at a place of an answer: the classifier's, then the gallery's. */
export function productAt({ labels, gallery }: Known, index: number): Label | undefined {
  return labels[index] ?? gallery?.products[index - labels.length];
}

/** The product of that barcode, as `readBarcode` spells it: the classifier's, then the gallery's. */
export function productWith({ labels, gallery }: Known, barcode: string): Label | undefined {
  const has = (label: Label): boolean => label.barcodes.some((one) => readBarcode(one) === barcode);
  return labels.find(has) ?? gallery?.products.find(has);
}

/** `answer` of the classifier and the gallery's `cosines` as one; null for a picture without any. */
export function fusedAnswer<A extends Answer>(
  known: Known,
  answer: A,
  cosines: ArrayLike<number> | null,
): Fused<A> {
  const { gallery, labels } = known;
  if (gallery === null || cosines === null) return { ...answer, by: answer.known ? 'classifier' : 'nobody' };
  const hits = bestHits(cosines, TOP);
  const by = fuse(named(known, answer), cosines, hits, gallery.rule);
  const found = hits.map((hit) => candidate(hit, labels.length));
  if (by === 'classifier') return { ...answer, by };
  if (by === 'nobody') return { ...answer, top: inTurns(known, answer.top, found), by };
  return { ...answer, top: found, known: true, confidence: found[0]?.probability ?? 0, by };
}

/** The gallery's part in a stream of frames. */
export class FrameGallery {
  private state: SmoothState | null = null;

  /** Take one more frame's cosines into account, and the classifier's steady answer. */
  answer(
    known: Known,
    answer: SteadyAnswer,
    cosines: ArrayLike<number> | null,
    atMs: number,
  ): Fused<SteadyAnswer> {
    this.state = cosines === null ? null : smooth(this.state, cosines, atMs);
    const fused = fusedAnswer(known, answer, this.state?.mean ?? null);
    if (this.state === null || fused.by !== 'gallery') return fused;
    const { lastBest, sameBest } = this.state;
    const agrees = fused.top[0]?.index === known.labels.length + lastBest;
    return { ...fused, settled: agrees && sameBest >= SMOOTHING.agreeing };
  }
}

/** Where the gallery has the product that the classifier names; see `fuse`. */
function named({ labels, gallery }: Known, answer: Answer): number | 'elsewhere' | null {
  if (!answer.known) return null;
  const itemId = labels[answer.top[0]?.index ?? -1]?.item_id;
  const place = gallery?.products.findIndex((product) => product.item_id === itemId) ?? -1;
  return place < 0 ? 'elsewhere' : place;
}

function candidate({ index, cosine }: Hit, from: number): Candidate {
  return { index: from + index, probability: Math.min(1, Math.max(0, cosine)) };
}

/** What it may be where nobody knows: of both in turns, each product once. */
function inTurns(
  known: Known,
  first: readonly Candidate[],
  second: readonly Candidate[],
): readonly Candidate[] {
  const all = first.flatMap((one, i) => [one, ...second.slice(i, i + 1)]).concat(second.slice(first.length));
  const seen = new Set<string>();
  const once = all.filter(({ index }) => {
    const itemId = productAt(known, index)?.item_id ?? '';
    const isNew = !seen.has(itemId);
    seen.add(itemId);
    return isNew;
  });
  return once.slice(0, TOP);
}
