"""What sync tells phones of new bundles and galleries, so that they need not ask every day."""

from __future__ import annotations

from promolens_runtime.errors import InputError
from promolens_server.bundles.channels import Offered
from promolens_server.bundles.store import ArtefactStore

CHANNEL = "stable"
Announced = dict[str, dict[str, str | int] | None]


def announced(bundles: ArtefactStore | None, galleries: ArtefactStore | None) -> Announced:
    """Return `models.bundles.Releases` as JSON: what the stable channel offers to every phone.

    A store that is away or damaged announces nothing: a copy of the catalog is no worse for that.
    """
    return {"bundle": _told(bundles), "gallery": _told(galleries)}


def announced_tag(bundles: ArtefactStore | None, galleries: ArtefactStore | None) -> bytes:
    """Return what changes with the announcement, for tags of answers that carry it."""
    current = [_current(store) for store in (bundles, galleries)]
    return "".join(f" {one.id}" if one else " -" for one in current).encode()


def _told(store: ArtefactStore | None) -> dict[str, str | int] | None:
    current = _current(store)
    return None if current is None else {"version": current.version, "manifest_sha256": current.id}


def _current(store: ArtefactStore | None) -> Offered | None:
    try:
        return None if store is None else store.channel(CHANNEL).current
    except (InputError, OSError):
        return None
