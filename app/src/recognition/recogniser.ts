/** The page's side of the recognition worker. */
import { asProblem, Problem } from '../bundle/problem.ts';
import type {
  CallName,
  Calls,
  GalleryOutcome,
  Measurement,
  Opened,
  OpenOptions,
  Picture,
  Recognition,
  Reply,
  UpdateOutcome,
} from './protocol.ts';

export type Frame = ImageBitmap | VideoFrame;

export interface RecogniserOptions extends OpenOptions {
  readonly workerUrl: string;
  /** Bytes of the bundle that have arrived; called often. */
  readonly onProgress?: (loadedBytes: number) => void;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(problem: Problem): void;
}

/** A worker with a proven bundle. Every method rejects with a Problem. */
export class Recogniser {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private current: Opened | undefined;

  private constructor(
    private readonly worker: Worker,
    private readonly onProgress: (loadedBytes: number) => void,
  ) {
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.fail(new Problem('engine-unavailable', event.message || 'The worker did not start.'));
    };
  }

  static async open(options: RecogniserOptions): Promise<Recogniser> {
    const { workerUrl, onProgress = () => undefined, ...rest } = options;
    const recogniser = new Recogniser(new Worker(workerUrl), onProgress);
    try {
      recogniser.current = await recogniser.call('open', rest);
      return recogniser;
    } catch (error) {
      recogniser.close();
      throw error;
    }
  }

  /** Facts of the open bundle: labels, thresholds, version, golden check, warnings. */
  get opened(): Opened {
    if (this.current === undefined) throw new Problem('not-open', 'Open a bundle first.');
    return this.current;
  }

  /**
   * Name what a frame, a file or raw pixels show. A frame is handed over and closed in the worker.
   */
  async recognise(picture: Picture, wantTensor = false): Promise<Recognition> {
    return this.call('recognise', { picture, wantTensor }, transferable(picture));
  }

  /** Look for a newer bundle; the old one goes on answering until the new one is proven. */
  async update(bundleUrl: string): Promise<UpdateOutcome> {
    const outcome = await this.call('update', { bundleUrl });
    if (outcome.outcome === 'installed') this.current = outcome.opened;
    return outcome;
  }

  /** Load the gallery in a folder; one of another model, damaged or older is refused. */
  async updateGallery(galleryUrl: string): Promise<GalleryOutcome['outcome']> {
    const { outcome, opened } = await this.call('updateGallery', { galleryUrl });
    this.current = opened;
    return outcome;
  }

  /** Frame to result against bare inference, for the field report. */
  async measure(picture: Picture, runs = 50): Promise<Measurement> {
    return this.call('measure', { picture, runs }, transferable(picture));
  }

  /** Remove every kept bundle from this device. */
  async forget(): Promise<void> {
    await this.call('forget', {});
  }

  close(): void {
    this.worker.terminate();
    this.fail(new Problem('closed', 'The recogniser was closed.'));
  }

  private call<K extends CallName>(
    call: K,
    options: Calls[K]['options'],
    transfer: Transferable[] = [],
  ): Promise<Calls[K]['result']> {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      try {
        this.worker.postMessage({ id, call, options }, transfer);
      } catch (error) {
        this.waiting.delete(id);
        reject(asProblem(error));
      }
    });
  }

  private receive(reply: Reply): void {
    if (reply.kind === 'progress') {
      this.onProgress(reply.loadedBytes);
      return;
    }
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (reply.kind === 'result') waiting?.resolve(reply.result);
    else waiting?.reject(new Problem(reply.code, reply.detail));
  }

  private fail(problem: Problem): void {
    for (const waiting of this.waiting.values()) waiting.reject(problem);
    this.waiting.clear();
  }
}

/** The video's present frame, as it will be transferred. The video must have data. */
export async function grabFrame(video: HTMLVideoElement): Promise<Frame> {
  return typeof VideoFrame === 'function'
    ? new VideoFrame(video)
    : createImageBitmap(video, { colorSpaceConversion: 'none' });
}

function transferable(picture: Picture): Transferable[] {
  if (picture instanceof Blob) return [];
  return 'rgba' in picture ? [picture.rgba.buffer] : [picture];
}
