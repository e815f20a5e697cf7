"""What is ordered, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

AskKind = Literal["recognise", "search"]
State = Literal["waiting", "running", "done", "cancelled", "failed"]
EndState = Literal["done", "cancelled", "failed"]


@dataclass(frozen=True)
class Ask:
    """What is asked about each picture.

    Attributes:
        k: candidates or matches of each picture.
        corpus: which one is searched; None for `recognise`.
    """

    kind: AskKind
    k: int
    corpus: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {"kind": self.kind, "k": self.k, "corpus": self.corpus}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ask:
        """Read what `to_json` made; raises ValueError, KeyError or TypeError."""
        kind, k, corpus = value["kind"], value["k"], value["corpus"]
        if kind not in get_args(AskKind) or not isinstance(k, int):
            raise ValueError("another question")
        if (kind == "search") != isinstance(corpus, str):
            raise ValueError("a corpus belongs to a search")
        return cls(kind, k, corpus)


@dataclass(frozen=True)
class Order:
    """One batch.

    Attributes:
        id: 32 hex digits of chance: who knows it may read the results.
        owner: whose quota it counts for: `key:<id>`, or a keyed hash of an address.
        files: names in the ZIP, in its order.
        created_at: UTC, ISO 8601.
    """

    id: str
    owner: str
    ask: Ask
    files: tuple[str, ...]
    created_at: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {
            "format": 1,
            "id": self.id,
            "owner": self.owner,
            "ask": self.ask.to_json(),
            "files": list(self.files),
            "created_at": self.created_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Order:
        """Read what `to_json` made; raises ValueError, KeyError or TypeError."""
        if value["format"] != 1:
            raise ValueError("another format")
        files = tuple(str(name) for name in value["files"])
        return cls(
            str(value["id"]),
            str(value["owner"]),
            Ask.from_json(value["ask"]),
            files,
            str(value["created_at"]),
        )


@dataclass(frozen=True)
class Progress:
    """How far an order is.

    Attributes:
        answered, refused: pictures with an answer, and without one.
        ended_at: None while it is not over.
        reason: why it failed; empty unless it did.
    """

    order: Order
    state: State
    answered: int
    refused: int
    ended_at: str | None
    reason: str = ""
