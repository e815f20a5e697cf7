/** What this person keeps on this device: favourites and what was scanned. It never leaves it. */
import type { Clock } from './clock.ts';
import type { ProductKey } from './lookup.ts';
import { allRows, type Tables } from './tables.ts';

export const MAX_SCANS = 200;

export interface Favourite {
  /** One text a product: see `savedId`. */
  readonly id: string;
  readonly key: ProductKey;
  readonly name: string;
  readonly addedAtMs: number;
  /** Promotions that this person was told of already. */
  readonly toldOf: readonly number[];
}

export interface Scan {
  readonly id: number;
  readonly key: ProductKey;
  readonly name: string;
  readonly atMs: number;
}

export function savedId(key: ProductKey): string {
  return key.barcodes?.[0] ?? (key.itemId !== undefined ? `item ${key.itemId}` : `label ${key.label ?? ''}`);
}

export class Saved {
  constructor(
    private readonly tables: Tables,
    private readonly clock: Clock,
  ) {}

  async favourites(): Promise<readonly Favourite[]> {
    const all = await allRows<Favourite>(this.tables, 'favourites');
    return all.sort((a, b) => b.addedAtMs - a.addedAtMs);
  }

  async isFavourite(key: ProductKey): Promise<boolean> {
    return (await this.tables.get('favourites', savedId(key))) !== undefined;
  }

  async setFavourite(key: ProductKey, name: string, wanted: boolean): Promise<void> {
    const id = savedId(key);
    const row: Favourite = { id, key, name, addedAtMs: this.clock.now(), toldOf: [] };
    await this.tables.write([
      wanted ? { table: 'favourites', put: row } : { table: 'favourites', remove: id },
    ]);
  }

  async told(favourite: Favourite, promotions: readonly number[]): Promise<void> {
    await this.tables.write([{ table: 'favourites', put: { ...favourite, toldOf: promotions } }]);
  }

  /** Newest first. */
  async scans(): Promise<readonly Scan[]> {
    return (await allRows<Scan>(this.tables, 'scans')).reverse();
  }

  /** Note a scan; the same product again replaces its last one. */
  async addScan(key: ProductKey, name: string): Promise<void> {
    const scans = await this.scans();
    const same = scans.find((scan) => savedId(scan.key) === savedId(key));
    const id = (scans[0]?.id ?? 0) + 1;
    const tooMany = scans.filter((scan) => scan !== same).slice(MAX_SCANS - 1);
    const gone = [...(same === undefined ? [] : [same]), ...tooMany];
    await this.tables.write([
      ...gone.map((scan) => ({ table: 'scans', remove: scan.id }) as const),
      { table: 'scans', put: { id, key, name, atMs: this.clock.now() } satisfies Scan },
    ]);
  }

  async clearScans(): Promise<void> {
    await this.tables.write([], ['scans']);
  }
}
