/** What lies under the stores, who is named for it, and where links out of the app lead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PMTiles, TileType } from 'pmtiles';
import { layerFor, readConfig } from '../src/config.ts';
import { geoLink, webLink } from '../src/ui/map_link.ts';
// @ts-expect-error: the build's own scripts are plain JavaScript.
import { townArchive } from '../build_town.mjs';

const PAGE = 'https://shop.example/app/';
const TOWN = {
  kind: 'pmtiles',
  url: 'maps/demo.pmtiles',
  attribution: 'invented towns',
  for_stores: 'invented stores',
};
const OSM = { kind: 'tiles', url: 'https://tile.openstreetmap.org/{z}/{x}/{y}.png', attribution: 'map' };
const STORE = { id: '1', chain: null, name: '가, 나 (다)', latitude: 37.5, longitude: 127.25, distanceM: 3 };

test('an invented town lies only under invented stores', () => {
  const config = readConfig({ map: TOWN }, PAGE);
  assert.equal(layerFor(config, null).kind, 'plain');
  assert.equal(layerFor(config, '© OpenStreetMap contributors').kind, 'plain');
  assert.equal(layerFor(config, 'invented stores').kind, 'pmtiles');
});

test('OpenStreetMap is named with its link, whatever the configuration says', () => {
  const { map } = readConfig({ map: OSM }, PAGE);
  assert.ok(map.kind === 'tiles');
  assert.equal(map.attribution, 'map © OpenStreetMap contributors');
  assert.equal(map.attributionUrl, 'https://www.openstreetmap.org/copyright');
  assert.equal(map.url, OSM.url);
  assert.deepEqual(layerFor(readConfig({ map: OSM }, PAGE), null), map);
});

test('a layer without attribution, or of an address that is none, is a plain one', () => {
  for (const map of [{ ...OSM, attribution: '' }, { ...OSM, url: 'javascript:alert(1)' }, { kind: 'kakao' }, 7]) {
    assert.deepEqual(readConfig({ map }, PAGE).map, { kind: 'plain' });
  }
});

test('links out of the app say where and what', () => {
  assert.equal(geoLink(STORE), 'geo:37.500000,127.250000?q=37.500000,127.250000(%EA%B0%80%2C%20%EB%82%98%20(%EB%8B%A4))');
  assert.equal(webLink(STORE, 'osm'), 'https://www.openstreetmap.org/?mlat=37.500000&mlon=127.250000#map=18/37.500000/127.250000');
  // Kakao divides its parts by commas.
  assert.match(webLink(STORE, 'kakao'), /^https:\/\/map\.kakao\.com\/link\/map\/[^,]*,37\.500000,127\.250000$/);
});

test('the town that the build draws is a sound archive of vector tiles', async () => {
  const bytes: Uint8Array<ArrayBuffer> = townArchive();
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const archive = new PMTiles({
    getKey: () => 'town',
    getBytes: async (offset, length) => ({ data: file.slice(offset, offset + length) }),
  });
  const header = await archive.getHeader();
  assert.equal(header.tileType, TileType.Mvt);
  assert.deepEqual([header.minZoom, header.maxZoom], [10, 15]);
  // 126.978, 37.5665 at zoom 15, by the formula of web Mercator.
  const tile = await archive.getZxy(15, 27941, 12689);
  assert.ok(tile !== undefined && tile.data.byteLength > 500);
  assert.equal(await archive.getZxy(15, 0, 0), undefined);
  assert.ok(bytes.length < 600_000);
  assert.deepEqual(townArchive(), bytes);
});
