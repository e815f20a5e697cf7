"""Opens what takes pictures; imports it only where it is configured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from promolens_server.feedback.config import FeedbackConfig

if TYPE_CHECKING:
    from promolens_server.feedback.desk import FeedbackDesk
else:
    FeedbackDesk = object

__all__ = ["FeedbackDesk", "open_feedback"]


def open_feedback(config: FeedbackConfig, clock: Callable[[], datetime]) -> FeedbackDesk | None:
    """Open the folder; `None` where none is configured.

    Raises:
        InputError: the folder cannot be written.
    """
    if config.folder is None:
        return None
    from promolens_server.feedback.decoding import GuardedDecoding
    from promolens_server.feedback.desk import FeedbackDesk
    from promolens_server.feedback.folder import FeedbackFolder

    folder = FeedbackFolder(
        config.folder,
        most_pictures=config.pictures,
        most_bytes=config.total_bytes,
        keep_days=config.keep_days,
        clock=clock,
    )
    return FeedbackDesk(config, folder, GuardedDecoding(config))
