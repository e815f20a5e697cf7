"""`promolens_server.app:app`, for any ASGI server; configured by the environment."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _made() -> Any:
    # uvicorn by itself logs whole addresses: where people are, and who asks. The gate logs instead.
    logging.getLogger("uvicorn.access").disabled = True
    from promolens_server.config import load_config
    from promolens_server.factory import create_app
    from promolens_server.services import open_services

    return create_app(open_services(load_config()))


def __getattr__(name: str) -> Any:
    """Make the application when it is first asked for: importing this file opens nothing."""
    if name == "app":
        return _made()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
