"""Where files are kept that can be made again at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from promolens_server.services import Services


def bootstrap_folder(services: Services) -> Path:
    """Return the folder of this catalog's bootstrap files; it need not be there yet.

    `sync.folder` of the configuration, else below CACHE_DIRECTORY (systemd's CacheDirectory=), else
    below XDG_CACHE_HOME or ~/.cache.
    """
    configured = services.config.sync.folder
    if configured is not None:
        return configured
    base = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        base = str(Path(home) / "promolens")
    place = hashlib.sha256(str(_place(services)).encode()).hexdigest()[:16]
    return Path(base) / f"bootstrap-{place}"


def _place(services: Services) -> str:
    path = services.catalog.path
    return str(path.absolute()) if path is not None else services.catalog.place
