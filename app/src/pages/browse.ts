/** All promotions without a camera: by name, chain and kind. */
import type { App } from '../app.ts';
import { readBarcode } from '../data/barcode_text.ts';
import type { Listed } from '../data/catalogue.ts';
import { CHAINS, type Chain } from '../data/chains.ts';
import { KINDS, type Kind } from '../data/deals.ts';
import { COPY_FRESH_MS } from '../data/lookup.ts';
import { asTrouble, Trouble } from '../data/trouble.ts';
import { pathOfKey } from '../keys.ts';
import type { Page } from '../router.ts';
import { el, fill } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { productPicture } from '../ui/product_picture.ts';
import { button, message, pageHead, productRow } from '../ui/pieces.ts';
import { wordsOfTrouble } from '../ui/words.ts';

const SHOWN_AT_ONCE = 40;
const TYPING_MS = 200;

export function browsePage(app: App): Page {
  const page = new BrowsePage(app);
  return { title: app.speech.say('browseTitle'), element: page.element, leave: () => page.leave() };
}

class BrowsePage {
  readonly element: HTMLElement;
  private readonly chains = new Set<Chain>();
  private readonly kinds = new Set<Kind>();
  private readonly input: HTMLInputElement;
  private readonly count = el('p', { class: 'muted', role: 'status', 'aria-live': 'polite' });
  private readonly age = el('div', { class: 'age' });
  private readonly results = el('div');
  private readonly endings: (() => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;

  constructor(private readonly app: App) {
    const { speech } = app;
    this.input = el('input', {
      type: 'search',
      id: 'search',
      class: 'field',
      placeholder: speech.say('searchPlaceholder'),
      autocomplete: 'off',
      enterkeyhint: 'search',
      maxlength: 100,
    });
    this.input.addEventListener('input', () => this.later());
    const form = el(
      'form',
      { class: 'search', role: 'search', onsubmit: (event) => (event.preventDefault(), this.submitted()) },
      el('label', { for: 'search', class: 'visually-hidden' }, speech.say('searchLabel')),
      this.input,
    );
    const kept = CHAINS.filter((chain) => chain !== 'ministop');
    this.element = el(
      'div',
      { class: 'page' },
      pageHead(speech.say('browseTitle')),
      form,
      this.filters(speech.say('filterChains'), kept, this.chains, (chain) => speech.chain(chain)),
      this.filters(speech.say('filterKinds'), KINDS, this.kinds, (kind) => speech.kind(kind)),
      this.count,
      this.age,
      this.results,
    );
    this.endings.push(app.synced.on((outcome) => void this.synced(outcome)));
    void this.show();
  }

  leave(): void {
    clearTimeout(this.timer);
    this.asked = -1;
    for (const end of this.endings) end();
  }

  private filters<T extends string>(
    label: string,
    all: readonly T[],
    chosen: Set<T>,
    name: (one: T) => string,
  ): HTMLElement {
    const chips = all.map((one) => {
      const chip = el('button', { class: 'chip', type: 'button', 'aria-pressed': 'false' }, name(one));
      chip.addEventListener('click', () => {
        if (!chosen.delete(one)) chosen.add(one);
        chip.setAttribute('aria-pressed', String(chosen.has(one)));
        void this.show();
      });
      return chip;
    });
    return el('div', { class: 'chips', role: 'group', 'aria-label': label }, ...chips);
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.show(), TYPING_MS);
  }

  private submitted(): void {
    if (!this.openBarcode()) void this.show();
  }

  private openBarcode(): boolean {
    const barcode = readBarcode(this.input.value);
    if (barcode !== null) location.hash = `#/product/${pathOfKey({ barcodes: [barcode] })}`;
    return barcode !== null;
  }

  private async synced(outcome: unknown): Promise<void> {
    if (outcome instanceof Trouble || this.results.childElementCount === 0) await this.show();
    else if ((outcome as { outcome: string }).outcome !== 'unchanged') await this.show();
  }

  private async show(): Promise<void> {
    const query = this.input.value;
    // The first digits of a long barcode may be a short one.
    if (/^\d{13}$/.test(query.trim()) && this.openBarcode()) return;
    this.asked += 1;
    const asked = this.asked;
    try {
      const listed = await this.app.catalogue.list({ query, chains: this.chains, kinds: this.kinds });
      if (this.asked !== asked) return;
      if (listed.length === 0) await this.showNothing();
      else this.showRows(listed, SHOWN_AT_ONCE);
    } catch (error) {
      const words = this.app.speech.say(wordsOfTrouble(asTrouble(error, 'storage-unavailable')));
      if (this.asked === asked) fill(this.results, message('warning', words, ''));
    }
  }

  private showRows(listed: readonly Listed[], shown: number): void {
    const { speech } = this.app;
    void this.showAge().catch(() => undefined);
    this.count.textContent = speech.say('found', { count: listed.length });
    const rows = listed.slice(0, shown).map(({ item, promotions }) =>
      productRow(
        speech,
        item.name,
        `#/product/${pathOfKey({ itemId: item.id })}`,
        promotions,
        undefined,
        productPicture(this.app, item.name, item.barcodes[0]),
      ),
    );
    const more = button(speech.say('more'), () => this.showRows(listed, shown + SHOWN_AT_ONCE), 'plain');
    fill(this.results, el('ul', { class: 'rows' }, ...rows), listed.length > shown && more);
  }

  /** A list that is not of today says how old it is. */
  private async showAge(): Promise<void> {
    const { speech, sync, clock } = this.app;
    const { syncedAtMs } = await sync.state();
    const ageMs = clock.now() - syncedAtMs;
    const words = speech.say('staleNote', { age: speech.age(ageMs) });
    const old = ageMs > COPY_FRESH_MS && this.results.childElementCount > 0;
    fill(this.age, old && el('p', { class: 'stale' }, icon('clock'), el('span', {}, words)));
  }

  private async showNothing(): Promise<void> {
    const { speech } = this.app;
    fill(this.age);
    this.count.textContent = '';
    if (!(await this.app.catalogue.isEmpty())) {
      fill(this.results, message('find', speech.say('foundNothing'), speech.say('foundNothingNote')));
      return;
    }
    const again = button(speech.say('retry'), () => void this.fetchAgain());
    fill(this.results, message('clock', speech.say('emptyCatalogue'), '', again));
  }

  private async fetchAgain(): Promise<void> {
    fill(this.results, el('p', { class: 'muted' }, this.app.speech.say('refreshing')));
    const outcome = await this.app.refresh();
    if (outcome instanceof Trouble) this.app.notices.tell(this.app.speech.say(wordsOfTrouble(outcome)));
  }
}
