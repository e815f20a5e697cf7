/** Small parts of the shell: search, barcodes, addresses, texts, configuration, decisions, stores. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, SURE_FROM, UNKNOWN_AFTER_MS, type Watch } from '../src/camera/decision.ts';
import { readConfig } from '../src/config.ts';
import { readBarcode } from '../src/data/barcode_text.ts';
import { distanceM } from '../src/data/distance.ts';
import { Saved, MAX_SCANS } from '../src/data/saved.ts';
import { indexed, searched } from '../src/data/search.ts';
import { nearestOf, Stores } from '../src/data/stores.ts';
import { keyOfPath, pathOfKey } from '../src/keys.ts';
import type { SteadyAnswer } from '../src/recognition/smoothing.ts';
import { Settings } from '../src/settings.ts';
import { en } from '../src/texts/en.ts';
import { ko } from '../src/texts/ko.ts';
import { languageOf, Speech } from '../src/texts/texts.ts';
import { world } from './data_support.ts';

const item = (id: number, name: string): ReturnType<typeof indexed> =>
  indexed({ id, name, barcodes: [], classes: [] });

test('search knows initials, blanks, capitals and several words', () => {
  const products = [item(1, '초코 파이 12입'), item(2, 'Choco Bar'), item(3, '딸기우유'), item(4, '파이초코')];
  const found = (query: string): number[] => searched(products, query).map(({ id }) => id);
  assert.deepEqual(found('초코파이'), [1]);
  assert.deepEqual(found('ㅊㅋ'), [1, 4]);
  assert.deepEqual(found('파이 초코'), [4, 1]);
  assert.deepEqual(found('CHOCO'), [2]);
  assert.deepEqual(found('  '), [1, 2, 3, 4]);
  assert.deepEqual(found('<b>없음'), []);
});

test('barcodes need their check digit', () => {
  assert.equal(readBarcode('8801056150013'), '8801056150013');
  assert.equal(readBarcode('8801056-150 013'), '8801056150013');
  assert.equal(readBarcode('036000291452'), '0036000291452');
  assert.equal(readBarcode('96385074'), '96385074');
  assert.equal(readBarcode('8801056150014'), null);
  assert.equal(readBarcode(''), null);
  assert.equal(readBarcode('초코'), null);
});

test('products have addresses that lead back to them', () => {
  for (const key of [{ itemId: 53 }, { barcodes: ['8801056150013'] }, { label: 'a b/ㅊ-1' }]) {
    assert.deepEqual(keyOfPath(pathOfKey(key)), key);
  }
  for (const path of ['', 'item-x', 'item--1', 'barcode-123', 'javascript:1', 'label-', 'other-1']) {
    assert.equal(keyOfPath(path), null);
  }
  assert.deepEqual(keyOfPath('label-%E0%A4%A'), { label: '%E0%A4%A' });
});

test('both languages say the same with the same values', () => {
  const slots = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([slot]) => slot).sort();
  assert.deepEqual(Object.keys(en), Object.keys(ko));
  for (const name of Object.keys(ko) as (keyof typeof ko)[]) {
    assert.deepEqual(slots(en[name]), slots(ko[name]), name);
    assert.ok(en[name].length > 0 && ko[name].length > 0, name);
  }
  assert.equal(languageOf(['en-US', 'ko-KR']), 'ko');
  assert.equal(languageOf(['fr']), 'en');
});

test('won, ages, days and distances read as people write them', () => {
  const speech = new Speech('ko');
  assert.equal(speech.won(12345), '12,345원');
  assert.equal(speech.age(0), '방금');
  assert.equal(speech.age(26 * 3_600_000), '26시간 전');
  assert.equal(speech.age(3 * 86_400_000), '3일 전');
  assert.equal(speech.remaining('2026-11-21', '2026-11-21'), '오늘까지');
  assert.equal(speech.remaining('2026-11-21', '2026-11-30'), '9일 남음');
  assert.equal(speech.distance(4), '10m');
  assert.equal(speech.distance(1240), '1.2km');
  assert.equal(new Speech('en').won(500), '₩500');
  assert.equal(speech.day('2026-11-30'), '11월 30일');
});

test('a configuration is taken where it is sound, else the default', () => {
  const page = 'https://shop.example/app/index.html';
  const plain = readConfig(null, page);
  assert.equal(plain.apiUrl, 'https://shop.example/');
  assert.equal(plain.bundleUrl, 'https://shop.example/bundle/');
  assert.deepEqual(plain.map, { kind: 'plain' });
  const other = readConfig({ api: 'https://api.example/x', channel: 'beta', bundle: 'b' }, page);
  assert.equal(other.apiUrl, 'https://api.example/x/');
  assert.equal(other.bundleUrl, 'https://shop.example/app/b/');
  assert.equal(other.channel, 'beta');
  const tiles = { kind: 'tiles', url: 'https://t.example/{z}/{x}/{y}.png', attribution: '© t' };
  assert.deepEqual(readConfig({ map: tiles }, page).map, { ...tiles, maxZoom: 19 });
  for (const map of [{ ...tiles, attribution: '' }, { ...tiles, url: 'javascript:1' }, { kind: 'x' }, 5]) {
    assert.deepEqual(readConfig({ map }, page).map, { kind: 'plain' });
  }
});

const answer = (known: boolean, confidence: number, settled: boolean): SteadyAnswer => ({
  known,
  confidence,
  settled,
  score: 0,
  top: [{ index: 3, probability: confidence }, { index: 1, probability: 0.1 }],
});

test('a product is shown at once when it is sure, a hint or a choice only after a while', () => {
  assert.equal(decide(null, answer(true, 0.99, false), 0).shown.kind, 'steady');
  assert.deepEqual(decide(null, answer(true, 0.99, true), 0).shown, { kind: 'product', index: 3, confidence: 0.99 });
  const watch: Watch = { sort: 'unknown', sinceMs: 0 };
  assert.equal(decide(watch, answer(false, 0.99, true), UNKNOWN_AFTER_MS - 1).shown.kind, 'looking');
  assert.equal(decide(watch, answer(false, 0.99, true), UNKNOWN_AFTER_MS).shown.kind, 'unknown');
  const unsure = decide(null, answer(true, SURE_FROM - 0.01, true), 100);
  assert.equal(unsure.shown.kind, 'steady');
  const later = decide(unsure.watch, answer(true, SURE_FROM - 0.01, true), 1100);
  assert.deepEqual(later.shown, { kind: 'unsure', candidates: [3, 1] });
});

test('scans keep the newest, one of each product, and not too many', async () => {
  const { tables, clock } = world();
  const saved = new Saved(tables, clock);
  for (let i = 0; i < MAX_SCANS + 5; i += 1) await saved.addScan({ itemId: i + 1 }, `p${i}`);
  await saved.addScan({ itemId: MAX_SCANS }, 'again');
  const scans = await saved.scans();
  assert.equal(scans.length, MAX_SCANS);
  assert.equal(scans[0]?.name, 'again');
  assert.equal(scans.filter(({ key }) => key.itemId === MAX_SCANS).length, 1);
  await saved.setFavourite({ itemId: 5 }, 'five', true);
  assert.ok(await saved.isFavourite({ itemId: 5 }));
  await saved.setFavourite({ itemId: 5 }, 'five', false);
  assert.ok(!(await saved.isFavourite({ itemId: 5 })));
});

const HERE = { latitude: 37.56651, longitude: 126.97802 };
const AREA = {
  status: 'stores',
  attribution: 'invented',
  stores: [
    { id: 'far', chain: 'cu', name: 'CU 먼점', latitude: 37.5765, longitude: 126.978 },
    { id: 'near', chain: 'cu', name: 'CU <b>앞점', latitude: 37.5666, longitude: 126.978 },
    { id: 'bad', chain: 'cu', name: 'x', latitude: 137, longitude: 126.978 },
  ],
};

test('the server learns a place to about 100 m; distances are measured here', async () => {
  const made = world();
  made.answers.set('v1/stores/nearby', AREA);
  const stores = new Stores(made.api, made.tables, made.clock);
  const nearby = await stores.near(HERE);
  assert.match(made.asked[0] ?? '', /lat=37\.567&lon=126\.978&/);
  assert.deepEqual(nearby.stores.map(({ id, distanceM }) => [id, distanceM]), [['near', 10], ['far', 1111]]);
  assert.equal(nearestOf(nearby).get('cu')?.id, 'near');
  // One degree of latitude on this sphere is 111,195 m.
  assert.equal(Math.round(distanceM({ latitude: 0, longitude: 0 }, { latitude: 1, longitude: 0 })), 111_195);
});

test('stores are kept for who comes back without a network, near there as well', async () => {
  const made = world();
  made.answers.set('v1/stores/nearby', AREA);
  const stores = new Stores(made.api, made.tables, made.clock);
  await stores.near(HERE);
  made.answers.set('v1/stores/nearby', new TypeError('Failed to fetch'));
  assert.equal((await stores.near(HERE)).trouble, null);
  const beside = await stores.near({ latitude: 37.57, longitude: 126.98 });
  assert.deepEqual([beside.trouble?.code, beside.stores.length], ['offline', 2]);
  await assert.rejects(stores.near({ latitude: 35, longitude: 129 }), { code: 'offline' });
});

test('a browser that keeps nothing still holds settings until it is closed', () => {
  const settings = new Settings(() => {
    throw new DOMException('denied', 'SecurityError');
  });
  assert.equal(settings.theme, 'auto');
  settings.set('theme', 'dark');
  assert.equal(settings.theme, 'dark');
  assert.match(settings.installId, /^[0-9a-f]{32}$/);
  assert.equal(settings.installId, settings.installId);
});
