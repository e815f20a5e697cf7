/** A product's picture, or a tile with its first letter where there is none. */
import type { App } from '../app.ts';
import { el, fill } from './dom.ts';

const TINTS = 6;

/** Beside its name it says nothing new, and so nothing to a screen reader. */
export function productPicture(app: App, name: string, barcode: string | undefined, large = false): HTMLElement {
  const look = `picture tint-${tintOf(name)}${large ? ' large' : ''}`;
  // Drawn by the style sheet: a sign, and no part of the page's words.
  const place = el('span', { class: look, 'data-letter': letterOf(name), 'aria-hidden': 'true' });
  void app.pictures.of(barcode).then((blob) => (blob === null ? undefined : show(place, blob)));
  return place;
}

function show(place: HTMLElement, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const image = el('img', { src: url, alt: '', decoding: 'async', draggable: 'false' });
  image.addEventListener('load', () => {
    URL.revokeObjectURL(url);
    place.classList.add('filled');
    fill(place, image);
  });
  image.addEventListener('error', () => URL.revokeObjectURL(url));
}

/** Behind the maker that lists write in front: `너른들)컵면` is told by 컵. */
function letterOf(name: string): string {
  const own = name.slice(name.indexOf(')') + 1).replace(/[^\p{L}\p{N}]/gu, '');
  return [...(own === '' ? name : own)][0] ?? '';
}

function tintOf(name: string): number {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum % TINTS;
}
