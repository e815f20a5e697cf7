/** Frames of a video through the recogniser, one at a time, while somebody looks at the page. */
import { asProblem, type Problem } from '../bundle/problem.ts';
import { FrameGallery } from '../gallery/answering.ts';
import { grabFrame, type Recogniser } from '../recognition/recogniser.ts';
import { smooth, steadyAnswer, type SmoothState, type SteadyAnswer } from '../recognition/smoothing.ts';

/** No faster than needed: a phone gets warm and its battery empty. */
const LEAST_MS = 110;
const FRAME_PATIENCE_MS = 1_000;

export interface ScannerEvents {
  answer(answer: SteadyAnswer, atMs: number): void;
  failed(problem: Problem): void;
}

export class Scanner {
  private running = 0;
  private state: SmoothState | null = null;
  private gallery = new FrameGallery();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly recogniser: Recogniser,
    private readonly events: ScannerEvents,
  ) {}

  get isRunning(): boolean {
    return this.running > 0;
  }

  start(): void {
    if (this.running > 0) return;
    this.state = null;
    this.gallery = new FrameGallery();
    this.running = Date.now() + Math.random();
    void this.loop(this.running);
  }

  stop(): void {
    this.running = 0;
  }

  private async loop(run: number): Promise<void> {
    try {
      while (this.running === run) {
        const started = performance.now();
        await nextFrame(this.video);
        if (this.running === run && !document.hidden) await this.look(run);
        await pause(Math.max(0, LEAST_MS - (performance.now() - started)));
      }
    } catch (error) {
      if (this.running !== run) return;
      this.stop();
      this.events.failed(asProblem(error));
    }
  }

  private async look(run: number): Promise<void> {
    if (this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    const { logits, gallery } = await this.recogniser.recognise(await grabFrame(this.video));
    if (this.running !== run) return;
    const atMs = performance.now();
    this.state = smooth(this.state, logits, atMs);
    const { opened } = this.recogniser;
    const steady = steadyAnswer(this.state, opened);
    this.events.answer(this.gallery.answer(opened, steady, gallery, atMs), atMs);
  }
}

function nextFrame(video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve) => {
    // A hidden page or a stalled camera gives no frames; look up now and then.
    const timer = setTimeout(resolve, FRAME_PATIENCE_MS);
    const go = (): void => {
      clearTimeout(timer);
      resolve();
    };
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(go);
    else requestAnimationFrame(go);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
