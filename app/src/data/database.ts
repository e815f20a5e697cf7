/** The tables in IndexedDB. A database that cannot be read is thrown away: all of it comes again. */
import { TABLE_NAMES, TABLES, type Key, type TableName, type Tables, type Write } from './tables.ts';
import { asTrouble, Trouble } from './trouble.ts';

export const DATABASE = 'promolens-data';
const VERSION = 1;
/** Requests put at once; the rest waits for them, so that no task is long. */
const WRITES_AT_ONCE = 150;
const BLOCKED_MS = 5_000;

export interface OpenedTables {
  readonly tables: DatabaseTables;
  /** The database of before was damaged and is gone. */
  readonly renewed: boolean;
}

/** Open the database; throws Trouble where this browser keeps nothing. */
export async function openTables(name: string = DATABASE): Promise<OpenedTables> {
  try {
    return { tables: new DatabaseTables(await open(name)), renewed: false };
  } catch (error) {
    if (!(error instanceof DOMException) || error.name === 'SecurityError') throw unavailable(error);
  }
  try {
    await settled(indexedDB.deleteDatabase(name));
    return { tables: new DatabaseTables(await open(name)), renewed: true };
  } catch (error) {
    throw unavailable(error);
  }
}

async function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => build(request.result);
  const database = await Promise.race([settled(request), tooLong()]);
  if (TABLE_NAMES.some((table) => !database.objectStoreNames.contains(table))) {
    database.close();
    throw new DOMException('A table is missing.', 'DataError');
  }
  // Another tab with a newer app must not wait for this one.
  database.onversionchange = () => database.close();
  return database;
}

function build(database: IDBDatabase): void {
  for (const old of [...database.objectStoreNames]) database.deleteObjectStore(old);
  for (const table of TABLE_NAMES) {
    const { key, indexes } = TABLES[table];
    const store = database.createObjectStore(table, { keyPath: key });
    for (const [index, multiEntry] of Object.entries(indexes)) {
      store.createIndex(index, index, { multiEntry });
    }
  }
}

export class DatabaseTables implements Tables {
  readonly lasting = true;

  constructor(private readonly database: IDBDatabase) {}

  close(): void {
    this.database.close();
  }

  async get<T>(table: TableName, key: Key): Promise<T | undefined> {
    return this.read(table, (store) => store.get(key) as IDBRequest<T | undefined>);
  }

  async by<T>(table: TableName, index: string, value: Key): Promise<readonly T[]> {
    return this.read(table, (store) => store.index(index).getAll(value) as IDBRequest<T[]>);
  }

  async page<T>(table: TableName, after: Key | null, limit: number): Promise<readonly T[]> {
    const range = after === null ? null : IDBKeyRange.lowerBound(after, true);
    return this.read(table, (store) => store.getAll(range, limit) as IDBRequest<T[]>);
  }

  async write(writes: readonly Write[], empty: readonly TableName[] = []): Promise<void> {
    const tables = [...new Set([...empty, ...writes.map((write) => write.table)])];
    if (tables.length === 0) return;
    try {
      const change = this.database.transaction(tables, 'readwrite');
      const done = completed(change);
      for (const table of empty) change.objectStore(table).clear();
      putFrom(change, writes, 0);
      await done;
    } catch (error) {
      throw troubleOf(error);
    }
  }

  private async read<T>(
    table: TableName,
    request: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> {
    try {
      return await settled(request(this.database.transaction(table).objectStore(table)));
    } catch (error) {
      throw troubleOf(error);
    }
  }
}

/** The transaction stays open while the last request of each piece begins the next. */
function putFrom(change: IDBTransaction, writes: readonly Write[], start: number): void {
  let last: IDBRequest | undefined;
  for (const write of writes.slice(start, start + WRITES_AT_ONCE)) {
    const store = change.objectStore(write.table);
    last = 'put' in write ? store.put(write.put) : store.delete(write.remove);
  }
  const next = start + WRITES_AT_ONCE;
  if (last !== undefined && next < writes.length) {
    last.onsuccess = () => putFrom(change, writes, next);
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

function tooLong(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Trouble('storage-unavailable', 'IndexedDB does not open.')), BLOCKED_MS);
  });
}

function unavailable(error: unknown): Trouble {
  return asTrouble(error, 'storage-unavailable');
}

function troubleOf(error: unknown): Trouble {
  const full = error instanceof DOMException && error.name === 'QuotaExceededError';
  return asTrouble(error, full ? 'storage-full' : 'storage-unavailable');
}
