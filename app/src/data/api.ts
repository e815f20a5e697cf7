/** The server, asked with a limit in time and size; whatever goes wrong is one Trouble. */
import { isObject, text, type JsonObject } from './rows.ts';
import { asTrouble, Trouble } from './trouble.ts';

export const PATIENCE_MS = 10_000;
const MAX_BYTES = 20_000_000;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Asking {
  readonly patienceMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ask the server even where the browser has an answer. */
  readonly fresh?: boolean;
}

export class Api {
  constructor(
    /** Folder above `v1/`, ending with a slash. */
    private readonly baseUrl: string,
    private readonly fetcher: Fetch = (url, init) => fetch(url, init),
  ) {}

  url(path: string): string {
    return new URL(path, this.baseUrl).href;
  }

  /** A JSON object of the server. Throws Trouble. */
  async json(path: string, asking: Asking = {}): Promise<JsonObject> {
    return this.ask(path, asking, async (response) => {
      const body = await bounded(response);
      let value: unknown;
      try {
        value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
      } catch (error) {
        throw asTrouble(error, 'server-garbage');
      }
      if (!isObject(value)) throw new Trouble('server-garbage', `${path}: no JSON object`);
      return value;
    });
  }

  /** Send an object; what is answered is not read. Throws Trouble. */
  async send(path: string, body: JsonObject, asking: Asking = {}): Promise<void> {
    const headers = { ...asking.headers, 'Content-Type': 'application/json' };
    const more = { method: 'POST', body: JSON.stringify(body) };
    await this.ask(path, { ...asking, headers }, async () => undefined, more);
  }

  /** Bytes of the server. Throws Trouble. */
  async bytes(path: string, asking: Asking = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.ask(path, asking, bounded);
  }

  private async ask<T>(
    path: string,
    { patienceMs = PATIENCE_MS, headers = {}, fresh = false }: Asking,
    read: (response: Response) => Promise<T>,
    more: RequestInit = {},
  ): Promise<T> {
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(), patienceMs);
    try {
      const response = await this.fetcher(this.url(path), {
        ...more,
        credentials: 'omit',
        headers: { ...headers },
        cache: fresh ? 'no-cache' : 'default',
        signal: ending.signal,
      });
      if (!response.ok) throw await refusal(path, response);
      return await read(response);
    } catch (error) {
      if (error instanceof Trouble) throw error;
      if (ending.signal.aborted) throw new Trouble('slow', `${path}: no answer in ${patienceMs} ms`);
      throw asTrouble(error, isElsewhere(this.url(path)) ? 'server-unreachable' : 'offline');
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Whether the answer may also be one that the browser keeps from this page (CORS): it reports that as
 * it reports a missing network, so both are named.
 */
function isElsewhere(url: string): boolean {
  if (!('location' in globalThis) || !navigator.onLine) return false;
  return new URL(url).origin !== globalThis.location.origin;
}

async function refusal(path: string, response: Response): Promise<Trouble> {
  const { status } = response;
  const told: unknown = await response.json().catch(() => null);
  const serverCode = isObject(told) ? (text(told['code']) ?? '') : '';
  const code = status === 429 || status === 503 ? 'server-busy' : status >= 500 ? 'server-down' : 'server-refused';
  return new Trouble(code, `${path.split('?')[0]}: HTTP ${status} ${serverCode}`, status, serverCode);
}

async function bounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Uint8Array(await response.arrayBuffer());
  if (body.length > MAX_BYTES) throw new Trouble('server-garbage', `${body.length} bytes`);
  return body;
}
