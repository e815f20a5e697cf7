// Makes the map that comes with the app: invented towns for the demo's invented stores.
//
//     node build_town.mjs OUT.pmtiles
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import GeoJSONVT from 'geojson-vt';
import vtpbf from 'vt-pbf';
import { writeArchive } from './town/archive.mjs';
import { drawTown, TOWNS } from './town/town.mjs';

const MIN_ZOOM = 10;
const MAX_ZOOM = 15;
/** From this zoom on a layer is drawn. */
const FROM_ZOOM = { earth: 10, landuse: 12, water: 10, places: 10, buildings: 15, roads: 11 };
const ROADS_FROM = { highway: 11, major_road: 12, minor_road: 14 };

export function townArchive() {
  const towns = TOWNS.map(drawTown);
  const layers = Object.keys(FROM_ZOOM).map((name) => [name, towns.flatMap((town) => town[name])]);
  return writeArchive(tilesOf(layers), {
    bounds: [126.8, 35, 129.3, 37.8],
    metadata: {
      name: 'promolens demo',
      attribution: 'invented towns of the promolens demo',
      vector_layers: layers.map(([id]) => ({ id, fields: {} })),
    },
  });
}

function tilesOf(layers) {
  const tiles = new Map();
  for (let z = MIN_ZOOM; z <= MAX_ZOOM; z += 1) {
    for (const [name, features] of layers) {
      const drawn = z < FROM_ZOOM[name] ? [] : features.filter((one) => z >= (ROADS_FROM[one.properties.kind] ?? 0));
      if (drawn.length > 0) cut(drawn, name, z, tiles);
    }
  }
  return [...tiles.values()].map(({ z, x, y, parts }) => ({ z, x, y, data: vtpbf.fromGeojsonVt(parts, { version: 2 }) }));
}

/** Put the features of one layer into the tiles of one zoom. */
function cut(features, name, z, tiles) {
  const index = new GeoJSONVT(
    { type: 'FeatureCollection', features },
    { maxZoom: z, indexMaxZoom: z, indexMaxPoints: 0, tolerance: 3, buffer: 64 },
  );
  for (const { z: at, x, y } of index.tileCoords) {
    if (at !== z) continue;
    const tile = index.getTile(z, x, y);
    if (tile === null || tile.features.length === 0) continue;
    const key = `${z}/${x}/${y}`;
    const kept = tiles.get(key) ?? { z, x, y, parts: {} };
    kept.parts[name] = tile;
    tiles.set(key, kept);
  }
}

export async function writeTown(path) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, townArchive());
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await writeTown(argv[2] ?? 'town.pmtiles');
