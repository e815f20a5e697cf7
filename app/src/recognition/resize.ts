/**
 * The two passes of "triangle-int22": rows first, rounded to 8 bits, then columns.
 *
 * A pixel is one 32-bit number with red in its lowest byte, as RGBA bytes read on the little-endian
 * machines that browsers run on: one load for three channels. Its highest byte is not looked at.
 */
import { FRACTION_BITS, HALF, type Weights } from './triangle.ts';

/** Resize `height` rows of `width` pixels to rows of `out`, from row `outRow` on. */
export function resizeRows(
  pixels: Uint32Array,
  width: number,
  height: number,
  weights: Weights,
  out: Uint32Array,
  outRow: number,
): void {
  const { firsts, counts, offsets, values } = weights;
  const targetPx = firsts.length;
  let to = outRow * targetPx;
  for (let y = 0; y < height; y += 1) {
    const row = y * width;
    for (let i = 0; i < targetPx; i += 1) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = row + firsts[i]!;
      let at = offsets[i]!;
      const end = at + counts[i]!;
      for (; at < end; at += 1, from += 1) {
        const pixel = pixels[from]!;
        const weight = values[at]!;
        red = (red + Math.imul(pixel & 255, weight)) | 0;
        green = (green + Math.imul((pixel >>> 8) & 255, weight)) | 0;
        blue = (blue + Math.imul((pixel >>> 16) & 255, weight)) | 0;
      }
      out[to] = rounded(red) | (rounded(green) << 8) | (rounded(blue) << 16);
      to += 1;
    }
  }
}

/** Resize the columns of rows of `width` pixels; returns RGB bytes, row by row. */
export function resizeColumns(
  pixels: Uint32Array,
  width: number,
  weights: Weights,
): Uint8Array<ArrayBuffer> {
  const { firsts, counts, offsets, values } = weights;
  const out = new Uint8Array(firsts.length * width * 3);
  let to = 0;
  for (let i = 0; i < firsts.length; i += 1) {
    const start = firsts[i]! * width;
    const offset = offsets[i]!;
    const end = offset + counts[i]!;
    for (let x = 0; x < width; x += 1) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = start + x;
      for (let at = offset; at < end; at += 1, from += width) {
        const pixel = pixels[from]!;
        const weight = values[at]!;
        red = (red + Math.imul(pixel & 255, weight)) | 0;
        green = (green + Math.imul((pixel >>> 8) & 255, weight)) | 0;
        blue = (blue + Math.imul((pixel >>> 16) & 255, weight)) | 0;
      }
      out[to] = rounded(red);
      out[to + 1] = rounded(green);
      out[to + 2] = rounded(blue);
      to += 3;
    }
  }
  return out;
}

/** Sums are never negative, so only the upper end needs a limit. */
function rounded(sum: number): number {
  return Math.min(sum >> FRACTION_BITS, 255);
}
