/** The file that a copy begins with: gzipped lines of JSON (docs/sync.md). */
import { isObject, text, type JsonObject } from './rows.ts';
import { asTrouble, Trouble } from './trouble.ts';

const FORMAT = 'promolens-bootstrap';
const FORMAT_VERSION = 1;
const MAX_UNPACKED_BYTES = 100_000_000;
const LINES_AT_ONCE = 300;

export interface Bootstrap {
  readonly version: number;
  /** Whose copy it is; null of a server that does not say. */
  readonly catalogId: string | null;
  /** `{entity, id, data}` as changes of sync have them. */
  readonly rows: readonly JsonObject[];
}

/** Unpack and read a whole file. Throws Trouble('server-garbage') for anything but a whole one. */
export async function readBootstrap(file: Uint8Array<ArrayBuffer>): Promise<Bootstrap> {
  const lines = (await unpacked(file)).split('\n').filter((line) => line !== '');
  const [head, end] = [parsed(lines[0]), parsed(lines[lines.length - 1])];
  const version = head['version'];
  if (head['format'] !== FORMAT || head['format_version'] !== FORMAT_VERSION) {
    throw garbage(`a file ${FORMAT} ${FORMAT_VERSION}`);
  }
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) throw garbage('a version');
  const rows = await parsedSlowly(lines.slice(1, -1));
  if (end['end'] !== true || end['rows'] !== rows.length) throw garbage('as many rows as its end says');
  return { version, catalogId: text(head['catalog_id']) ?? null, rows };
}

async function unpacked(file: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    const reader = new Blob([file]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const parts: string[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return parts.join('') + decoder.decode();
      size += value.length;
      if (size > MAX_UNPACKED_BYTES) throw garbage('a smaller file');
      parts.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    throw asTrouble(error, 'server-garbage');
  }
}

/** In pieces, with a pause between them, so that the page goes on answering. */
async function parsedSlowly(lines: readonly string[]): Promise<JsonObject[]> {
  const rows: JsonObject[] = [];
  for (const [at, line] of lines.entries()) {
    rows.push(parsed(line));
    if (at % LINES_AT_ONCE === LINES_AT_ONCE - 1) await new Promise((go) => setTimeout(go));
  }
  return rows;
}

function parsed(line: string | undefined): JsonObject {
  try {
    const value: unknown = JSON.parse(line ?? '');
    if (isObject(value)) return value;
  } catch (error) {
    throw asTrouble(error, 'server-garbage');
  }
  throw garbage('an object in each line');
}

function garbage(expected: string): Trouble {
  return new Trouble('server-garbage', `Expected ${expected}.`);
}
