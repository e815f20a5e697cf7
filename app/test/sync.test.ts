/** The copy on this device: begun from a file, kept right page by page, never half of anything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../src/data/calendar.ts';
import type { PromotionRow } from '../src/data/rows.ts';
import { Saved } from '../src/data/saved.ts';
import { allRows } from '../src/data/tables.ts';
import { Trouble } from '../src/data/trouble.ts';
import { bootstrapFile, DAY, ITEM, META, NOW_MS, problem, promotion, stocked, type World } from './data_support.ts';

async function ids(world: World): Promise<number[]> {
  return (await allRows<PromotionRow>(world.tables, 'promotions')).map(({ id }) => id);
}

async function trouble(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Trouble) return error.code;
    throw error;
  }
  return 'none';
}

test('an empty device takes the whole file, a filled one what changed', async () => {
  const world = stocked();
  assert.deepEqual(await world.sync.run(), { outcome: 'copied', rows: 2, skipped: 0 });
  const pages = new Map([
    ['3', { changes: [{ ...promotion(2), op: 'upsert' }], next_since: '4.promotion.2', more: true }],
    ['4.promotion.2', { changes: [{ entity: 'promotion', id: '1', op: 'delete' }], next_since: '5', more: false }],
  ]);
  world.answers.set('v1/sync', (url: URL) => pages.get(url.searchParams.get('since') ?? ''));
  assert.deepEqual(await world.sync.run(), { outcome: 'changed', rows: 2, skipped: 0 });
  assert.deepEqual(await ids(world), [2]);
  assert.equal((await world.sync.state()).since, '5');
  assert.equal(world.asked.filter((path) => path === 'v1/sync/bootstrap').length, 1);
});

test('two who ask at once make one run', async () => {
  const world = stocked();
  const [first, second] = await Promise.all([world.sync.run(), world.sync.run()]);
  assert.equal(first, second);
  assert.equal(world.asked.length, 2);
});

for (const [status, code] of [[410, 'too-old'], [409, 'position-ahead']] as const) {
  test(`${code} begins anew, and nothing of before is left`, async () => {
    const world = stocked();
    await world.sync.run();
    world.answers.set('v1/sync', () => problem(status, code));
    world.answers.set('v1/sync/bootstrap', bootstrapFile(9, [ITEM, promotion(40)]));
    assert.equal((await world.sync.run()).outcome, 'copied');
    assert.deepEqual(await ids(world), [40]);
    assert.equal((await world.sync.state()).since, '9');
  });
}

test('rows that this app cannot read are left out and counted', async () => {
  const world = stocked();
  const bad = [
    promotion(2, { kind: '9+9' }),
    promotion(3, { chain: '<b>' }),
    promotion(4, { price_krw: -1 }),
    promotion(5, { valid_until: 'soon' }),
    { entity: 'item', id: 'x', data: {} },
  ];
  const other = { entity: 'source', id: 'cu', data: { state: 'ok' } };
  world.answers.set('v1/sync/bootstrap', bootstrapFile(3, [ITEM, promotion(1), other, ...bad]));
  assert.deepEqual(await world.sync.run(), { outcome: 'copied', rows: 2, skipped: 5 });
});

const WHOLE = bootstrapFile(3, [ITEM, promotion(1)]);
const BROKEN: readonly (readonly [string, Uint8Array])[] = [
  ['a cut-off file', WHOLE.subarray(0, WHOLE.length - 12)],
  ['no gzip', new TextEncoder().encode('<html>login</html>')],
  ['an empty file', new Uint8Array()],
];

for (const [name, file] of BROKEN) {
  test(`${name} leaves the copy as it was`, async () => {
    const world = stocked();
    await world.sync.run();
    world.answers.set('v1/sync', () => problem(410, 'too-old'));
    world.answers.set('v1/sync/bootstrap', file);
    assert.equal(await trouble(world.sync.run()), 'server-garbage');
    assert.deepEqual(await ids(world), [1]);
    assert.equal((await world.sync.state()).since, '3');
  });
}

test('every way in which a server fails has a code of its own', async () => {
  const world = stocked();
  const answers: readonly (readonly [unknown, string])[] = [
    [new TypeError('Failed to fetch'), 'offline'],
    [() => problem(500, 'defect'), 'server-down'],
    [() => problem(503, 'busy'), 'server-busy'],
    [() => problem(429, 'too-many-requests'), 'server-busy'],
    [() => problem(400, 'bad'), 'server-refused'],
    [() => new Response('<html>'), 'server-garbage'],
    [() => new Response('[]'), 'server-garbage'],
    [{ chains: [] }, 'server-garbage'],
  ];
  for (const [answer, code] of answers) {
    world.answers.set('v1/meta', answer);
    assert.equal(await trouble(world.sync.run()), code);
  }
});

test('a server that does not answer is given up on', async () => {
  const { Api } = await import('../src/data/api.ts');
  const silent = new Api('http://server.example/', (_, { signal }) =>
    new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  );
  assert.equal(await trouble(silent.json('v1/meta', { patienceMs: 20 })), 'slow');
});

test('a clock that is a year wrong is put right by whole days, and stays so offline', async () => {
  const world = stocked();
  world.nowMs = NOW_MS - 365 * DAY_MS;
  await world.sync.run();
  assert.equal(world.clock.today(), DAY);
  assert.equal(world.clock.behindDays, 365);
  world.clock.restore(0);
  await world.sync.restoreClock();
  assert.equal(world.clock.today(), DAY);
});

test('a day more or less is midnight, not a wrong clock', async () => {
  const world = stocked();
  world.answers.set('v1/meta', { ...META, day: '2026-11-22' });
  await world.sync.run();
  assert.equal(world.clock.behindDays, 0);
});

test('a seed serves until the first sync and never replaces a copy', async () => {
  const world = stocked();
  const seed = bootstrapFile(2, [ITEM, promotion(8)]) as Uint8Array<ArrayBuffer>;
  assert.equal((await world.sync.seed(seed, NOW_MS - DAY_MS))?.outcome, 'copied');
  assert.deepEqual(await world.sync.state(), { since: '2', syncedAtMs: NOW_MS - DAY_MS, chains: [] });
  assert.equal(await world.sync.seed(seed, NOW_MS), null);
});

const ONE = 'a'.repeat(32);
const OTHER = 'b'.repeat(32);

/** A server that says which catalog it has, and a copy of it. */
async function named(): Promise<World> {
  const world = stocked();
  world.answers.set('v1/meta', { ...META, catalog_id: ONE });
  world.answers.set('v1/sync', { changes: [], next_since: '3', more: false, catalog_id: ONE });
  world.answers.set('v1/sync/bootstrap', bootstrapFile(3, [ITEM, promotion(1)], ONE));
  await world.sync.run();
  return world;
}

test('another catalog takes the place of the copy, though its version is higher', async () => {
  const world = await named();
  const saved = new Saved(world.tables, world.clock);
  await saved.setFavourite({ barcodes: ['8801056150013'] }, '초코바', true);
  await world.tables.write([{ table: 'answers', put: { key: 'item 7', body: {}, fetchedAtMs: NOW_MS } }]);
  world.answers.set('v1/meta', { ...META, version: 9, catalog_id: OTHER });
  world.answers.set('v1/sync/bootstrap', bootstrapFile(9, [ITEM, promotion(40)], OTHER));
  assert.deepEqual(await world.sync.run(), { outcome: 'replaced', rows: 2, skipped: 0 });
  assert.deepEqual(await ids(world), [40]);
  assert.equal(await world.tables.get('answers', 'item 7'), undefined);
  assert.equal(await saved.isFavourite({ barcodes: ['8801056150013'] }), true);
  world.answers.set('v1/sync', { changes: [], next_since: '9', more: false, catalog_id: OTHER });
  assert.equal((await world.sync.run()).outcome, 'unchanged');
});

test('a page of another catalog is not mixed into the copy', async () => {
  const world = await named();
  world.answers.set('v1/sync', { changes: [{ ...promotion(2), op: 'upsert' }], next_since: '9', more: false, catalog_id: OTHER });
  world.answers.set('v1/sync/bootstrap', bootstrapFile(9, [ITEM, promotion(40)], OTHER));
  assert.equal((await world.sync.run()).outcome, 'replaced');
  assert.deepEqual(await ids(world), [40]);
});

test('what another catalog said is gone though its file does not come', async () => {
  const world = await named();
  world.answers.set('v1/meta', { ...META, catalog_id: OTHER });
  world.answers.set('v1/sync/bootstrap', problem(503, 'busy'));
  assert.equal(await trouble(world.sync.run()), 'server-busy');
  assert.deepEqual(await ids(world), []);
  assert.equal((await world.sync.state()).since, null);
});

test('a server that says nothing of its catalog is followed as ever', async () => {
  const world = await named();
  world.answers.set('v1/meta', META);
  world.answers.set('v1/sync', { changes: [{ ...promotion(2), op: 'upsert' }], next_since: '4', more: false });
  assert.equal((await world.sync.run()).outcome, 'changed');
  assert.deepEqual(await ids(world), [1, 2]);
});

test('favourites by number go along by name, since numbers mean others now', async () => {
  const world = await named();
  const saved = new Saved(world.tables, world.clock);
  await saved.setFavourite({ itemId: 7 }, '초코바 50g', true);
  await saved.setFavourite({ itemId: 8 }, '없는 것', true);
  await saved.addScan({ itemId: 7 }, '초코바 50g');
  await saved.moveTo([{ id: 31, name: '초코바 50g', barcodes: [], classes: [] }]);
  const keys = (await saved.favourites()).map(({ key }) => key);
  assert.deepEqual(keys.sort((a, b) => (a.itemId ?? 0) - (b.itemId ?? 0)), [{ label: '없는 것' }, { itemId: 31 }]);
  assert.deepEqual((await saved.scans()).map(({ key }) => key), [{ itemId: 31 }]);
});
