/** When large things that the first answer does not need may be loaded. */

/** What the card asks of the network comes first. */
const AFTER_ANSWER_MS = 2_000;
/** Nothing was answered for so long: it may be a product that only its barcode tells. */
const WITHOUT_ANSWER_MS = 8_000;

/** Resolves some seconds after the first answer, or when there was none for longer. */
export class Calm {
  readonly reached: Promise<void>;
  private resolve: () => void = () => undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wasAnswered = false;

  constructor() {
    this.reached = new Promise((resolve) => (this.resolve = resolve));
  }

  /** The camera runs, and so does the recogniser. */
  scanning(): void {
    this.timer ??= setTimeout(this.resolve, WITHOUT_ANSWER_MS);
  }

  /** Something was found, or nothing will be. */
  answered(): void {
    if (this.wasAnswered) return;
    this.wasAnswered = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(this.resolve, AFTER_ANSWER_MS);
  }
}
