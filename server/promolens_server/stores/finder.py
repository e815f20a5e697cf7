"""The chain of providers: the first that knows an answer gives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.questions import Answer, Question

_log = logging.getLogger(__name__)


class Provider(Protocol):
    """Something that answers questions for stores."""

    name: str

    async def ask(self, question: Question) -> Answer:
        """Return its answer; raises ProviderError."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True)
class Finding:
    """What came of a question.

    Attributes:
        answer: `None` where no provider gave one.
        tried: the providers asked, in order, and what came of each.
    """

    answer: Answer | None
    tried: tuple[tuple[str, Outcome], ...]


class StoreFinder:
    """Asks providers in turn.

    One that cannot say for certain that there is no store does not end the search: the next ones
    are asked, and its "none" counts only if nobody knows better.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        note: Callable[[str, Outcome], None] = lambda _name, _outcome: None,
    ) -> None:
        """Ask `providers` in this order; `note` is told what came of each question to each."""
        self._providers, self._note = tuple(providers), note

    async def find(self, question: Question) -> Finding:
        """Return the answer of the first provider that has one."""
        tried: list[tuple[str, Outcome]] = []
        doubtful: Answer | None = None
        for provider in self._providers:
            answer, outcome = await _asked(provider, question)
            if answer is not None and not answer.stores:
                outcome = Outcome.NOTHING
            tried.append((provider.name, outcome))
            self._note(provider.name, outcome)
            if answer is not None and (answer.stores or answer.certain):
                return Finding(answer, tuple(tried))
            doubtful = doubtful or answer
        return Finding(doubtful, tuple(tried))

    async def close(self) -> None:
        """Let go of what the providers hold."""
        for provider in self._providers:
            await provider.close()


async def _asked(provider: Provider, question: Question) -> tuple[Answer | None, Outcome]:
    try:
        return await provider.ask(question), Outcome.ANSWERED
    except ProviderError as error:
        return None, error.outcome
    except Exception:
        # A defect in reading one provider's answer must not take the others along.
        _log.exception("store provider %s: a defect", provider.name)
        return None, Outcome.DEFECT
