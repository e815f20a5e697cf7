/** Where this person is: by permission, or a place chosen on the map. */
import { coarse, isPosition, type Position } from './data/distance.ts';
import { Trouble, type TroubleCode } from './data/trouble.ts';
import type { Settings } from './settings.ts';

const PATIENCE_MS = 12_000;
const FRESH_MS = 60_000;
const CODES: readonly TroubleCode[] = ['position-refused', 'position-unavailable', 'position-slow'];

export interface Place extends Position {
  readonly source: 'device' | 'picked';
}

export class PlaceKeeper {
  current: Place | null;

  constructor(private readonly settings: Settings) {
    this.current = readPlace(settings.get('place'));
  }

  pick(position: Position): Place {
    this.current = { ...position, source: 'picked' };
    // Kept as exactly as the server learns it, and no more.
    const { latitude, longitude } = coarse(position);
    this.settings.set('place', `${latitude} ${longitude}`);
    return this.current;
  }

  /** Ask the device; the browser asks the person the first time. Throws Trouble. */
  async locate(): Promise<Place> {
    if (navigator.geolocation === undefined) throw new Trouble('position-unavailable', 'no geolocation');
    const options = { timeout: PATIENCE_MS, maximumAge: FRESH_MS, enableHighAccuracy: true };
    const found = await new Promise<GeolocationPosition>((resolve, reject) => {
      navigator.geolocation.getCurrentPosition(
        resolve,
        (error) => reject(new Trouble(CODES[error.code - 1] ?? 'position-unavailable', error.message)),
        options,
      );
    });
    const { latitude, longitude } = found.coords;
    this.current = { latitude, longitude, source: 'device' };
    this.settings.set('place', '');
    return this.current;
  }

  /** The place at hand without a question to the person; null for none. */
  async known(): Promise<Place | null> {
    if (this.current !== null) return this.current;
    if (!(await isAllowed())) return null;
    return this.locate().catch(() => null);
  }
}

async function isAllowed(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: 'geolocation' })).state === 'granted';
  } catch {
    return false;
  }
}

function readPlace(kept: string | null): Place | null {
  const [latitude, longitude] = (kept ?? '').split(' ').map(Number);
  if (!kept || latitude === undefined || longitude === undefined) return null;
  const sound = Number.isFinite(latitude) && Number.isFinite(longitude) && isPosition({ latitude, longitude });
  return sound ? { latitude, longitude, source: 'picked' } : null;
}
