/** Where a map archive's bytes come from: whole for the small one of the app, in pieces for others. */
import { FetchSource, type RangeResponse, type Source } from 'pmtiles';

/** What lies here came with the app: small, and kept by its service worker. */
const OWN_FOLDER = 'maps/';
const MAX_OWN_BYTES = 8_000_000;

/** `missing` is called when bytes do not come; the map then stays empty there. */
export function archiveSource(url: string, missing: () => void): Source {
  const own = url.startsWith(new URL(OWN_FOLDER, document.baseURI).href);
  return new ToldSource(own ? new WholeSource(url) : new FetchSource(url), missing);
}

/** Says when its source fails, since what draws the map only writes that to the console. */
class ToldSource implements Source {
  constructor(
    private readonly source: Source,
    private readonly missing: () => void,
  ) {}

  getKey(): string {
    return this.source.getKey();
  }

  async getBytes(offset: number, length: number, signal?: AbortSignal, etag?: string): Promise<RangeResponse> {
    try {
      return await this.source.getBytes(offset, length, signal, etag);
    } catch (error) {
      if (signal?.aborted !== true) this.missing();
      throw error;
    }
  }
}

/** One answer with all of it: works with any web server, and without a network from a cache. */
class WholeSource implements Source {
  private file: Promise<ArrayBuffer> | null = null;

  constructor(private readonly url: string) {}

  getKey(): string {
    return this.url;
  }

  async getBytes(offset: number, length: number): Promise<RangeResponse> {
    this.file ??= this.whole().catch((error: unknown) => {
      this.file = null;
      throw error;
    });
    return { data: (await this.file).slice(offset, offset + length) };
  }

  private async whole(): Promise<ArrayBuffer> {
    const response = await fetch(this.url, { credentials: 'omit' });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const bytes = await response.arrayBuffer();
    if (bytes.byteLength > MAX_OWN_BYTES) throw new Error(`${bytes.byteLength} bytes`);
    return bytes;
  }
}
