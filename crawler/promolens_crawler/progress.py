"""Shows a person how crawls get on: a bar for each chain on a terminal, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from promolens_catalog.chains import Chain
from promolens_crawler.pipeline import Progress
from promolens_crawler.reading import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class NoProgress:
    """Shows nothing: the log has one line a crawl."""

    def chain(self, chain: Chain, listings: Sequence[str]) -> Watcher:
        """Begin a chain."""
        return _Silent()


class _Silent:
    def page(self, listing: str, number: int, rows: int, total: int | None) -> None:
        """Say nothing."""


class _Terminal:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def chain(self, chain: Chain, listings: Sequence[str]) -> Watcher:
        for before in self._bars.tasks:
            self._bars.update(before.id, total=before.completed, note="")
        task = self._bars.add_task(str(chain), total=None, note="")
        return _Bar(self._bars, task, len(listings))


class _Bar:
    """Counts rows of all listings; the total is known once each listing has told its own."""

    def __init__(self, bars: Bars, task: TaskID, listings: int) -> None:
        self._bars, self._task, self._listings = bars, task, listings
        self._rows: dict[str, int] = {}
        self._totals: dict[str, int | None] = {}

    def page(self, listing: str, number: int, rows: int, total: int | None) -> None:
        self._rows[listing], self._totals[listing] = rows, total
        known = [one for one in self._totals.values() if one is not None]
        whole = sum(known) if len(known) == self._listings else None
        self._bars.update(
            self._task,
            completed=sum(self._rows.values()),
            total=whole,
            note=f"{listing}, page {number}",
        )


@contextlib.contextmanager
def terminal_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a progress that shows bars on stderr if that is a terminal, and nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield NoProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        TextColumn("{task.completed} rows"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Terminal(bars)
