/** Barcodes for browsers that read none: zxing-wasm in a worker of its own, loaded when first used. */
export interface BarcodeQuestion {
  readonly id: number;
  /** Given away: the worker closes it. */
  readonly picture: ImageBitmap;
  /** By how many degrees to turn the picture, one after another until something is read. */
  readonly turns: readonly number[];
}

export type BarcodeAnswer =
  | { readonly id: number; readonly text: string | null }
  | { readonly id: number; readonly failure: string };

const WORKER = 'barcode/read.js';
/** The first answer waits for a third of a megabyte. */
const PATIENCE_MS = 30_000;

interface Waiting {
  resolve(text: string | null): void;
  reject(error: Error): void;
}

export class BarcodeLibrary {
  private readonly worker = new Worker(WORKER);
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<BarcodeAnswer>) => {
      const one = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ('failure' in data) one?.reject(new Error(data.failure));
      else one?.resolve(data.text);
    };
    this.worker.onerror = () => this.giveUp(new Error('the barcode worker did not start'));
  }

  /** What the barcode in a picture says; null for none. Rejects where the library fails. */
  read(picture: ImageBitmap, turns: readonly number[]): Promise<string | null> {
    this.last += 1;
    const question: BarcodeQuestion = { id: this.last, picture, turns };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.giveUp(new Error('no answer in time')), PATIENCE_MS);
      const settle = <T>(act: (value: T) => void) => (value: T): void => {
        clearTimeout(timer);
        act(value);
      };
      this.waiting.set(question.id, { resolve: settle(resolve), reject: settle(reject) });
      this.worker.postMessage(question, [picture]);
    });
  }

  close(): void {
    this.giveUp(new Error('closed'));
  }

  private giveUp(error: Error): void {
    this.worker.terminate();
    for (const one of this.waiting.values()) one.reject(error);
    this.waiting.clear();
  }
}
