/** The golden check: this browser must compute the model as it was exported, or not use it. */
import type { Golden } from '../bundle/golden_file.ts';
import type { Manifest, ModelEntry } from '../bundle/manifest.ts';
import { Problem } from '../bundle/problem.ts';
import type { Outputs } from './model.ts';

/** Largest absolute differences that were found, by output; `vectors` is how many were run. */
export interface GoldenReport {
  readonly vectors: number;
  readonly largestDifference: Readonly<Record<string, number>>;
  readonly tolerance: Readonly<Record<string, number>>;
}

type Run = (picture: Uint8Array) => Promise<Outputs>;

/** Run every vector. Throws Problem when one does not fit the model or differs too much. */
export async function checkGolden(
  run: Run,
  entry: ModelEntry,
  golden: Golden,
  limits: Manifest['golden'],
): Promise<GoldenReport> {
  checkFits(golden, entry);
  const input = entry.inputs[0]?.name ?? '';
  const vectors = golden.get(input)?.shape[0] ?? 0;
  const largestDifference: Record<string, number> = {};
  const tolerance: Record<string, number> = {};
  for (let i = 0; i < vectors; i += 1) {
    const answers = await run(vector(golden, input, i) as Uint8Array);
    for (const { name } of entry.outputs) {
      const limit = name === 'embedding' ? limits.embedding_tolerance : limits.logits_tolerance;
      const difference = distance(answers.get(name) ?? [], vector(golden, name, i));
      tolerance[name] = limit;
      largestDifference[name] = Math.max(largestDifference[name] ?? 0, difference);
      // NaN is not within any limit, hence the negation.
      if (!(difference <= limit)) {
        const detail = `${name} of vector ${i}: ${difference} off, ${limit} allowed.`;
        throw new Problem('golden-differs', detail);
      }
    }
  }
  return { vectors, largestDifference, tolerance };
}

function checkFits(golden: Golden, entry: ModelEntry): void {
  const specs = [...entry.inputs, ...entry.outputs];
  const fits =
    entry.inputs.length === 1 &&
    golden.size === specs.length &&
    specs.every(({ name, dtype, shape }) => {
      const tensor = golden.get(name);
      return tensor?.dtype === dtype && String(tensor.shape.slice(1)) === String(shape.slice(1));
    });
  if (!fits) throw new Problem('golden-damaged', 'Expected one tensor for each of the model.');
}

function vector(golden: Golden, name: string, i: number): Uint8Array | Float32Array {
  const tensor = golden.get(name);
  if (tensor === undefined) throw new Problem('golden-damaged', `No tensor ${name}.`);
  const size = tensor.shape.slice(1).reduce((product, side) => product * side, 1);
  return tensor.data.subarray(i * size, (i + 1) * size);
}

function distance(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return NaN;
  let largest = 0;
  for (let i = 0; i < got.length; i += 1) {
    const difference = Math.abs(got[i]! - expected[i]!);
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}
