"""Bodies of product answers, with what all of a version share made into JSON once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from promolens_catalog.calendar import korean_day
from promolens_catalog.chain_status import ChainStatus
from promolens_catalog.items import BARCODE, ItemKey
from promolens_catalog.lookup import Known
from promolens_server.caching import json_bytes
from promolens_server.kept import Kept
from promolens_server.rapid import raw_json
from promolens_server.services import Services
from promolens_server.views import chains_json, known_json


class KnownBodies:
    """Makes `models.products.ProductAnswer` as bytes. Safe to share between threads."""

    def __init__(self, services: Services) -> None:
        self._lookup = services.lookup
        self._versions = services.versions
        self._kept = Kept()
        self._chains: tuple[Sequence[ChainStatus], bytes] = ((), b"[]")

    def by_barcode(self, code: str, now: datetime) -> tuple[int, bytes]:
        """Return version and body for a barcode in its one spelling; raises InputError."""
        day = korean_day(now)
        version = self._versions.peek()
        if version is not None:
            kept = self._kept.get(version, day, code)
            if kept is not None:
                return version, kept
        raw = self._lookup.raw_by_key(ItemKey(BARCODE, code), now)
        body = self._joined(json_bytes(raw_json(raw, day)), raw.shared.chains)
        self._kept.keep(raw.shared.version, day, code, body)
        return raw.shared.version, body

    def body(self, known: Known, now: datetime) -> tuple[int, bytes]:
        """Return version and body of what is known."""
        head = json_bytes(known_json(known, korean_day(now)))
        return known.answer.version, self._joined(head, known.answer.chains)

    def _joined(self, head: bytes, statuses: Sequence[ChainStatus]) -> bytes:
        chains, text = self._chains
        # One tuple a version: the same object until the next publication.
        if chains is not statuses:
            text = json_bytes(chains_json(statuses))
            self._chains = (statuses, text)
        return b'%b,"chains":%b}' % (head[:-1], text)
