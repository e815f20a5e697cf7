/** Where rows are kept: IndexedDB in a browser, plain maps where it offers none. */
export const TABLES = {
  items: { key: 'id', indexes: { barcodes: true, classes: true } },
  promotions: { key: 'id', indexes: { item_id: false } },
  answers: { key: 'key', indexes: {} },
  areas: { key: 'key', indexes: {} },
  pictures: { key: 'key', indexes: {} },
  favourites: { key: 'id', indexes: {} },
  scans: { key: 'id', indexes: {} },
  marks: { key: 'key', indexes: {} },
} as const satisfies Record<string, { key: string; indexes: Record<string, boolean> }>;

export type TableName = keyof typeof TABLES;
export const TABLE_NAMES = Object.keys(TABLES) as TableName[];
export type Key = number | string;

export type Write =
  | { readonly table: TableName; readonly put: object }
  | { readonly table: TableName; readonly remove: Key };

/** Every method throws Trouble('storage-...'). */
export interface Tables {
  get<T>(table: TableName, key: Key): Promise<T | undefined>;
  /** Rows whose indexed field is `value`, or a list that has it. */
  by<T>(table: TableName, index: string, value: Key): Promise<readonly T[]>;
  /** Up to `limit` rows in the order of their keys, after `after`. */
  page<T>(table: TableName, after: Key | null, limit: number): Promise<readonly T[]>;
  /** All of it or nothing; `empty` tables are emptied first. */
  write(writes: readonly Write[], empty?: readonly TableName[]): Promise<void>;
  /** False where nothing outlives the page. */
  readonly lasting: boolean;
}

export const PAGE_ROWS = 400;

/** All rows of a table, read in pieces so that no task is long. */
export async function allRows<T>(tables: Tables, table: TableName): Promise<T[]> {
  const rows: T[] = [];
  let after: Key | null = null;
  for (;;) {
    const page: readonly T[] = await tables.page<T>(table, after, PAGE_ROWS);
    rows.push(...page);
    const last = page[page.length - 1];
    if (last === undefined || page.length < PAGE_ROWS) return rows;
    after = keyOf(table, last as object);
  }
}

export function keyOf(table: TableName, row: object): Key {
  return (row as Record<string, Key>)[TABLES[table].key]!;
}

/** Kept in memory only: for browsers that refuse storage, and for tests. */
export class MemoryTables implements Tables {
  readonly lasting = false;
  private readonly rows = new Map<TableName, Map<Key, object>>();

  async get<T>(table: TableName, key: Key): Promise<T | undefined> {
    return this.table(table).get(key) as T | undefined;
  }

  async by<T>(table: TableName, index: string, value: Key): Promise<readonly T[]> {
    const rows = [...this.table(table).values()] as Record<string, unknown>[];
    return rows.filter((row) => {
      const held = row[index];
      return Array.isArray(held) ? held.includes(value) : held === value;
    }) as T[];
  }

  async page<T>(table: TableName, after: Key | null, limit: number): Promise<readonly T[]> {
    const keys = [...this.table(table).keys()].sort((a, b) => (a < b ? -1 : 1));
    const later = after === null ? keys : keys.filter((key) => key > after);
    return later.slice(0, limit).map((key) => this.table(table).get(key)) as T[];
  }

  async write(writes: readonly Write[], empty: readonly TableName[] = []): Promise<void> {
    for (const table of empty) this.table(table).clear();
    for (const write of writes) {
      if ('put' in write) this.table(write.table).set(keyOf(write.table, write.put), write.put);
      else this.table(write.table).delete(write.remove);
    }
  }

  private table(name: TableName): Map<Key, object> {
    const table = this.rows.get(name) ?? new Map<Key, object>();
    this.rows.set(name, table);
    return table;
  }
}
