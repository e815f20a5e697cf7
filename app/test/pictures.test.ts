/** Pictures of products: asked for once, kept for a while and within a limit, never decoded unseen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../src/data/calendar.ts';
import { Clock } from '../src/data/clock.ts';
import { Pictures, PICTURES_MAX_BYTES, PICTURE_FRESH_MS, PICTURE_MAX_BYTES } from '../src/data/pictures.ts';
import { allRows, MemoryTables } from '../src/data/tables.ts';

const FOLDER = 'https://shop.example/pictures/';
const CODE = '8801056150013';

/** A PNG as far as its header goes: signature, IHDR, padding, IEND. */
function png(width: number, height: number, paddingBytes = 0): Uint8Array<ArrayBuffer> {
  const chunk = (kind: string, body: Uint8Array): Uint8Array => {
    const made = new Uint8Array(12 + body.length);
    new DataView(made.buffer).setUint32(0, body.length);
    made.set(new TextEncoder().encode(kind), 4);
    made.set(body, 8);
    return made;
  };
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 2], 8);
  const parts = [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('tEXt', new Uint8Array(paddingBytes)),
    chunk('IEND', new Uint8Array()),
  ];
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function world(files: Map<string, Uint8Array<ArrayBuffer> | string>) {
  const asked: string[] = [];
  const tables = new MemoryTables();
  const made = { nowMs: 1_800_000_000_000, offline: false };
  const pictures = (): Pictures =>
    new Pictures(FOLDER, tables, new Clock(() => made.nowMs), async (url) => {
      const name = url.replace(FOLDER, '');
      asked.push(name);
      if (made.offline) throw new TypeError('no network');
      const file = files.get(name);
      return file === undefined ? new Response(null, { status: 404 }) : new Response(file);
    });
  return Object.assign(made, { asked, tables, pictures });
}

test('a picture is asked for once and kept for thirty days', async () => {
  const files = new Map<string, Uint8Array<ArrayBuffer> | string>([['index.json', `["${CODE}"]`], [`${CODE}.webp`, png(64, 64)]]);
  const shop = world(files);
  const [first, second] = [shop.pictures(), shop.pictures()];
  assert.equal((await first.of(CODE))?.type, 'image/png');
  assert.equal((await second.of(CODE))?.size, png(64, 64).length);
  assert.deepEqual(shop.asked, ['index.json', `${CODE}.webp`]);
  shop.nowMs += PICTURE_FRESH_MS + DAY_MS;
  shop.offline = true;
  // Old, but better than none.
  assert.notEqual(await shop.pictures().of(CODE), null);
});

test('products without a picture cost one list and no more', async () => {
  const shop = world(new Map());
  const pictures = shop.pictures();
  assert.equal(await pictures.of(CODE), null);
  assert.equal(await pictures.of('96385074'), null);
  assert.deepEqual(shop.asked, ['index.json']);
});

const UNSOUND: readonly (readonly [string, Uint8Array<ArrayBuffer> | string])[] = [
  ['a page instead of a picture', '<html>login</html>'],
  ['a small file of many pixels', png(20_000, 20_000)],
  ['a large file', png(8, 8, PICTURE_MAX_BYTES)],
];

for (const [name, file] of UNSOUND) {
  test(`${name} is not shown, and not asked for again today`, async () => {
    const shop = world(new Map<string, Uint8Array<ArrayBuffer> | string>([['index.json', `["${CODE}"]`], [`${CODE}.webp`, file]]));
    assert.equal(await shop.pictures().of(CODE), null);
    assert.equal(await shop.pictures().of(CODE), null);
    assert.deepEqual(shop.asked, ['index.json', `${CODE}.webp`]);
  });
}

test('the oldest go when there are too many', async () => {
  const codes = Array.from({ length: 60 }, (_, i) => String(10_000_000 + i));
  const files = new Map<string, Uint8Array<ArrayBuffer> | string>([['index.json', JSON.stringify(codes)]]);
  for (const code of codes) files.set(`${code}.webp`, png(8, 8, 280_000));
  const shop = world(files);
  const pictures = shop.pictures();
  for (const code of codes) {
    shop.nowMs += 1000;
    await pictures.of(code);
  }
  const kept = await allRows<{ key: string; bytes: ArrayBuffer }>(shop.tables, 'pictures');
  const total = kept.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  // 280,300 bytes each or a little more: 42 fit into 12,000,000.
  assert.equal(kept.length, 42);
  assert.ok(total <= PICTURES_MAX_BYTES);
  assert.ok(kept.some(({ key }) => key === codes[59]));
  assert.ok(!kept.some(({ key }) => key === codes[0]));
});
