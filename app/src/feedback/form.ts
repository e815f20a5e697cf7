/** Shows the very picture that would be sent, says what goes with it, and sends it when told to. */
import type { App } from '../app.ts';
import { asTrouble } from '../data/trouble.ts';
import type { TextName } from '../texts/ko.ts';
import { el, fill } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { button, message } from '../ui/pieces.ts';
import { MOST_TEXT, wordsOfRefusal, type Offer } from './offer.ts';
import { jpegOf, smallPicture, type Source } from './picture.ts';

/** In the place of a recogniser: none answered. */
export const BY_BARCODE = 'barcode';

export interface Choice {
  readonly id: string;
  readonly name: string;
}

/** What is asked about. */
export interface Subject {
  readonly picture: Source;
  /** What the app answered; null for not known. */
  readonly answer: Choice | null;
  /** What it may be, best first. */
  readonly choices: readonly Choice[];
  /** Which recogniser answered, with its version, or `BY_BARCODE`. */
  readonly by: string;
}

/** The form; `done` is called when the person is through with it. */
export function feedbackForm(app: App, subject: Subject, offer: Offer, done: () => void): HTMLElement {
  const { speech, feedback } = app;
  const say = (name: TextName): string => speech.say(name);
  const place = el('p', { class: 'feedback-picture' });
  const chosen = el(
    'select',
    { id: 'feedback-chosen', class: 'field' },
    el('option', { value: '' }, say('feedbackUnsaid')),
    ...subject.choices.map(({ id, name }) => el('option', { value: id }, name)),
  );
  const text = el('input', { id: 'feedback-text', class: 'field', autocomplete: 'off', maxlength: MOST_TEXT });
  const trouble = el('p', { class: 'stale', role: 'alert', hidden: true });
  const sending = el('button', { class: 'button main', type: 'submit', disabled: true }, icon('share'), say('feedbackSend'));
  const fail = (name: TextName): void => {
    fill(trouble, say(name));
    trouble.hidden = false;
    trouble.scrollIntoView({ block: 'nearest' });
  };
  const picture = smallPicture(subject.picture, offer.sidePx);
  const element = el('section', { class: 'feedback' });
  const shown = picture.then((canvas) => {
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', say('feedbackPicture'));
    fill(place, canvas);
    sending.disabled = false;
  });
  shown.catch(() => fail('feedbackNoPicture'));
  const send = async (): Promise<void> => {
    sending.disabled = true;
    trouble.hidden = true;
    const { answer, by: bundle } = subject;
    const words = text.value.trim();
    try {
      const jpeg = await jpegOf(await picture, offer);
      const said = { answer: answer?.id ?? null, bundle, chosen: chosen.value || null, text: words === '' ? null : words };
      await feedback.send(jpeg, said);
      const thanks = message('gift', say('feedbackSent'), speech.say('feedbackKept', { days: offer.keepDays }), button(say('close'), done));
      thanks.setAttribute('role', 'status');
      fill(element, thanks);
    } catch (error) {
      fail(wordsOfRefusal(asTrouble(error, 'server-refused')));
      sending.disabled = false;
    }
  };
  const onsubmit = (event: Event): void => {
    event.preventDefault();
    void send();
  };
  const what = speech.say(subject.by === BY_BARCODE ? 'feedbackWhatBarcode' : 'feedbackWhat', {
    host: feedback.host,
    answer: subject.answer?.name ?? say('feedbackNotKnown'),
    days: offer.keepDays,
  });
  fill(
    element,
    el(
      'form',
      { class: 'stack', onsubmit },
      el('h2', { tabindex: -1 }, say('feedbackAsk')),
      place,
      el('p', { class: 'muted' }, what),
      subject.choices.length > 0 && labelled(chosen, say('feedbackChosen')),
      labelled(text, say('feedbackText')),
      trouble,
      el('div', { class: 'feedback-deeds' }, sending, button(say('feedbackCancel'), done, 'plain')),
    ),
  );
  return element;
}

function labelled(field: HTMLElement, words: string): HTMLElement {
  return el('div', { class: 'feedback-field' }, el('label', { for: field.id }, words), field);
}
