"""Bodies of product answers, with what all of a version share made into JSON once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from promolens_catalog.calendar import korean_day
from promolens_catalog.chain_status import ChainStatus
from promolens_catalog.items import ItemKey
from promolens_catalog.lookup import Known
from promolens_server.caching import json_bytes
from promolens_server.services import Services
from promolens_server.views import chains_json, known_json


class KnownBodies:
    """Makes `models.products.ProductAnswer` as bytes. Safe to share between threads."""

    def __init__(self, services: Services) -> None:
        self._lookup = services.lookup
        self._chains: tuple[Sequence[ChainStatus], bytes] = ((), b"[]")

    def by_barcode(self, code: str, now: datetime) -> tuple[int, bytes]:
        """Return version and body for a barcode in its one spelling; raises InputError."""
        return self.body(self._lookup.by_barcode(code, now), now)

    def by_key(self, key: ItemKey, now: datetime) -> tuple[int, bytes]:
        """Return version and body for any key; raises InputError."""
        return self.body(self._lookup.by_key(key, now), now)

    def body(self, known: Known, now: datetime) -> tuple[int, bytes]:
        """Return version and body of what is known."""
        answer = known.answer
        head = json_bytes(known_json(known, korean_day(now)))
        chains, text = self._chains
        # One tuple a version: the same object until the next publication.
        if chains is not answer.chains:
            text = json_bytes(chains_json(answer.chains))
            self._chains = (answer.chains, text)
        return answer.version, b'%b,"chains":%b}' % (head[:-1], text)
