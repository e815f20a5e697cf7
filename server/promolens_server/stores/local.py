"""The catalog's own table of stores, filled by `promolens stores import`."""

from __future__ import annotations

from anyio.to_thread import run_sync

from promolens_catalog.database import Database
from promolens_catalog.stores import Nearest, nearest
from promolens_runtime.errors import InputError
from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.questions import Answer, FoundStore, Question

NAME = "local"


class Local:
    """Asks the catalog, in a thread."""

    name = NAME

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(self, question: Question) -> Answer:
        """Return the nearest stores; raises ProviderError."""
        try:
            found = await run_sync(self._nearest, question)
        except InputError as error:
            raise ProviderError(Outcome.DOWN, type(error).__name__) from error
        if not found.sources:
            raise ProviderError(Outcome.NO_LIST, "no list was imported")
        if not found.covered:
            raise ProviderError(Outcome.NOT_COVERED, "the lists do not reach there")
        return answer_of(found)

    async def close(self) -> None:
        """The catalog is closed by whoever opened it."""

    def _nearest(self, question: Question) -> Nearest:
        return nearest(
            self._database,
            question.latitude,
            question.longitude,
            question.radius_m,
            chains=question.chains,
            limit=question.limit,
        )


def answer_of(found: Nearest) -> Answer:
    """Return what the table knows as an answer; it is as old as the oldest list in it."""
    stores = tuple(
        (
            FoundStore(
                id=f"{one.store.source}/{one.store.source_id}",
                chain=one.store.chain,
                name=one.store.name,
                branch=one.store.branch,
                address=one.store.address,
                phone=one.store.phone,
                latitude=one.store.latitude,
                longitude=one.store.longitude,
            ),
            one.distance_m,
        )
        for one in found.stores
    )
    attributions = dict.fromkeys(one.attribution for one in found.sources if one.attribution)
    return Answer(
        provider=NAME,
        attribution=" · ".join(attributions),
        stores=stores,
        as_of=min(one.imported_at for one in found.sources),
        complete=True,
        certain=True,
    )
