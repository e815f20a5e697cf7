/**
 * What a picture file says of itself, before any decoding: kind, size, orientation.
 *
 * `parts` is the file without its colour profile and its EXIF block: a browser then has nothing to
 * convert or to turn, whatever options it knows, and the turn is made here, exactly.
 */
import { Problem } from '../bundle/problem.ts';
import { orientationOf } from './exif.ts';

export interface PictureFile {
  readonly type: 'image/jpeg' | 'image/png' | 'image/webp' | 'image/bmp';
  readonly width: number;
  readonly height: number;
  readonly orientation: number;
  readonly opaque: boolean;
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
}

type Bytes = Uint8Array<ArrayBuffer>;

export const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_PIXELS = 50_000_000;
const MAX_SIDE_PX = 20_000;
const PNG_COLOUR_CHUNKS = new Set(['eXIf', 'iCCP', 'gAMA', 'cHRM', 'sRGB', 'cICP', 'mDCV', 'cLLI']);

/** Read the header. Throws Problem for what is no still 8-bit RGB picture within the limits. */
export function readPictureFile(data: Bytes): PictureFile {
  if (data.length > MAX_FILE_BYTES) {
    throw new Problem('picture-too-large', `Received ${data.length} bytes.`);
  }
  let picture: PictureFile;
  try {
    picture = readerFor(data)(data, new DataView(data.buffer, data.byteOffset, data.length));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('picture-damaged', `Received a file cut short: ${String(error)}`);
  }
  const { width, height } = picture;
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE_PX) {
    throw new Problem('picture-too-large', `Received ${width} x ${height} px.`);
  }
  if (width * height === 0) throw new Problem('picture-damaged', 'Received a picture of no pixels.');
  return picture;
}

function readerFor(data: Bytes): (data: Bytes, view: DataView) => PictureFile {
  const start = latin(data, 0, 12);
  if (start.startsWith('\xff\xd8\xff')) return readJpeg;
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return readPng;
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return readWebp;
  if (start.startsWith('BM')) return readBmp;
  throw new Problem('picture-kind-unknown', 'Expected a JPEG, PNG, WebP or BMP picture.');
}

function readJpeg(data: Bytes, view: DataView): PictureFile {
  const parts: Bytes[] = [data.subarray(0, 2)];
  let size = { width: 0, height: 0 };
  let exif: Bytes | undefined;
  let at = 2;
  for (;;) {
    const marker = view.getUint16(at);
    if (marker < 0xff01) throw new Problem('picture-damaged', `No JPEG marker at ${at}.`);
    if (marker === 0xffff) {
      at += 1;
      continue;
    }
    if (marker === 0xffda) break;
    const standsAlone = marker === 0xff01 || (marker >= 0xffd0 && marker <= 0xffd8);
    const end = standsAlone ? at + 2 : at + 2 + view.getUint16(at + 2);
    if (isFrameHeader(marker)) {
      if (data[at + 9] === 4) throw notSupported('CMYK');
      if (data[at + 4] !== 8) throw notSupported('more than 8 bits per channel');
      size = { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    const isExif = marker === 0xffe1 && latin(data, at + 4, 6) === 'Exif\0\0';
    if (isExif) exif ??= data.subarray(at + 4, end);
    // APP1 holds EXIF and XMP, APP2 the colour profile and further pictures.
    if (marker !== 0xffe1 && marker !== 0xffe2) parts.push(data.subarray(at, end));
    at = end;
  }
  if (!hasEndMarker(data)) {
    throw new Problem('picture-damaged', 'Received a JPEG picture without an end.');
  }
  parts.push(data.subarray(at));
  const orientation = exif === undefined ? 1 : orientationOf(exif);
  return { type: 'image/jpeg', ...size, orientation, opaque: true, parts };
}

/** Phones append other things after the end; the end itself must be there. */
function hasEndMarker(data: Bytes): boolean {
  for (let at = data.length - 2; at > 1; at -= 1) {
    if (data[at] === 0xff && data[at + 1] === 0xd9) return true;
  }
  return false;
}

function isFrameHeader(marker: number): boolean {
  return marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
}

function readPng(data: Bytes, view: DataView): PictureFile {
  const parts: Bytes[] = [data.subarray(0, 8)];
  let orientation = 1;
  let hasEnd = false;
  for (let at = 8; at < data.length && !hasEnd; ) {
    const end = at + 12 + view.getUint32(at);
    const kind = latin(data, at + 4, 4);
    if (end > data.length) throw new Problem('picture-damaged', `Received half a ${kind} chunk.`);
    if (kind === 'acTL' && view.getUint32(at + 8) > 1) throw notSupported('an animation');
    if (kind === 'eXIf') orientation = orientationOf(data.subarray(at + 8, end - 4));
    if (!PNG_COLOUR_CHUNKS.has(kind)) parts.push(data.subarray(at, end));
    hasEnd = kind === 'IEND';
    at = end;
  }
  if (!hasEnd) throw new Problem('picture-damaged', 'Received a PNG picture without an end.');
  if (data[24] === 16) throw notSupported('16 bits per channel');
  const size = { width: view.getUint32(16), height: view.getUint32(20) };
  return { type: 'image/png', ...size, orientation, opaque: false, parts };
}

function readWebp(data: Bytes, view: DataView): PictureFile {
  const parts: Bytes[] = [];
  let [orientation, frames] = [1, 0];
  let size: { width: number; height: number } | undefined;
  const end = Math.min(8 + view.getUint32(4, true), data.length);
  for (let at = 12; at + 8 <= end; ) {
    const kind = latin(data, at, 4);
    const length = view.getUint32(at + 4, true);
    const next = at + 8 + length + (length % 2);
    if (at + 8 + length > data.length) throw new Problem('picture-damaged', `Half a ${kind} chunk.`);
    if (kind === 'EXIF') orientation = orientationOf(data.subarray(at + 8, at + 8 + length));
    if (kind === 'ANMF') frames += 1;
    size ??= webpSize(kind, view, at + 8);
    if (kind === 'VP8X') parts.push(withoutExtras(data.slice(at, next)));
    else if (!['EXIF', 'ICCP', 'XMP '].includes(kind)) parts.push(data.subarray(at, next));
    at = next;
  }
  if (frames > 1) throw notSupported('an animation');
  const header = data.slice(0, 12);
  const total = parts.reduce((sum, part) => sum + part.length, 4);
  new DataView(header.buffer).setUint32(4, total, true);
  const { width, height } = size ?? { width: 0, height: 0 };
  return { type: 'image/webp', width, height, orientation, opaque: false, parts: [header, ...parts] };
}

function webpSize(kind: string, view: DataView, at: number): { width: number; height: number } | undefined {
  if (kind === 'VP8X') {
    return { width: 1 + uint24(view, at + 4), height: 1 + uint24(view, at + 7) };
  }
  if (kind === 'VP8 ') {
    return {
      width: view.getUint16(at + 6, true) & 0x3fff,
      height: view.getUint16(at + 8, true) & 0x3fff,
    };
  }
  if (kind !== 'VP8L') return undefined;
  const bits = view.getUint32(at + 1, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) + 65536 * view.getUint8(at + 2);
}

/** Clear the words "has a profile, EXIF, XMP" of a VP8X chunk. */
function withoutExtras(chunk: Bytes): Bytes {
  chunk[8] = (chunk[8] ?? 0) & ~(0x20 | 0x08 | 0x04);
  return chunk;
}

function readBmp(data: Bytes, view: DataView): PictureFile {
  const size = { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
  return { type: 'image/bmp', ...size, orientation: 1, opaque: false, parts: [data] };
}

function latin(data: Bytes, at: number, length: number): string {
  return String.fromCharCode(...data.subarray(at, at + length));
}

function notSupported(received: string): Problem {
  return new Problem('picture-not-supported', `Expected a still 8-bit RGB picture. Received ${received}.`);
}
