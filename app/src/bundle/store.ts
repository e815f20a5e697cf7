/**
 * What this device keeps of bundles, in IndexedDB: there a change of many files and of the word
 * "active" is one transaction, and both the page's and the service worker's side can read it. Cache
 * Storage and OPFS have no transaction over several files.
 */
import type { Bytes, ReadFile } from './download.ts';
import { MANIFEST_FILE, SIGNATURE_FILE, type FileEntry } from './manifest.ts';
import { asProblem, Problem } from './problem.ts';
import type { Mark } from './versions.ts';

export const DATABASE = 'promolens-bundles';
export type Slot = 'active' | 'previous';

interface KeptBundle {
  readonly manifest: Bytes;
  readonly signature: Bytes;
  /** SHA-256 by name: files that two bundles share are kept once. */
  readonly files: Readonly<Record<string, string>>;
}

/** What is kept of a bundle, and of a gallery. */
export interface Keepable {
  readonly manifest: { readonly files: Readonly<Record<string, FileEntry>> };
  readonly manifestBytes: Bytes;
  readonly signatureBytes: Bytes;
  readonly files: ReadonlyMap<string, Bytes>;
}

/** Files, slots and the mark of one origin. Every method throws Problem('storage-...'). */
export class BundleStore<M = Mark> {
  private constructor(private readonly database: IDBDatabase) {}

  static async open<M = Mark>(name: string = DATABASE): Promise<BundleStore<M>> {
    return stored(async () => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => {
        for (const store of ['files', 'bundles', 'marks']) request.result.createObjectStore(store);
      };
      return new BundleStore<M>(await settled(request));
    });
  }

  close(): void {
    this.database.close();
  }

  /** What lies in `slot`, as a reader of its files; null when nothing does. */
  async reader(slot: Slot): Promise<ReadFile | null> {
    const kept = await this.get<KeptBundle>('bundles', slot);
    if (kept === undefined) return null;
    return async (name) => {
      if (name === MANIFEST_FILE) return kept.manifest;
      if (name === SIGNATURE_FILE) return kept.signature;
      const data = await this.get<Bytes>('files', kept.files[name] ?? '');
      if (data === undefined) throw new Problem('file-size-wrong', `${name} is not kept here.`);
      return data;
    };
  }

  /** A file by its SHA-256, so that an update need not load again what has not changed. */
  async file(sha256: string): Promise<Bytes | undefined> {
    return this.get<Bytes>('files', sha256);
  }

  async mark(): Promise<M | null> {
    return (await this.get<M>('marks', 'mark')) ?? null;
  }

  /**
   * In one transaction: make `bundle` the active one, what lies in `lastGood` the previous one, keep
   * `mark`, and drop every file that neither has.
   */
  async activate(bundle: Keepable, mark: M, lastGood: Slot | null): Promise<void> {
    const { manifest } = bundle;
    const kept: KeptBundle = {
      manifest: bundle.manifestBytes,
      signature: bundle.signatureBytes,
      files: Object.fromEntries(
        [...bundle.files.keys()].map((name) => [name, manifest.files[name]?.sha256 ?? '']),
      ),
    };
    await stored(async () => {
      const change = this.database.transaction(['files', 'bundles', 'marks'], 'readwrite', {
        durability: 'strict',
      });
      const done = completed(change);
      const [files, bundles] = [change.objectStore('files'), change.objectStore('bundles')];
      const previous =
        lastGood === null ? undefined : ((await settled(bundles.get(lastGood))) as KeptBundle);
      if (previous === undefined) bundles.delete('previous');
      else bundles.put(previous, 'previous');
      bundles.put(kept, 'active');
      for (const [name, data] of bundle.files) files.put(data, kept.files[name]);
      change.objectStore('marks').put(mark, 'mark');
      const wanted = new Set([kept, previous].flatMap((b) => Object.values(b?.files ?? {})));
      for (const key of await settled(files.getAllKeys())) {
        if (!wanted.has(String(key))) files.delete(key);
      }
      await done;
    });
  }

  async clear(): Promise<void> {
    await stored(async () => {
      const change = this.database.transaction(['files', 'bundles', 'marks'], 'readwrite');
      for (const store of ['files', 'bundles', 'marks']) change.objectStore(store).clear();
      await completed(change);
    });
  }

  private async get<T>(store: string, key: string): Promise<T | undefined> {
    return stored(async () => {
      const request = this.database.transaction(store).objectStore(store).get(key);
      return (await settled(request)) as T | undefined;
    });
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB gave no reason'));
  });
}

function completed(change: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    change.oncomplete = () => resolve();
    change.onabort = () => reject(change.error ?? new Error('IndexedDB gave the change up'));
  });
}

async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const full = error instanceof DOMException && error.name === 'QuotaExceededError';
    throw asProblem(error, full ? 'storage-full' : 'storage-unavailable');
  }
}
