"""Progress of long work: a bar with time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

QUIET_INTERVAL_S = 20.0


class Progress(Protocol):
    """What long work reports to."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Say that `count` more units are done; `note` is shown beside the bar."""


class _Lines:
    """One line on stderr at most every `QUIET_INTERVAL_S`: what a log file can hold."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._start = self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < QUIET_INTERVAL_S and self._done < self._total:
            return
        self._last = now
        left_s = (now - self._start) / max(1, self._done) * (self._total - self._done)
        line = f"{self._title}: {self._done}/{self._total}, {left_s:.0f} s left"
        print(f"{line}  {note}".rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Progress]:
    """Show the progress of `total` units of work, `start` of them done before."""
    if not sys.stderr.isatty():
        lines = _Lines(title, total)
        lines._done = start
        yield lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=start, note="")

        class _Bar:
            def advance(self, count: int = 1, note: str = "") -> None:
                bar.update(task, advance=count)
                if note:
                    bar.update(task, note=note)

        yield _Bar()
