/** The switch on the settings page; there only where the server takes photos. */
import type { App } from '../app.ts';
import { el, fill } from '../ui/dom.ts';
import type { Offer } from './offer.ts';

/** `changed` is called when the switch appears, goes or is turned. */
export function feedbackBox(app: App, changed: () => void): HTMLElement {
  const { feedback } = app;
  const box = el('section', { class: 'box', hidden: true });
  const show = (offer: Offer | null): void => {
    box.hidden = offer === null;
    if (offer !== null) fillBox(box, app, offer, changed);
    changed();
  };
  show(feedback.offer);
  void feedback.look().then(show).catch(() => undefined);
  return box;
}

function fillBox(box: HTMLElement, { speech, feedback }: App, { keepDays }: Offer, changed: () => void): void {
  const input = el('input', { type: 'checkbox', role: 'switch', id: 'feedback-switch', checked: feedback.isOn, 'aria-describedby': 'feedback-why' });
  input.addEventListener('change', () => {
    feedback.wanted = input.checked;
    changed();
  });
  fill(
    box,
    el('h2', {}, speech.say('feedbackTitle')),
    el('label', { class: 'switch', for: 'feedback-switch' }, el('span', {}, speech.say('feedbackSwitch')), input),
    el('p', { id: 'feedback-why', class: 'muted' }, speech.say('feedbackWhy', { host: feedback.host, days: keepDays })),
  );
}
