/** One product: this device first, the server on a miss, and silence never taken for a no. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../src/data/calendar.ts';
import { COPY_FRESH_MS, KEEP_MS } from '../src/data/lookup.ts';
import { bootstrapFile, ITEM, META, problem, promotion, stocked, world, type World } from './data_support.ts';

const KEY = { barcodes: ['8801056150013'], label: 'choco' };
const OTHER = { barcodes: ['8801234567893'] };
const OTHER_PATH = 'v1/products/by-barcode/8801234567893';
const UNKNOWN = { status: 'unknown-product', product: null, promotions: [], expired: [], chains: [] };

async function synced(): Promise<World> {
  const made = stocked();
  await made.sync.run();
  made.asked.length = 0;
  return made;
}

function served(status: string, rows: readonly { id: string; data: object }[] = []): object {
  const promotions = rows.map(({ id, data }) => ({ id: Number(id), ...data }));
  const product = { id: 7, name: '초코바', barcodes: ['8801234567893'], keys: [] };
  return { status, product, promotions, expired: [], chains: META.chains };
}

test('a fresh copy answers without the server, by barcode and by label', async () => {
  const made = await synced();
  for (const key of [KEY, { label: 'choco' }, { itemId: 7 }]) {
    const { answer, stale, trouble } = await made.lookup.find(key);
    assert.deepEqual([answer?.status, answer?.origin, stale, trouble], ['promotions', 'copy', false, null]);
  }
  assert.deepEqual(made.asked, []);
});

test('an old copy is shown at once with its age, and the server asked', async () => {
  const made = await synced();
  made.nowMs += COPY_FRESH_MS + 1;
  const here = await made.lookup.here(KEY);
  assert.deepEqual([here.answer?.status, here.stale], ['promotions', true]);
  made.answers.set('v1/products/by-barcode/8801056150013', served('promotions', [promotion(9)]));
  const found = await made.lookup.find(KEY);
  assert.deepEqual([found.answer?.origin, found.answer?.promotions[0]?.id], ['server', 9]);
});

test('an old copy without a network is still shown, with why', async () => {
  const made = await synced();
  made.nowMs += COPY_FRESH_MS + 1;
  made.answers.set('v1/products/by-barcode/8801056150013', new TypeError('Failed to fetch'));
  const { answer, stale, trouble } = await made.lookup.find(KEY);
  assert.deepEqual([answer?.status, stale, trouble?.code], ['promotions', true, 'offline']);
});

test('a promotion that ended is no promotion, and its end alone no "no promotion"', async () => {
  const made = await synced();
  made.nowMs += 12 * DAY_MS;
  const { answer } = await made.lookup.here(KEY);
  assert.deepEqual([answer?.status, answer?.promotions.length, answer?.expired.length], ['source-unavailable', 0, 1]);
});

test('"no promotion" needs every list of this month and a fresh copy', async () => {
  const made = stocked();
  made.answers.set('v1/sync/bootstrap', bootstrapFile(3, [ITEM]));
  await made.sync.run();
  assert.equal((await made.lookup.here(KEY)).answer?.status, 'no-promotion');
  made.nowMs += COPY_FRESH_MS + 1;
  assert.equal((await made.lookup.here(KEY)).answer?.status, 'source-unavailable');
});

for (const chain of [{ state: 'gone' }, { state: 'stale' }, { state: 'never' }, { month: '2026-10' }]) {
  test(`a list that is ${JSON.stringify(chain)} cannot say no`, async () => {
    const made = stocked();
    made.answers.set('v1/meta', { ...META, chains: [{ ...META.chains[0], ...chain }] });
    made.answers.set('v1/sync/bootstrap', bootstrapFile(3, [ITEM]));
    await made.sync.run();
    assert.equal((await made.lookup.here(KEY)).answer?.status, 'source-unavailable');
  });
}

test('whoever asks for the same at once waits for one request', async () => {
  const made = world();
  made.answers.set(OTHER_PATH, served('promotions', [promotion(9)]));
  const all = await Promise.all([1, 2, 3].map(() => made.lookup.find(OTHER)));
  assert.equal(made.asked.length, 1);
  assert.ok(all.every(({ answer }) => answer?.promotions[0]?.id === 9));
});

test('an unknown product is remembered shortly, then asked about again', async () => {
  const made = world();
  made.answers.set(OTHER_PATH, UNKNOWN);
  assert.equal((await made.lookup.find(OTHER)).answer?.status, 'unknown-product');
  assert.equal((await made.lookup.find(OTHER)).answer?.status, 'unknown-product');
  assert.equal(made.asked.length, 1);
  made.nowMs += KEEP_MS['unknown-product'] + 1;
  await made.lookup.find(OTHER);
  assert.equal(made.asked.length, 2);
});

test('"source unavailable" is never remembered', async () => {
  const made = world();
  made.answers.set(OTHER_PATH, served('source-unavailable'));
  assert.equal((await made.lookup.find(OTHER)).answer?.status, 'source-unavailable');
  made.answers.set(OTHER_PATH, new TypeError('Failed to fetch'));
  const { answer, trouble } = await made.lookup.find(OTHER);
  assert.deepEqual([answer, trouble?.code], [null, 'offline']);
});

test('an old "no promotion" is no answer without a network', async () => {
  const made = world();
  made.answers.set(OTHER_PATH, served('no-promotion'));
  await made.lookup.find(OTHER);
  made.nowMs += KEEP_MS['no-promotion'] + 1;
  made.answers.set(OTHER_PATH, () => problem(500, 'defect'));
  const { answer, trouble } = await made.lookup.find(OTHER);
  assert.deepEqual([answer, trouble?.code], [null, 'server-down']);
});

test('kept promotions outlive the network, marked as old', async () => {
  const made = world();
  made.answers.set(OTHER_PATH, served('promotions', [promotion(9)]));
  await made.lookup.find(OTHER);
  made.nowMs += DAY_MS;
  made.answers.set(OTHER_PATH, new TypeError('Failed to fetch'));
  const { answer, stale } = await made.lookup.find(OTHER);
  assert.deepEqual([answer?.status, answer?.origin, stale], ['promotions', 'kept', true]);
});

test('what the server says in an unknown form is garbage, not a no', async () => {
  const made = world();
  for (const body of [{}, { status: 'perhaps' }, served('promotions', [promotion(1, { kind: 'x' })])]) {
    made.answers.set(OTHER_PATH, body);
    const { answer, trouble } = await made.lookup.find(OTHER);
    assert.deepEqual([answer, trouble?.code], [null, 'server-garbage']);
  }
});

test('an unknown barcode goes on to the label', async () => {
  const made = world();
  made.answers.set('v1/products/by-barcode/8801056150013', UNKNOWN);
  made.answers.set('v1/products/by-label/choco', served('promotions', [promotion(5)]));
  assert.equal((await made.lookup.find(KEY)).answer?.promotions[0]?.id, 5);
});

test('markup in names stays text', async () => {
  const made = stocked();
  const name = '<img src=x onerror=alert(1)>';
  made.answers.set('v1/sync/bootstrap', bootstrapFile(3, [{ ...ITEM, data: { ...ITEM.data, name } }, promotion(1)]));
  await made.sync.run();
  assert.equal((await made.lookup.here(KEY)).answer?.item?.name, name);
});
