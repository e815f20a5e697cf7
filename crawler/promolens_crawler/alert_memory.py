"""What has been told already: one failure is told once a month, until it changes or is mended.

A small file beside the archive keeps it over restarts, for the daemon and for single runs alike.
Only what a receiver took is written down, so that an alert that got lost is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from promolens_crawler.files import write_atomically
from promolens_crawler.results import ChainResult, Outcome
from promolens_crawler.validation import holds

FILE = "alerts-told.json"
MAX_BYTES = 100_000
_GOOD = (Outcome.PUBLISHED, Outcome.UNCHANGED)


class AlertMemory:
    """The file; one that cannot be read counts as empty: better told twice than never."""

    def __init__(self, folder: Path) -> None:
        """Open nothing yet."""
        self._path = folder / FILE

    def untold(self, results: Sequence[ChainResult]) -> list[ChainResult]:
        """Return the results whose failure nobody has been told of since it began."""
        told = self._read()
        return [one for one in results if told.get(str(one.chain)) != failure_of(one)]

    def mended(self, results: Sequence[ChainResult]) -> None:
        """Forget the failures of chains that are well again. Raises OSError."""
        told = self._read()
        well = {str(one.chain) for one in results if one.outcome in _GOOD}
        if well & told.keys():
            self._write({chain: what for chain, what in told.items() if chain not in well})

    def remember(self, results: Sequence[ChainResult]) -> None:
        """Keep what was told. Raises OSError."""
        self._write({**self._read(), **{str(one.chain): failure_of(one) for one in results}})

    def _read(self) -> dict[str, str]:
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(told, dict):
            return {}
        return {chain: what for chain, what in told.items() if isinstance(what, str)}

    def _write(self, told: Mapping[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(told, indent=1, sort_keys=True)
        write_atomically(self._path, text.encode("utf-8"), mode=0o600)


def failure_of(result: ChainResult) -> str:
    """Name a failure by month, outcome and codes: counts that differ from day to day are no change.

    >>> from promolens_catalog.chains import Chain
    >>> failure_of(ChainResult(Chain.CU, Outcome.FAILED, "2026-11", "fetch-failed"))
    '2026-11 failed fetch-failed'
    """
    codes = sorted({finding.code for finding in holds(result.findings)} or {result.reason})
    return " ".join((result.month, str(result.outcome), *codes))
