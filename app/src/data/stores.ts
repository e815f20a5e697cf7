/** The nearest stores: asked for by a cell of about 100 m, kept for a week, measured here. */
import type { Api } from './api.ts';
import { DAY_MS } from './calendar.ts';
import { isChain, type Chain } from './chains.ts';
import type { Clock } from './clock.ts';
import { coarse, distanceM, isPosition, type Position } from './distance.ts';
import { list, isObject, readAll, text } from './rows.ts';
import { SingleFlight } from './single_flight.ts';
import { allRows, type Tables } from './tables.ts';
import { asTrouble, Trouble } from './trouble.ts';

export const AREA_FRESH_MS = 7 * DAY_MS;
const AREA_FORGET_MS = 60 * DAY_MS;
/** An area that was asked for so far away says nothing about here. */
const AREA_REACH_M = 1_500;
const RADIUS_M = 2_000;
const LIMIT = 60;

export interface Store extends Position {
  readonly id: string;
  readonly chain: Chain | null;
  readonly name: string;
  readonly address?: string;
  readonly phone?: string;
}

export interface NearStore extends Store {
  readonly distanceM: number;
}

interface Area extends Position {
  readonly key: string;
  readonly stores: readonly Store[];
  readonly attribution: string;
  readonly fetchedAtMs: number;
}

export interface Nearby {
  /** Nearest first. */
  readonly stores: readonly NearStore[];
  readonly attribution: string;
  readonly asOfMs: number;
  readonly stale: boolean;
  /** Why the server was not heard, where it was asked. */
  readonly trouble: Trouble | null;
}

export class Stores {
  private readonly flights = new SingleFlight();

  constructor(
    private readonly api: Api,
    private readonly tables: Tables,
    private readonly clock: Clock,
  ) {}

  /** Stores around a place. Throws Trouble where neither the server nor this device knows. */
  async near(place: Position): Promise<Nearby> {
    const cell = coarse(place);
    const key = `${cell.latitude} ${cell.longitude}`;
    const kept = await this.tables.get<Area>('areas', key).catch(() => undefined);
    if (kept !== undefined && this.ageMs(kept) <= AREA_FRESH_MS) return this.told(kept, place, null);
    try {
      return this.told(await this.flights.run(key, () => this.fetched(key, cell)), place, null);
    } catch (error) {
      const trouble = asTrouble(error, 'offline');
      const near = kept ?? (await this.neighbour(place));
      if (near === null) throw trouble;
      return this.told(near, place, trouble);
    }
  }

  private async fetched(key: string, cell: Position): Promise<Area> {
    const query = `lat=${cell.latitude}&lon=${cell.longitude}&radius_m=${RADIUS_M}&limit=${LIMIT}`;
    const body = await this.api.json(`v1/stores/nearby?${query}`);
    if (body['status'] !== 'stores' && body['status'] !== 'no-stores') {
      throw new Trouble('server-garbage', 'stores without a known status');
    }
    const area: Area = {
      key,
      ...cell,
      stores: readAll(list(body['stores']), readStore),
      attribution: text(body['attribution']) ?? '',
      fetchedAtMs: this.clock.now(),
    };
    await this.tables.write([{ table: 'areas', put: area }]).catch(() => undefined);
    return area;
  }

  private async neighbour(place: Position): Promise<Area | null> {
    const areas = await allRows<Area>(this.tables, 'areas').catch(() => []);
    const near = areas
      .filter((area) => this.ageMs(area) <= AREA_FORGET_MS && distanceM(area, place) <= AREA_REACH_M)
      .sort((a, b) => distanceM(a, place) - distanceM(b, place));
    return near[0] ?? null;
  }

  private told(area: Area, place: Position, trouble: Trouble | null): Nearby {
    const stores = area.stores
      .map((store) => ({ ...store, distanceM: Math.round(distanceM(store, place)) }))
      .sort((a, b) => a.distanceM - b.distanceM);
    return {
      stores,
      attribution: area.attribution,
      asOfMs: area.fetchedAtMs,
      stale: this.ageMs(area) > AREA_FRESH_MS,
      trouble,
    };
  }

  private ageMs(area: Area): number {
    return Math.abs(this.clock.now() - area.fetchedAtMs);
  }
}

/** The nearest store of each chain. */
export function nearestOf(nearby: Nearby): ReadonlyMap<Chain, NearStore> {
  const nearest = new Map<Chain, NearStore>();
  for (const store of nearby.stores) {
    if (store.chain !== null && !nearest.has(store.chain)) nearest.set(store.chain, store);
  }
  return nearest;
}

function readStore(value: unknown): Store | null {
  if (!isObject(value)) return null;
  const { latitude, longitude, chain } = value;
  const [id, name] = [text(value['id']), text(value['name'])];
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return null;
  if (id === undefined || name === undefined || !isPosition({ latitude, longitude })) return null;
  const [address, phone] = [text(value['address']), text(value['phone'])];
  return {
    id,
    name,
    latitude,
    longitude,
    chain: isChain(chain) ? chain : null,
    ...(address === undefined ? {} : { address }),
    ...(phone === undefined ? {} : { phone }),
  };
}
