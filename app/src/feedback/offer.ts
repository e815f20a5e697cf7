/** Whether the server takes photos, whether this person wants to be asked, and the sending of one. */
import type { Api } from '../data/api.ts';
import { isObject, type JsonObject } from '../data/rows.ts';
import { Trouble } from '../data/trouble.ts';
import type { Settings } from '../settings.ts';
import type { TextName } from '../texts/ko.ts';

/** What the server takes (`/v1/meta`). */
export interface Offer {
  readonly pictureBytes: number;
  readonly sidePx: number;
  readonly keepDays: number;
}

/** What goes to the server, beside the picture. */
export interface Said {
  /** The item that the app showed; null for not known. */
  readonly answer: string | null;
  readonly bundle: string;
  /** The item that the person chose. */
  readonly chosen: string | null;
  readonly text: string | null;
}

/** Never larger than this, whatever the server takes. */
const MOST_SIDE_PX = 1_024;
const PATIENCE_MS = 30_000;
export const MOST_TEXT = 200;

export class Feedback {
  constructor(
    private readonly api: Api,
    private readonly settings: Settings,
  ) {}

  /** What the server took when it was last asked; null for no photos. */
  get offer(): Offer | null {
    try {
      return readOffer(JSON.parse(this.settings.get('photos') ?? 'null'));
    } catch {
      return null;
    }
  }

  /** Off until it is switched on, and wherever the server takes no photos. */
  get isOn(): boolean {
    return this.settings.get('feedback') === 'on' && this.offer !== null;
  }

  set wanted(on: boolean) {
    this.settings.set('feedback', on ? 'on' : 'off');
  }

  /** Whose server the photo would go to. */
  get host(): string {
    return new URL(this.api.url('v1/')).host;
  }

  /** Ask what the server takes now; without an answer it is as before. */
  async look(): Promise<Offer | null> {
    try {
      const meta = await this.api.json('v1/meta');
      this.settings.set('photos', JSON.stringify(readOffer(meta['feedback']) === null ? null : meta['feedback']));
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
    }
    return this.offer;
  }

  /** Send one photo, once. Throws Trouble; then nothing is kept to be sent later. */
  async send(picture: Blob, said: Said): Promise<void> {
    const body: JsonObject = { ...said, picture: await base64Of(picture) };
    try {
      await this.api.send('v1/feedback/photos', body, { patienceMs: PATIENCE_MS });
    } catch (error) {
      if (error instanceof Trouble && error.status === 404) this.settings.set('photos', 'null');
      throw error;
    }
  }
}

/** null where it is no sound offer. */
export function readOffer(value: unknown): Offer | null {
  if (!isObject(value)) return null;
  const [bytes, side, days] = [value['picture_bytes'], value['side_px'], value['keep_days']];
  if (!isCount(bytes) || !isCount(side) || !isCount(days)) return null;
  return { pictureBytes: bytes, sidePx: Math.min(side, MOST_SIDE_PX), keepDays: days };
}

/** Why a photo was not sent; every text says that it was not. */
export function wordsOfRefusal({ code, status }: Trouble): TextName {
  if (status === 404 || status === 507) return 'feedbackClosed';
  if (status === 429) return 'feedbackTooMany';
  if (code === 'offline' || code === 'server-unreachable') return 'feedbackNoNetwork';
  return 'feedbackFailed';
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

async function base64Of(picture: Blob): Promise<string> {
  const bytes = new Uint8Array(await picture.arrayBuffer());
  let binary = '';
  // The arguments of one call have to fit on the stack.
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(binary);
}
