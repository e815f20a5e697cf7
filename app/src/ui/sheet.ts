/** A sheet over the camera: low at first, whole when it is pulled up; Escape closes it. */
import { el, fill, type Child } from './dom.ts';
import { icon } from './icons.ts';

export interface SheetEvents {
  closed(): void;
  /** Whole or low. */
  raised(whole: boolean): void;
}

export class Sheet {
  private readonly content = el('div', { class: 'sheet-content' });
  private readonly handle: HTMLButtonElement;
  readonly element: HTMLElement;
  private whole = false;

  constructor(
    words: { readonly label: string; readonly close: string; readonly more: string },
    private readonly events: SheetEvents,
  ) {
    this.handle = el('button', { class: 'sheet-handle', type: 'button', onclick: () => this.raise(!this.whole) }, el('span', {}, words.more));
    const close = el(
      'button',
      { class: 'icon-button sheet-close', type: 'button', 'aria-label': words.close, onclick: () => this.close() },
      icon('close'),
    );
    this.element = el('section', { class: 'sheet', 'aria-label': words.label, hidden: true }, this.handle, close, this.content);
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
    this.content.addEventListener('scroll', () => {
      if (this.content.scrollTop > 8) this.raise(true);
    });
    this.raise(false);
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  open(whole: boolean, ...children: readonly Child[]): void {
    fill(this.content, ...children);
    this.content.scrollTop = 0;
    this.element.hidden = false;
    this.raise(whole);
  }

  close(): void {
    if (!this.isOpen) return;
    this.element.hidden = true;
    fill(this.content);
    this.events.closed();
  }

  private raise(whole: boolean): void {
    this.element.classList.toggle('whole', whole);
    this.handle.setAttribute('aria-expanded', String(whole));
    if (this.whole === whole) return;
    this.whole = whole;
    if (this.isOpen) this.events.raised(whole);
  }
}
