/**
 * From an embedding to eight bits, to the bit as `promolens_runtime.gallery.vectors` does it:
 * divisions and products of doubles, rounding as floor(x + 0.5), and NumPy's order of a sum.
 */

export const STEPS = 127;

export interface Quantised {
  /** -127..127. */
  readonly codes: Int8Array;
  /** A float32: `codes * scale` is about what it was. */
  readonly scale: number;
}

/**
 * An embedding at length 1, in float32. With a `centre` that is taken off it, and the rest brought to
 * length 1 again. null where it has NaN or no length: then it points nowhere.
 */
export function unit(embedding: ArrayLike<number>, centre: Float32Array | null): Float32Array | null {
  const vector = Float64Array.from(embedding);
  if (!toLength1(vector)) return null;
  if (centre !== null) {
    for (let i = 0; i < vector.length; i += 1) vector[i]! -= centre[i]!;
    if (!toLength1(vector)) return null;
  }
  return Float32Array.from(vector);
}

/** In place; false where that cannot be. */
function toLength1(vector: Float64Array): boolean {
  const squares = vector.map((value) => value * value);
  const length = Math.sqrt(pairwiseSum(squares, 0, squares.length));
  // An overflow of the squares is no NaN in Python either: everything becomes 0, and is refused later.
  if (!vector.every(Number.isFinite) || !(length > 0)) return false;
  for (let i = 0; i < vector.length; i += 1) vector[i]! /= length;
  return true;
}

/** The order in which NumPy adds: the last bit of a length depends on it. */
export function pairwiseSum(values: Float64Array, start: number, count: number): number {
  if (count > 128) {
    const half = Math.floor(count / 2);
    const first = half - (half % 8);
    return pairwiseSum(values, start, first) + pairwiseSum(values, start + first, count - first);
  }
  if (count < 8) return simpleSum(values, start, start + count, -0);
  const sums = values.slice(start, start + 8);
  const whole = count - (count % 8);
  for (let i = 8; i < whole; i += 8) {
    for (let lane = 0; lane < 8; lane += 1) sums[lane]! += values[start + i + lane]!;
  }
  const [a, b, c, d, e, f, g, h] = sums as unknown as Eight;
  return simpleSum(values, start + whole, start + count, a + b + (c + d) + (e + f + (g + h)));
}

type Eight = [number, number, number, number, number, number, number, number];

function simpleSum(values: Float64Array, start: number, end: number, from: number): number {
  let sum = from;
  for (let i = start; i < end; i += 1) sum += values[i]!;
  return sum;
}

/** A vector in eight bits, with the scale that uses them fully; null where it is all zeros or has NaN. */
export function quantise(vector: Float32Array): Quantised | null {
  let largest = 0;
  for (const value of vector) largest = Math.max(largest, Math.abs(value));
  if (!(largest > 0 && largest < Infinity)) return null;
  const scale = Math.fround(largest / STEPS);
  const codes = new Int8Array(vector.length);
  for (let i = 0; i < codes.length; i += 1) {
    const exact = Math.floor(vector[i]! / scale + 0.5);
    codes[i] = Math.min(STEPS, Math.max(-STEPS, exact));
  }
  return { codes, scale };
}
