/** Finding products on this device by what somebody typed. */
import type { Item } from './rows.ts';

const HANGUL_FROM = 0xac00;
const HANGUL_TO = 0xd7a3;
const SYLLABLES_PER_INITIAL = 588;
const INITIALS = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ';

export interface Indexed {
  readonly item: Item;
  readonly letters: string;
  readonly initials: string;
}

export function indexed(item: Item): Indexed {
  const letters = lettersOf(`${item.name} ${item.maker ?? ''}`);
  return { item, letters, initials: initialsOf(letters) };
}

/** Lower case without blanks and signs: how a name is spelt apart does not matter. */
export function lettersOf(text: string): string {
  // Not NFKC, which would make conjoining letters of single ones such as ㅊ.
  return text.normalize('NFC').toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}

/** Products with every word of `query`, those that begin with it first. ㅊㅋ finds 초코. */
export function searched(products: readonly Indexed[], query: string): readonly Item[] {
  const words = query.split(/\s+/).map(lettersOf).filter((word) => word !== '');
  const first = words[0];
  if (first === undefined) return products.map(({ item }) => item);
  return products
    .filter((product) => words.every((word) => holds(product, word)))
    .map((product) => ({ item: product.item, at: placeOf(product, first) }))
    .sort((a, b) => a.at - b.at || (a.item.name < b.item.name ? -1 : 1))
    .map(({ item }) => item);
}

function holds(product: Indexed, word: string): boolean {
  return placeOf(product, word) >= 0;
}

function placeOf({ letters, initials }: Indexed, word: string): number {
  return [...word].every((letter) => INITIALS.includes(letter)) ? initials.indexOf(word) : letters.indexOf(word);
}

function initialsOf(letters: string): string {
  return [...letters].map(initialOf).join('');
}

function initialOf(letter: string): string {
  const code = letter.codePointAt(0) ?? 0;
  if (code < HANGUL_FROM || code > HANGUL_TO) return letter;
  return INITIALS[Math.floor((code - HANGUL_FROM) / SYLLABLES_PER_INITIAL)] ?? letter;
}
