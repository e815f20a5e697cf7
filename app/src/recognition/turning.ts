/** The eight orientations of EXIF: from stored pixels to upright ones, by index and never by drawing. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** How upright (x, y) finds its stored pixel: axes swapped, then counted from the other end. */
interface Turn {
  readonly swap: boolean;
  readonly fromRight: boolean;
  readonly fromBottom: boolean;
}

export function turnOf(orientation: number): Turn {
  return {
    swap: orientation >= 5,
    fromRight: [2, 3, 7, 8].includes(orientation),
    fromBottom: [3, 4, 6, 7].includes(orientation),
  };
}

/** Where the pixels of `upright` (a box of the turned picture) lie in the stored picture. */
export function storedBox(
  upright: Box,
  storedWidth: number,
  storedHeight: number,
  orientation: number,
): Box {
  const { swap, fromRight, fromBottom } = turnOf(orientation);
  const [x, y] = swap ? [upright.top, upright.left] : [upright.left, upright.top];
  const [width, height] = swap
    ? [upright.height, upright.width]
    : [upright.width, upright.height];
  return {
    left: fromRight ? storedWidth - x - width : x,
    top: fromBottom ? storedHeight - y - height : y,
    width,
    height,
  };
}

/** Turn the RGBA pixels of a stored box upright; returns them untouched when nothing is to do. */
export function turnPixels(
  rgba: Uint8Array | Uint8ClampedArray,
  stored: Box,
  orientation: number,
): Uint8Array | Uint8ClampedArray {
  if (orientation <= 1) return rgba;
  const { swap, fromRight, fromBottom } = turnOf(orientation);
  const { width, height } = stored;
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
  const out = new Uint32Array(width * height);
  const [uprightWidth, uprightHeight] = swap ? [height, width] : [width, height];
  let to = 0;
  for (let y = 0; y < uprightHeight; y += 1) {
    for (let x = 0; x < uprightWidth; x += 1) {
      const column = swap ? y : x;
      const row = swap ? x : y;
      const sourceX = fromRight ? width - 1 - column : column;
      const sourceY = fromBottom ? height - 1 - row : row;
      out[to] = from[sourceY * width + sourceX]!;
      to += 1;
    }
  }
  return new Uint8Array(out.buffer);
}
