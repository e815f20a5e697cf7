"""The store on disk. Whatever a process was killed at, the last good state is what readers see.

    STORE/bundles/releases/SHA256/release.json    what the release is (`Release`)
                                  files/NAME      as published, read-only
                                  encoded/NAME.br compressed ones
                  channels/stable.json            which release is offered (`Channel`)
                  incoming/XXXX/                  a release on its way in; nobody reads it
                  lock                            held while something is put in its place

A release is filled in `incoming`, forced to the disk and renamed into `releases`: it is there whole
or not at all, and never changes. Then the channel's file is replaced by a rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_server.bundles.channels import CHANNELS, Channel, check_revision
from promolens_server.bundles.releases import RELEASE_ID, Release, damaged

BUNDLES = "bundles"
GALLERIES = "galleries"
NOUNS = {BUNDLES: "bundle", GALLERIES: "gallery"}
"""The command that publishes each kind, which is also its name."""

LOCK_WAIT_S = 10.0
MAX_RELEASES_KEPT_IN_MEMORY = 64
MAX_STATE_BYTES = 1024 * 1024

Checkpoint = Callable[[str], None]
"""Called with the name of each step that is behind us: what a test kills the process at."""

STEPS = ("staged", "verified", "described", "placed", "channel-written", "channel-placed")
"""The names, in the order of a publication."""


def nothing(_step: str) -> None:
    """Go on."""


class NoReleaseError(InputError):
    """There is no such release in the store."""


@dataclass(frozen=True)
class _Seen:
    """A channel as it was read, and which file that was."""

    stamp: tuple[int, int, int]
    channel: Channel


class ArtefactStore:
    """Releases and channels of one kind of artefact. Safe to share between threads.

    Args:
        root: the folder of the store; made by the first publication.
        kind: `bundles` or `galleries`; each kind has a folder of its own.
    """

    def __init__(self, root: Path, kind: str = BUNDLES) -> None:
        self.folder = root / kind
        self.noun = NOUNS[kind]
        self._releases: OrderedDict[str, Release] = OrderedDict()
        self._channels: dict[str, _Seen] = {}

    # ---- reading

    def channel(self, name: str) -> Channel:
        """Return the state of a channel; an empty one before its first release.

        Raises:
            InputError: no such channel, or its file is damaged.
            OSError: it cannot be read.
        """
        path = self._channel_path(name)
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
                seen = self._channels.get(name)
                if seen is None or seen.stamp != stamp:
                    seen = _Seen(stamp, Channel.from_bytes(file.read(MAX_STATE_BYTES), str(path)))
                    self._channels[name] = seen
                return seen.channel
        except FileNotFoundError:
            return Channel()

    def release(self, release_id: str) -> Release:
        """Return a release.

        Raises:
            NoReleaseError: there is none of that number.
            InputError: its description is damaged.
        """
        folder = self._release_folder(release_id)
        known = self._releases.get(release_id)
        if known is not None and folder.is_dir():  # another process may have pruned it
            return known
        path = folder / "release.json"
        try:
            with path.open("rb") as file:
                release = Release.from_bytes(file.read(MAX_STATE_BYTES), str(path))
        except (FileNotFoundError, NotADirectoryError):
            raise self._no_release(release_id) from None
        if release.id != release_id:
            raise damaged(str(path), ValueError(f"it says {release.id}"))
        self._releases[release_id] = release
        while len(self._releases) > MAX_RELEASES_KEPT_IN_MEMORY:
            self._releases.popitem(last=False)
        return release

    def releases(self) -> list[Release]:
        """Return all releases, the newest version first."""
        try:
            names = [path.name for path in (self.folder / "releases").iterdir()]
        except FileNotFoundError:
            return []
        found = [self.release(name) for name in names if RELEASE_ID.fullmatch(name)]
        return sorted(found, key=lambda one: (one.name, -one.version))

    def path_of(self, release: Release, name: str, coding: str | None = None) -> Path:
        """Return where a file of a release lies; `name` must be one of `release.files`."""
        file = release.files[name]
        folder = self._release_folder(release.id)
        if coding is None:
            return folder / "files" / name
        assert coding in file.encoded, "the caller has looked which codings there are"
        return folder / "encoded" / f"{name}.{coding}"

    # ---- writing

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """Give a new folder to fill; it is gone afterwards, unless `place` has moved it."""
        (self.folder / "incoming").mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._clear_incoming()
            folder = Path(tempfile.mkdtemp(dir=self.folder / "incoming"))
            folder.chmod(0o755)
            held = _lock_folder(folder)
        assert held is not None, "nobody else knows this folder"
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)

    def place(self, folder: Path, release: Release) -> bool:
        """Move a filled folder to its place; return whether the release is new.

        Raises:
            InputError: another content has this name and version already.
        """
        (self.folder / "releases").mkdir(exist_ok=True)
        target = self._release_folder(release.id)
        with self._locked():
            for other in self.releases():
                if other.id == release.id:
                    return False
                if (other.name, other.version) == (release.name, release.version):
                    raise InputError(
                        f"Expected one content for {release.name} version {release.version}, "
                        f"{other.id[:12]}. Received another, {release.id[:12]}. Make it with a "
                        "higher version."
                    )
            sync_tree(folder)
            folder.rename(target)
            _sync_folder(target.parent)
        return True

    def change_channel(
        self,
        name: str,
        change: Callable[[Channel], Channel],
        *,
        expected_revision: int | None = None,
        checkpoint: Checkpoint = nothing,
    ) -> Channel:
        """Replace a channel's state by `change` of it, one writer at a time; return the new one.

        Raises:
            ConflictError: its revision is not the expected one.
            InputError: what `change` raises; what it offers was pruned meanwhile; another process
                writes for longer than 10 s.
        """
        path = self._channel_path(name)
        self._check_there()
        path.parent.mkdir(exist_ok=True)
        with self._locked():
            before = self.channel(name)
            check_revision(before, expected_revision)
            after = change(before)
            self._check_offered(after)
            part = path.with_name(f".{path.name}.part")
            write_synced(part, after.to_bytes())
            checkpoint("channel-written")
            part.replace(path)
            _sync_folder(path.parent)
            checkpoint("channel-placed")
        return after

    def prune(self, keep: int, *, dry_run: bool = False) -> list[Release]:
        """Remove old releases; return them, the newest version first.

        There stay, of each name, the `keep` that came last, and all that a channel offers or could
        go back to. Running downloads end well; who asks anew for a removed release gets 404.

        Args:
            keep: at least 1.
            dry_run: remove nothing.

        Raises:
            InputError: `keep` is below 1, there is no store, a channel or a release in it is
                damaged (then nothing is removed), or another process writes for too long.
            OSError: the store cannot be written.
        """
        if keep < 1:
            raise InputError(f"Expected to keep at least 1 release. Received {keep}. Keep more.")
        self._check_there()
        (self.folder / "incoming").mkdir(exist_ok=True)
        with self._locked():
            gone = self._not_needed(keep)
            if dry_run:
                return gone
            # Renamed away first: a release is there whole or not at all.
            places = [self.folder / "incoming" / f"pruned-{one.id}" for one in gone]
            for release, place in zip(gone, places, strict=True):
                self._release_folder(release.id).rename(place)
                self._releases.pop(release.id, None)
            if gone:
                _sync_folder(self.folder / "releases")
            for place in places:
                shutil.rmtree(place, ignore_errors=True)
        return gone

    # ---- inner parts

    def _not_needed(self, keep: int) -> list[Release]:
        needed = {one.id for name in CHANNELS for one in self.channel(name).named()}
        releases = self.releases()
        for name in {one.name for one in releases}:
            line = [one for one in releases if one.name == name]
            line.sort(key=lambda one: (one.added_at, one.version), reverse=True)
            needed |= {one.id for one in line[:keep]}
        return [one for one in releases if one.id not in needed]

    def _check_offered(self, channel: Channel) -> None:
        for one in (channel.current, channel.candidate):
            if one is not None and not self._release_folder(one.id).is_dir():
                raise InputError(
                    f"Expected version {one.version} in the store. Received a store without it: it "
                    "was pruned. Publish it again."
                )

    def _check_there(self) -> None:
        if not self.folder.is_dir():
            raise InputError(
                f"Expected a {self.noun} in the store {self.folder.parent}. Received none. "
                f"Run: promolens {self.noun} publish --store DIR"
            )

    def _channel_path(self, name: str) -> Path:
        if name not in CHANNELS:
            raise InputError(
                f"Expected a channel among {', '.join(CHANNELS)}. Received {name[:40]!r}. "
                "Use one of these."
            )
        return self.folder / "channels" / f"{name}.json"

    def _release_folder(self, release_id: str) -> Path:
        if not RELEASE_ID.fullmatch(release_id):
            raise self._no_release(release_id)
        return self.folder / "releases" / release_id

    def _no_release(self, release_id: str) -> NoReleaseError:
        return NoReleaseError(
            f"Expected the SHA-256 of a release's manifest. Received {release_id[:80]!r}, which is "
            f"none of this store. Run: promolens {self.noun} releases"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + LOCK_WAIT_S
        try:
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise InputError(
                        f"Expected the bundle store within {LOCK_WAIT_S:.0f} s. Received a lock "
                        "that another process holds. Try again when it is done."
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)

    def _clear_incoming(self) -> None:
        """Remove what killed publications left; a living one holds its folder's lock."""
        for left in (self.folder / "incoming").iterdir():
            held = _lock_folder(left)
            if held is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(held)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_tree(folder: Path) -> None:
    """Wait until the disk has every name below a folder; its files were synced when written."""
    for place, _, _ in os.walk(folder):
        _sync_folder(Path(place))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_folder(folder: Path) -> int | None:
    """Return an open descriptor that holds the folder's lock; `None` where another one does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    if _try_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None
