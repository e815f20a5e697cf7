/** What is known about a product: this device first, the server on a miss or for what is old. */
import { answerFromCopy, answerFromServer, onDay, type Answer } from './answers.ts';
import type { Api } from './api.ts';
import { koreanDay } from './calendar.ts';
import type { Clock } from './clock.ts';
import type { Item, JsonObject, PromotionRow } from './rows.ts';
import { SingleFlight } from './single_flight.ts';
import type { Sync } from './sync.ts';
import type { Tables } from './tables.ts';
import { asTrouble, Trouble } from './trouble.ts';

const HOUR_MS = 3_600_000;
export const COPY_FRESH_MS = 12 * HOUR_MS;
/** How long an answer of the server is taken without asking again. */
export const KEEP_MS: Readonly<Record<Answer['status'], number>> = {
  promotions: 6 * HOUR_MS,
  'no-promotion': HOUR_MS,
  'unknown-product': HOUR_MS / 6,
  'source-unavailable': 0,
};
/** Older ones are worth nothing any more. */
export const FORGET_MS = 45 * 24 * HOUR_MS;

/** What names a product: a barcode, a product's number, or a recogniser's label with its barcodes. */
export interface ProductKey {
  readonly itemId?: number;
  readonly barcodes?: readonly string[];
  readonly label?: string;
}

interface KeptAnswer {
  readonly key: string;
  readonly body: JsonObject;
  readonly fetchedAtMs: number;
}

export interface Looked {
  readonly answer: Answer | null;
  /** Why the server was not heard, where it was asked. */
  readonly trouble: Trouble | null;
  /** The answer is older than one would like. */
  readonly stale: boolean;
}

export class Lookup {
  private readonly flights = new SingleFlight();

  constructor(
    private readonly api: Api,
    private readonly tables: Tables,
    private readonly sync: Sync,
    private readonly clock: Clock,
  ) {}

  /** What this device knows, at once; `stale` where the server should be asked as well. */
  async here(key: ProductKey): Promise<Looked> {
    const copied = await this.fromCopy(key);
    if (copied !== null && !copied.stale && copied.answer?.status === 'promotions') return copied;
    const kept = await this.fromKept(key);
    return newer(kept, copied) ?? { answer: null, trouble: null, stale: true };
  }

  /** What this device knows if that is fresh, else what the server says, else what is old. */
  async find(key: ProductKey): Promise<Looked> {
    const here = await this.here(key);
    return here.answer !== null && !here.stale ? here : this.ask(key, here);
  }

  private async ask(key: ProductKey, here: Looked): Promise<Looked> {
    const name = nameOf(key);
    try {
      const answer = await this.flights.run(name, () => this.fetched(name, key));
      return { answer, trouble: null, stale: false };
    } catch (error) {
      return { ...here, trouble: asTrouble(error, 'offline'), stale: true };
    }
  }

  private async fetched(name: string, key: ProductKey): Promise<Answer> {
    let last: Answer | null = null;
    for (const path of pathsOf(key)) {
      const body = await this.bodyOf(path);
      if (body === null) continue;
      const answer = answerFromServer(body, this.clock.now(), 'server');
      last = answer;
      if (answer.status === 'unknown-product' || answer.item === null) continue;
      await this.keep(name, body);
      return answer;
    }
    if (last === null) throw new Trouble('server-refused', `${name}: no answer`, 404);
    await this.keep(name, { status: last.status, promotions: [], chains: [] });
    return last;
  }

  /** null where the server says that there is no such product. */
  private async bodyOf(path: string): Promise<JsonObject | null> {
    try {
      return await this.api.json(path);
    } catch (error) {
      if (error instanceof Trouble && error.status === 404) return null;
      throw error;
    }
  }

  /** Never keeps "source unavailable": it says nothing about the product. */
  private async keep(name: string, body: JsonObject): Promise<void> {
    if (body['status'] === 'source-unavailable') return;
    const kept: KeptAnswer = { key: name, body, fetchedAtMs: this.clock.now() };
    // A full device can still show what it was just told.
    await this.tables.write([{ table: 'answers', put: kept }]).catch(() => undefined);
  }

  private async fromKept(key: ProductKey): Promise<Looked | null> {
    const kept = await this.tables.get<KeptAnswer>('answers', nameOf(key));
    if (kept === undefined) return null;
    const ageMs = this.clock.now() - kept.fetchedAtMs;
    if (ageMs > FORGET_MS || ageMs < -FORGET_MS) return null;
    const told = answerFromServer(kept.body, kept.fetchedAtMs, 'kept');
    const answer = onDay(told, this.clock.today());
    const sameDay = koreanDay(kept.fetchedAtMs) === this.clock.today();
    const current = answer === told && (sameDay || answer.status === 'promotions');
    const stale = !current || ageMs > KEEP_MS[answer.status] || ageMs < 0;
    // A no that is old is no answer at all.
    return stale && answer.status !== 'promotions' && answer.expired.length === 0
      ? null
      : { answer, trouble: null, stale };
  }

  private async fromCopy(key: ProductKey): Promise<Looked | null> {
    const item = await this.itemOf(key);
    if (item === undefined) return null;
    const rows = await this.tables.by<PromotionRow>('promotions', 'item_id', item.id);
    const { chains, syncedAtMs } = await this.sync.state();
    const nowMs = this.clock.now();
    const ageMs = nowMs - syncedAtMs;
    const fresh = ageMs >= 0 && ageMs <= COPY_FRESH_MS;
    const today = this.clock.today();
    const answer = answerFromCopy(item, rows, chains, { nowMs, today, asOfMs: syncedAtMs, fresh });
    const stale = !fresh || answer.status === 'source-unavailable';
    return { answer, trouble: null, stale };
  }

  private async itemOf({ itemId, barcodes = [], label }: ProductKey): Promise<Item | undefined> {
    if (itemId !== undefined) return this.tables.get<Item>('items', itemId);
    for (const barcode of barcodes) {
      const [item] = await this.tables.by<Item>('items', 'barcodes', barcode);
      if (item !== undefined) return item;
    }
    return label === undefined ? undefined : (await this.tables.by<Item>('items', 'classes', label))[0];
  }
}

function newer(kept: Looked | null, copied: Looked | null): Looked | null {
  if (kept === null || copied === null) return kept ?? copied;
  if (kept.stale !== copied.stale) return kept.stale ? copied : kept;
  return (kept.answer?.asOfMs ?? 0) > (copied.answer?.asOfMs ?? 0) ? kept : copied;
}

function nameOf({ itemId, barcodes, label }: ProductKey): string {
  if (itemId !== undefined) return `item ${itemId}`;
  return label !== undefined ? `label ${label}` : `barcode ${(barcodes ?? []).join(' ')}`;
}

function pathsOf({ itemId, barcodes = [], label }: ProductKey): readonly string[] {
  if (itemId !== undefined) return [`v1/products/${itemId}`];
  return [
    ...barcodes.map((barcode) => `v1/products/by-barcode/${encodeURIComponent(barcode)}`),
    ...(label === undefined ? [] : [`v1/products/by-label/${encodeURIComponent(label)}`]),
  ];
}
