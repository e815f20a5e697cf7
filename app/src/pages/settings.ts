/** Language, appearance, data, recogniser, privacy. */
import type { App } from '../app.ts';
import { asProblem } from '../bundle/problem.ts';
import { Trouble } from '../data/trouble.ts';
import { feedbackBox } from '../feedback/switch.ts';
import type { Page } from '../router.ts';
import { THEMES } from '../settings.ts';
import type { TextName } from '../texts/ko.ts';
import { LANGUAGES } from '../texts/texts.ts';
import { el, fill } from '../ui/dom.ts';
import { button, iconButton, pageHead } from '../ui/pieces.ts';
import { wordsOfGalleryProblem, wordsOfProblem, wordsOfTrouble } from '../ui/words.ts';

const LANGUAGE_NAMES = { ko: '한국어', en: 'English' } as const;

/** What Chrome keeps until the person wants to install. */
interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

let installPrompt: InstallPrompt | null = null;

/** Keep the browser's offer to install for the button on this page. */
export function keepInstallPrompt(): void {
  window.addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    installPrompt = event as InstallPrompt;
  });
}

export function settingsPage(app: App, rebuild: () => void): Page {
  const { speech, settings, appVersion } = app;
  const back = iconButton('back', speech.say('back'), () => history.back());
  const model = modelBox(app);
  const privacy = el('p', {});
  const tellPrivacy = (): void => {
    privacy.textContent = speech.say(app.feedback.isOn ? 'privacySending' : 'privacy');
  };
  const element = el(
    'div',
    { class: 'page narrow' },
    el('div', { class: 'page-bar' }, back),
    pageHead(speech.say('settingsTitle')),
    choice(speech.say('language'), ['auto', ...LANGUAGES], settings.get('language') ?? 'auto',
      (one) => (one === 'auto' ? speech.say('languageAuto') : LANGUAGE_NAMES[one as 'ko' | 'en']),
      (one) => (settings.set('language', one), rebuild())),
    choice(speech.say('theme'), THEMES, settings.theme,
      (one) => speech.say(THEME_TEXTS[one as keyof typeof THEME_TEXTS]),
      (one) => (settings.set('theme', one), rebuild())),
    dataBox(app),
    model.element,
    installBox(app),
    feedbackBox(app, tellPrivacy),
    el('section', { class: 'box' }, el('h2', {}, speech.say('privacyTitle')), privacy),
    el(
      'p',
      { class: 'muted small' },
      speech.say('version', { version: appVersion }),
      ' · ',
      el('a', { href: 'licences.txt' }, speech.say('licences')),
    ),
  );
  return { title: speech.say('settingsTitle'), element, leave: model.end };
}

const THEME_TEXTS = { auto: 'themeAuto', light: 'themeLight', dark: 'themeDark' } as const satisfies Record<
  (typeof THEMES)[number],
  TextName
>;

function choice(
  label: string,
  all: readonly string[],
  chosen: string,
  name: (one: string) => string,
  choose: (one: string) => void,
): HTMLElement {
  const options = all.map((one) => el('option', { value: one, selected: one === chosen }, name(one)));
  const select = el('select', { class: 'field' }, ...options);
  select.addEventListener('change', () => choose(select.value));
  return el('label', { class: 'box choice' }, el('span', {}, label), select);
}

function dataBox(app: App): HTMLElement {
  const { speech, clock, notices } = app;
  const age = el('p', {});
  const show = async (): Promise<void> => {
    const { since, syncedAtMs } = await app.sync.state();
    age.textContent =
      since === null
        ? speech.say('dataNever')
        : speech.say('dataAge', { age: speech.age(clock.now() - syncedAtMs) });
  };
  const check = async (): Promise<void> => {
    const outcome = await app.refresh();
    const words = outcome instanceof Trouble ? wordsOfTrouble(outcome) : 'dataDone';
    notices.tell(speech.say(words));
    await show();
  };
  void show().catch(() => undefined);
  const act = button(speech.say('dataRefresh'), () => void check(), 'plain');
  return el('section', { class: 'box' }, el('h2', {}, speech.say('dataTitle')), age, act);
}

function modelBox(app: App): { element: HTMLElement; end: () => void } {
  const { speech, lens, notices, clock } = app;
  const words = el('p', {});
  const more = el('p', { class: 'muted small' });
  const show = (): void => {
    const { state } = lens;
    more.textContent = galleryWords(app);
    words.textContent =
      state.kind === 'ready'
        ? speech.say('modelVersion', { id: state.opened.bundleId, version: state.opened.version, count: state.opened.labels.length })
        : state.kind === 'failed'
          ? speech.say(wordsOfProblem(state.problem))
          : speech.say('modelNone');
  };
  const update = async (): Promise<void> => {
    try {
      const outcome = await lens.update(true, clock.now());
      const version = lens.state.kind === 'ready' ? lens.state.opened.version : 0;
      notices.tell(speech.say(outcome === 'installed' ? 'modelUpdated' : 'modelCurrent', { version }));
    } catch (error) {
      notices.tell(speech.say(wordsOfProblem(asProblem(error))));
    }
    await lens.updateGallery().catch(() => undefined);
    show();
  };
  show();
  const element = el(
    'section',
    { class: 'box' },
    el('h2', {}, speech.say('modelTitle')),
    words,
    more,
    button(speech.say('modelUpdate'), () => void update(), 'plain'),
    el('a', { class: 'button plain', href: '#/report' }, speech.say('reportLink')),
  );
  return { element, end: lens.changes.on(show) };
}

/** How many new products are known beside the recogniser's own, or why they are not. */
function galleryWords({ speech, lens }: App): string {
  const { state, galleryProblem, galleryWaits } = lens;
  if (state.kind !== 'ready') return '';
  const { gallery, galleryProblem: kept } = state.opened;
  const known =
    gallery === null
      ? []
      : [speech.say('galleryVersion', { count: gallery.products.length, version: gallery.version })];
  const problem = galleryProblem ?? kept;
  const wrong = problem === null ? [] : [speech.say(wordsOfGalleryProblem(problem))];
  const waits = galleryWaits ? [speech.say('galleryWaiting')] : [];
  return [...known, ...wrong, ...waits].join('. ');
}

function installBox(app: App): HTMLElement | null {
  if (installPrompt === null) return null;
  const box = el('section', { class: 'box' });
  const install = (): void => {
    void installPrompt?.prompt();
    installPrompt = null;
    box.hidden = true;
  };
  fill(box, button(app.speech.say('install'), install));
  return box;
}
