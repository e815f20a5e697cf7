/** Barcodes in the camera's picture and in picture files: by the browser, else by a small library. */
import { readBarcode } from '../data/barcode_text.ts';
import { readPictureFile } from '../recognition/picture_file.ts';
import { BarcodeLibrary } from './barcode_library.ts';

const EVERY_MS = 400;
/** A slow phone rests this many times as long as it read. */
const REST = 3;
/** Bars of a photo's whole width still have several pixels each. */
const PHOTO_SIDE_PX = 2_000;
const FORMATS = ['ean_13', 'ean_8', 'upc_a'];
const FAILURES_MAX = 3;
/** The same digits twice within this time are taken for sure. */
const TWICE_MS = 4_000;
/** The library reads along lines, which cross all bars only where they are not turned much (or by 90). */
const TURNS = [0, 22, -22, 45] as const;
/** The camera's picture gets one at a time, the straight one most often. */
const LIVE_TURNS = [0, 22, 0, -22, 0, 45] as const;

/** Reads the first barcode; the digits are checked by who asks. */
interface Reader {
  read(picture: ImageBitmap, turns: readonly number[]): Promise<string | null>;
  close(): void;
}

interface Detector {
  detect(source: ImageBitmap): Promise<readonly { readonly rawValue: string }[]>;
}

interface DetectorMaker {
  new (options: { formats: readonly string[] }): Detector;
  getSupportedFormats(): Promise<readonly string[]>;
}

/** null where neither the browser nor the library can run; the library is loaded after `calm`. */
async function openReader(calm?: Promise<void>): Promise<Reader | null> {
  const native = await nativeDetector();
  if (native !== null) return nativeReader(native);
  await calm;
  return 'OffscreenCanvas' in globalThis && 'WebAssembly' in globalThis ? new BarcodeLibrary() : null;
}

async function nativeDetector(): Promise<Detector | null> {
  const { BarcodeDetector: maker } = globalThis as { BarcodeDetector?: DetectorMaker };
  try {
    const supported = (await maker?.getSupportedFormats()) ?? [];
    const formats = FORMATS.filter((format) => supported.includes(format));
    return maker === undefined || !formats.includes('ean_13') ? null : new maker({ formats });
  } catch {
    return null;
  }
}

function nativeReader(detector: Detector): Reader {
  return {
    async read(picture) {
      try {
        return (await detector.detect(picture))[0]?.rawValue ?? null;
      } finally {
        picture.close();
      }
    },
    close: () => undefined,
  };
}

/** Who is told of barcodes. */
export interface BarcodeWatch {
  /** Whether frames are kept until they were read: readers use them up. */
  readonly keepsFrames: boolean;
  /** `frame` is the one in which it was read, closed after this call; null where none was kept. */
  found(barcode: string, frame: ImageBitmap | null): void;
}

/**
 * Look for barcodes until the answered function is called; the same one twice counts. Where the browser
 * reads none, a third of a megabyte is loaded once `calm` resolves.
 */
export function watchBarcodes(
  video: HTMLVideoElement,
  told: BarcodeWatch,
  calm: Promise<void>,
): () => void {
  const ending = new AbortController();
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()));
  void watch(video, told, Promise.race([calm, ended]), ending.signal);
  return () => ending.abort();
}

async function watch(
  video: HTMLVideoElement,
  told: BarcodeWatch,
  calm: Promise<void>,
  end: AbortSignal,
): Promise<void> {
  const reader = await openReader(calm);
  let [looks, failures] = [0, 0];
  let last = { barcode: '', atMs: -TWICE_MS };
  while (reader !== null && !end.aborted && failures < FAILURES_MAX) {
    const began = performance.now();
    let kept: ImageBitmap | null = null;
    try {
      const turn = LIVE_TURNS[looks % LIVE_TURNS.length] ?? 0;
      const frame = isSeen(video) ? await createImageBitmap(video) : null;
      kept = frame !== null && told.keepsFrames ? await createImageBitmap(frame) : null;
      const barcode = frame === null ? null : await oneOf(reader, frame, [turn]);
      looks += 1;
      failures = 0;
      if (barcode !== null) {
        if (barcode === last.barcode && began - last.atMs < TWICE_MS && !end.aborted) told.found(barcode, kept);
        last = { barcode, atMs: began };
      }
    } catch (error) {
      failures += 1;
      console.warn(String(error));
    } finally {
      kept?.close();
    }
    await pause(Math.max(EVERY_MS, REST * (performance.now() - began)));
  }
  reader?.close();
}

function isSeen(video: HTMLVideoElement): boolean {
  return !document.hidden && video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
}

/** A barcode in a picture file; null for none, and for what is no picture within the limits. */
export async function barcodeIn(file: Blob): Promise<string | null> {
  let reader: Reader | null = null;
  try {
    const picture = await decoded(file);
    reader = await openReader();
    return reader === null ? null : await oneOf(reader, picture, TURNS);
  } catch {
    return null;
  } finally {
    reader?.close();
  }
}

async function decoded(file: Blob): Promise<ImageBitmap> {
  // Its header first: a small file may unfold to more pixels than this phone has memory for.
  const { width, height } = readPictureFile(new Uint8Array(await file.arrayBuffer()));
  const scale = Math.min(1, PHOTO_SIDE_PX / Math.max(width, height));
  if (scale === 1) return createImageBitmap(file);
  const resizeWidth = Math.max(1, Math.round(width * scale));
  return createImageBitmap(file, { resizeWidth, resizeQuality: 'medium' });
}

async function oneOf(reader: Reader, picture: ImageBitmap, turns: readonly number[]): Promise<string | null> {
  const digits = await reader.read(picture, turns);
  return digits === null ? null : readBarcode(digits);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
