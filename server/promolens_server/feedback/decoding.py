"""Decodes what strangers sent in the confined process of `promolens_runtime.guarded`.

The process starts with the first picture: a service that nobody sends pictures to has none.
"""

from __future__ import annotations

from promolens_runtime.errors import ImageError
from promolens_runtime.guarded.decoder import (
    DecoderUnavailableError,
    GuardConfig,
    GuardedDecoder,
    PictureRefusedError,
    PictureTooSlowError,
)
from promolens_runtime.images import ImageLimits
from promolens_runtime.preprocess import Preprocessing
from promolens_server.feedback.config import FeedbackConfig
from promolens_server.feedback.desk import unfit
from promolens_server.problems import Problem

# The tensor is thrown away: it only has to be small.
_SIDE_PX = 32


class GuardedDecoding:
    """One process, for one picture after the other."""

    def __init__(self, config: FeedbackConfig) -> None:
        limits = ImageLimits(config.picture_bytes, config.side_px**2, config.side_px)
        self._decoder = GuardedDecoder(
            Preprocessing.square(_SIDE_PX), GuardConfig(limits, time_s=config.decode_s)
        )

    def check(self, picture: bytes) -> None:
        """Decode every pixel. Raises Problem: 422 no sound picture, 503 no process."""
        try:
            self._decoder.decode(picture, whole=True)
        except PictureTooSlowError:
            raise unfit("one that takes too long to decode") from None
        except PictureRefusedError:
            raise unfit("one that ended the decoder") from None
        except ImageError:
            raise unfit("one that cannot be decoded") from None
        except DecoderUnavailableError as error:
            raise Problem(
                503, "decoder-unavailable", str(error), headers={"retry-after": "10"}
            ) from None

    def close(self) -> None:
        """End the process."""
        self._decoder.close()
