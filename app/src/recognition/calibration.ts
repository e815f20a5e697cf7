/** From raw logits to an honest answer: calibrated probabilities, and "not known" where it is. */
import type { UnknownRule } from '../bundle/manifest.ts';

export interface Candidate {
  /** Place in the logits and in labels.json. */
  readonly index: number;
  /** 0..1, calibrated by the manifest's temperature. */
  readonly probability: number;
}

export interface Answer {
  /** The most probable first; equal ones in output order. */
  readonly top: readonly Candidate[];
  /** False when the picture is probably none of the products. */
  readonly known: boolean;
  readonly score: number;
  /** Probability of the first candidate. */
  readonly confidence: number;
}

export interface AnswerRule {
  readonly temperature: number;
  readonly unknown: UnknownRule;
}

export const TOP = 5;

/** exp(logits / temperature), normalised to sum 1. */
export function softmax(logits: ArrayLike<number>, temperature: number): Float64Array {
  const scaled = Float64Array.from(logits, (logit) => logit / temperature);
  const largest = scaled.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The rule's score of raw logits: their largest, or log(sum(exp)). */
export function unknownScore(logits: ArrayLike<number>, rule: UnknownRule): number {
  const values = Float64Array.from(logits);
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  if (rule.score === 'max_logit') return largest;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

export function answer(logits: ArrayLike<number>, rule: AnswerRule, top: number = TOP): Answer {
  const probabilities = softmax(logits, rule.temperature);
  const candidates = Array.from(probabilities, (probability, index) => ({ index, probability }));
  // Array.prototype.sort is stable, so equal ones stay in output order.
  candidates.sort((a, b) => b.probability - a.probability);
  const score = unknownScore(logits, rule.unknown);
  return {
    top: candidates.slice(0, top),
    known: score >= rule.unknown.accept_at_least,
    score,
    confidence: candidates[0]?.probability ?? 0,
  };
}
