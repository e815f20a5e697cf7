"""Where the report's reader finds an archived page."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from promolens_catalog.staging import CrawlRecord
from promolens_crawler.archive import Archive
from promolens_runtime.errors import InputError


def page_links(archive_folder: Path, report: Path) -> Callable[[CrawlRecord, str, int], str | None]:
    """Return what gives the address of an archived page, relative to the report's own place.

    The address leads to the compressed bytes as they came: a browser saves them, and never runs
    what a hostile page holds.
    """
    archive = Archive(archive_folder)

    @lru_cache(maxsize=32)
    def files(run: str) -> dict[tuple[str, int], str]:
        try:
            found = archive.open_run(run).entries()
        except InputError:
            return {}
        return {place: entry.file for place, entry in found.items()}

    def link(crawl: CrawlRecord, listing: str, number: int) -> str | None:
        file = files(crawl.archive).get((listing, number)) if crawl.archive else None
        if file is None:
            return None
        place = archive_folder.absolute() / str(crawl.archive) / file
        return quote(os.path.relpath(place, report.absolute().parent))

    return link
