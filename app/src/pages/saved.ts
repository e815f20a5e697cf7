/** Favourites and what was scanned; both only on this device. */
import type { App } from '../app.ts';
import type { ProductKey } from '../data/lookup.ts';
import type { PromotionRow } from '../data/rows.ts';
import { pathOfKey } from '../keys.ts';
import { watchInBackground } from '../notify.ts';
import type { Page } from '../router.ts';
import { el, fill } from '../ui/dom.ts';
import { productPicture } from '../ui/product_picture.ts';
import { button, message, pageHead, productRow } from '../ui/pieces.ts';

export function savedPage(app: App): Page {
  const { speech } = app;
  const favourites = el('section', { class: 'stack' });
  const scans = el('section', { class: 'stack' });
  const element = el('div', { class: 'page' }, pageHead(speech.say('savedTitle')), favourites, scans);
  let left = false;
  const show = async (): Promise<void> => {
    const [first, second] = [await favouritesOf(app), await scansOf(app, () => void show())];
    if (left) return;
    fill(favourites, ...first);
    fill(scans, ...second);
  };
  const end = app.synced.on(() => void show());
  void show().catch(() => fill(favourites, message('warning', speech.say('storage-unavailable'), '')));
  return {
    title: speech.say('savedTitle'),
    element,
    leave: () => {
      left = true;
      end();
    },
  };
}

async function favouritesOf(app: App): Promise<readonly HTMLElement[]> {
  const { speech, saved } = app;
  const kept = await saved.favourites();
  const head = el('h2', {}, speech.say('favourites'));
  if (kept.length === 0) return [head, message('star', '', speech.say('favouritesEmpty'))];
  const rows = await Promise.all(kept.map(({ key, name }) => rowOf(app, key, name)));
  return [head, el('ul', { class: 'rows' }, ...rows), notifyBox(app)];
}

async function scansOf(app: App, changed: () => void): Promise<readonly HTMLElement[]> {
  const { speech, saved, notices } = app;
  const kept = await saved.scans();
  const head = el('h2', {}, speech.say('scans'));
  if (kept.length === 0) return [head, message('scan', '', speech.say('scansEmpty'))];
  const rows = await Promise.all(kept.map(({ key, name }) => rowOf(app, key, name)));
  const clear = button(
    speech.say('scansClear'),
    () => {
      void saved.clearScans().then(() => {
        notices.tell(speech.say('scansCleared'));
        changed();
      });
    },
    'plain',
  );
  return [head, el('ul', { class: 'rows' }, ...rows), clear];
}

async function rowOf(app: App, key: ProductKey, name: string): Promise<HTMLElement> {
  const { answer } = await app.lookup.here(key);
  const promotions: readonly PromotionRow[] = answer?.promotions ?? [];
  // Nothing known is not the same as no promotion.
  const note = answer?.status === 'no-promotion' ? app.speech.say('noPromotion') : '';
  return productRow(app.speech, name, `#/product/${pathOfKey(key)}`, promotions, note, productPicture(app, name, key.barcodes?.[0]));
}

function notifyBox(app: App): HTMLElement {
  const { speech, settings, notices } = app;
  const box = el('section', { class: 'box' });
  const show = (): void => {
    const on = settings.get('notify') === 'on' && 'Notification' in window && Notification.permission === 'granted';
    const change = async (): Promise<void> => {
      if (on) settings.set('notify', 'off');
      else if ((await Notification.requestPermission()) !== 'granted') {
        notices.tell(speech.say('notifyRefused'));
        return;
      } else settings.set('notify', 'on');
      const background = await watchInBackground(!on);
      if (!on) notices.tell(speech.say(background ? 'notifyBackground' : 'notifyPage'));
      show();
    };
    const act = button(speech.say(on ? 'notifyOff' : 'notifyOn'), () => void change(), 'plain');
    fill(box, el('h3', {}, speech.say('notifyTitle')), el('p', {}, speech.say('notifyWhy')), act);
  };
  if ('Notification' in window) show();
  else box.hidden = true;
  return box;
}
