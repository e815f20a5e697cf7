/** One picture, drawn anew and small: what a file says beside its pixels (EXIF, place) stays behind. */
import { el } from '../ui/dom.ts';
import type { Offer } from './offer.ts';

/** A file of the person, or a frame of the camera. */
export type Source = Blob | HTMLCanvasElement;

const QUALITIES = [0.85, 0.7, 0.5, 0.3];
const MOST_FRAME_PX = 1_024;
const LEAST_PX = 64;

/** What the camera sees now; null before it sees anything. */
export function frameOf(video: HTMLVideoElement): HTMLCanvasElement | null {
  if (video.videoWidth === 0) return null;
  return drawn(video, video.videoWidth, video.videoHeight, MOST_FRAME_PX);
}

/** A frame that was looked at already; the bitmap may be closed after it. */
export function keptFrame(frame: ImageBitmap): HTMLCanvasElement {
  return drawn(frame, frame.width, frame.height, MOST_FRAME_PX);
}

/** The picture with its longest side at most `sidePx`. Throws where it cannot be decoded. */
export async function smallPicture(source: Source, sidePx: number): Promise<HTMLCanvasElement> {
  if (!(source instanceof Blob)) return drawn(source, source.width, source.height, sidePx);
  const bitmap = await createImageBitmap(source);
  try {
    return drawn(bitmap, bitmap.width, bitmap.height, sidePx);
  } finally {
    bitmap.close();
  }
}

/** A JPEG that the server takes; smaller and coarser until it fits. Throws where none does. */
export async function jpegOf(canvas: HTMLCanvasElement, { pictureBytes }: Offer): Promise<Blob> {
  for (let side = Math.max(canvas.width, canvas.height); side >= LEAST_PX; side = Math.floor(side / 2)) {
    const scaled = await smallPicture(canvas, side);
    for (const quality of QUALITIES) {
      const made = await new Promise<Blob | null>((done) => scaled.toBlob(done, 'image/jpeg', quality));
      // A browser that cannot write JPEG gives PNG.
      if (made?.type === 'image/jpeg' && made.size <= pictureBytes) return made;
    }
  }
  throw new Error(`no JPEG of ${pictureBytes} bytes`);
}

function drawn(source: CanvasImageSource, width: number, height: number, sidePx: number): HTMLCanvasElement {
  const scale = Math.min(1, sidePx / Math.max(width, height));
  const canvas = el('canvas', {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  });
  const pen = canvas.getContext('2d');
  if (pen === null) throw new Error('no canvas');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}
