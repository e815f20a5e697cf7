import assert from 'node:assert/strict';
import test from 'node:test';
import type { AnswerRule } from '../src/recognition/calibration.ts';
import { smooth, steadyAnswer, type SmoothState } from '../src/recognition/smoothing.ts';

const RULE: AnswerRule = { temperature: 1, unknown: { score: 'max_logit', accept_at_least: 4 } };
const OPTIONS = { fadeMs: 300, forgetMs: 1000, agreeing: 3 };
const COLA = [9, 0, 0];
const CIDER = [0, 9, 0];

function after(frames: readonly (readonly [readonly number[], number])[]): SmoothState {
  let state: SmoothState | null = null;
  for (const [logits, atMs] of frames) state = smooth(state, logits, atMs, OPTIONS);
  assert.ok(state);
  return state;
}

test('one frame is its own mean, and is not settled', () => {
  const state = after([[COLA, 0]]);
  assert.deepEqual([...state.mean], COLA);
  const answer = steadyAnswer(state, RULE, OPTIONS);
  assert.equal(answer.known, true);
  assert.equal(answer.settled, false);
});

test('three frames that agree are settled', () => {
  const answer = steadyAnswer(after([[COLA, 0], [COLA, 100], [COLA, 200]]), RULE, OPTIONS);
  assert.equal(answer.settled, true);
  assert.equal(answer.top[0]?.index, 0);
});

test('a frame 300 ms old weighs 1/e of a fresh one', () => {
  const { mean } = after([[[1, 0], 0], [[0, 1], 300]]);
  const faded = Math.exp(-1);
  assert.ok(Math.abs((mean[0] ?? 0) - faded / (1 + faded)) < 1e-12);
  assert.ok(Math.abs((mean[1] ?? 0) - 1 / (1 + faded)) < 1e-12);
});

test('one wrong frame among right ones changes nothing that is shown', () => {
  const frames = [0, 100, 200, 300].map((atMs) => [COLA, atMs] as const);
  const answer = steadyAnswer(after([...frames, [CIDER, 400]]), RULE, OPTIONS);
  assert.equal(answer.top[0]?.index, 0);
  assert.equal(answer.settled, false);
});

test('while one product gives way to another, neither is shown until frames and mean agree', () => {
  const shown: (number | null)[] = [];
  let state: SmoothState | null = null;
  for (let i = 0; i < 12; i += 1) {
    state = smooth(state, i < 6 ? COLA : CIDER, i * 100, OPTIONS);
    const answer = steadyAnswer(state, RULE, OPTIONS);
    shown.push(answer.settled && answer.known ? (answer.top[0]?.index ?? null) : null);
  }
  assert.deepEqual(shown.slice(0, 6), [null, null, 0, 0, 0, 0]);
  assert.deepEqual(shown.slice(6, 8), [null, null]);
  assert.equal(shown.at(-1), 1);
});

test('after a long gap, or with another model, the past is forgotten', () => {
  assert.deepEqual([...after([[COLA, 0], [CIDER, 1001]]).mean], CIDER);
  assert.deepEqual([...after([[COLA, 0], [[1, 2], 100]]).mean], [1, 2]);
});

test('a clock that goes backwards does no harm', () => {
  const { mean } = after([[COLA, 1000], [CIDER, 500]]);
  assert.ok(mean.every(Number.isFinite));
});

test('the state given in is never changed', () => {
  const first = smooth(null, COLA, 0, OPTIONS);
  const before = [...first.mean];
  smooth(first, CIDER, 100, OPTIONS);
  assert.deepEqual([...first.mean], before);
});
