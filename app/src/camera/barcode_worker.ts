/** Reads barcodes beside the page: a classic worker, started by who needs it (barcode_library.ts). */
import { prepareZXingModule, readBarcodes, type ReaderOptions } from 'zxing-wasm/reader';
import type { BarcodeAnswer, BarcodeQuestion } from './barcode_library.ts';

const OPTIONS: ReaderOptions = {
  formats: ['EAN13', 'EAN8', 'UPCA'],
  tryHarder: true,
  tryRotate: true,
  tryInvert: false,
  maxNumberOfSymbols: 1,
};

interface Scope {
  postMessage(answer: BarcodeAnswer): void;
  onmessage: ((event: MessageEvent<BarcodeQuestion>) => void) | null;
}

const scope = self as unknown as Scope;
let canvas: OffscreenCanvas | null = null;

// Its WebAssembly lies beside this file and nowhere else.
prepareZXingModule({ overrides: { locateFile: (file: string) => new URL(file, self.location.href).href } });

scope.onmessage = ({ data }) => void answer(data);

async function answer({ id, picture, turns }: BarcodeQuestion): Promise<void> {
  try {
    let text: string | null = null;
    for (const degrees of turns) {
      const [found] = await readBarcodes(pixelsOf(picture, degrees), OPTIONS);
      text ??= found?.isValid === true ? found.text : null;
      if (text !== null) break;
    }
    scope.postMessage({ id, text });
  } catch (error) {
    scope.postMessage({ id, failure: String(error).slice(0, 200) });
  } finally {
    picture.close();
  }
}

/** The picture turned about its middle, where a barcode is held; what leaves the frame is cut off. */
function pixelsOf(picture: ImageBitmap, degrees: number): ImageData {
  const { width, height } = picture;
  canvas ??= new OffscreenCanvas(width, height);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  if (pen === null) throw new Error('no canvas');
  pen.resetTransform();
  pen.translate(width / 2, height / 2);
  pen.rotate((degrees * Math.PI) / 180);
  pen.drawImage(picture, -width / 2, -height / 2);
  return pen.getImageData(0, 0, width, height);
}
