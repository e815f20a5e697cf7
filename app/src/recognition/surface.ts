/** Pixels of frames and decoded files, read through one canvas at their own size, never scaled. */
import { asProblem, Problem } from '../bundle/problem.ts';
import { readPictureFile } from './picture_file.ts';
import { copyBox, type PixelSource } from './preprocess.ts';
import type { Box } from './turning.ts';

export type Drawable = ImageBitmap | VideoFrame;

/** A canvas that grows to the largest box asked for, and stays. */
export class Surface {
  private readonly canvas = new OffscreenCanvas(1, 1);
  private readonly context: OffscreenCanvasRenderingContext2D;
  private framesCopy = true;
  private frameBuffer = new Uint8Array();

  constructor() {
    const context = this.canvas.getContext('2d', { willReadFrequently: true });
    if (context === null) throw new Problem('engine-unavailable', 'This browser gives no canvas.');
    this.context = context;
  }

  /** A frame or a decoded picture as a source of pixels; what is transparent shows white. */
  source(picture: Drawable, orientation = 1, opaque = true): PixelSource {
    const [width, height] = sizeOf(picture);
    return {
      width,
      height,
      orientation,
      opaque: true,
      read: async (box) =>
        ('copyTo' in picture ? await this.copyFrame(picture, box) : null) ??
        this.draw(picture, box, opaque),
    };
  }

  /** Many times faster than drawing; null where this browser or this frame cannot do it. */
  private async copyFrame(frame: VideoFrame, box: Box): Promise<Uint8Array | null> {
    if (!this.framesCopy || !isPlain(frame)) return null;
    const { x = 0, y = 0 } = frame.visibleRect ?? {};
    const wide = evenBox({ ...box, left: x + box.left, top: y + box.top }, frame);
    const size = wide.width * wide.height * 4;
    if (this.frameBuffer.length < size) this.frameBuffer = new Uint8Array(size);
    const rgba = this.frameBuffer.subarray(0, size);
    const rect = { x: wide.left, y: wide.top, width: wide.width, height: wide.height };
    try {
      await frame.copyTo(rgba, { rect, format: 'RGBA', colorSpace: 'srgb' });
    } catch {
      this.framesCopy = false;
      return null;
    }
    const inside = { ...box, left: x + box.left - wide.left, top: y + box.top - wide.top };
    const same = wide.width === box.width && wide.height === box.height;
    return same ? rgba : copyBox(rgba, wide.width, inside);
  }

  private draw(picture: Drawable, box: Box, opaque: boolean): Uint8ClampedArray {
    const { canvas, context } = this;
    if (canvas.width < box.width) canvas.width = box.width;
    if (canvas.height < box.height) canvas.height = box.height;
    context.imageSmoothingEnabled = false;
    if (!opaque) {
      context.fillStyle = '#fff';
      context.fillRect(0, 0, box.width, box.height);
    }
    const { left, top, width, height } = box;
    context.drawImage(picture, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height, { colorSpace: 'srgb' }).data;
  }
}

/** Neither turned nor stretched: its stored pixels are those to be shown. */
function isPlain(frame: VideoFrame): boolean {
  const { visibleRect: rect, displayWidth, displayHeight } = frame;
  const turned = ('rotation' in frame && frame.rotation !== 0) || ('flip' in frame && frame.flip === true);
  return !turned && rect?.width === displayWidth && rect.height === displayHeight;
}

/** The least box around `box` with even sides, since cameras store one colour for 2 x 2 pixels. */
function evenBox(box: Box, { codedWidth, codedHeight }: VideoFrame): Box {
  const [left, top] = [box.left & ~1, box.top & ~1];
  const right = Math.min((box.left + box.width + 1) & ~1, codedWidth);
  const bottom = Math.min((box.top + box.height + 1) & ~1, codedHeight);
  return { left, top, width: right - left, height: bottom - top };
}

/** A file's own pixels: no colour profile, no EXIF turn (the source still says which). */
export async function decodeFile(
  file: Blob,
): Promise<{ bitmap: ImageBitmap; orientation: number; opaque: boolean }> {
  const picture = readPictureFile(new Uint8Array(await file.arrayBuffer()));
  try {
    // Firefox decodes no blob that is made of several parts.
    const whole = await new Blob([...picture.parts]).arrayBuffer();
    const bitmap = await createImageBitmap(new Blob([whole], { type: picture.type }), {
      colorSpaceConversion: 'none',
    });
    return { bitmap, orientation: picture.orientation, opaque: picture.opaque };
  } catch (error) {
    throw asProblem(error, 'picture-damaged');
  }
}

/**
 * Whether what is drawn can be read back unchanged. Some browsers add noise against fingerprinting;
 * answers are then a little worse and the page can say why.
 */
export async function canvasIsExact(): Promise<boolean> {
  const side = 64;
  const drawn = new ImageData(side, side);
  for (let i = 0; i < drawn.data.length; i += 1) drawn.data[i] = i % 4 === 3 ? 255 : (i * 73) % 256;
  const bitmap = await createImageBitmap(drawn, { colorSpaceConversion: 'none' });
  const source = new Surface().source(bitmap);
  const read = await source.read({ left: 0, top: 0, width: side, height: side });
  bitmap.close();
  return read.every((value, i) => value === drawn.data[i]);
}

function sizeOf(picture: Drawable): [number, number] {
  return 'displayWidth' in picture
    ? [picture.displayWidth, picture.displayHeight]
    : [picture.width, picture.height];
}
