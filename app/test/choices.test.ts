import assert from 'node:assert/strict';
import test from 'node:test';
import { Problem } from '../src/bundle/problem.ts';
import type { Manifest } from '../src/bundle/manifest.ts';
import { checkSuccession, compareAppVersions } from '../src/bundle/versions.ts';
import { pythonFloat } from '../src/bundle/strict_json.ts';
import { chooseAccelerator } from '../src/recognition/accelerate.ts';
import { figuresOf } from '../src/recognition/figures.ts';

test('app versions are compared by number', () => {
  assert.ok(compareAppVersions('1.10.0', '1.9.9') > 0);
  assert.ok(compareAppVersions('0.1.0', '0.1.1') < 0);
  assert.equal(compareAppVersions('2.0.0', '2.0.0'), 0);
});

test('a bundle may follow only its own line, and never an older version', () => {
  const manifest = (bundle_id: string, version: number): Manifest =>
    ({ bundle_id, version }) as Manifest;
  const mark = { bundleId: 'a', highestVersion: 5 };
  checkSuccession(manifest('a', 5), mark);
  checkSuccession(manifest('a', 6), mark);
  checkSuccession(manifest('b', 1), null);
  const code = (expected: string) => (error: unknown) =>
    error instanceof Problem && error.code === expected;
  assert.throws(() => checkSuccession(manifest('a', 4), mark), code('bundle-older'));
  assert.throws(() => checkSuccession(manifest('b', 9), mark), code('bundle-of-another-line'));
});

test('WebGPU is taken only when it is clearly faster', () => {
  assert.equal(chooseAccelerator(40, 10), 'webgpu');
  assert.equal(chooseAccelerator(40, 32), 'webgpu');
  assert.equal(chooseAccelerator(40, 33), 'wasm');
  assert.equal(chooseAccelerator(40, null), 'wasm');
});

test('median and ninetieth percentile', () => {
  assert.deepEqual(figuresOf([3, 1, 2]), { medianMs: 2, p90Ms: 2.8 });
  assert.ok(Number.isNaN(figuresOf([]).medianMs));
});

test('numbers are spelled as Python spells them', () => {
  const spelled = [0, 1, -2.5, 0.1, 1e-4, 1e-5, 123456.75, 1e15, 1e16, 1.5e300, 5e-324, -0];
  assert.deepEqual(spelled.map(pythonFloat), [
    '0.0', '1.0', '-2.5', '0.1', '0.0001', '1e-05', '123456.75', '1000000000000000.0', '1e+16',
    '1.5e+300', '5e-324', '-0.0',
  ]);
});
