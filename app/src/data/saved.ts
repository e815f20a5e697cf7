/** What this person keeps on this device: favourites and what was scanned. It never leaves it. */
import type { Clock } from './clock.ts';
import type { ProductKey } from './lookup.ts';
import type { Item } from './rows.ts';
import { allRows, type Tables, type Write } from './tables.ts';

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

/** A key that outlives the catalog's own numbers: the barcodes of the product, where it has any. */
export function lastingKey(key: ProductKey, item: Item | null): ProductKey {
  const barcodes = key.barcodes?.length ? key.barcodes : (item?.barcodes ?? []);
  if (barcodes.length === 0) return key;
  return { barcodes, ...(key.label === undefined ? {} : { label: key.label }) };
}

/** What keeps a row of this person when another catalog answers, where the same number is another product. */
export function movedTo(items: readonly Item[]): <T extends Favourite | Scan>(row: T) => T {
  const byName = new Map(items.map((item) => [item.name, item]));
  return (row) => {
    if (row.key.itemId === undefined) return row;
    const item = byName.get(row.name);
    const key: ProductKey = item === undefined ? { label: row.name } : lastingKey({ itemId: item.id }, item);
    return { ...row, key };
  };
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

  /** `seen` are the promotions that this person sees already: no news to be told of. */
  async setFavourite(key: ProductKey, name: string, wanted: boolean, seen: readonly number[] = []): Promise<void> {
    const id = savedId(key);
    const row: Favourite = { id, key, name, addedAtMs: this.clock.now(), toldOf: seen };
    await this.tables.write([
      wanted ? { table: 'favourites', put: row } : { table: 'favourites', remove: id },
    ]);
  }

  async told(favourite: Favourite, promotions: readonly number[]): Promise<void> {
    await this.tables.write([{ table: 'favourites', put: { ...favourite, toldOf: promotions } }]);
  }

  /** Another catalog answers now, with these products: point at what is the same there. */
  async moveTo(items: readonly Item[]): Promise<void> {
    const moved = movedTo(items);
    const writes: Write[] = [];
    for (const row of (await this.favourites()).filter(({ key }) => key.itemId !== undefined)) {
      const now = moved(row);
      writes.push({ table: 'favourites', remove: row.id });
      writes.push({ table: 'favourites', put: { ...now, id: savedId(now.key), toldOf: [] } });
    }
    for (const row of (await this.scans()).filter(({ key }) => key.itemId !== undefined)) {
      writes.push({ table: 'scans', put: moved(row) });
    }
    if (writes.length > 0) await this.tables.write(writes);
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
