/** What the tests of data share: a server that answers from a table, a clock that stands still. */
import { gzipSync } from 'node:zlib';
import { Api } from '../src/data/api.ts';
import { Clock } from '../src/data/clock.ts';
import { Lookup } from '../src/data/lookup.ts';
import { Sync } from '../src/data/sync.ts';
import { MemoryTables } from '../src/data/tables.ts';

export const NOW_MS = Date.parse('2026-11-21T03:00:00Z');
export const DAY = '2026-11-21';

type Told = unknown | ((url: URL) => unknown);

export interface World {
  readonly tables: MemoryTables;
  readonly clock: Clock;
  readonly sync: Sync;
  readonly lookup: Lookup;
  readonly api: Api;
  readonly asked: string[];
  /** What the server says by path; a Response, bytes, an Error to be thrown, or JSON. */
  readonly answers: Map<string, Told>;
  nowMs: number;
}

export function world(): World {
  const answers = new Map<string, Told>();
  const asked: string[] = [];
  const api = new Api('http://server.example/base/', async (address) => {
    const url = new URL(address);
    const path = url.pathname.replace('/base/', '');
    asked.push(path + url.search);
    const told = answers.get(path);
    const value: unknown = typeof told === 'function' ? (told as (url: URL) => unknown)(url) : told;
    if (value instanceof Error) throw value;
    if (value instanceof Response) return value;
    if (value instanceof Uint8Array) return new Response(value as Uint8Array<ArrayBuffer>);
    if (value === undefined) return problem(404, 'no-route');
    return Response.json(value);
  });
  const tables = new MemoryTables();
  const made = { tables, api, asked, answers, nowMs: NOW_MS };
  const clock = new Clock(() => made.nowMs);
  const sync = new Sync(api, tables, clock);
  return Object.assign(made, { clock, sync, lookup: new Lookup(api, tables, sync, clock) });
}

export function problem(status: number, code: string): Response {
  return Response.json({ status, code }, { status });
}

export function bootstrapFile(version: number, rows: readonly object[], catalogId?: string): Uint8Array {
  const lines = [
    { format: 'promolens-bootstrap', format_version: 1, catalog_id: catalogId, version, rows: rows.length },
    ...rows,
    { end: true, rows: rows.length },
  ];
  return new Uint8Array(gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
}

export const ITEM = {
  entity: 'item',
  id: '7',
  data: { name: '초코바 50g', size_amount: 50, size_unit: 'g', keys: { barcode: ['8801056150013'], class: ['choco'] } },
};

export function promotion(id: number, more: object = {}): { entity: string; id: string; data: object } {
  const data = {
    chain: 'cu',
    item_id: 7,
    kind: '1+1',
    name: '초코바',
    price_krw: 1000,
    valid_from: '2026-11-01',
    valid_until: '2026-11-30',
    ...more,
  };
  return { entity: 'promotion', id: String(id), data };
}

export const META = {
  version: 3,
  day: DAY,
  chains: [{ chain: 'cu', state: 'ok', month: '2026-11', since: '2026-11-02T00:00:00Z' }],
};

/** A server with one product and one promotion at version 3. */
export function stocked(): World {
  const made = world();
  made.answers.set('v1/meta', META);
  made.answers.set('v1/sync/bootstrap', bootstrapFile(3, [ITEM, promotion(1)]));
  made.answers.set('v1/sync', { changes: [], next_since: '3', more: false });
  return made;
}
