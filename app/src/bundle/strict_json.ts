/** JSON as bundles spell it: no key twice, bounded depth, and for the manifest one spelling only. */
import { Problem, type ProblemCode } from './problem.ts';

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const MAX_DEPTH = 64;

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORDS: readonly (readonly [string, null | boolean])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
];

/**
 * Parse UTF-8 JSON. `canonical` also demands sorted keys, no spaces and Python's spelling of texts
 * and numbers, as `promolens_runtime.canonical` writes them. Throws Problem(code).
 */
export function parseStrict(data: Uint8Array, code: ProblemCode, canonical = false): Json {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
    return new Reader(text, canonical).document();
  } catch (error) {
    throw new Problem(code, error instanceof Error ? error.message : String(error));
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A double as Python's repr spells it: 1.0, 1e-05, 1e+16. */
export function pythonFloat(value: number): string {
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  const sign = Object.is(value, -0) || value < 0 ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

class Reader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly canonical: boolean,
  ) {}

  document(): Json {
    const value = this.value(1);
    this.space();
    if (this.at !== this.text.length) this.refuse('more after the end');
    return value;
  }

  private value(depth: number): Json {
    if (depth > MAX_DEPTH) this.refuse(`nesting deeper than ${MAX_DEPTH}`);
    this.space();
    const next = this.text[this.at];
    if (next === '{') return this.object(depth);
    if (next === '[') return this.array(depth);
    if (next === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private object(depth: number): JsonObject {
    const found = new Map<string, Json>();
    let last: string | undefined;
    this.list('}', () => {
      this.space();
      const key = this.string();
      if (found.has(key)) this.refuse(`the key ${JSON.stringify(key).slice(0, 80)} twice`);
      if (this.canonical && last !== undefined && !sortsBefore(last, key)) {
        this.refuse('keys out of order');
      }
      last = key;
      this.space();
      if (this.text[this.at] !== ':') this.refuse('a key without a colon');
      this.at += 1;
      found.set(key, this.value(depth + 1));
    });
    // Object.fromEntries makes an own property even of "__proto__".
    return Object.fromEntries(found);
  }

  private array(depth: number): Json[] {
    const found: Json[] = [];
    this.list(']', () => found.push(this.value(depth + 1)));
    return found;
  }

  private list(end: string, item: () => void): void {
    this.at += 1;
    this.space();
    if (this.text[this.at] === end) {
      this.at += 1;
      return;
    }
    for (;;) {
      item();
      this.space();
      const next = this.text[this.at];
      this.at += 1;
      if (next === end) return;
      if (next !== ',') this.refuse('a list without an end');
    }
  }

  private string(): string {
    const raw = this.match(STRING, 'a text');
    const value = JSON.parse(raw) as string;
    if (this.canonical && raw !== JSON.stringify(value)) this.refuse('a text spelled otherwise');
    return value;
  }

  private number(): number {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (found === null) return this.refuse('something that is no value');
    this.at = NUMBER.lastIndex;
    const value = Number(found[0]);
    if (!Number.isFinite(value)) this.refuse('a number without bounds');
    const isFloat = found[1] !== undefined || found[2] !== undefined;
    const spelled = isFloat ? pythonFloat(value) : found[0] === '-0' ? '0' : found[0];
    if (this.canonical && spelled !== found[0]) this.refuse('a number spelled otherwise');
    return value;
  }

  private space(): void {
    const skipped = this.match(SPACE, 'space');
    if (this.canonical && skipped !== '') this.refuse('space between values');
  }

  private match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return this.refuse(`something else than ${what}`);
    this.at = pattern.lastIndex;
    return found[0];
  }

  private refuse(what: string): never {
    throw new Error(`Expected strict JSON. Received ${what} at character ${this.at}.`);
  }
}

/** Python sorts by code point; JavaScript's own `<` sorts by UTF-16 unit. */
function sortsBefore(first: string, second: string): boolean {
  const a = Array.from(first);
  const b = Array.from(second);
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const difference = (a[i]?.codePointAt(0) ?? 0) - (b[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return a.length < b.length;
}
