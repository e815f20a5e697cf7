"""How a picture is to be turned: the EXIF tag 0x0112, and nothing else of EXIF.

Pillow's own reader also takes the orientation from XMP, which browsers do not, and warns through
global state; this reads the one number (TIFF 6.0, section 2) and takes damaged data as upright.
"""

from __future__ import annotations

import struct

from PIL import Image

ORIENTATION_TAG = 0x0112
SHORT = 3
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(exif: bytes) -> int:
    """Return 1 to 8 from an EXIF block (its `Exif` mark may be missing); 1 when unreadable."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(count):
            offset = start + 2 + 12 * entry
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, offset)
            if tag == ORIENTATION_TAG and kind == SHORT:
                return value if value in TURNS else 1
    except struct.error:
        return 1
    return 1


def upright(image: Image.Image, exif: bytes) -> Image.Image:
    """Return `image` turned so that its top is up; the same object when nothing is to do."""
    turn = TURNS.get(orientation(exif))
    return image if turn is None else image.transpose(turn)
