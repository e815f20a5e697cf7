"""What a JPEG file says of itself, read without decoding it (ITU-T T.81, annex B).

A picture for feedback is drawn anew on the phone before it is sent. Such a file holds what decoding
needs and nothing else: no EXIF, no place, no thumbnail, no words. What else is in a file is refused
here, wherever in the file it stands, so that a phone whose browser left something in is noticed.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Sizes are in the frame header: baseline, extended and progressive, as browsers write them.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
# Huffman and quantisation tables, restart interval.
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
# Application data that only says how to decode: segment and how it must begin.
_HARMLESS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_MOST_SEGMENTS = 200
_MOST_HARMLESS_BYTES = 4_096
# In coded data FF stands alone only before 00 and restart marks.
_NEXT_MARK = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


class UnfitPictureError(Exception):
    """The file is not a JPEG that may be taken; the text says what was received instead."""


@dataclass(frozen=True)
class Size:
    """Width and height, pixels, both above 0."""

    width_px: int
    height_px: int


def read_size(data: bytes) -> Size:
    """Return the size of a whole JPEG file that holds a picture and nothing else.

    Raises:
        UnfitPictureError: no JPEG, not whole, with EXIF, XMP, IPTC, a comment or other data beside
            the picture, or with anything behind its end.
    """
    if data[:2] != bytes((0xFF, _START)):
        raise UnfitPictureError("no JPEG")
    size: Size | None = None
    at = 2
    for _ in range(_MOST_SEGMENTS):
        mark, at = _mark(data, at)
        if mark == _END:
            if size is None or at != len(data):
                raise UnfitPictureError("a JPEG with something behind its end")
            return size
        body, at = _segment(data, at)
        if mark in _FRAMES:
            size = _frame(body, size)
        elif mark == _SCAN:
            at = _behind_scan(data, at)
        elif mark not in _TABLES:
            _check_harmless(mark, body)
    raise UnfitPictureError("a JPEG in too many parts")


def _mark(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 1] != b"\xff":
        raise UnfitPictureError("a damaged JPEG")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise UnfitPictureError("a JPEG that is not whole")
    return data[at], at + 1


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    if at + 2 > len(data):
        raise UnfitPictureError("a JPEG that is not whole")
    (length,) = struct.unpack_from(">H", data, at)
    if length < 2 or at + length > len(data):
        raise UnfitPictureError("a JPEG that is not whole")
    return data[at + 2 : at + length], at + length


def _frame(body: bytes, before: Size | None) -> Size:
    if before is not None or len(body) < 6:
        raise UnfitPictureError("a damaged JPEG")
    _, height_px, width_px = struct.unpack_from(">BHH", body)
    if not width_px or not height_px:
        raise UnfitPictureError("a JPEG without a size")
    return Size(width_px, height_px)


def _behind_scan(data: bytes, at: int) -> int:
    found = _NEXT_MARK.search(data, at)
    if found is None:
        raise UnfitPictureError("a JPEG that is not whole")
    return found.start()


def _check_harmless(mark: int, body: bytes) -> None:
    if mark == 0xE1:
        raise UnfitPictureError("a JPEG with EXIF or XMP in it")
    begin = _HARMLESS.get(mark)
    if begin is None or not body.startswith(begin) or len(body) > _MOST_HARMLESS_BYTES:
        raise UnfitPictureError("a JPEG with more in it than the picture")
