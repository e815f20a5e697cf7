/** Short notes at the edge of the page, read out by screen readers. */
import { el, fill } from './dom.ts';
import { icon } from './icons.ts';

const SHOWN_MS = 6_000;

export interface NoticeAction {
  readonly label: string;
  run(): void;
}

export class Notices {
  readonly element = el('div', { class: 'notices', role: 'status', 'aria-live': 'polite' });
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Show one note in place of the last; with an action it stays until it is used or closed. Returns what
   * takes this one away, where it is still there.
   */
  tell(words: string, action?: NoticeAction): () => void {
    clearTimeout(this.timer);
    const hide = (): void => fill(this.element);
    const act =
      action &&
      el('button', { class: 'notice-act', type: 'button', onclick: () => (hide(), action.run()) }, action.label);
    const close = el('button', { class: 'icon-button small', type: 'button', 'aria-label': '×', onclick: hide }, icon('close'));
    const note = el('div', { class: 'notice' }, el('span', {}, words), act, close);
    fill(this.element, note);
    if (action === undefined) this.timer = setTimeout(hide, SHOWN_MS);
    return () => note.remove();
  }
}
