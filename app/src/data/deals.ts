/** What a promotion makes one piece cost, exact in whole won: the catalog's rule (deals.py). */
export const KINDS = ['1+1', '2+1', '3+1', 'gift', 'discount', 'pick'] as const;
export type Kind = (typeof KINDS)[number];

/** Pieces paid for and pieces added. */
const COUNTS: Readonly<Record<Kind, readonly [number, number]>> = {
  '1+1': [1, 1],
  '2+1': [2, 1],
  '3+1': [3, 1],
  gift: [0, 0],
  discount: [0, 0],
  pick: [0, 0],
};

export interface Terms {
  readonly kind: Kind;
  readonly chain: string;
  readonly price_krw: number;
  readonly regular_price_krw?: number;
  readonly gift_price_krw?: number;
  /** Present where a machine guessed the product. */
  readonly link?: string;
}

export function isKind(text: unknown): text is Kind {
  return KINDS.some((kind) => kind === text);
}

/** How many are carried home: 2 of 1+1, 3 of 2+1, else 1. */
export function piecesOf(kind: Kind): number {
  const [buy, get] = COUNTS[kind];
  return Math.max(buy + get, 1);
}

/** What is paid at the till for the whole promotion. */
export function tillPrice(terms: Terms): number {
  return terms.price_krw * Math.max(COUNTS[terms.kind][0], 1);
}

/** One piece, for who takes the whole promotion; halves go up. */
export function unitPrice(terms: Terms): number {
  const [numerator, denominator] = fraction(terms);
  return halvesUp(numerator, denominator);
}

/** Percent of the ordinary price that is saved. */
export function savingPercent(terms: Terms): number {
  const regular = terms.regular_price_krw ?? 0;
  const ordinary = regular > terms.price_krw ? regular : terms.price_krw;
  if (ordinary === 0) return 0;
  const [numerator, denominator] = fraction(terms);
  const whole = ordinary * denominator;
  return halvesUp(100 * (whole - numerator), whole);
}

/** Won for 100 ml or 100 g; null for counted or unknown sizes. */
export function pricePer100(terms: Terms, amount: number | undefined, unit: string | undefined): number | null {
  if (amount === undefined || !(amount > 0) || (unit !== 'ml' && unit !== 'g')) return null;
  const [numerator, denominator] = fraction(terms);
  return Math.floor((numerator * 100) / (denominator * amount) + 0.5);
}

/**
 * Best first: cheapest piece, worthier gift, fewer pieces to take; among equals what is certainly of
 * this product; then always the same order.
 */
export function compareDeals(a: Terms, b: Terms): number {
  const [an, ad] = fraction(a);
  const [bn, bd] = fraction(b);
  return (
    an * bd - bn * ad ||
    (b.gift_price_krw ?? 0) - (a.gift_price_krw ?? 0) ||
    piecesOf(a.kind) - piecesOf(b.kind) ||
    Number(a.link !== undefined) - Number(b.link !== undefined) ||
    (a.chain < b.chain ? -1 : a.chain > b.chain ? 1 : 0)
  );
}

function fraction({ kind, price_krw }: Terms): [number, number] {
  const [buy, get] = COUNTS[kind];
  return buy === 0 ? [price_krw, 1] : [price_krw * buy, buy + get];
}

function halvesUp(numerator: number, denominator: number): number {
  return Math.floor((2 * numerator + denominator) / (2 * denominator));
}
