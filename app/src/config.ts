/** config.json beside index.html: where the API, the bundle and the map are. */
import { isObject, text, type Json } from './data/rows.ts';

interface Drawn {
  readonly url: string;
  readonly attribution: string;
  /** Where the attribution leads, as some licences ask. */
  readonly attributionUrl?: string;
  readonly maxZoom: number;
  /** Only under stores with this attribution: an invented town is no map for real stores. */
  readonly forStores?: string;
}

export type MapLayer =
  | { readonly kind: 'plain' }
  | (Drawn & { readonly kind: 'tiles' })
  | (Drawn & { readonly kind: 'pmtiles' });

/** Where "open in maps" leads where no app of the phone takes a `geo:` link. */
export const WEB_MAPS = ['osm', 'kakao'] as const;
export type WebMap = (typeof WEB_MAPS)[number];

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
  readonly webMap: WebMap;
  /** Folder with pictures of products (data/pictures.ts); null for none. */
  readonly picturesUrl: string | null;
  /** Where a map begins before a position is known. */
  readonly start: { readonly latitude: number; readonly longitude: number; readonly zoom: number };
}

const SEOUL = { latitude: 37.5665, longitude: 126.978, zoom: 14 };
const MAX_ZOOM = 19;
const PLAIN: MapLayer = { kind: 'plain' };
/** What a tile server's terms ask to be shown, whatever the configuration says. */
const CREDITS = [
  { host: 'tile.openstreetmap.org', words: '© OpenStreetMap contributors', url: 'https://www.openstreetmap.org/copyright' },
] as const;

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
    webMap: WEB_MAPS.find((one) => one === given['web_map']) ?? 'osm',
    picturesUrl: text(given['pictures']) === undefined ? null : folder('pictures', '../pictures/'),
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
  if (!isObject(value)) return PLAIN;
  const { kind } = value;
  const [template, attribution] = [text(value['url']), text(value['attribution'])];
  if ((kind !== 'tiles' && kind !== 'pmtiles') || template === undefined || attribution === undefined) {
    return PLAIN;
  }
  // The URL parser would escape the braces of {z}/{x}/{y}.
  const url = absolute(template, pageUrl)?.replaceAll('%7B', '{').replaceAll('%7D', '}');
  const zoom = value['max_zoom'];
  const maxZoom = typeof zoom === 'number' && zoom >= 1 && zoom <= 22 ? zoom : MAX_ZOOM;
  if (url === undefined) return PLAIN;
  const known = CREDITS.find(({ host }) => new URL(url.replaceAll(/[{}]/g, '')).hostname.endsWith(host));
  const [credit, stores] = [text(value['attribution_url']) ?? known?.url, text(value['for_stores'])];
  return {
    kind,
    url,
    attribution: known === undefined || attribution.includes(known.words) ? attribution : `${attribution} ${known.words}`,
    maxZoom,
    ...(credit === undefined ? {} : { attributionUrl: credit }),
    ...(stores === undefined ? {} : { forStores: stores }),
  };
}

/** The layer for stores of this source; before it is known, only one that is for all. */
export function layerFor({ map }: Config, source: string | null): MapLayer {
  return map.kind === 'plain' || map.forStores === undefined || map.forStores === source ? map : PLAIN;
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
