/** Pictures of products from the app's own server, kept on this device for a while and within a limit. */
import { readPictureFile } from '../recognition/picture_file.ts';
import { DAY_MS } from './calendar.ts';
import type { Clock } from './clock.ts';
import { SingleFlight } from './single_flight.ts';
import { allRows, type Tables, type Write } from './tables.ts';

export const PICTURE_FRESH_MS = 30 * DAY_MS;
/** One that came damaged is asked for again after this. */
export const PICTURE_ABSENT_MS = DAY_MS;
const INDEX_MAX_BYTES = 4_000_000;
export const PICTURE_MAX_BYTES = 300_000;
export const PICTURES_MAX_BYTES = 12_000_000;
const MAX_PIXELS = 2_000_000;
const PATIENCE_MS = 8_000;
const AT_ONCE = 4;

interface KeptPicture {
  /** Its barcode. */
  readonly key: string;
  /** null where it was no sound picture. */
  readonly bytes: ArrayBuffer | null;
  readonly type: string;
  readonly fetchedAtMs: number;
}

export type FetchPicture = (url: string, init: RequestInit) => Promise<Response>;

export class Pictures {
  private readonly flights = new SingleFlight();
  private readonly turns: (() => void)[] = [];
  private running = 0;
  private listing: Promise<ReadonlySet<string>> | null = null;

  constructor(
    /** Folder with `index.json`, a list of barcodes, and `<barcode>.webp`; null where there is none. */
    private readonly folderUrl: string | null,
    private readonly tables: Tables,
    private readonly clock: Clock,
    private readonly fetcher: FetchPicture = (url, init) => fetch(url, init),
  ) {}

  /** A picture that is safe to decode; null for none, and where neither server nor device has it. */
  async of(barcode: string | undefined): Promise<Blob | null> {
    if (this.folderUrl === null || barcode === undefined) return null;
    return this.flights.run(barcode, () => this.found(barcode));
  }

  private async found(barcode: string): Promise<Blob | null> {
    const kept = await this.tables.get<KeptPicture>('pictures', barcode).catch(() => undefined);
    if (kept !== undefined && this.isFresh(kept)) return blobOf(kept);
    try {
      if (!(await this.listed()).has(barcode)) return null;
      const fresh = await this.inTurn(() => this.fetched(barcode));
      await this.keep(fresh).catch(() => undefined);
      return blobOf(fresh);
    } catch {
      // Without a network an old picture is better than none.
      return kept === undefined ? null : blobOf(kept);
    }
  }

  private isFresh({ bytes, fetchedAtMs }: KeptPicture): boolean {
    const ageMs = Math.abs(this.clock.now() - fetchedAtMs);
    return ageMs <= (bytes === null ? PICTURE_ABSENT_MS : PICTURE_FRESH_MS);
  }

  /** Barcodes that have a picture, asked for once: most products have none. */
  private listed(): Promise<ReadonlySet<string>> {
    this.listing ??= this.list().catch((error: unknown) => {
      this.listing = null;
      throw error;
    });
    return this.listing;
  }

  private async list(): Promise<ReadonlySet<string>> {
    const response = await this.ask('index.json');
    if (response.status === 404) return new Set();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const words = await response.text();
    const told: unknown = words.length > INDEX_MAX_BYTES ? null : JSON.parse(words);
    return new Set(Array.isArray(told) ? told.filter((one) => typeof one === 'string') : []);
  }

  private ask(name: string): Promise<Response> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    return this.fetcher(this.folderUrl + name, { credentials: 'omit', signal });
  }

  /** Rejects where the server was not heard; what it has is no reason to ask again soon. */
  private async fetched(barcode: string): Promise<KeptPicture> {
    const response = await this.ask(`${barcode}.webp`);
    if (!response.ok && response.status !== 404) throw new Error(`HTTP ${response.status}`);
    const bytes = response.ok ? await response.arrayBuffer() : null;
    const type = bytes === null ? null : soundType(bytes);
    const about = { key: barcode, fetchedAtMs: this.clock.now() };
    return type === null ? { ...about, bytes: null, type: '' } : { ...about, bytes, type };
  }

  /** The oldest go where there are too many. */
  private async keep(fresh: KeptPicture): Promise<void> {
    const all = (await allRows<KeptPicture>(this.tables, 'pictures')).filter(({ key }) => key !== fresh.key);
    let total = all.reduce((sum, one) => sum + sizeOf(one), sizeOf(fresh));
    const writes: Write[] = [{ table: 'pictures', put: fresh }];
    for (const one of all.sort((a, b) => a.fetchedAtMs - b.fetchedAtMs)) {
      if (total <= PICTURES_MAX_BYTES) break;
      total -= sizeOf(one);
      writes.push({ table: 'pictures', remove: one.key });
    }
    await this.tables.write(writes);
  }

  /** A long list must not take the whole line of a phone. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= AT_ONCE) await new Promise<void>((go) => this.turns.push(go));
    this.running += 1;
    try {
      return await work();
    } finally {
      this.running -= 1;
      this.turns.shift()?.();
    }
  }
}

/** Its header first: what says that it is small in bytes may be large in pixels. */
function soundType(bytes: ArrayBuffer): string | null {
  if (bytes.byteLength > PICTURE_MAX_BYTES) return null;
  try {
    const { type, width, height } = readPictureFile(new Uint8Array(bytes));
    return width * height <= MAX_PIXELS ? type : null;
  } catch {
    return null;
  }
}

function sizeOf({ bytes }: KeptPicture): number {
  return (bytes?.byteLength ?? 0) + 200;
}

function blobOf({ bytes, type }: KeptPicture): Blob | null {
  return bytes === null ? null : new Blob([bytes], { type });
}
