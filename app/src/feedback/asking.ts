/** The button beside an answer: there only where it was switched on, and without a network it says so. */
import type { App } from '../app.ts';
import { el, fill } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';

/** A button that follows the network until `end`. */
export class AskingButton {
  readonly element: HTMLButtonElement;
  private readonly ending = new AbortController();

  constructor(
    private readonly app: App,
    press: () => void,
  ) {
    this.element = el('button', { class: 'button plain feedback-button', type: 'button', onclick: press });
    const { signal } = this.ending;
    for (const name of ['online', 'offline']) window.addEventListener(name, () => this.show(), { signal });
    this.show();
  }

  end(): void {
    this.ending.abort();
  }

  private show(): void {
    const { onLine } = navigator;
    this.element.disabled = !onLine;
    fill(this.element, icon('share'), this.app.speech.say(onLine ? 'feedbackButton' : 'feedbackOffline'));
  }
}
