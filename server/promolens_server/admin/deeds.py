"""What the pages can do: the functions of the command line, with a line in the log for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from promolens_catalog import link_review, publishing, snapshots
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.publishing import Publication
from promolens_runtime.errors import InputError
from promolens_server.admin import desk
from promolens_server.bundles import channels
from promolens_server.bundles.channels import Channel, ConflictError
from promolens_server.bundles.store import ArtefactStore
from promolens_server.failures import is_database_trouble

T = TypeVar("T")
_log = logging.getLogger(__name__)
MAX_REASON_CHARACTERS = 500


class TakenError(Exception):
    """Somebody else decided first; nothing was done. The text is for the details."""


@dataclass(frozen=True)
class Message:
    """What was done: a key of the texts and what goes into it."""

    key: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Deeds:
    """Everything that can be done, by whom and when.

    Attributes:
        db: the catalog, for writing.
        stores: of bundles and of galleries, by kind.
        who: id of the token.
    """

    db: Database
    stores: Mapping[str, ArtefactStore | None]
    who: str
    now: datetime

    def approve(self, snapshot_id: int) -> Message:
        """Publish a held snapshot. Raises TakenError, InputError."""
        from promolens_catalog.linking import NameLinker

        done = self._unless_taken(
            lambda: publishing.approve(self.db, snapshot_id, self.now, NameLinker()),
            lambda: desk.snapshot_state(self.db, snapshot_id) == "held",
        )
        return self._published("approve", "did_approve", done)

    def reject(self, snapshot_id: int, reason: str) -> Message:
        """Throw a held snapshot away. Raises TakenError, InputError."""
        text = " ".join(reason.split())[:MAX_REASON_CHARACTERS]
        self._unless_taken(
            lambda: publishing.reject(self.db, snapshot_id, self.now, text),
            lambda: desk.snapshot_state(self.db, snapshot_id) == "held",
        )
        self._note("reject", snapshot=snapshot_id, reason=text)
        return Message("did_reject", {"n": snapshot_id})

    def rollback(self, chain: Chain, to_snapshot: int, live_snapshot: int) -> Message:
        """Publish an earlier snapshot's rows again.

        Args:
            live_snapshot: the one that was published when the page was shown.

        Raises:
            TakenError: it is no longer the published one.
            InputError: there is nothing to go back to.
        """
        live = snapshots.published_snapshot(self.db, chain)
        if live is None or live.id != live_snapshot:
            raise TakenError(f"snapshot {live.id if live else None} of {chain} is published now")
        done = publishing.rollback(self.db, chain, self.now, to_snapshot)
        return self._published("rollback", "did_rollback", done)

    def decide_link(self, candidate_id: int, *, accept: bool) -> Message:
        """Say that a row is the proposed product, or is not. Raises TakenError, InputError."""
        deed = link_review.accept if accept else link_review.reject
        done = self._unless_taken(
            lambda: deed(self.db, candidate_id, self.now, f"admin:{self.who}"),
            lambda: desk.candidate_state(self.db, candidate_id) == "open",
        )
        self._note(f"link-{done.state}", candidate=candidate_id, moved=done.moved)
        key = "did_accept_link" if accept else "did_reject_link"
        return Message(key, {"moved": done.moved})

    def set_share(self, kind: str, channel: str, percent: int, revision: int) -> Message:
        """Offer a candidate to another share of the phones. Raises TakenError, InputError."""
        store = self._changed(
            kind,
            channel,
            revision,
            lambda state: channels.rollout(state, percent, self.now, self._by),
        )
        self._note(f"{store.noun}-rollout", channel=channel, percent=percent)
        return Message("did_share", {"channel": channel, "percent": percent})

    def roll_release_back(self, kind: str, channel: str, revision: int) -> Message:
        """Stop offering the newest release of a channel. Raises TakenError, InputError."""
        store = self._changed(
            kind, channel, revision, lambda state: channels.rollback(state, self.now, self._by)
        )
        self._note(f"{store.noun}-rollback", channel=channel)
        return Message("did_release_rollback", {"channel": channel})

    @property
    def _by(self) -> str:
        return f"admin:{self.who}"

    def _changed(
        self, kind: str, channel: str, revision: int, change: Callable[[Channel], Channel]
    ) -> ArtefactStore:
        store = self.stores[kind]
        if store is None:
            raise InputError("Expected a bundle store. Received none. Set PROMOLENS_BUNDLE_STORE.")
        try:
            store.change_channel(channel, change, expected_revision=revision)
        except ConflictError as error:
            raise TakenError(str(error)) from error
        return store

    def _unless_taken(self, deed: Callable[[], T], still_open: Callable[[], bool]) -> T:
        """Do it; where that is refused because it is decided already, say so."""
        try:
            return deed()
        except InputError as error:
            if is_database_trouble(error) or still_open():
                raise
            raise TakenError(str(error)) from error

    def _published(self, action: str, key: str, done: Publication) -> Message:
        self._note(action, snapshot=done.snapshot_id, version=done.version)
        values = {
            "n": done.snapshot_id,
            "version": done.version,
            "added": done.added,
            "ended": done.ended,
            "kept": done.unchanged,
        }
        return Message(key, values)

    def _note(self, action: str, **about: object) -> None:
        members = {"action": action, "who": self.who, "when": self.now.isoformat(), **about}
        _log.info("admin", extra={"members": members})
