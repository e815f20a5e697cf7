/** The nearest stores: a list and a map. */
import type { App } from '../app.ts';
import { CHAINS, isChain, type Chain } from '../data/chains.ts';
import type { Position } from '../data/distance.ts';
import type { Nearby, NearStore } from '../data/stores.ts';
import { asTrouble } from '../data/trouble.ts';
import type { MapView } from '../map/map_view.ts';
import type { Page } from '../router.ts';
import { mapLink } from '../ui/map_link.ts';
import { el, fill } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { button, chainBadge, iconButton, message, pageHead } from '../ui/pieces.ts';
import { wordsOfTrouble } from '../ui/words.ts';

const SHOWN = 30;

export function storesPage(app: App, argument: string): Page {
  const page = new StoresPage(app, isChain(argument) ? argument : null);
  return { title: app.speech.say('storesTitle'), element: page.element, leave: () => page.leave() };
}

class StoresPage {
  readonly element: HTMLElement;
  private readonly chains = new Set<Chain>();
  private readonly mapPlace = el('div', { class: 'map' });
  private readonly status = el('div', { role: 'status', 'aria-live': 'polite' });
  private readonly list = el('ul', { class: 'rows stores' });
  private map: MapView | null = null;
  private nearby: Nearby | null = null;
  private left = false;
  /** Somebody asked for a place before the page got to it. */
  private begun = false;

  constructor(
    private readonly app: App,
    chain: Chain | null,
  ) {
    const { speech } = app;
    if (chain !== null) this.chains.add(chain);
    const here = iconButton('target', speech.say('positionUse'), () => void this.locate());
    this.element = el(
      'div',
      { class: 'page stores-page' },
      pageHead(speech.say('storesTitle'), here),
      this.filters(),
      el('div', { class: 'stores-split' }, this.mapPlace, el('div', { class: 'stores-list' }, this.status, this.list)),
    );
    void this.begin();
  }

  leave(): void {
    this.left = true;
    this.map?.close();
  }

  private filters(): HTMLElement {
    const { speech } = this.app;
    const kept = CHAINS.filter((chain) => chain !== 'ministop');
    const chips = kept.map((chain) => {
      const pressed = String(this.chains.has(chain));
      const chip = el('button', { class: 'chip', type: 'button', 'aria-pressed': pressed }, speech.chain(chain));
      chip.addEventListener('click', () => {
        if (!this.chains.delete(chain)) this.chains.add(chain);
        chip.setAttribute('aria-pressed', String(this.chains.has(chain)));
        this.draw();
      });
      return chip;
    });
    return el('div', { class: 'chips', role: 'group', 'aria-label': speech.say('filterChains') }, ...chips);
  }

  private async begin(): Promise<void> {
    await this.openMap();
    const place = await this.app.places.known();
    if (this.left || this.begun) return;
    if (place !== null) await this.find(place);
    else this.explain();
  }

  private async openMap(): Promise<void> {
    try {
      const { openMap } = await import('../map/map_view.ts');
      if (this.left) return;
      const { speech, config } = this.app;
      this.map = await openMap(this.mapPlace, config, speech, {
        picked: (position) => void this.find(this.app.places.pick(position)),
        chosen: (id) => this.highlight(id),
        tilesMissing: () => this.app.notices.tell(speech.say('mapMissing')),
      });
    } catch (error) {
      // The list is worth showing without its map.
      console.warn(error);
      this.mapPlace.hidden = true;
    }
  }

  private explain(): void {
    const { speech } = this.app;
    const use = button(speech.say('positionUse'), () => void this.locate());
    fill(this.status, message('pin', speech.say('positionWhyTitle'), speech.say('positionWhy'), use, el('p', { class: 'muted' }, speech.say('positionMap'))));
  }

  private async locate(): Promise<void> {
    const { speech } = this.app;
    this.begun = true;
    fill(this.status, el('p', { class: 'muted' }, speech.say('refreshing')));
    try {
      await this.find(await this.app.places.locate());
    } catch (error) {
      const words = speech.say(wordsOfTrouble(asTrouble(error, 'position-unavailable')));
      fill(this.status, message('warning', words, ''));
    }
  }

  private async find(place: Position): Promise<void> {
    const { speech } = this.app;
    this.begun = true;
    this.map?.goTo(place);
    fill(this.status, el('p', { class: 'muted' }, speech.say('refreshing')));
    try {
      const nearby = await this.app.stores.near(place);
      if (this.left) return;
      this.nearby = nearby;
      this.draw();
    } catch (error) {
      const words = speech.say(wordsOfTrouble(asTrouble(error, 'offline')));
      const again = button(speech.say('retry'), () => void this.find(place));
      fill(this.list);
      fill(this.status, message('warning', words, '', again));
    }
  }

  private draw(): void {
    const { nearby } = this;
    if (nearby === null) return;
    const { speech, clock } = this.app;
    const wanted = nearby.stores.filter(
      (store) => this.chains.size === 0 || (store.chain !== null && this.chains.has(store.chain)),
    );
    const age = speech.age(clock.now() - nearby.asOfMs);
    const old = nearby.stale || nearby.trouble !== null;
    const trouble = nearby.trouble === null ? '' : ` · ${speech.say(wordsOfTrouble(nearby.trouble))}`;
    const source = this.app.places.current?.source === 'picked' ? 'positionPicked' : 'positionHere';
    fill(
      this.status,
      el('p', { class: 'muted' }, `${speech.say(source)} · ${speech.say('storesCount', { count: wanted.length })}`),
      old && el('p', { class: 'stale' }, icon('clock'), el('span', {}, speech.say('storesStale', { age }) + trouble)),
      wanted.length === 0 && message('store', speech.say('storesNone'), ''),
    );
    const rows = wanted.slice(0, SHOWN).map((store) => this.row(store));
    fill(this.list, ...rows, el('li', { class: 'muted small' }, nearby.attribution));
    this.map?.show(wanted, nearby.attribution);
  }

  private row(store: NearStore): HTMLElement {
    const { speech } = this.app;
    const go = (): void => {
      this.map?.select(store.id);
      this.highlight(store.id);
    };
    return el(
      'li',
      { class: 'store', id: `store-${store.id}` },
      el(
        'button',
        { class: 'row', type: 'button', onclick: go },
        el(
          'span',
          { class: 'row-words' },
          el('span', { class: 'row-name' }, store.name),
          el('span', { class: 'row-deal' }, store.chain && chainBadge(speech, store.chain), el('strong', {}, speech.distance(store.distanceM))),
          store.address !== undefined && el('span', { class: 'muted small' }, store.address),
        ),
      ),
      el('a', { class: 'icon-button', ...mapLink(store, this.app.config.webMap), 'aria-label': `${speech.say('openInMaps')}: ${store.name}` }, icon('pin')),
    );
  }

  private highlight(id: string): void {
    for (const row of this.list.children) row.classList.toggle('chosen', row.id === `store-${id}`);
    this.list.querySelector('.chosen')?.scrollIntoView({ block: 'nearest' });
  }
}
