/** Barcodes in the camera's picture, where the browser can read them. */
import { readBarcode } from '../data/barcode_text.ts';

const EVERY_MS = 400;
const FORMATS = ['ean_13', 'ean_8', 'upc_a'];

interface Detector {
  detect(source: HTMLVideoElement | Blob): Promise<readonly { readonly rawValue: string }[]>;
}

interface DetectorMaker {
  new (options: { formats: readonly string[] }): Detector;
  getSupportedFormats(): Promise<readonly string[]>;
}

/** null where this browser reads no barcodes. */
async function detector(): Promise<Detector | null> {
  const { BarcodeDetector: maker } = globalThis as { BarcodeDetector?: DetectorMaker };
  try {
    const supported = (await maker?.getSupportedFormats()) ?? [];
    const formats = FORMATS.filter((format) => supported.includes(format));
    return maker === undefined || formats.length === 0 ? null : new maker({ formats });
  } catch {
    return null;
  }
}

/** Look for barcodes until the answered function is called; the same one twice in a row counts. */
export function watchBarcodes(video: HTMLVideoElement, found: (barcode: string) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  let last = '';
  const look = async (reader: Detector): Promise<void> => {
    if (!document.hidden && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
      const [first] = await reader.detect(video).catch(() => []);
      const barcode = first === undefined ? null : readBarcode(first.rawValue);
      if (barcode !== null && barcode === last && !ended) found(barcode);
      last = barcode ?? '';
    }
    if (!ended) timer = setTimeout(() => void look(reader), EVERY_MS);
  };
  void detector().then((reader) => (reader === null || ended ? undefined : look(reader)));
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** A barcode in a picture file; null for none. */
export async function barcodeIn(file: Blob): Promise<string | null> {
  const reader = await detector();
  const [first] = (await reader?.detect(file).catch(() => [])) ?? [];
  return first === undefined ? null : readBarcode(first.rawValue);
}
