/**
 * The two passes of the resize, with the memory they need: in WebAssembly four channels at a time
 * (resize.wat), or in plain JavaScript where a browser has no SIMD. Both give the same bytes.
 */
import { decodeBase64 } from '../bundle/base64.ts';
import { resizeColumns, resizeRows } from './resize.ts';
import { RESIZE_BYTES } from './resize_bytes.ts';
import type { Weights } from './triangle.ts';

export interface Passes {
  /** Make room for `height` rows, of which strips of at most `stripPx` pixels will come. */
  begin(weights: Weights, height: number, stripPx: number): void;
  /** Resize `height` rows of `width` pixels, the first of which is row `firstRow` of the picture. */
  rows(pixels: Uint32Array, width: number, height: number, firstRow: number): void;
  /** After all rows: RGB bytes, row by row. */
  columns(): Uint8Array<ArrayBuffer>;
}

/** The faster passes that this browser has. */
export function bestPasses(): Passes {
  return WasmPasses.make() ?? new PlainPasses();
}

export class PlainPasses implements Passes {
  private weights: Weights | undefined;
  private small = new Uint32Array();

  begin(weights: Weights, height: number): void {
    this.weights = weights;
    const size = height * weights.firsts.length;
    if (this.small.length < size) this.small = new Uint32Array(size);
  }

  rows(pixels: Uint32Array, width: number, height: number, firstRow: number): void {
    resizeRows(pixels, width, height, begun(this.weights), this.small, firstRow);
  }

  columns(): Uint8Array<ArrayBuffer> {
    const weights = begun(this.weights);
    return resizeColumns(this.small, weights.firsts.length, weights);
  }
}

/** Addresses of the four parts of `Weights`. */
type Four = readonly [number, number, number, number];

interface Exports {
  readonly memory: WebAssembly.Memory;
  rows(pixels: number, width: number, height: number, ...rest: [...Four, number, number]): void;
  columns(pixels: number, width: number, ...rest: [...Four, number, number]): void;
}

/** Where things lie in the module's memory, in bytes. */
interface Places {
  readonly weights: Four;
  readonly small: number;
  readonly out: number;
  readonly pixels: number;
}

const PAGE_BYTES = 65_536;
/** The module reads and writes whole vectors, past the end of a row. */
const SLACK_BYTES = 16;

export class WasmPasses implements Passes {
  private weights: Weights | undefined;
  private places: Places = { weights: [0, 0, 0, 0], small: 0, out: 0, pixels: 0 };
  private height = 0;
  private stripPx = 0;

  private constructor(private readonly module: Exports) {}

  /** null where this browser cannot run it. */
  static make(): WasmPasses | null {
    try {
      const compiled = new WebAssembly.Module(decodeBase64(RESIZE_BYTES) ?? new Uint8Array());
      return new WasmPasses(new WebAssembly.Instance(compiled).exports as unknown as Exports);
    } catch {
      return null;
    }
  }

  begin(weights: Weights, height: number, stripPx: number): void {
    if (weights === this.weights && height === this.height && stripPx <= this.stripPx) return;
    const parts = [weights.firsts, weights.counts, weights.offsets, weights.values];
    let end = 0;
    const place = (bytes: number): number => {
      const start = end;
      end = (end + bytes + SLACK_BYTES + 15) & ~15;
      return start;
    };
    const target = weights.firsts.length;
    this.places = {
      weights: parts.map((part) => place(part.byteLength)) as unknown as Four,
      small: place(height * target * 4),
      out: place(target * target * 3),
      pixels: place(stripPx * 4),
    };
    this.makeRoom(end);
    const memory = new Int32Array(this.module.memory.buffer);
    parts.forEach((part, i) => memory.set(part, this.places.weights[i]! / 4));
    [this.weights, this.height, this.stripPx] = [weights, height, stripPx];
  }

  rows(pixels: Uint32Array, width: number, height: number, firstRow: number): void {
    const { weights, small, pixels: at } = this.places;
    const target = begun(this.weights).firsts.length;
    const used = pixels.subarray(0, width * height);
    new Uint32Array(this.module.memory.buffer, at, used.length).set(used);
    this.module.rows(at, width, height, ...weights, target, small + firstRow * target * 4);
  }

  columns(): Uint8Array<ArrayBuffer> {
    const { weights, small, out } = this.places;
    const target = begun(this.weights).firsts.length;
    this.module.columns(small, target, ...weights, target, out);
    return new Uint8Array(this.module.memory.buffer, out, target * target * 3).slice() as Uint8Array<ArrayBuffer>;
  }

  private makeRoom(bytes: number): void {
    const missing = bytes - this.module.memory.buffer.byteLength;
    if (missing > 0) this.module.memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

function begun(weights: Weights | undefined): Weights {
  if (weights === undefined) throw new Error('begin() comes first');
  return weights;
}
