"""Bodies of product answers, with what all of a version share made into JSON, and kept, once."""

from __future__ import annotations

from datetime import date, datetime

from promolens_catalog.calendar import korean_day
from promolens_catalog.lookup import Known
from promolens_server.caching import json_bytes
from promolens_server.kept import Kept
from promolens_server.services import Services
from promolens_server.views import chains_json, known_json


class KnownBodies:
    """Makes `models.products.ProductAnswer` as bytes. Safe to share between threads."""

    def __init__(self, services: Services) -> None:
        self._lookup = services.lookup
        self._versions = services.versions
        self._kept = Kept()
        # The end of every answer of one version on one day.
        self._end: tuple[int, date | None, bytes] = (-1, None, b"")

    def by_barcode(self, code: str, now: datetime) -> tuple[int, bytes]:
        """Return version and body for a barcode in its one spelling; raises InputError."""
        day = korean_day(now)
        # Whether it is of the newest version costs a question.
        if code in self._kept:
            version = self._versions.peek()
            end_version, end_day, end = self._end
            if version is not None and (end_version, end_day) == (version, day):
                kept = self._kept.get(version, day, code)
                if kept is not None:
                    return version, kept + end
        known = self._lookup.by_barcode(code, now)
        version, beginning, end = self._parts(known, day)
        self._kept.keep(version, day, code, beginning)
        return version, beginning + end

    def body(self, known: Known, now: datetime) -> tuple[int, bytes]:
        """Return version and body of what is known."""
        version, beginning, end = self._parts(known, korean_day(now))
        return version, beginning + end

    def _parts(self, known: Known, day: date) -> tuple[int, bytes, bytes]:
        version = known.answer.version
        end_version, end_day, end = self._end
        if (end_version, end_day) != (version, day):
            end = b',"chains":%b}' % json_bytes(chains_json(known.answer.chains))
            self._end = (version, day, end)
        return version, json_bytes(known_json(known, day))[:-1], end
