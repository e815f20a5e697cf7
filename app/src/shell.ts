/** The frame around the pages: navigation, notices, and which page is shown. */
import type { App } from './app.ts';
import { browsePage } from './pages/browse.ts';
import { productPage } from './pages/product.ts';
import { reportPage } from './pages/report.ts';
import { savedPage } from './pages/saved.ts';
import { scanPage } from './pages/scan.ts';
import { settingsPage } from './pages/settings.ts';
import { storesPage } from './pages/stores.ts';
import { readRoute, type Page, type Route } from './router.ts';
import type { TextName } from './texts/ko.ts';
import { el, fill } from './ui/dom.ts';
import { icon, type IconName } from './ui/icons.ts';
import { message } from './ui/pieces.ts';

const TABS: readonly (readonly [string, TextName, IconName])[] = [
  ['scan', 'navScan', 'scan'],
  ['browse', 'navBrowse', 'find'],
  ['stores', 'navStores', 'store'],
  ['saved', 'navSaved', 'star'],
  ['settings', 'settings', 'gear'],
];

export class Shell {
  private readonly main = el('main', { id: 'main' });
  private page: Page | null = null;
  private first = true;

  constructor(
    private readonly app: App,
    private readonly place: HTMLElement,
  ) {}

  start(): void {
    window.addEventListener('hashchange', () => this.open());
    window.addEventListener('offline', () => this.app.notices.tell(this.app.speech.say('offlineBanner')));
    this.build();
  }

  private build(): void {
    const { app } = this;
    app.restyle();
    const { speech, settings } = app;
    document.documentElement.lang = speech.language;
    document.documentElement.dataset['theme'] = settings.theme;
    const skip = el('a', { class: 'skip', href: '#main' }, speech.say('skipToContent'));
    skip.addEventListener('click', (event) => {
      event.preventDefault();
      this.focusTitle();
    });
    const tabs = TABS.map(([name, words, sign]) =>
      el('a', { href: `#/${name}`, class: 'tab', 'data-tab': name }, icon(sign), el('span', {}, speech.say(words))),
    );
    const nav = el('nav', { class: 'tabs', 'aria-label': speech.say('appName') }, ...tabs);
    fill(this.place, skip, this.main, app.notices.element, nav);
    this.open();
  }

  private open(): void {
    const route = readRoute(location.hash);
    this.page?.leave?.();
    this.page = this.made(route);
    fill(this.main, this.page.element);
    document.title = `${this.page.title} · ${this.app.speech.say('appName')}`;
    document.body.dataset['page'] = route.name;
    for (const tab of this.place.querySelectorAll<HTMLElement>('.tab')) {
      if (tab.dataset['tab'] === route.name) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
    scrollTo(0, 0);
    // Who cannot see the page is told where they are now; nobody is moved at the start.
    if (!this.first) this.focusTitle();
    this.first = false;
  }

  private made({ name, argument }: Route): Page {
    const { app } = this;
    try {
      if (name === 'scan') return scanPage(app);
      if (name === 'browse') return browsePage(app);
      if (name === 'stores') return storesPage(app, argument);
      if (name === 'saved') return savedPage(app);
      if (name === 'settings') return settingsPage(app, () => this.build());
      if (name === 'report') return reportPage(app);
      if (name === 'product') return productPage(app, argument);
    } catch (error) {
      console.error(error);
      return this.empty('failedPage');
    }
    return this.empty('notFoundPage');
  }

  private empty(words: TextName): Page {
    const title = this.app.speech.say(words);
    return { title, element: el('div', { class: 'page' }, message('warning', title, '')) };
  }

  private focusTitle(): void {
    const title = this.main.querySelector<HTMLElement>('h1[tabindex], h2[tabindex]') ?? this.main;
    if (title === this.main) title.tabIndex = -1;
    title.focus({ preventScroll: true });
  }
}
