"""Takes one picture: who sends how many, what it is, and where it goes."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from promolens_server.feedback.config import FeedbackConfig
from promolens_server.feedback.folder import FeedbackFolder, FolderFullError
from promolens_server.feedback.jpeg import Size, UnfitPictureError, read_size
from promolens_server.models.feedback import FeedbackPhoto
from promolens_server.problems import Problem
from promolens_server.rates import Allowance, Buckets, seconds_up

_LOOK_EVERY_S = 3_600.0
_HOUR_S = 3_600.0
_log = logging.getLogger(__name__)


class Decoding(Protocol):
    """Decodes a picture elsewhere; raises Problem where it is none."""

    def check(self, picture: bytes) -> None:
        """Decode it to the end, and forget it."""

    def close(self) -> None:
        """End."""


class FeedbackDesk:
    """What the route works with. Safe to share between threads.

    Deletes what was kept long enough once an hour, in a thread of its own, until `close`.
    """

    def __init__(self, config: FeedbackConfig, folder: FeedbackFolder, decoding: Decoding) -> None:
        self.config = config
        self._folder = folder
        self._decoding = decoding
        self._allowance = Allowance("feedback", config.per_hour / _HOUR_S, config.burst)
        self._buckets = Buckets(config.clients)
        self._rooms = threading.BoundedSemaphore(config.at_once)
        self._ended = threading.Event()
        self._deleting = threading.Thread(target=self._delete_old, name="feedback", daemon=True)
        self._deleting.start()

    def close(self) -> None:
        """Stop deleting, and end the decoder."""
        self._ended.set()
        self._deleting.join(timeout=5.0)
        self._decoding.close()

    @contextmanager
    def room(self, who: str) -> Iterator[None]:
        """Count a picture of an address or a key, and hold one of the few rooms for it.

        Raises:
            Problem: 429 too many from there, 503 too many at once.
        """
        left = self._buckets.take(who, self._allowance, time.monotonic())
        if left < 0:
            wait_s = seconds_up(-left)
            raise Problem(
                429,
                "too-many-photos",
                f"Expected at most {self.config.per_hour:g} photos an hour. Received more. "
                f"Wait {wait_s} s.",
                headers={"retry-after": str(wait_s)},
            )
        if not self._rooms.acquire(blocking=False):
            raise Problem(
                503,
                "busy",
                "Expected room for a photo. Received too many at once. Send it again soon.",
                headers={"retry-after": "2"},
            )
        try:
            yield
        finally:
            self._rooms.release()

    def take(self, photo: FeedbackPhoto) -> None:
        """Check a picture and keep it.

        Raises:
            Problem: 422 not such a picture, 507 the quota is used up or the disk is full.
        """
        picture = self._decoded_base64(photo.picture)
        size = self._checked(picture)
        self._decoding.check(picture)
        said = photo.model_dump(exclude={"picture"})
        try:
            self._folder.keep(
                picture, {**said, "width_px": size.width_px, "height_px": size.height_px}
            )
        except (FolderFullError, OSError) as error:
            if isinstance(error, OSError):
                _log.error("feedback: %s", error.strerror)
            raise Problem(
                507,
                "feedback-full",
                "Expected room for another photo. Received a full store. Send it another day.",
            ) from None

    def _decoded_base64(self, text: str) -> bytes:
        most = self.config.picture_bytes
        if len(text) > 4 * (most // 3 + 1):
            raise unfit(f"one of more than {most} bytes")
        try:
            picture = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise unfit("something else than base64") from None
        if len(picture) > most:
            raise unfit(f"one of {len(picture)} bytes")
        return picture

    def _checked(self, picture: bytes) -> Size:
        try:
            size = read_size(picture)
        except UnfitPictureError as error:
            raise unfit(str(error)) from None
        if max(size.width_px, size.height_px) > self.config.side_px:
            raise unfit(f"one of {size.width_px} x {size.height_px} px")
        return size

    def _delete_old(self) -> None:
        wait_s = 0.0
        while not self._ended.wait(wait_s):
            wait_s = _LOOK_EVERY_S
            try:
                self._folder.delete_old()
            except OSError as error:
                _log.error("feedback: nothing deleted: %s", error.strerror)


def unfit(received: str) -> Problem:
    """Return the problem of a picture that is not taken."""
    return Problem(
        422,
        "photo-unfit",
        "Expected a plain JPEG, within the size that /v1/meta tells, drawn anew without EXIF. "
        f"Received {received}. Draw it anew and smaller.",
    )
