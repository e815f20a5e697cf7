/** Handing things to other apps, where the phone offers that; else to the clipboard. */
import type { App } from '../app.ts';
import { unitPrice } from '../data/deals.ts';
import type { PromotionRow } from '../data/rows.ts';

export async function shareDeal(app: App, name: string, deal: PromotionRow, path: string): Promise<void> {
  const { speech } = app;
  const words = speech.say('shareText', {
    name,
    chain: speech.chain(deal.chain),
    kind: speech.kind(deal.kind),
    won: speech.won(unitPrice(deal)),
  });
  await share(app, { title: name, text: words, url: new URL(path, location.href).href });
}

export async function share(app: App, data: { title: string; text: string; url?: string }): Promise<void> {
  try {
    if (navigator.share !== undefined) {
      await navigator.share(data);
      return;
    }
    await navigator.clipboard.writeText([data.text, data.url].filter(Boolean).join('\n'));
    app.notices.tell(app.speech.say('shared'));
  } catch (error) {
    // Who closes the phone's sheet changed their mind.
    if (error instanceof DOMException && error.name === 'AbortError') return;
    app.notices.tell(app.speech.say('shareFailed'));
  }
}
