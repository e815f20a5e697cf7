import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { Calm } from '../src/camera/calm.ts';

/** Says after each of these waits whether it is calm by then. */
async function calmAfter(waitsMs: readonly number[], act: (calm: Calm) => void): Promise<boolean[]> {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const calm = new Calm();
    let reached = false;
    void calm.reached.then(() => (reached = true));
    act(calm);
    const told = [];
    for (const ms of waitsMs) {
      mock.timers.tick(ms);
      await Promise.resolve();
      await Promise.resolve();
      told.push(reached);
    }
    return told;
  } finally {
    mock.timers.reset();
  }
}

test('before the camera and the recogniser are there it is never calm', async () => {
  assert.deepEqual(await calmAfter([3_600_000], () => undefined), [false]);
});

test('without an answer it is calm after eight seconds', async () => {
  assert.deepEqual(await calmAfter([7_999, 1], (calm) => calm.scanning()), [false, true]);
});

test('the first answer is given two seconds for its card', async () => {
  const act = (calm: Calm): void => {
    calm.scanning();
    calm.answered();
  };
  assert.deepEqual(await calmAfter([1_999, 1], act), [false, true]);
});

test('answers that follow do not put it off', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const calm = new Calm();
    let reached = false;
    void calm.reached.then(() => (reached = true));
    for (let i = 0; i < 3; i += 1) {
      calm.answered();
      calm.scanning();
      mock.timers.tick(900);
    }
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(reached, true);
  } finally {
    mock.timers.reset();
  }
});
