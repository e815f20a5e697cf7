/** What a shopper is told about one product; silence is never taken for a no. */
import { koreanMonth } from './calendar.ts';
import { compareDeals } from './deals.ts';
import {
  isObject,
  list,
  readAll,
  readChainStatus,
  readProduct,
  readPromotion,
  text,
  type ChainStatus,
  type Item,
  type Json,
  type JsonObject,
  type PromotionRow,
} from './rows.ts';
import { Trouble } from './trouble.ts';

export const STATUSES = [
  'promotions',
  'no-promotion',
  'unknown-product',
  'source-unavailable',
] as const;
export type Status = (typeof STATUSES)[number];

export interface Fact {
  readonly title: string;
  readonly attribution: string;
  readonly fields: readonly { readonly title: string; readonly value: string }[];
}

export interface Answer {
  readonly status: Status;
  readonly item: Item | null;
  /** Those that hold today, best deal first. */
  readonly promotions: readonly PromotionRow[];
  /** Still listed though their time is over: never a yes. */
  readonly expired: readonly PromotionRow[];
  readonly chains: readonly ChainStatus[];
  readonly facts: readonly Fact[];
  /** When what it says was known to be so. */
  readonly asOfMs: number;
  readonly origin: 'copy' | 'server' | 'kept';
}

/** A list of this month whose source is well: what it does not have is not offered. */
export function speaksForToday(status: ChainStatus, nowMs: number): boolean {
  return status.state === 'ok' && status.month === koreanMonth(nowMs);
}

export function holdsOn(row: PromotionRow, day: string): boolean {
  return row.valid_from <= day && day <= row.valid_until;
}

/** An answer from this device's copy, by the server's own rule. */
export function answerFromCopy(
  item: Item,
  rows: readonly PromotionRow[],
  chains: readonly ChainStatus[],
  { nowMs, today, asOfMs, fresh }: { nowMs: number; today: string; asOfMs: number; fresh: boolean },
): Answer {
  const sorted = [...rows].sort(compareDeals);
  const promotions = sorted.filter((row) => holdsOn(row, today));
  const allSpeak = chains.length > 0 && chains.every((chain) => speaksForToday(chain, nowMs));
  const silence: Status = fresh && allSpeak ? 'no-promotion' : 'source-unavailable';
  return {
    status: promotions.length > 0 ? 'promotions' : silence,
    item,
    promotions,
    expired: sorted.filter((row) => row.valid_until < today),
    chains,
    facts: [],
    asOfMs,
    origin: 'copy',
  };
}

/** The server's `ProductAnswer`. Throws Trouble('server-garbage'). */
export function answerFromServer(body: JsonObject, asOfMs: number, origin: Answer['origin']): Answer {
  const status = STATUSES.find((known) => known === body['status']);
  if (status === undefined) throw new Trouble('server-garbage', 'an answer without a known status');
  const read = (value: unknown): PromotionRow | null =>
    isObject(value) ? readPromotion(value['id'], value) : null;
  const promotions = [...readAll(body['promotions'], read)].sort(compareDeals);
  if (status === 'promotions' && promotions.length === 0) {
    throw new Trouble('server-garbage', 'promotions that this app cannot read');
  }
  return {
    status,
    item: readProduct(body['product']),
    promotions,
    expired: readAll(body['expired'], read),
    chains: readAll(body['chains'], readChainStatus),
    facts: readAll(body['facts'], readFact),
    asOfMs,
    origin,
  };
}

/** The same answer on a later day: what has ended meanwhile is a promotion no more. */
export function onDay(answer: Answer, day: string): Answer {
  const promotions = answer.promotions.filter((row) => holdsOn(row, day));
  if (promotions.length === answer.promotions.length) return answer;
  const ended = answer.promotions.filter((row) => row.valid_until < day);
  const status = promotions.length > 0 ? answer.status : 'source-unavailable';
  return { ...answer, status, promotions, expired: [...ended, ...answer.expired] };
}

function readFact(value: unknown): Fact | null {
  if (!isObject(value)) return null;
  const title = text(value['title']);
  if (title === undefined) return null;
  return {
    title,
    attribution: text(value['attribution']) ?? '',
    fields: list(value['fields']).filter(isObject).map(fieldOf),
  };
}

function fieldOf(field: { readonly [key: string]: Json }): { title: string; value: string } {
  const unit = text(field['unit']) ?? '';
  return {
    title: text(field['title']) ?? '',
    value: `${String(field['value'] ?? '')}${unit === '' ? '' : ` ${unit}`}`.slice(0, 200),
  };
}
