/** config.json beside index.html: where the API, the bundle and the map are. */
import { isObject, text, type Json } from './data/rows.ts';

export type MapLayer =
  | { readonly kind: 'plain' }
  | { readonly kind: 'tiles'; readonly url: string; readonly attribution: string; readonly maxZoom: number }
  | { readonly kind: 'pmtiles'; readonly url: string; readonly attribution: string; readonly maxZoom: number };

export interface Config {
  /** Folder above `v1/`, as a whole address ending with a slash. */
  readonly apiUrl: string;
  /** Folder of the bundle that came with the app. */
  readonly bundleUrl: string;
  /** Which of the server's channels newer bundles come from. */
  readonly channel: 'stable' | 'beta';
  /** Bootstrap file that came with the app, and when it was made; null for none. */
  readonly seed: { readonly url: string; readonly madeAtMs: number } | null;
  readonly map: MapLayer;
  /** Where a map begins before a position is known. */
  readonly start: { readonly latitude: number; readonly longitude: number; readonly zoom: number };
}

const SEOUL = { latitude: 37.5665, longitude: 126.978, zoom: 14 };
const MAX_ZOOM = 19;

/** Relative addresses are those of the page. What is missing or unsound keeps its default. */
export function readConfig(value: Json, pageUrl: string): Config {
  const given = isObject(value) ? value : {};
  const folder = (name: string, otherwise: string): string => {
    const url = absolute(text(given[name]) ?? otherwise, pageUrl) ?? absolute(otherwise, pageUrl)!;
    return url.endsWith('/') ? url : `${url}/`;
  };
  return {
    apiUrl: folder('api', '../'),
    bundleUrl: folder('bundle', '../bundle/'),
    channel: given['channel'] === 'beta' ? 'beta' : 'stable',
    seed: readSeed(given['seed'], pageUrl),
    map: readLayer(given['map'], pageUrl),
    start: readStart(given['start']),
  };
}

function readSeed(value: unknown, pageUrl: string): Config['seed'] {
  if (!isObject(value)) return null;
  const url = absolute(text(value['url']) ?? '', pageUrl);
  const madeAtMs = Date.parse(text(value['made_at']) ?? '');
  return url !== null && url !== pageUrl && Number.isFinite(madeAtMs) ? { url, madeAtMs } : null;
}

function readLayer(value: unknown, pageUrl: string): MapLayer {
  if (!isObject(value)) return { kind: 'plain' };
  const { kind } = value;
  const [template, attribution] = [text(value['url']), text(value['attribution'])];
  if ((kind !== 'tiles' && kind !== 'pmtiles') || template === undefined || attribution === undefined) {
    return { kind: 'plain' };
  }
  // The URL parser would escape the braces of {z}/{x}/{y}.
  const url = absolute(template, pageUrl)?.replaceAll('%7B', '{').replaceAll('%7D', '}');
  const zoom = value['max_zoom'];
  const maxZoom = typeof zoom === 'number' && zoom >= 1 && zoom <= 22 ? zoom : MAX_ZOOM;
  return url === undefined ? { kind: 'plain' } : { kind, url, attribution, maxZoom };
}

function readStart(value: unknown): Config['start'] {
  if (!isObject(value)) return SEOUL;
  const { latitude, longitude, zoom } = value;
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return SEOUL;
  return { latitude, longitude, zoom: typeof zoom === 'number' ? zoom : SEOUL.zoom };
}

function absolute(address: string, pageUrl: string): string | null {
  try {
    const url = new URL(address, pageUrl);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}
