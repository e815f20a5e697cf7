/** Keeps this device's copy of the catalog right: whole at first, then only what changed. */
import type { Api } from './api.ts';
import { readBootstrap } from './bootstrap_file.ts';
import type { Clock } from './clock.ts';
import {
  isObject,
  list,
  readAll,
  readChainStatus,
  readItem,
  readPromotion,
  text,
  type ChainStatus,
  type JsonObject,
} from './rows.ts';
import { SingleFlight } from './single_flight.ts';
import type { Tables, TableName, Write } from './tables.ts';
import { Trouble } from './trouble.ts';

const POSITION = 'position';
const HEALTH = 'health';
const CLOCK = 'clock';
const COPIED: readonly TableName[] = ['items', 'promotions'];
/** What another catalog says nothing about: numbers of products mean others there. */
const OF_ONE_CATALOG: readonly TableName[] = [...COPIED, 'answers'];
const MAX_PAGES = 500;
const BOOTSTRAP_PATIENCE_MS = 90_000;
/** The server no longer knows this copy's position: begin anew. */
const BEGIN_ANEW = ['too-old', 'position-ahead'];

interface PositionMark {
  readonly key: typeof POSITION;
  readonly since: string;
  readonly syncedAtMs: number;
  /** Whose versions these are; absent where the server did not say. */
  readonly catalogId?: string;
}

interface HealthMark {
  readonly key: typeof HEALTH;
  readonly chains: readonly ChainStatus[];
}

/** Newest versions that the server offers to every phone; null where it names none. */
export interface Announced {
  readonly bundle: number | null;
  readonly gallery: number | null;
}

/** How old this device's copy is, and how far each chain's list can be trusted. */
export interface CopyState {
  /** null before the first copy. */
  readonly since: string | null;
  readonly syncedAtMs: number;
  readonly chains: readonly ChainStatus[];
}

export interface SyncReport {
  /** `replaced`: another catalog answers, and numbers of products mean others now. */
  readonly outcome: 'copied' | 'replaced' | 'changed' | 'unchanged';
  readonly rows: number;
  /** Rows of the server that this app could not read. */
  readonly skipped: number;
}

export class Sync {
  /** As of the last run. */
  announced: Announced = { bundle: null, gallery: null };
  private readonly flights = new SingleFlight();

  constructor(
    private readonly api: Api,
    private readonly tables: Tables,
    private readonly clock: Clock,
  ) {}

  async state(): Promise<CopyState> {
    const position = await this.position();
    const health = await this.tables.get<HealthMark>('marks', HEALTH);
    return {
      since: position?.since ?? null,
      syncedAtMs: position?.syncedAtMs ?? 0,
      chains: health?.chains ?? [],
    };
  }

  /** What was learnt of this device's clock, for a start without a network. */
  async restoreClock(): Promise<void> {
    const kept = await this.tables.get<{ days: number }>('marks', CLOCK);
    if (kept !== undefined) this.clock.restore(kept.days);
  }

  /** Bring the copy up to date; whoever calls meanwhile gets the same. Throws Trouble. */
  run(): Promise<SyncReport> {
    return this.flights.run('sync', async () => {
      const told = await this.learnHealth();
      const position = await this.position();
      if (position === undefined) return this.begin(await this.whole());
      if (isOther(position, told)) return this.beginAnew();
      try {
        return await this.follow(position);
      } catch (error) {
        if (error instanceof OtherCatalog) return this.beginAnew();
        if (!(error instanceof Trouble) || !BEGIN_ANEW.includes(error.serverCode)) throw error;
        return this.begin(await this.whole());
      }
    });
  }

  /** Another catalog answers: what this one said goes first, so that no answer mixes the two. */
  private async beginAnew(): Promise<SyncReport> {
    await this.tables.write([{ table: 'marks', remove: POSITION }], OF_ONE_CATALOG);
    return { ...(await this.begin(await this.whole())), outcome: 'replaced' };
  }

  private position(): Promise<PositionMark | undefined> {
    return this.tables.get<PositionMark>('marks', POSITION);
  }

  /** Begin with a file that came with the app; does nothing where there is a copy. Throws Trouble. */
  seed(file: Uint8Array<ArrayBuffer>, madeAtMs: number): Promise<SyncReport | null> {
    return this.flights.run('sync', async () => {
      if ((await this.state()).since !== null) return null;
      return this.begin(file, madeAtMs);
    });
  }

  private async whole(): Promise<Uint8Array<ArrayBuffer>> {
    return this.api.bytes('v1/sync/bootstrap', { patienceMs: BOOTSTRAP_PATIENCE_MS });
  }

  private async begin(
    file: Uint8Array<ArrayBuffer>,
    syncedAtMs: number = this.clock.now(),
  ): Promise<SyncReport> {
    const { version, catalogId, rows } = await readBootstrap(file);
    const changes = rows.filter(isCopied).map((row) => ({ ...row, op: 'upsert' }));
    const writes = changes.map(writeOf).filter((write) => write !== null);
    await this.keep(writes, markOf(String(version), syncedAtMs, catalogId), COPIED);
    return { outcome: 'copied', rows: writes.length, skipped: changes.length - writes.length };
  }

  /** Throws OtherCatalog where a page is of another catalog than the copy. */
  private async follow(start: PositionMark): Promise<SyncReport> {
    let [since, rows, skipped] = [start.since, 0, 0];
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const page = await this.api.json(`v1/sync?since=${encodeURIComponent(since)}`, { fresh: true });
      const told = text(page['catalog_id']) ?? null;
      if (isOther(start, told)) throw new OtherCatalog();
      const next = text(page['next_since']);
      if (next === undefined) throw new Trouble('server-garbage', 'a page of sync without next_since');
      const changes = list(page['changes']).filter(isObject).filter(isCopied);
      const writes = changes.map(writeOf).filter((write) => write !== null);
      await this.keep(writes, markOf(next, this.clock.now(), start.catalogId ?? told));
      since = next;
      rows += writes.length;
      skipped += changes.length - writes.length;
      if (page['more'] !== true) break;
    }
    return { outcome: rows === 0 ? 'unchanged' : 'changed', rows, skipped };
  }

  /** Rows and the position that they lead to: together or not at all. */
  private async keep(
    writes: readonly Write[],
    mark: PositionMark,
    empty: readonly TableName[] = [],
  ): Promise<void> {
    await this.tables.write([...writes, { table: 'marks', put: mark }], empty);
  }

  /** Returns whose catalog it is; null where the server does not say. */
  private async learnHealth(): Promise<string | null> {
    const meta = await this.api.json('v1/meta', { fresh: true });
    const day = text(meta['day']);
    if (day === undefined) throw new Trouble('server-garbage', 'meta without a day');
    this.clock.learn(day);
    this.announced = { bundle: announced(meta, 'bundle'), gallery: announced(meta, 'gallery') };
    const mark: HealthMark = { key: HEALTH, chains: readAll(meta['chains'], readChainStatus) };
    await this.tables.write([
      { table: 'marks', put: mark },
      { table: 'marks', put: { key: CLOCK, days: this.clock.behindDays } },
    ]);
    return text(meta['catalog_id']) ?? null;
  }
}

function announced({ releases }: JsonObject, kind: string): number | null {
  const told = isObject(releases) ? releases[kind] : null;
  const version = isObject(told) ? told['version'] : null;
  return typeof version === 'number' ? version : null;
}

class OtherCatalog extends Error {}

function markOf(since: string, syncedAtMs: number, catalogId: string | null): PositionMark {
  return { key: POSITION, since, syncedAtMs, ...(catalogId === null ? {} : { catalogId }) };
}

function isOther({ catalogId }: PositionMark, told: string | null): boolean {
  return catalogId !== undefined && told !== null && catalogId !== told;
}

/** Chains' states come with `v1/meta`, and facts with a product's answer. */
function isCopied({ entity }: JsonObject): boolean {
  return entity === 'item' || entity === 'promotion';
}

/** What a change does to the tables; null for a row that this app cannot read. */
function writeOf({ entity, id, op, data }: JsonObject): Write | null {
  const table = entity === 'item' ? 'items' : 'promotions';
  if (op === 'delete') return { table, remove: Number(id) };
  const row = entity === 'item' ? readItem(id, data) : readPromotion(id, data);
  return row === null ? null : { table, put: row };
}
