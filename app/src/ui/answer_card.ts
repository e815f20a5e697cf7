/** What is known about one product: best deal first, with validity and the nearest store. */
import type { App } from '../app.ts';
import { speaksForToday, type Answer } from '../data/answers.ts';
import type { Chain } from '../data/chains.ts';
import { pricePer100, savingPercent, tillPrice, piecesOf, unitPrice } from '../data/deals.ts';
import type { Looked, ProductKey } from '../data/lookup.ts';
import type { ChainStatus, Item, PromotionRow } from '../data/rows.ts';
import { lastingKey } from '../data/saved.ts';
import { nearestOf, type NearStore } from '../data/stores.ts';
import { pathOfKey } from '../keys.ts';
import type { TextName } from '../texts/ko.ts';
import { koreanDay } from '../data/calendar.ts';
import { el, fill, type Child } from './dom.ts';
import { icon, type IconName } from './icons.ts';
import { chainBadge, iconButton, kindChip, message } from './pieces.ts';
import { productPicture } from './product_picture.ts';
import { shareDeal } from './sharing.ts';

type Nearest = ReadonlyMap<Chain, NearStore>;

export interface CardOptions {
  readonly key: ProductKey;
  /** What the recogniser calls it; the list's name where absent. */
  readonly name?: string;
  readonly confidence?: number;
  /** Whether its name is the title of the page, or that of a part. */
  readonly heading: 'h1' | 'h2';
}

export class AnswerCard {
  readonly element = el('article', { class: 'card', 'aria-live': 'polite' });
  private nearest: Nearest = new Map();
  private looked: Looked | null = null;
  private favourite = false;
  private asking = true;
  private ended = false;
  private pictured: { barcode: string | undefined; name: string; element: HTMLElement } | null = null;

  constructor(
    private readonly app: App,
    private readonly options: CardOptions,
  ) {}

  /** Show what this device knows, then what the server adds; resolves when nothing more comes. */
  async load(): Promise<void> {
    const { app, options } = this;
    const here = await app.lookup.here(options.key).catch(() => null);
    const key = lastingKey(options.key, here?.answer?.item ?? null);
    this.favourite = await app.saved.isFavourite(key).catch(() => false);
    this.show(here);
    void this.findStores();
    const looked = await app.lookup.find(options.key);
    this.asking = false;
    this.show(looked);
  }

  /** Nothing is drawn any more. */
  end(): void {
    this.ended = true;
  }

  /** What to remember the product by. */
  get key(): ProductKey {
    return lastingKey(this.options.key, this.looked?.answer?.item ?? null);
  }

  get name(): string {
    const { name, key } = this.options;
    return name ?? this.looked?.answer?.item?.name ?? key.barcodes?.[0] ?? key.label ?? '';
  }

  private show(looked: Looked | null): void {
    if (this.ended) return;
    this.looked = looked;
    const { asking } = this;
    const { answer, stale, trouble } = looked ?? { answer: null, stale: true, trouble: null };
    const body =
      answer === null ? this.silence(asking, trouble?.code ?? 'offline') : this.body(answer);
    const waiting = asking && (answer === null || stale);
    fill(
      this.element,
      this.head(answer),
      waiting && el('p', { class: 'muted refreshing' }, this.say('refreshing')),
      !waiting && answer !== null && stale && this.staleNote(answer, trouble?.code),
      ...body,
    );
  }

  private head(answer: Answer | null): HTMLElement {
    const { speech } = this.app;
    const item = answer?.item ?? null;
    const { confidence } = this.options;
    const match =
      confidence === undefined ? undefined : speech.say('confidence', { percent: Math.round(confidence * 100) });
    const sub = [item?.maker, sizeOf(item), match].filter((part) => part !== undefined).join(' · ');
    const star = iconButton(
      'star',
      this.say(this.favourite ? 'removeFavourite' : 'addFavourite'),
      () => void this.toggleFavourite(),
      this.favourite ? 'on' : '',
    );
    star.setAttribute('aria-pressed', String(this.favourite));
    const best = answer?.promotions[0];
    return el(
      'header',
      { class: 'card-head' },
      this.picture(),
      el(
        'div',
        { class: 'card-title' },
        el(this.options.heading, { tabindex: -1 }, this.name),
        sub !== '' && el('p', { class: 'muted' }, sub),
      ),
      star,
      best && iconButton('share', this.say('share'), () => void shareDeal(this.app, this.name, best, this.path)),
    );
  }

  /** Made once for each product: the card is drawn anew whenever more is known. */
  private picture(): HTMLElement {
    const barcode = this.key.barcodes?.[0];
    const made = this.pictured;
    if (made !== null && made.barcode === barcode && made.name === this.name) return made.element;
    const element = productPicture(this.app, this.name, barcode, true);
    this.pictured = { barcode, name: this.name, element };
    return element;
  }

  private body(answer: Answer): readonly Child[] {
    const [best, ...others] = answer.promotions;
    const rest = [this.expired(answer), this.facts(answer), this.asOf(answer)];
    if (best === undefined) return [this.status(answer), ...rest];
    return [
      this.hero(best, answer.item),
      others.length > 0 && el(this.part, { class: 'part' }, this.say('otherDeals')),
      others.length > 0 && el('ul', { class: 'deals' }, ...others.map((row) => this.deal(row, answer.item))),
      ...rest,
    ];
  }

  private hero(row: PromotionRow, item: Item | null): HTMLElement {
    const { speech } = this.app;
    const saving = savingPercent(row);
    return el(
      'section',
      { class: 'hero', 'aria-label': this.say('bestDeal') },
      el('p', { class: 'hero-tags' }, kindChip(speech, row.kind), chainBadge(speech, row.chain), el('span', { class: 'best' }, this.say('bestDeal'))),
      el(
        'p',
        { class: 'hero-price' },
        piecesOf(row.kind) > 1 && el('span', {}, this.say('each')),
        el('strong', {}, speech.won(unitPrice(row))),
        saving > 0 && el('span', { class: 'saving' }, speech.say('saving', { percent: saving })),
      ),
      this.terms(row, item),
    );
  }

  private deal(row: PromotionRow, item: Item | null): HTMLElement {
    const { speech } = this.app;
    return el(
      'li',
      { class: 'deal' },
      el(
        'p',
        { class: 'deal-line' },
        kindChip(speech, row.kind),
        chainBadge(speech, row.chain),
        el('strong', {}, speech.say('unitPrice', { won: speech.won(unitPrice(row)) })),
      ),
      this.terms(row, item),
    );
  }

  private terms(row: PromotionRow, item: Item | null): HTMLElement {
    const { speech, clock } = this.app;
    const pieces = piecesOf(row.kind);
    const per100 = pricePer100(row, item?.size_amount, item?.size_unit);
    const date = speech.day(row.valid_until);
    const until = speech.say(row.valid_until_inferred === true ? 'validUntilAssumed' : 'validUntil', { date });
    const prices = [
      pieces > 1 ? speech.say('tillPrice', { pieces, won: speech.won(tillPrice(row)) }) : '',
      (row.regular_price_krw ?? 0) > row.price_krw
        ? speech.say('regularPrice', { won: speech.won(row.regular_price_krw!) })
        : '',
      per100 === null ? '' : speech.say('per100', { unit: item?.size_unit ?? '', won: speech.won(per100) }),
    ];
    const priceLine = prices.filter((one) => one !== '').join(' · ');
    const line = (sign: IconName, ...parts: readonly Child[]): HTMLElement =>
      el('li', {}, icon(sign), el('span', {}, ...parts));
    return el(
      'ul',
      { class: 'terms' },
      priceLine !== '' && line('tag', priceLine),
      row.gift_name !== undefined && line('gift', this.giftText(row)),
      line('clock', `${until} · `, el('strong', {}, speech.remaining(clock.today(), row.valid_until))),
      this.storeLine(row.chain),
      row.link !== undefined && line('warning', this.say('linkGuessed')),
    );
  }

  private giftText(row: PromotionRow): string {
    const { speech } = this.app;
    const name = row.gift_name ?? '';
    if (row.gift_price_krw === undefined) return speech.say('giftOf', { name });
    return speech.say('giftWorth', { name, won: speech.won(row.gift_price_krw) });
  }

  private storeLine(chain: Chain): HTMLElement | null {
    const { speech } = this.app;
    const store = this.nearest.get(chain);
    if (store === undefined) return null;
    const words = speech.say('nearest', { name: store.name, distance: speech.distance(store.distanceM) });
    return el('li', {}, icon('pin'), el('a', { href: `#/stores/${chain}` }, words));
  }

  private status(answer: Answer): HTMLElement {
    const { speech } = this.app;
    if (answer.status === 'no-promotion') {
      const note = speech.say('noPromotionNote', { date: speech.day(koreanDay(answer.asOfMs)) });
      return message('clock', this.say('noPromotion'), note);
    }
    if (answer.status === 'unknown-product') {
      return message('find', this.say('unknownProduct'), this.say('unknownProductNote'));
    }
    const nowMs = this.app.clock.now();
    const silent = answer.chains.filter((chain) => !speaksForToday(chain, nowMs));
    const lines = silent.map((chain) => el('li', {}, this.chainState(chain)));
    const note = this.say('sourceUnavailableNote');
    return message('warning', this.say('sourceUnavailable'), note, el('ul', { class: 'plain' }, ...lines));
  }

  private chainState(status: ChainStatus): string {
    const { speech } = this.app;
    const names: Partial<Record<ChainStatus['state'], TextName>> = {
      never: 'chainStateNever',
      stale: 'chainStateStale',
      gone: 'chainStateGone',
    };
    const state = speech.say(names[status.state] ?? 'chainStateOldMonth', { month: status.month ?? '?' });
    return speech.say('sourceChain', { chain: speech.chain(status.chain), state });
  }

  /** Neither this device nor the server knows: said as that, never as "no promotion". */
  private silence(asking: boolean, code: TextName): readonly Child[] {
    if (asking) return [];
    return [message('warning', this.say('sourceUnavailable'), this.say(code))];
  }

  private expired(answer: Answer): HTMLElement | null {
    if (answer.expired.length === 0) return null;
    const { speech } = this.app;
    const lines = answer.expired.map((row) =>
      el('li', { class: 'deal-line muted' }, kindChip(speech, row.kind), chainBadge(speech, row.chain), speech.say('validUntil', { date: speech.day(row.valid_until) })),
    );
    return el('details', { class: 'more' }, el('summary', {}, this.say('expiredTitle')), el('p', { class: 'muted' }, this.say('expiredNote')), el('ul', { class: 'plain' }, ...lines));
  }

  private facts(answer: Answer): HTMLElement | null {
    if (answer.facts.length === 0) return null;
    const parts = answer.facts.flatMap((fact) => [
      el(this.part, { class: 'part' }, fact.title),
      el('dl', {}, ...fact.fields.flatMap((field) => [el('dt', {}, field.title), el('dd', {}, field.value)])),
      el('p', { class: 'muted small' }, fact.attribution),
    ]);
    return el('details', { class: 'more' }, el('summary', {}, this.say('facts')), ...parts);
  }

  private asOf(answer: Answer): HTMLElement | null {
    if (answer.asOfMs <= 0) return null;
    return el('p', { class: 'muted small' }, this.app.speech.say('asOf', { age: this.age(answer) }));
  }

  private staleNote(answer: Answer, code?: TextName): HTMLElement {
    const words = this.app.speech.say('staleNote', { age: this.age(answer) });
    return el('p', { class: 'stale' }, icon('clock'), el('span', {}, words, code === undefined ? '' : ` · ${this.say(code)}`));
  }

  private age(answer: Answer): string {
    return this.app.speech.age(this.app.clock.now() - answer.asOfMs);
  }

  private async findStores(): Promise<void> {
    const place = await this.app.places.known().catch(() => null);
    if (place === null) return;
    try {
      this.nearest = nearestOf(await this.app.stores.near(place));
    } catch {
      return; // the stores page says why
    }
    this.show(this.looked);
  }

  private async toggleFavourite(): Promise<void> {
    this.favourite = !this.favourite;
    try {
      const seen = (this.looked?.answer?.promotions ?? []).map(({ id }) => id);
      await this.app.saved.setFavourite(this.key, this.name, this.favourite, seen);
    } catch {
      this.favourite = !this.favourite;
      this.app.notices.tell(this.say('storage-full'));
    }
    this.show(this.looked);
  }

  private get part(): 'h2' | 'h3' {
    return this.options.heading === 'h1' ? 'h2' : 'h3';
  }

  private get path(): string {
    return `#/product/${pathOfKey(this.options.key)}`;
  }

  private say(name: TextName): string {
    return this.app.speech.say(name);
  }
}

function sizeOf(item: Item | null): string | undefined {
  if (item?.size_amount === undefined) return undefined;
  const unit = item.size_unit === 'count' ? '' : (item.size_unit ?? '');
  return `${item.size_amount}${unit}`;
}
