/** Distances on a sphere, as the catalog reckons them. */
export interface Position {
  readonly latitude: number;
  readonly longitude: number;
}

const EARTH_RADIUS_M = 6_371_008.8;

export function distanceM(a: Position, b: Position): number {
  const [lat1, lat2] = [radians(a.latitude), radians(b.latitude)];
  const half = (from: number, to: number): number => Math.sin((to - from) / 2) ** 2;
  const across = half(radians(a.longitude), radians(b.longitude));
  const h = half(lat1, lat2) + Math.cos(lat1) * Math.cos(lat2) * across;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** About 100 m: what the server learns of where somebody is. */
export function coarse({ latitude, longitude }: Position): Position {
  const rounded = (degrees: number): number => Math.round(degrees * 1000) / 1000;
  return { latitude: rounded(latitude), longitude: rounded(longitude) };
}

export function isPosition(value: Position): boolean {
  return Math.abs(value.latitude) <= 90 && Math.abs(value.longitude) <= 180;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
