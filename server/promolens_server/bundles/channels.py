"""A channel: which release phones are offered, and to how many of them. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from promolens_runtime.errors import InputError
from promolens_server.bundles.releases import FORMAT, Release, damaged

CHANNELS = ("stable", "beta")
MAX_EARLIER = 20
MAX_DEEDS = 100
BASIS_POINTS = 10_000


class ConflictError(InputError):
    """Somebody else changed the channel in between."""


@dataclass(frozen=True)
class Offered:
    """A release as a channel knows it."""

    id: str
    version: int


@dataclass(frozen=True)
class Deed:
    """One thing that somebody did to a channel.

    Attributes:
        action: `publish`, `rollout` or `rollback`.
        version: of the release that it was about; `None` where a roll back left nothing.
        percent: of the phones that are offered it since.
    """

    at: datetime
    by: str
    action: str
    version: int | None
    percent: int


@dataclass(frozen=True)
class Channel:
    """The state of one channel.

    Attributes:
        name: which line of artefacts goes over it; `""` before the first release.
        current: what every phone is offered; `None` before the first.
        candidate: what `percent` (0..99) of the phones are offered instead.
        earlier: what was current before, the newest last; what a roll back returns to.
        highest: the highest version ever offered: phones that have it refuse any lower one.
        revision: rises with every change.
        deeds: the last changes, the newest last.
    """

    name: str = ""
    current: Offered | None = None
    candidate: Offered | None = None
    percent: int = 0
    earlier: tuple[Offered, ...] = ()
    highest: int = 0
    revision: int = 0
    deeds: tuple[Deed, ...] = ()

    def named(self) -> tuple[Offered, ...]:
        """Return all releases that are offered, or that a rollback may offer again."""
        offered = (self.current, self.candidate)
        return (*(one for one in offered if one is not None), *self.earlier)

    def offered_to(self, install_id: str | None) -> Offered | None:
        """Return what a phone is offered; without an id it is never among the first."""
        if self.candidate is None or install_id is None:
            return self.current
        first = place_of(self.candidate.id, install_id) < self.percent * BASIS_POINTS // 100
        return self.candidate if first else self.current

    def to_bytes(self) -> bytes:
        """Return the channel's state file."""
        value = asdict(self) | {"format": FORMAT}
        return json.dumps(value, default=datetime.isoformat, sort_keys=True, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Channel:
        """Read the state file; `place` is for the message. Raises InputError."""
        try:
            value = json.loads(data)
            if value.pop("format") != FORMAT:
                raise ValueError("another format")
            for side in ("current", "candidate"):
                value[side] = value[side] and Offered(**value[side])
            value["earlier"] = tuple(Offered(**one) for one in value["earlier"])
            value["deeds"] = tuple(
                Deed(**one | {"at": datetime.fromisoformat(one["at"])}) for one in value["deeds"]
            )
            return cls(**value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(place, error) from None


def place_of(release_id: str, install_id: str) -> int:
    """Return a phone's place in the queue for a release, 0..9999; the same every time.

    The release is part of it, so that it is not always the same phones that go first.
    """
    digest = hashlib.sha256(f"{release_id}\n{install_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BASIS_POINTS


def check_revision(channel: Channel, expected: int | None) -> None:
    """Raises ConflictError when the channel is not what the caller has seen."""
    if expected is not None and channel.revision != expected:
        raise ConflictError(
            f"Expected the channel as it was shown (revision {expected}). Received revision "
            f"{channel.revision}: somebody changed it in between. Look again, then decide."
        )


def publish(
    channel: Channel,
    release: Release,
    percent: int,
    now: datetime,
    by: str,
    *,
    allow_downgrade: bool = False,
) -> Channel:
    """Offer a release to `percent` of the phones; 100 makes it the current one.

    Raises:
        InputError: it is offered already, is another artefact's, or its version is lower than one
            that was offered before (without `allow_downgrade`).
    """
    _check_percent(percent, lowest=1)
    _refuse_other_name(channel, release)
    if release.version < channel.highest and not allow_downgrade:
        raise InputError(
            f"Expected a version of at least {channel.highest}, which phones may have. Received "
            f"{release.version}: they refuse it. Make one with a higher version, or pass "
            "--allow-downgrade."
        )
    offered = Offered(release.id, release.version)
    if offered == channel.current:
        raise InputError(
            f"Expected a release that is not offered yet. Received {release.name} version "
            f"{release.version}, which every phone is offered already. Nothing is to be done."
        )
    begun = replace(
        channel,
        name=release.name,
        candidate=offered,
        percent=percent,
        highest=max(channel.highest, release.version),
    )
    return _done(_settled(begun), "publish", offered, percent, now, by)


def rollout(channel: Channel, percent: int, now: datetime, by: str) -> Channel:
    """Offer the candidate to another share of the phones; 0 pauses, 100 makes it the current one.

    Raises:
        InputError: nothing is being rolled out, or `percent` is outside 0..100.
    """
    _check_percent(percent, lowest=0)
    if channel.candidate is None:
        raise InputError(
            "Expected a release that is being rolled out. Received none on this channel. "
            "Publish one with --rollout below 100 first."
        )
    after = _settled(replace(channel, percent=percent))
    return _done(after, "rollout", channel.candidate, percent, now, by)


def rollback(channel: Channel, now: datetime, by: str, to_version: int | None = None) -> Channel:
    """Stop offering the newest release.

    While one is being rolled out that is the candidate, and the current one stays. Otherwise the
    one before becomes current; rolling back once more goes one further back. Phones that have
    installed the newer version keep it: they refuse lower ones (docs/bundle-delivery.md).

    Raises:
        InputError: there is nothing to go back to, or `to_version` was not current before.
    """
    stays = channel.current is not None and channel.current.version == to_version
    if channel.candidate is not None and (to_version is None or stays):
        after, target = replace(channel, candidate=None, percent=0), channel.current
    else:
        kept = _earlier_up_to(channel, to_version)
        target = kept[-1]
        after = replace(channel, current=target, candidate=None, percent=0, earlier=kept[:-1])
    return _done(after, "rollback", target, 100 if target else 0, now, by)


def _earlier_up_to(channel: Channel, version: int | None) -> tuple[Offered, ...]:
    """Return the earlier releases that end with the one to go back to."""
    for count in range(len(channel.earlier), 0, -1):
        if version is None or channel.earlier[count - 1].version == version:
            return channel.earlier[:count]
    if version is None:
        raise InputError(
            "Expected an earlier release to go back to. Received none on this channel. "
            "Look at what `releases` shows."
        )
    known = ", ".join(str(one.version) for one in channel.earlier) or "none"
    raise InputError(
        f"Expected a version that was current before ({known}). Received version {version}. "
        "Choose one of these."
    )


def _settled(channel: Channel) -> Channel:
    """Make a candidate that all phones are offered the current release."""
    if channel.candidate is None or channel.percent < 100:
        return channel
    before = (channel.current,) if channel.current else ()
    earlier = tuple(one for one in channel.earlier if one != channel.candidate) + before
    return replace(
        channel,
        current=channel.candidate,
        candidate=None,
        percent=0,
        earlier=earlier[-MAX_EARLIER:],
    )


def _done(
    channel: Channel, action: str, about: Offered | None, percent: int, now: datetime, by: str
) -> Channel:
    deed = Deed(now, by, action, about.version if about else None, percent)
    deeds = (*channel.deeds, deed)[-MAX_DEEDS:]
    return replace(channel, deeds=deeds, revision=channel.revision + 1)


def _refuse_other_name(channel: Channel, release: Release) -> None:
    if channel.name not in ("", release.name):
        raise InputError(
            f"Expected {channel.name!r}, which goes over this channel. Received "
            f"{release.name!r}. Make one with that name, or use another store."
        )


def _check_percent(percent: int, lowest: int) -> None:
    if not lowest <= percent <= 100:
        raise InputError(
            f"Expected {lowest} to 100 percent. Received {percent}. Give a whole number of these."
        )
