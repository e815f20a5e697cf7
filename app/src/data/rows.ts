/** What this device keeps of the catalog, read from JSON that nobody vouches for. */
import { isDay } from './calendar.ts';
import { isChain, type Chain } from './chains.ts';
import { isKind, type Kind } from './deals.ts';

export interface Item {
  readonly id: number;
  readonly name: string;
  readonly maker?: string;
  readonly category?: string;
  readonly size_amount?: number;
  readonly size_unit?: string;
  readonly barcodes: readonly string[];
  /** Labels of a recogniser. */
  readonly classes: readonly string[];
}

export interface PromotionRow {
  readonly id: number;
  readonly item_id: number;
  readonly chain: Chain;
  readonly kind: Kind;
  readonly name: string;
  readonly price_krw: number;
  readonly valid_from: string;
  readonly valid_until: string;
  readonly valid_until_inferred?: boolean;
  readonly regular_price_krw?: number;
  readonly barcode?: string;
  readonly category?: string;
  readonly gift_name?: string;
  readonly gift_price_krw?: number;
  /** How a machine guessed the product; absent where it is certain. */
  readonly link?: string;
}

export const CHAIN_STATES = ['never', 'ok', 'stale', 'gone'] as const;
export type ChainState = (typeof CHAIN_STATES)[number];

export interface ChainStatus {
  readonly chain: Chain;
  readonly state: ChainState;
  readonly since?: string;
  readonly month?: string;
  readonly snapshot_at?: string;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

const CERTAIN = ['barcode', 'exact', 'own', 'review'];
const MAX_TEXT = 500;
const MAX_WON = 100_000_000;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A row of a sync page or a bootstrap file; null for one that this app cannot use. */
export function readItem(id: unknown, data: unknown): Item | null {
  const number = rowId(id);
  if (number === null || !isObject(data)) return null;
  const name = text(data['name']);
  if (name === undefined) return null;
  const keys = isObject(data['keys']) ? data['keys'] : {};
  return {
    id: number,
    name,
    barcodes: texts(keys['barcode']),
    classes: texts(keys['class']),
    ...defined({
      maker: text(data['maker']),
      category: text(data['category']),
      size_amount: amount(data['size_amount']),
      size_unit: text(data['size_unit']),
    }),
  };
}

/** The product of an answer of the server (`ProductModel`). */
export function readProduct(data: unknown): Item | null {
  if (!isObject(data)) return null;
  const classes: Json[] = [];
  for (const key of list(data['keys'])) {
    if (isObject(key) && key['kind'] === 'class' && key['value'] !== undefined) classes.push(key['value']);
  }
  return readItem(data['id'], { ...data, keys: { barcode: data['barcodes'] ?? [], class: classes } });
}

export function readPromotion(id: unknown, data: unknown): PromotionRow | null {
  const number = rowId(id);
  if (number === null || !isObject(data)) return null;
  const [itemId, price] = [rowId(data['item_id']), won(data['price_krw'])];
  const { chain, kind, valid_from: from, valid_until: until } = data;
  const name = text(data['name']);
  if (itemId === null || price === undefined || name === undefined) return null;
  if (!isChain(chain) || !isKind(kind) || !isDay(from) || !isDay(until)) return null;
  const gift = isObject(data['gift']) ? data['gift'] : {};
  return {
    id: number,
    item_id: itemId,
    chain,
    kind,
    name,
    price_krw: price,
    valid_from: from,
    valid_until: until,
    ...(data['valid_until_inferred'] === true ? { valid_until_inferred: true } : {}),
    ...defined({
      regular_price_krw: won(data['regular_price_krw']),
      barcode: text(data['barcode']),
      category: text(data['category']),
      gift_name: text(data['gift_name']) ?? text(gift['name']),
      gift_price_krw: won(data['gift_price_krw']) ?? won(gift['price_krw']),
      link: text(data['link']) ?? guessedBy(data['link_method']),
    }),
  };
}

/** A copy names only guesses, the server's answers every way (`copies.py`). */
function guessedBy(method: unknown): string | undefined {
  const name = text(method);
  return name === undefined || CERTAIN.includes(name) ? undefined : name;
}

export function readChainStatus(data: unknown): ChainStatus | null {
  if (!isObject(data) || !isChain(data['chain'])) return null;
  const state = CHAIN_STATES.find((known) => known === data['state']);
  if (state === undefined) return null;
  return {
    chain: data['chain'],
    state,
    ...defined({
      since: text(data['since']),
      month: text(data['month']),
      snapshot_at: text(data['snapshot_at']),
    }),
  };
}

export function readAll<T>(values: unknown, read: (value: unknown) => T | null): readonly T[] {
  return list(values).map(read).filter((row) => row !== null);
}

export function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;
}

export function rowId(value: unknown): number | null {
  const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number > 0 ? number : null;
}

function texts(value: unknown): readonly string[] {
  return list(value).filter((one): one is string => typeof one === 'string' && one.length <= MAX_TEXT);
}

function won(value: unknown): number | undefined {
  const whole = typeof value === 'number' && Number.isInteger(value);
  return whole && value >= 0 && value <= MAX_WON ? value : undefined;
}

function amount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
