/** The EXIF orientation, tag 0x0112, and nothing else of EXIF; damaged data counts as upright. */

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;

/** 1 to 8 from an EXIF block, with or without its `Exif` mark. */
export function orientationOf(exif: Uint8Array): number {
  const marked = String.fromCharCode(...exif.subarray(0, 6)) === 'Exif\0\0';
  const tiff = marked ? exif.subarray(6) : exif;
  const order = String.fromCharCode(...tiff.subarray(0, 4));
  if (order !== 'II*\0' && order !== 'MM\0*') return 1;
  const little = order === 'II*\0';
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  try {
    const start = view.getUint32(4, little);
    const count = view.getUint16(start, little);
    for (let entry = 0; entry < count; entry += 1) {
      const at = start + 2 + 12 * entry;
      const value = view.getUint16(at + 8, little);
      if (view.getUint16(at, little) === ORIENTATION_TAG && view.getUint16(at + 2, little) === SHORT) {
        return value >= 2 && value <= 8 ? value : 1;
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}
