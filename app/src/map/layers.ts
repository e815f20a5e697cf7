/** What lies under the stores, by configuration. */
import * as L from 'leaflet';
import type { MapLayer } from '../config.ts';
import type { Speech } from '../texts/texts.ts';
import { archiveSource } from './archive_source.ts';
import { PlainLayer } from './plain_layer.ts';

/** `TileType.Mvt` of PMTiles: drawn on this device, in the colours of the theme. */
const VECTOR = 1;

/** A layer of Leaflet; `missing` is called for each tile that does not come. */
export async function layerOf(layer: MapLayer, speech: Speech, missing: () => void): Promise<L.Layer> {
  try {
    if (layer.kind === 'tiles') return tiles(layer, missing);
    if (layer.kind === 'pmtiles') return await archive(layer, speech, missing);
  } catch (error) {
    console.warn(error);
    missing();
  }
  return new PlainLayer();
}

function tiles({ url, maxZoom }: MapLayer & { kind: 'tiles' }, missing: () => void): L.Layer {
  const made = L.tileLayer(url, { maxZoom, referrerPolicy: 'strict-origin-when-cross-origin' });
  made.on('tileerror', missing);
  return made;
}

async function archive(
  { url, maxZoom }: MapLayer & { kind: 'pmtiles' },
  speech: Speech,
  missing: () => void,
): Promise<L.Layer> {
  const { leafletRasterLayer, PMTiles } = await import('pmtiles');
  const file = new PMTiles(archiveSource(url, missing));
  const { tileType, maxZoom: dataZoom } = await file.getHeader();
  if (tileType === VECTOR) return vectors(file, dataZoom, maxZoom, speech);
  const made = leafletRasterLayer(file, { maxZoom }) as L.GridLayer;
  made.on('tileerror', missing);
  return made;
}

async function vectors(file: unknown, maxDataZoom: number, maxZoom: number, speech: Speech): Promise<L.Layer> {
  // The library looks for Leaflet where a script tag would have put it.
  Object.assign(globalThis, { L });
  const { leafletLayer } = await import('protomaps-leaflet');
  const flavor = isDark() ? 'dark' : 'light';
  // It was written against an older PMTiles, whose reading side is the same.
  return leafletLayer({ url: file as string, maxDataZoom, maxZoom, flavor, lang: speech.language, attribution: '' }) as unknown as L.Layer;
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset['theme'];
  return chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
}
