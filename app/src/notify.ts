/** Telling who likes a product that it is on promotion, as far as the browser allows. */
import type { Lookup } from './data/lookup.ts';
import { unitPrice } from './data/deals.ts';
import type { Favourite, Saved } from './data/saved.ts';
import type { PromotionRow } from './data/rows.ts';
import type { Speech } from './texts/texts.ts';
import { pathOfKey } from './keys.ts';

export const SYNC_TAG = 'promotions';
const EVERY_MS = 12 * 3_600_000;

export interface News {
  readonly favourite: Favourite;
  readonly best: PromotionRow;
  readonly promotions: readonly number[];
}

/** Favourites with a promotion that this person was not told of. */
export async function newsOf(saved: Saved, lookup: Lookup): Promise<readonly News[]> {
  const news: News[] = [];
  for (const favourite of await saved.favourites()) {
    const { answer } = await lookup.here(favourite.key);
    const best = answer?.promotions[0];
    if (answer === null || best === undefined) continue;
    const promotions = answer.promotions.map((row) => row.id);
    if (promotions.some((id) => !favourite.toldOf.includes(id))) news.push({ favourite, best, promotions });
  }
  return news;
}

export async function notify(
  registration: ServiceWorkerRegistration,
  speech: Speech,
  saved: Saved,
  news: readonly News[],
): Promise<void> {
  for (const { favourite, best, promotions } of news) {
    const body = speech.say('notification', {
      chain: speech.chain(best.chain),
      kind: speech.kind(best.kind),
      won: speech.won(unitPrice(best)),
    });
    await registration.showNotification(favourite.name, {
      body,
      tag: favourite.id,
      icon: 'icons/icon-192.png',
      lang: speech.language,
      data: { hash: `#/product/${pathOfKey(favourite.key)}` },
    });
    await saved.told(favourite, promotions);
  }
}

interface PeriodicSync {
  register(tag: string, options: { minInterval: number }): Promise<void>;
  unregister(tag: string): Promise<void>;
}

/** Ask the browser to look now and then while the app is closed; false where it does not offer that. */
export async function watchInBackground(on: boolean): Promise<boolean> {
  try {
    const registration = await navigator.serviceWorker.ready;
    const { periodicSync } = registration as { periodicSync?: PeriodicSync };
    if (periodicSync === undefined) return false;
    if (on) await periodicSync.register(SYNC_TAG, { minInterval: EVERY_MS });
    else await periodicSync.unregister(SYNC_TAG);
    return true;
  } catch {
    return false;
  }
}
