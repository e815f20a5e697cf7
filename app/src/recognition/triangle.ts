/** Weights of the resize "triangle-int22": the text and the order of docs/preprocessing.md. */

export const FRACTION_BITS = 22;
export const HALF = 1 << (FRACTION_BITS - 1);

/** For target pixel i: `counts[i]` weights from `offsets[i]` on, the first for pixel `firsts[i]`. */
export interface Weights {
  readonly firsts: Int32Array;
  readonly counts: Int32Array;
  readonly offsets: Int32Array;
  readonly values: Int32Array;
}

/** Weights of a line of `sourcePx` pixels that becomes `targetPx` pixels. */
export function triangleWeights(sourcePx: number, targetPx: number): Weights {
  const scale = sourcePx / targetPx;
  const support = Math.max(scale, 1);
  const inverse = 1 / support;
  const [firsts, counts, offsets] = [0, 0, 0].map(() => new Int32Array(targetPx)) as Triple;
  const values: number[] = [];
  for (let i = 0; i < targetPx; i += 1) {
    const center = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), sourcePx);
    const parts: number[] = [];
    let total = 0;
    for (let k = first; k < end; k += 1) {
      const part = Math.max(0, 1 - Math.abs((k - center + 0.5) * inverse));
      parts.push(part);
      total += part;
    }
    firsts[i] = first;
    counts[i] = parts.length;
    offsets[i] = values.length;
    for (const part of parts) values.push(Math.floor(0.5 + (part / total) * 4194304));
  }
  return { firsts, counts, offsets, values: Int32Array.from(values) };
}

type Triple = [Int32Array, Int32Array, Int32Array];
