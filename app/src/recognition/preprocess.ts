/** From pixels to the network's input, by the manifest's rule and to the bit (docs/preprocessing.md). */
import type { PreprocessingRule } from '../bundle/manifest.ts';
import { bestPasses, type Passes } from './passes.ts';
import { triangleWeights, type Weights } from './triangle.ts';
import { storedBox, turnPixels, type Box } from './turning.ts';

/** A picture whose RGBA pixels (8 bits each, alpha not multiplied in) can be read box by box. */
export interface PixelSource {
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 to 8, that is still to be applied. */
  readonly orientation: number;
  readonly opaque: boolean;
  read(box: Box): Pixels | Promise<Pixels>;
}

export type Pixels = Uint8Array | Uint8ClampedArray;

/** At most so many pixels of a large picture are held at once. */
const STRIP_PX = 1 << 21;

/** The centre square; an odd rest goes right and below. */
export function centerSquare(width: number, height: number): Box {
  const side = Math.min(width, height);
  return {
    left: Math.floor((width - side) / 2),
    top: Math.floor((height - side) / 2),
    width: side,
    height: side,
  };
}

/** Blend over white in place: (2 (f a + 255 (255 - a)) + 255) / 510, rounded down. */
export function blendOverWhite(rgba: Pixels): void {
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3]!;
    if (alpha === 255) continue;
    const white = 255 * (255 - alpha);
    for (let channel = at; channel < at + 3; channel += 1) {
      rgba[channel] = Math.floor((2 * (rgba[channel]! * alpha + white) + 255) / 510);
    }
    rgba[at + 3] = 255;
  }
}

/** Keeps weights and rows of the last size, since a camera's frames all have the same. */
export class Preprocessor {
  private weights: Weights | undefined;
  private weightsFor = 0;

  constructor(
    private readonly rule: PreprocessingRule,
    private readonly passes: Passes = bestPasses(),
  ) {}

  /** uint8 [height_px, width_px, 3] of the picture's centre square. */
  async tensor(source: PixelSource): Promise<Uint8Array<ArrayBuffer>> {
    const { width, height, orientation } = source;
    const sideways = orientation >= 5;
    const square = centerSquare(sideways ? height : width, sideways ? width : height);
    const target = this.rule.resize.width_px;
    const weights = this.weightsOf(square.width, target);
    const step = Math.min(square.height, Math.max(1, Math.floor(STRIP_PX / square.width)));
    this.passes.begin(weights, square.height, step * square.width);
    for (let done = 0; done < square.height; done += step) {
      const strip = {
        ...square,
        top: square.top + done,
        height: Math.min(step, square.height - done),
      };
      const stored = storedBox(strip, width, height, orientation);
      const rgba = turnPixels(await source.read(stored), stored, orientation);
      if (!source.opaque) blendOverWhite(rgba);
      this.passes.rows(asPixels(rgba), strip.width, strip.height, done);
    }
    return this.passes.columns();
  }

  private weightsOf(sourcePx: number, targetPx: number): Weights {
    if (this.weights === undefined || this.weightsFor !== sourcePx) {
      this.weights = triangleWeights(sourcePx, targetPx);
      this.weightsFor = sourcePx;
    }
    return this.weights;
  }
}

/** Four bytes as one number; `rgba` starts at a multiple of four. */
function asPixels(rgba: Pixels): Uint32Array {
  return new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length / 4);
}

/** RGBA pixels in memory as a source; `read` copies. */
export function pixelsSource(
  rgba: Pixels,
  width: number,
  height: number,
  orientation = 1,
): PixelSource {
  return {
    width,
    height,
    orientation,
    opaque: false,
    read: (box) => copyBox(rgba, width, box),
  };
}

/** The pixels of `box` out of rows of `width` pixels. */
export function copyBox(rgba: Pixels, width: number, box: Box): Uint8Array {
  const out = new Uint8Array(box.width * box.height * 4);
  for (let y = 0; y < box.height; y += 1) {
    const start = ((box.top + y) * width + box.left) * 4;
    out.set(rgba.subarray(start, start + box.width * 4), y * box.width * 4);
  }
  return out;
}

/**
 * By how much a JPEG decoder may scale down: the largest of 8, 4, 2, 1 that keeps the short side at
 * least `min_short_px`. Browsers decode in full, which the rule allows as well.
 */
export function scaledDecodeDivisor(width: number, height: number, rule: PreprocessingRule): number {
  if (rule.scaled_decode === null) return 1;
  const times = Math.floor(Math.min(width, height) / rule.scaled_decode.min_short_px);
  return [8, 4, 2].find((divisor) => times >= divisor) ?? 1;
}
