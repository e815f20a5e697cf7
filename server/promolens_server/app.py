"""`promolens_server.app:app`, for any ASGI server; configured by the environment."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _made() -> Any:
    from promolens_server.config import load_config
    from promolens_server.factory import create_app
    from promolens_server.services import open_services

    return create_app(open_services(load_config()))


def __getattr__(name: str) -> Any:
    """Make the application when it is first asked for: importing this file opens nothing."""
    if name == "app":
        return _made()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
