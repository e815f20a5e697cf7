// Writes vector tiles as one PMTiles file, version 3
// (https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md).
import { gzipSync } from 'node:zlib';
import { zxyToTileId } from 'pmtiles';

const HEADER_BYTES = 127;
/** The specification's room for header and root directory together. */
const ROOT_BYTES = 16_384;
const GZIP = 2;
const MVT = 1;

/**
 * Return the bytes of an archive.
 *
 * tiles: `[{z, x, y, data}]`, each an uncompressed Mapbox vector tile. bounds: west, south, east and
 * north in degrees.
 */
export function writeArchive(tiles, { bounds, metadata }) {
  const sorted = tiles
    .map(({ z, x, y, data }) => ({ z, id: zxyToTileId(z, x, y), data: gzipSync(data, { level: 9 }) }))
    .sort((a, b) => a.id - b.id);
  let offset = 0;
  const entries = sorted.map(({ id, data }) => {
    const entry = { id, offset, length: data.length };
    offset += data.length;
    return entry;
  });
  const root = gzipSync(directory(entries), { level: 9 });
  if (HEADER_BYTES + root.length > ROOT_BYTES) throw new Error(`${tiles.length} tiles are too many for one directory`);
  const about = gzipSync(JSON.stringify(metadata), { level: 9 });
  const zooms = sorted.map(({ z }) => z);
  const head = header({ root, about, entries, dataBytes: offset, zooms, bounds });
  return Buffer.concat([head, root, about, ...sorted.map(({ data }) => data)]);
}

/** Columns of varints: how many, then all differences of ids, run lengths, lengths, places. */
function directory(entries) {
  const bytes = [];
  const put = (value) => {
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
    bytes.push(rest);
  };
  put(entries.length);
  entries.forEach(({ id }, i) => put(id - (entries[i - 1]?.id ?? 0)));
  entries.forEach(() => put(1));
  entries.forEach(({ length }) => put(length));
  // 0: right behind the one before.
  entries.forEach(({ offset }, i) => put(i === 0 ? offset + 1 : 0));
  return Buffer.from(bytes);
}

function header({ root, about, entries, dataBytes, zooms, bounds }) {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write('PMTiles', 'latin1');
  head[7] = 3;
  const aboutAt = HEADER_BYTES + root.length;
  const dataAt = aboutAt + about.length;
  const places = [
    HEADER_BYTES, root.length, aboutAt, about.length, dataAt, 0, dataAt, dataBytes,
    entries.length, entries.length, entries.length,
  ];
  places.forEach((value, i) => head.writeBigUInt64LE(BigInt(value), 8 + 8 * i));
  const [low, high] = [Math.min(...zooms), Math.max(...zooms)];
  head.set([1, GZIP, GZIP, MVT, low, high], 96);
  const [west, south, east, north] = bounds;
  [west, south, east, north].forEach((value, i) => head.writeInt32LE(Math.round(value * 1e7), 102 + 4 * i));
  head[118] = high;
  head.writeInt32LE(Math.round(((west + east) / 2) * 1e7), 119);
  head.writeInt32LE(Math.round(((south + north) / 2) * 1e7), 123);
  return head;
}
