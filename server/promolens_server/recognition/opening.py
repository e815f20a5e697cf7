"""Opens what answers questions about pictures; imports it only where it is configured.

NumPy, LiteRT and FAISS cost a worker more memory than all the rest of the service.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from promolens_catalog.database import Database
from promolens_server.recognition.config import RecognitionConfig

if TYPE_CHECKING:
    from promolens_server.recognition.recognition import Recognition
else:
    Recognition = object

__all__ = ["Recognition", "open_recognition"]


def open_recognition(
    config: RecognitionConfig, catalog: Database, clock: Callable[[], datetime], *, rated: bool
) -> Recognition | None:
    """Open the models and start the decoders; None where no bundle is configured.

    Args:
        rated: whether rates count.

    Raises:
        BundleError: the bundle is not signed as configured, damaged, or computes otherwise here.
        InputError: the public key, or the folder of batches, cannot be used.
    """
    if config.assets is None:
        return None
    from promolens_server.recognition.recognition import opened

    return opened(config, catalog, clock, rated=rated)
