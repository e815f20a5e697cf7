/** A link that opens a place in the phone's own map, or in a map on the web where there is none. */
import type { WebMap } from '../config.ts';
import type { NearStore } from '../data/stores.ts';
import { safeLink } from './dom.ts';

const TOUCH = '(pointer: coarse)';

export function mapLink(store: NearStore, webMap: WebMap): { href: string; target?: string; rel?: string } {
  if (matchMedia(TOUCH).matches) return { href: safeLink(geoLink(store)) ?? '#' };
  // A computer has no app for geo: links and would do nothing.
  return { href: safeLink(webLink(store, webMap)) ?? '#', target: '_blank', rel: 'noopener noreferrer' };
}

/** RFC 5870, with the name as Android's maps show it. */
export function geoLink({ latitude, longitude, name }: NearStore): string {
  const place = placeOf(latitude, longitude);
  return `geo:${place}?q=${place}(${encodeURIComponent(name)})`;
}

/** Kakao's own link scheme (apis.map.kakao.com/web/guide), which needs no key and no script of theirs. */
export function webLink({ latitude, longitude, name }: NearStore, webMap: WebMap): string {
  const place = placeOf(latitude, longitude);
  if (webMap === 'kakao') return `https://map.kakao.com/link/map/${encodeURIComponent(name.replaceAll(',', ' '))},${place}`;
  const [lat, lon] = place.split(',');
  return `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lon}#map=18/${lat}/${lon}`;
}

function placeOf(latitude: number, longitude: number): string {
  return `${latitude.toFixed(6)},${longitude.toFixed(6)}`;
}
