/** Files of a bundle from the network: bounded in size and in waiting, never from a stale cache. */
import { Problem } from './problem.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

/** Where a bundle's files come from: the network, or what was kept on this device. */
export type ReadFile = (name: string, maxBytes: number) => Promise<Bytes>;

/** Told after each piece: bytes of all files so far. */
export type Progress = (loadedBytes: number) => void;

/** Give up when nothing arrives for so long. */
export const SILENCE_MS = 30_000;

/** Read files beside `baseUrl`, which ends with a slash. */
export function networkReader(
  baseUrl: string,
  progress: Progress = () => undefined,
  silenceMs: number = SILENCE_MS,
): ReadFile {
  let loaded = 0;
  return async (name, maxBytes) => {
    const watch = new Watch(silenceMs);
    try {
      const response = await fetch(new URL(name, baseUrl), {
        // What is good is kept by its hash elsewhere; a damaged copy must not stick to an address.
        cache: 'no-store',
        credentials: 'omit',
        signal: watch.signal,
      });
      if (!response.ok) {
        throw new Problem('network-refused', `${name}: HTTP ${response.status}`);
      }
      return await collect(response, name, maxBytes, (count) => {
        watch.restart();
        loaded += count;
        progress(loaded);
      });
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (watch.signal.aborted) throw new Problem('network-slow', `${name}: silent for ${silenceMs} ms`);
      throw new Problem('network-unreachable', `${name}: ${String(error)}`);
    } finally {
      watch.stop();
    }
  };
}

async function collect(
  response: Response,
  name: string,
  maxBytes: number,
  received: (count: number) => void,
): Promise<Bytes> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    size += piece.value.length;
    if (size > maxBytes) {
      await reader?.cancel();
      throw new Problem('download-too-large', `${name}: more than ${maxBytes} bytes`);
    }
    parts.push(piece.value);
    received(piece.value.length);
  }
  return joined(parts, size);
}

function joined(parts: readonly Uint8Array[], size: number): Bytes {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

class Watch {
  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly silenceMs: number) {
    this.restart();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  restart(): void {
    this.stop();
    this.timer = setTimeout(() => this.controller.abort(), this.silenceMs);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
