"""Fetching catalogue pictures, one a product, with a crawl's manners. No crawl ever does this.

Only hosts that a source's `pictures` names are asked, one request at a time, each after its turn
and by its own robots.txt. What is there already is not asked for again, so a run that was cut off
goes on where it stopped. Bytes are stored as they came: whoever decodes them must expect anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promolens_catalog.chains import Chain
from promolens_crawler.backoff import try_again
from promolens_crawler.config import CrawlerConfig
from promolens_crawler.errors import (
    BotPageError,
    CrawlError,
    FetchFailedError,
    NotAllowedError,
    SourceGoneError,
)
from promolens_crawler.manners import Clock, Gate, host_of
from promolens_crawler.pages import Request
from promolens_crawler.transports.build import picture_gate
from promolens_crawler.transports.wire import PICTURE_TYPES, Wire

MAX_PICTURE_BYTES = 5_000_000
# A chain whose pictures fail so often in a row is left alone.
MAX_FAILURES = 5
STOP_STATUS = frozenset({401, 403, 451})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class WantedPicture:
    """A product's picture.

    Attributes:
        name: of the product: letters, digits and `._-`; the file's name begins with it.
        url: where the chain shows it.
    """

    name: str
    chain: Chain
    url: str

    def file_in(self, folder: Path) -> Path:
        """Return where its bytes are kept: another address is another file."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name[:80]!r} cannot name a file")
        digest = hashlib.sha256(self.url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return folder / f"{self.name}.{digest}.picture"


@dataclass(frozen=True)
class FetchedPictures:
    """What a run left.

    Attributes:
        files: by the product's name; those that were there already included.
        asked: how many were asked for.
        missing: product's name and why there is no picture of it.
    """

    files: dict[str, Path]
    asked: int
    missing: tuple[tuple[str, str], ...]


def picture_hosts(config: CrawlerConfig) -> dict[Chain, frozenset[str]]:
    """Return the hosts whose pictures may be fetched, of the chains that allow any."""
    return {
        chain: frozenset(host_of(one) for one in source.pictures)
        for chain, source in config.sources.items()
        if source.enabled and source.pictures
    }


def fetch_pictures(
    config: CrawlerConfig,
    wanted: Sequence[WantedPicture],
    folder: Path,
    *,
    clock: Clock | None = None,
    done: Callable[[int], object] = lambda count: None,
) -> FetchedPictures:
    """Fetch pictures that `folder` has not, politely; it may take hours for thousands.

    Raises:
        NotAllowedError: a chain among them allows no pictures, or is switched off.
        OSError: the folder cannot be written.
    """
    clock = clock or Clock()
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    missing: list[tuple[str, str]] = []
    asked = 0
    for chain in dict.fromkeys(one.chain for one in wanted):
        reader = _Reader(config, picture_gate(config, chain, clock), clock)
        try:
            for one in wanted:
                if one.chain != chain:
                    continue
                path = one.file_in(folder)
                if not path.is_file():
                    asked += 1
                    problem = reader.store(one.url, path)
                    if problem is not None:
                        missing.append((one.name, problem))
                        done(1)
                        continue
                files[one.name] = path
                done(1)
        finally:
            reader.close()
    return FetchedPictures(files, asked, tuple(missing))


class _Reader:
    """Pictures of one chain; stops for good when the chain says so or fails too often."""

    def __init__(self, config: CrawlerConfig, gate: Gate, clock: Clock) -> None:
        size = min(config.limits.max_body_bytes, MAX_PICTURE_BYTES)
        self._limits = replace(config.limits, max_body_bytes=size)
        self._gate, self._clock = gate, clock
        self._wire = Wire(config.agent, self._limits, clock.now, PICTURE_TYPES)
        self._over: str | None = None
        self._failures = 0

    def store(self, url: str, path: Path) -> str | None:
        """Write the picture's bytes; return what is wrong where there are none."""
        if self._over is not None:
            return self._over
        try:
            body = self._fetch(url)
        except NotAllowedError as error:  # of this address: the next may be allowed
            return str(error)
        except BotPageError as error:
            self._over = str(error)
            return self._over
        except CrawlError as error:
            self._failures += 1
            if self._failures == MAX_FAILURES:
                self._over = f"Pictures failed {MAX_FAILURES} times in a row, so no more are asked."
            return str(error)
        self._failures = 0
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(body)
        part.replace(path)
        return None

    def close(self) -> None:
        self._wire.close()

    def _fetch(self, url: str) -> bytes:
        reply = try_again(
            lambda: self._wire.follow(Request(url), self._gate.enter),
            url[:200],
            self._limits,
            self._clock.sleep,
        )
        if reply.status in STOP_STATUS:
            raise BotPageError(
                f"Expected a picture at {url[:200]}. Received status {reply.status}: the site "
                "asks us to stop. No more of its pictures are asked for."
            )
        if reply.status in (404, 410):
            raise SourceGoneError(
                f"Expected a picture at {url[:200]}. Received status {reply.status}. Crawl again."
            )
        if reply.status != 200 or not reply.body:
            raise FetchFailedError(
                f"Expected a picture at {url[:200]}. Received status {reply.status} with "
                f"{len(reply.body)} bytes. Look at the address in a browser."
            )
        return reply.body
