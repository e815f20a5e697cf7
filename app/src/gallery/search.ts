/**
 * Dot products of one query with every vector of a gallery, in eight bits: in WebAssembly eight
 * numbers at a time (search.wat), or in plain JavaScript where a browser has no SIMD. Whole numbers, so
 * both give the same.
 */
import { decodeBase64 } from '../bundle/base64.ts';
import { SEARCH_BYTES } from './search_bytes.ts';

export interface Dots {
  /** The dot products in the order of the vectors; the next call overwrites them. */
  of(query: Int8Array): Int32Array;
}

/** The faster one that this browser has. `codes` is int8 `[count, dimensions]`. */
export function bestDots(codes: Int8Array, dimensions: number): Dots {
  return WasmDots.make(codes, dimensions) ?? new PlainDots(codes, dimensions);
}

export class PlainDots implements Dots {
  private readonly out: Int32Array;

  constructor(
    private readonly codes: Int8Array,
    private readonly dimensions: number,
  ) {
    this.out = new Int32Array(codes.length / dimensions);
  }

  of(query: Int8Array): Int32Array {
    const { codes, dimensions, out } = this;
    for (let row = 0, at = 0; row < out.length; row += 1) {
      let sum = 0;
      // `| 0` keeps the sum a whole number to the compiler, which is faster than a double.
      for (let i = 0; i < dimensions; i += 1, at += 1) {
        sum = (sum + Math.imul(codes[at]!, query[i]!)) | 0;
      }
      out[row] = sum;
    }
    return out;
  }
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  dots(codes: number, count: number, stride: number, query: number, out: number): void;
}

const PAGE_BYTES = 65_536;
/** The module reads so many codes at once; rows are filled up with zeros. */
const STEP = 16;

export class WasmDots implements Dots {
  private constructor(
    private readonly module: Exports,
    private readonly count: number,
    private readonly stride: number,
    private readonly query: number,
    private readonly out: number,
  ) {}

  /** null where this browser cannot run it. */
  static make(codes: Int8Array, dimensions: number): WasmDots | null {
    try {
      const compiled = new WebAssembly.Module(decodeBase64(SEARCH_BYTES) ?? new Uint8Array());
      const module = new WebAssembly.Instance(compiled).exports as unknown as Exports;
      const count = codes.length / dimensions;
      const stride = Math.ceil(dimensions / STEP) * STEP;
      const query = count * stride;
      const out = query + 2 * stride;
      const missing = out + 4 * count - module.memory.buffer.byteLength;
      if (missing > 0) module.memory.grow(Math.ceil(missing / PAGE_BYTES));
      const rows = new Int8Array(module.memory.buffer);
      for (let row = 0; row < count; row += 1) {
        rows.set(codes.subarray(row * dimensions, (row + 1) * dimensions), row * stride);
      }
      return new WasmDots(module, count, stride, query, out);
    } catch {
      return null;
    }
  }

  of(query: Int8Array): Int32Array {
    const { memory } = this.module;
    new Int16Array(memory.buffer, this.query, query.length).set(query);
    this.module.dots(0, this.count, this.stride, this.query, this.out);
    return new Int32Array(memory.buffer, this.out, this.count);
  }
}
