/** Texts in the user's language, and numbers, days and distances as people write them. */
import { daysBetween, DAY_MS } from '../data/calendar.ts';
import { CHAIN_INFO, type Chain } from '../data/chains.ts';
import type { Kind } from '../data/deals.ts';
import { en } from './en.ts';
import { ko, type TextName, type Texts } from './ko.ts';

export const LANGUAGES = ['ko', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const TABLES: Readonly<Record<Language, Texts>> = { ko, en };
const LOCALES: Readonly<Record<Language, string>> = { ko: 'ko-KR', en: 'en-GB' };
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export type Values = Readonly<Record<string, string | number>>;

/** Korean for who reads Korean, English for everybody else. */
export function languageOf(wanted: readonly string[]): Language {
  return wanted.some((one) => one.toLowerCase().startsWith('ko')) ? 'ko' : 'en';
}

export class Speech {
  private readonly table: Texts;
  private readonly wonForm: Intl.NumberFormat;
  private readonly dayForm: Intl.DateTimeFormat;

  constructor(readonly language: Language) {
    this.table = TABLES[language];
    this.wonForm = new Intl.NumberFormat(LOCALES[language]);
    this.dayForm = new Intl.DateTimeFormat(LOCALES[language], {
      month: 'long',
      day: 'numeric',
      timeZone: 'UTC',
    });
  }

  say(name: TextName, values: Values = {}): string {
    return this.table[name].replace(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? ''));
  }

  won(amount: number): string {
    return this.language === 'ko' ? `${this.wonForm.format(amount)}원` : `₩${this.wonForm.format(amount)}`;
  }

  /** Such as 2월 24일 for 2026-02-24. */
  day(day: string): string {
    return this.dayForm.format(new Date(`${day}T00:00:00Z`));
  }

  distance(metres: number): string {
    if (metres < 1000) return this.say('metres', { n: Math.max(10, Math.round(metres / 10) * 10) });
    return this.say('kilometres', { n: (metres / 1000).toFixed(1) });
  }

  age(ageMs: number): string {
    if (ageMs < 2 * MINUTE_MS) return this.say('ageNow');
    if (ageMs < 2 * HOUR_MS) return this.say('ageMinutes', { n: Math.floor(ageMs / MINUTE_MS) });
    if (ageMs < 2 * DAY_MS) return this.say('ageHours', { n: Math.floor(ageMs / HOUR_MS) });
    return this.say('ageDays', { n: Math.floor(ageMs / DAY_MS) });
  }

  chain(chain: Chain): string {
    return this.language === 'ko' ? CHAIN_INFO[chain].name_ko : CHAIN_INFO[chain].name_en;
  }

  kind(kind: Kind): string {
    if (kind === 'gift') return this.say('kindGift');
    if (kind === 'discount') return this.say('kindDiscount');
    return kind === 'pick' ? this.say('kindPick') : kind;
  }

  /** How long an offer still holds. */
  remaining(today: string, until: string): string {
    const days = daysBetween(today, until);
    return days <= 0 ? this.say('lastDay') : this.say('daysLeft', { days });
  }
}
