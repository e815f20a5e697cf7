/** One product by its address, from a list, a favourite or a shared link. */
import type { App } from '../app.ts';
import { keyOfPath } from '../keys.ts';
import type { Page } from '../router.ts';
import { AnswerCard } from '../ui/answer_card.ts';
import { el } from '../ui/dom.ts';
import { iconButton, message } from '../ui/pieces.ts';

export function productPage(app: App, argument: string): Page {
  const { speech } = app;
  const key = keyOfPath(argument);
  const back = iconButton('back', speech.say('back'), () => history.back());
  if (key === null) {
    const lost = message('find', speech.say('notFoundPage'), '');
    return { title: speech.say('notFoundPage'), element: el('div', { class: 'page' }, back, lost) };
  }
  const card = new AnswerCard(app, { key, heading: 'h1', ...nameFromLabels(app, key.label, key.barcodes?.[0]) });
  void card.load();
  const element = el('div', { class: 'page narrow' }, el('div', { class: 'page-bar' }, back), card.element);
  return { title: speech.say('browseTitle'), element, leave: () => card.end() };
}

/** The recogniser's name of a product is the cleaner one, where it knows the product. */
function nameFromLabels(app: App, label?: string, barcode?: string): { name?: string } {
  const { state } = app.lens;
  if (state.kind !== 'ready') return {};
  const found = state.opened.labels.find(
    (one) => one.label === label || (barcode !== undefined && one.barcodes.includes(barcode)),
  );
  const name = app.speech.language === 'ko' ? found?.name_ko : found?.name_en;
  return name === undefined || name === '' ? {} : { name };
}
