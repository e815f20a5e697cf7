/** Parts that several pages show. */
import type { Chain } from '../data/chains.ts';
import { unitPrice, type Kind } from '../data/deals.ts';
import type { PromotionRow } from '../data/rows.ts';
import type { Speech } from '../texts/texts.ts';
import { el, type Child } from './dom.ts';
import { icon, type IconName } from './icons.ts';

export function chainBadge(speech: Speech, chain: Chain): HTMLElement {
  return el('span', { class: `chain chain-${chain}` }, speech.chain(chain));
}

export function kindChip(speech: Speech, kind: Kind): HTMLElement {
  return el('span', { class: `kind kind-${kind.replace('+', '-')}` }, speech.kind(kind));
}

export function message(sign: IconName, title: string, note: string, ...more: readonly Child[]): HTMLElement {
  return el('div', { class: 'message' }, icon(sign, 'large'), el('h2', {}, title), el('p', {}, note), ...more);
}

export function button(words: string, onclick: () => void, kind: 'main' | 'plain' = 'main'): HTMLButtonElement {
  return el('button', { class: `button ${kind}`, type: 'button', onclick }, words);
}

export function iconButton(sign: IconName, label: string, onclick: () => void, extra = ''): HTMLButtonElement {
  const props = { class: `icon-button ${extra}`.trim(), type: 'button', 'aria-label': label, title: label, onclick };
  return el('button', props, icon(sign));
}

export function pageHead(title: string, ...more: readonly Child[]): HTMLElement {
  return el('header', { class: 'page-head' }, el('h1', { tabindex: -1 }, title), ...more);
}

/** One line of a list of products. */
export function productRow(
  speech: Speech,
  name: string,
  link: string,
  promotions: readonly PromotionRow[],
  note?: string,
  picture?: HTMLElement,
): HTMLElement {
  const best = promotions[0];
  const chains = [...new Set(promotions.map((row) => row.chain))];
  const deal =
    best === undefined
      ? el('span', { class: 'muted' }, note ?? speech.say('noOffer'))
      : el(
          'span',
          { class: 'row-deal' },
          kindChip(speech, best.kind),
          el('strong', {}, speech.say('unitPrice', { won: speech.won(unitPrice(best)) })),
        );
  const badges = el('span', { class: 'row-chains' }, ...chains.map((chain) => chainBadge(speech, chain)));
  const words = el('span', { class: 'row-words' }, el('span', { class: 'row-name' }, name), deal, badges);
  return el('li', {}, el('a', { class: 'row', href: link }, picture, words, icon('next', 'faint')));
}
