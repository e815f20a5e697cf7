"""Nearest vectors of a corpus in the vector index, with what their scores mean."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_catalog.database import Database
from promolens_retrieval.cut_points import Band
from promolens_retrieval.entries import Filter, Hit, Stats
from promolens_retrieval.faiss_index import FaissConfig
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.normalisation import normalised
from promolens_retrieval.opening import list_spaces, open_index
from promolens_retrieval.spaces import Space
from promolens_runtime.errors import InputError, MissingError
from promolens_server.problems import Problem, shown
from promolens_server.recognition.calibration import Background, Calibration, Calibrations
from promolens_server.recognition.config import RecognitionConfig

CHAIN = "chain"


@dataclass(frozen=True)
class Judged:
    """An answer.

    Attributes:
        hit: the vector, with its cosine.
        normalised: the score less what unrelated pictures score, None without a background.
        band, precision: what the score means, None without cut-points.
    """

    hit: Hit
    normalised: float | None
    band: Band | None
    precision: float | None


@dataclass(frozen=True)
class CorpusState:
    """How a corpus is.

    Attributes:
        stats: None where nobody has searched it in this worker yet.
        calibrated: whether its scores have bands for the model in use.
    """

    space: Space
    searchable: bool
    calibrated: bool
    stats: Stats | None


class Corpora:
    """The spaces of one database. Safe to share between threads."""

    def __init__(self, database: Database, config: RecognitionConfig) -> None:
        self._database = database
        self._faiss = FaissConfig(folder=config.index_folder)
        self._calibrations = Calibrations(config.calibration)
        self._turn = threading.Lock()
        self._open: dict[Space, VectorIndex] = {}

    def search(
        self,
        space: Space,
        vector: NDArray[np.float32],
        k: int,
        *,
        min_score: float | None = None,
        chains: Sequence[str] = (),
    ) -> tuple[list[Judged], bool]:
        """Return the `k` nearest, best first, and whether the corpus has cut-points.

        Args:
            chains: only vectors that have one of these as the attribute `chain`.

        Raises:
            Problem: 404, there is no such corpus of the model; 503, its calibration is damaged, or
                FAISS is not installed.
            InputError: the database is away.
        """
        index = self._index(space)
        where = Filter(any_of={CHAIN: tuple(chains)}) if chains else None
        hits = index.search(vector, k, where=where, min_score=min_score)
        calibration = self._calibration(space)
        if calibration is None:
            return [Judged(hit, None, None, None) for hit in hits], False
        found = []
        above = self._above(space, vector, calibration.background)
        for hit in hits:
            over = None if above is None else above(hit.score)
            found.append(Judged(hit, over, *calibration.judged(hit.score, over)))
        return found, True

    def check(self, space: Space) -> None:
        """Raises Problem 404, there is no such corpus of the model; InputError."""
        self._index(space)

    def judged(self, space: Space, score: float) -> tuple[Band | None, float | None]:
        """Return what a cosine of two pictures means by a corpus' cut-points, if it has some."""
        calibration = self._calibration(space)
        return (None, None) if calibration is None else calibration.judged(score, None)

    def states(self, model_id: str) -> list[CorpusState]:
        """Return how all corpora are; those of other models cannot be searched now."""
        found = []
        for space in list_spaces(self._database):
            ours = space.model_id == model_id
            with self._turn:
                index = self._open.get(space)
            found.append(
                CorpusState(
                    space,
                    ours,
                    ours and self._calibration(space) is not None,
                    None if index is None else index.stats(),
                )
            )
        return found

    def close(self) -> None:
        """Let go of the indexes."""
        with self._turn:
            for index in self._open.values():
                index.close()
            self._open.clear()

    def _index(self, space: Space) -> VectorIndex:
        with self._turn:
            index = self._open.get(space)
            if index is None:
                # Opening would make a space of any name that somebody asks for.
                if space not in list_spaces(self._database):
                    raise _unknown(space)
                try:
                    index = open_index(self._database, space, self._faiss)
                except MissingError as error:
                    raise _unusable("index-unavailable", error) from error
                self._open[space] = index
            return index

    def _calibration(self, space: Space) -> Calibration | None:
        try:
            return self._calibrations.find(space.corpus, space.model_id)
        except InputError as error:
            # Not the client's fault, who would get 400.
            raise _unusable("calibration-unusable", error) from error

    def _above(
        self, space: Space, vector: NDArray[np.float32], background: Background | None
    ) -> _Above | None:
        if background is None:
            return None
        other = Space(background.corpus, space.model_id, space.dim)
        hits = self._index(other).search(vector, background.config.last)
        if len(hits) < background.config.last:
            return None
        scores = [hit.score for hit in hits[background.config.first - 1 :]]
        return _Above(float(np.mean(scores)), background)


@dataclass(frozen=True)
class _Above:
    mean: float
    background: Background

    def __call__(self, score: float) -> float:
        config = self.background.config
        return float(normalised(np.array([score]), self.mean, config=config)[0])


def _unusable(code: str, error: Exception) -> Problem:
    return Problem(503, code, str(error), headers={"retry-after": "60"})


def _unknown(space: Space) -> Problem:
    return Problem(
        404,
        "unknown-corpus",
        f"Expected a corpus of the model in use. Received {shown(space.corpus)}, which has no "
        "vectors of it. See /v1/index/status.",
    )
