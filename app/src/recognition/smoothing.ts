/**
 * One steady answer from a stream of frames: logits averaged with weights that fade with age. A
 * product is shown only when the mean is accepted, and the last frames alone name it as well, so that
 * a hand that moves from one product to the next shows neither by halves.
 */
import { answer, type Answer, type AnswerRule } from './calibration.ts';

export interface SmoothingOptions {
  /** A frame of this age weighs 1/e of a fresh one. */
  readonly fadeMs: number;
  /** After a gap of this length the past is forgotten. */
  readonly forgetMs: number;
  /** So many last frames in a row must agree with the mean. */
  readonly agreeing: number;
}

export const SMOOTHING: SmoothingOptions = { fadeMs: 200, forgetMs: 1500, agreeing: 3 };

export interface SmoothState {
  readonly mean: Float64Array;
  /** Sum of the faded weights of the frames in `mean`. */
  readonly weight: number;
  readonly atMs: number;
  readonly lastBest: number;
  /** How many last frames in a row had `lastBest` as their best. */
  readonly sameBest: number;
}

export interface SteadyAnswer extends Answer {
  /** Whether the frames agree; show a product only where `known` and `settled` both hold. */
  readonly settled: boolean;
}

/** Take one more frame into account. `state` is null at the start; it is never changed. */
export function smooth(
  state: SmoothState | null,
  logits: ArrayLike<number>,
  atMs: number,
  options: SmoothingOptions = SMOOTHING,
): SmoothState {
  const frame = Float64Array.from(logits);
  const best = indexOfLargest(frame);
  const ageMs = state === null ? Infinity : Math.max(0, atMs - state.atMs);
  if (state === null || ageMs > options.forgetMs || state.mean.length !== frame.length) {
    return { mean: frame, weight: 1, atMs, lastBest: best, sameBest: 1 };
  }
  const faded = state.weight * Math.exp(-ageMs / options.fadeMs);
  const weight = faded + 1;
  return {
    mean: state.mean.map((value, i) => (value * faded + frame[i]!) / weight),
    weight,
    atMs,
    lastBest: best,
    sameBest: best === state.lastBest ? state.sameBest + 1 : 1,
  };
}

export function steadyAnswer(
  state: SmoothState,
  rule: AnswerRule,
  options: SmoothingOptions = SMOOTHING,
): SteadyAnswer {
  const smoothed = answer(state.mean, rule);
  const settled =
    state.sameBest >= options.agreeing && smoothed.top[0]?.index === state.lastBest;
  return { ...smoothed, settled };
}

function indexOfLargest(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}
