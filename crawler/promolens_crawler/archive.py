"""Raw answers of every crawl, before anybody reads them: what proves a row and replays a crawl.

```
ARCHIVE/cu/2026-11-20261121T064512Z-1f0c9a/     one crawl
    index.jsonl                                 one line an answer, in the order of keeping
    one-plus-one-0001-5d41402abc4b.gz           its body, named by listing, number and content
```

A body is written before its line, so a killed crawl leaves at most a last line that is torn, which
readers pass over. Nothing in an index becomes a path: file names are made from checked parts.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from promolens_catalog.chains import Chain
from promolens_crawler.errors import CrawlError
from promolens_crawler.pages import Answer
from promolens_runtime.errors import InputError

INDEX = "index.jsonl"
MAX_INDEX_BYTES = 50_000_000
MAX_LINE_CHARACTERS = 20_000
_STAMP = "%Y%m%dT%H%M%SZ"
_RUN = re.compile(r"(\d{4}-\d{2})-(\d{8}T\d{6}Z)-[0-9a-f]{6}")
_LISTING = re.compile(r"[a-z0-9-]{1,60}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DROPPED = "dropped-"
_MAX_NUMBER = 99_999


class ArchiveError(CrawlError):
    """An archived answer is missing, damaged or larger than the limit."""

    reason = "archive"


@dataclass(frozen=True)
class Entry:
    """One archived answer: its line in the index.

    Attributes:
        sha256: of the body.
        fetched_at: UTC, ISO 8601.
    """

    listing: str
    number: int
    url: str
    status: int
    content_type: str
    sha256: str
    fetched_at: str
    rendered: bool = False
    etag: str = ""
    last_modified: str = ""

    def __post_init__(self) -> None:
        texts = (self.url, self.content_type, self.etag, self.last_modified)
        sound = (
            isinstance(self.listing, str)
            and _LISTING.fullmatch(self.listing)
            and type(self.number) is int
            and 0 <= self.number <= _MAX_NUMBER
            and type(self.status) is int
            and isinstance(self.sha256, str)
            and _SHA256.fullmatch(self.sha256)
            and type(self.rendered) is bool
            and all(isinstance(text, str) for text in texts)
            and datetime.fromisoformat(self.fetched_at).tzinfo is not None
        )
        if not sound:
            raise ValueError("not an entry of an archive's index")

    @property
    def file(self) -> str:
        """Name of the file with the body."""
        return f"{self.listing}-{self.number:04d}-{self.sha256[:12]}.gz"


class Archive:
    """A folder of archived crawls."""

    def __init__(self, folder: Path, max_body_bytes: int = 20_000_000) -> None:
        """Use `folder`, which is made with the first crawl; larger bodies are not read back."""
        self._folder, self._max_body_bytes = folder, max_body_bytes

    def new_run(self, chain: Chain, month: str, now: datetime) -> str:
        """Make a folder for a crawl and return its name: `cu/2026-11-20261121T064512Z-1f0c9a`.

        Raises:
            InputError: the folder cannot be made.
        """
        stamp = now.astimezone(UTC).strftime(_STAMP)
        name = f"{chain}/{month}-{stamp}-{secrets.token_hex(3)}"
        _chain_of(name)
        try:
            (self._folder / name).mkdir(parents=True)
        except OSError as error:
            raise InputError(
                f"Expected to make a folder in the archive {self._folder}. Received "
                f"{error.strerror or error}. Check [crawler] archive."
            ) from error
        return name

    def open_run(self, name: str) -> ArchiveRun:
        """Return an archived crawl, to add to it or to read it.

        Raises:
            InputError: no such crawl, or not a name that `new_run` gives.
        """
        _chain_of(name)
        folder = self._folder / name
        if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
            raise InputError(
                f"Expected the archived crawl {name} in {self._folder}. Received none. "
                "It may be older than retention_days."
            )
        return ArchiveRun(name, folder, self._max_body_bytes)

    def runs(self, chain: Chain) -> list[str]:
        """Return the names of a chain's crawls, newest first."""
        return [f"{chain}/{folder.name}" for folder in _run_folders(self._folder / chain)]

    def kept(self, chain: Chain, newest: int = 2) -> Callable[[str], Answer | None]:
        """Return what finds the newest answer to an address in the last crawls of a chain.

        Only answers that a shop can be asked about again (ETag, Last-Modified) count; their bodies
        are read when they are asked for, and a damaged one is as good as none.
        """
        found: dict[str, tuple[ArchiveRun, Entry]] = {}
        for name in reversed(self.runs(chain)[:newest]):
            run = self.open_run(name)
            for entry in run.lines():
                if entry.number and not entry.rendered and (entry.etag or entry.last_modified):
                    found[entry.url] = (run, entry)

        def answer(url: str) -> Answer | None:
            if url not in found:
                return None
            run, entry = found[url]
            with contextlib.suppress(ArchiveError):
                return run.read(entry)
            return None

        return answer

    def prune(self, older_than: datetime, keep: Collection[str]) -> list[str]:
        """Delete crawls that began before an instant, and return their names.

        Args:
            keep: names that stay whatever their age: the crawls behind what is published, what is
                held for a person, and what still runs.
        """
        gone = []
        for chain in Chain:
            parent = self._folder / chain
            if parent.is_symlink():
                continue
            for left in parent.glob(f"{_DROPPED}*"):
                _delete(left)
            for folder in _run_folders(parent):
                name = f"{chain}/{folder.name}"
                if name not in keep and _began(folder.name) < older_than:
                    # Renamed first: a crash in the middle leaves no half crawl under its name.
                    dropped = folder.rename(parent / f"{_DROPPED}{folder.name}")
                    _delete(dropped)
                    gone.append(name)
        return gone


class ArchiveRun:
    """One archived crawl."""

    def __init__(self, name: str, folder: Path, max_body_bytes: int) -> None:
        """Take the place; `Archive.open_run` checks it."""
        self.name, self._folder, self._max_body_bytes = name, folder, max_body_bytes

    def keep(self, answer: Answer) -> None:
        """Keep an answer; of two with the same listing and number, `entries` shows the later one.

        Raises:
            OSError: the disk is full or not writable.
            ValueError: a listing key that is no file name.
        """
        entry = Entry(
            listing=answer.listing,
            number=answer.number,
            url=answer.url,
            status=answer.status,
            content_type=answer.content_type,
            sha256=hashlib.sha256(answer.body).hexdigest(),
            fetched_at=answer.fetched_at.astimezone(UTC).isoformat(),
            rendered=answer.rendered,
            etag=answer.etag,
            last_modified=answer.last_modified,
        )
        self._write_body(entry.file, answer.body)
        self._add_line(json.dumps(asdict(entry)))

    def lines(self) -> Iterator[Entry]:
        """Yield the readable lines of the index in the order of keeping."""
        path = self._folder / INDEX
        if path.is_symlink() or not path.is_file():
            return
        with path.open("rb") as file:
            text = file.read(MAX_INDEX_BYTES).decode("utf-8", "replace")
        for line in text.split("\n"):
            entry = _entry(line)
            if entry is not None:
                yield entry

    def entries(self) -> dict[tuple[str, int], Entry]:
        """Return the newest entry of each (listing, number)."""
        return {(entry.listing, entry.number): entry for entry in self.lines()}

    def read(self, entry: Entry) -> Answer:
        """Return an archived answer, its body compared with its hash; raises ArchiveError."""
        body = self._read_body(entry.file)
        if hashlib.sha256(body).hexdigest() != entry.sha256:
            raise self._damaged(entry.file, "another content")
        return Answer(
            listing=entry.listing,
            number=entry.number,
            url=entry.url,
            status=entry.status,
            body=body,
            content_type=entry.content_type,
            fetched_at=datetime.fromisoformat(entry.fetched_at),
            rendered=entry.rendered,
            etag=entry.etag,
            last_modified=entry.last_modified,
        )

    def _write_body(self, name: str, body: bytes) -> None:
        path, part = self._folder / name, self._folder / f"{name}.part"
        with part.open("wb") as file:
            file.write(gzip.compress(body, 6, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _add_line(self, line: str) -> None:
        with (self._folder / INDEX).open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                # A line that a killed process left torn must not swallow this one.
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def _read_body(self, name: str) -> bytes:
        path, limit = self._folder / name, self._max_body_bytes
        if path.is_symlink() or not path.is_file():
            raise self._damaged(name, "no such file")
        try:
            with gzip.open(path) as file:
                body = file.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(name, "a damaged file") from error
        if len(body) > limit:
            raise self._damaged(name, f"more than {limit} bytes")
        return body

    def _damaged(self, name: str, received: str) -> ArchiveError:
        return ArchiveError(
            f"Expected the archived answer {name} of {self.name}. Received {received}. Crawl again."
        )


def _entry(line: str) -> Entry | None:
    if not line or len(line) > MAX_LINE_CHARACTERS:
        return None
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _chain_of(name: str) -> Chain:
    """Return the chain of a run's name; the name can then be no other path. Raises InputError."""
    chain, _, run = name.partition("/")
    if chain not in set(Chain) or _RUN.fullmatch(run) is None:
        raise InputError(
            "Expected an archived crawl such as cu/2026-11-20261121T064512Z-1f0c9a. Received "
            f"{name[:80]!r}."
        )
    return Chain(chain)


def _run_folders(parent: Path) -> list[Path]:
    """Return the folders of crawls below a chain's, newest first."""
    if parent.is_symlink() or not parent.is_dir():
        return []
    found = [
        folder
        for folder in parent.iterdir()
        if _RUN.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    return sorted(found, key=lambda folder: (_began(folder.name), folder.name), reverse=True)


def _began(run: str) -> datetime:
    found = _RUN.fullmatch(run)
    assert found is not None
    try:
        return datetime.strptime(found[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        # Digits that are no date: not ours to delete.
        return datetime.max.replace(tzinfo=UTC)


def _delete(folder: Path) -> None:
    if not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
