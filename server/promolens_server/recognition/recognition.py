"""Everything that answers questions about pictures in one worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from promolens_catalog.database import Database
from promolens_retrieval.spaces import Space
from promolens_runtime.errors import ImageError
from promolens_runtime.guarded.confinement import Confinement
from promolens_runtime.guarded.decoder import (
    DecoderPool,
    DecoderUnavailableError,
    GuardConfig,
    GuardedDecoder,
    PictureTooSlowError,
)
from promolens_runtime.guarded.frames import Decoded
from promolens_runtime.images import ImageLimits
from promolens_runtime.preprocess import Preprocessing
from promolens_server.problems import Problem
from promolens_server.recognition import answers
from promolens_server.recognition.admission import Admission, busy
from promolens_server.recognition.assets import Assets, Loaded
from promolens_server.recognition.batches.orders import Ask
from promolens_server.recognition.batches.runner import BatchRunner
from promolens_server.recognition.batches.store import BatchStore
from promolens_server.recognition.comparing import arrangement_json, cosine
from promolens_server.recognition.config import RecognitionConfig
from promolens_server.recognition.corpora import Corpora

T = TypeVar("T")


def opened(
    config: RecognitionConfig, catalog: Database, clock: Callable[[], datetime], *, rated: bool
) -> Recognition:
    """Open it; see `opening.open_recognition`."""
    assets = Assets(config)
    batches = None if config.batches.folder is None else BatchStore(config.batches, clock)
    many = replace(config, at_once=config.batches.unfinished, per_client=config.batches.per_client)
    return Recognition(
        config,
        assets,
        Corpora(catalog, config),
        batches,
        Admission(config, rated=rated),
        Admission(many, rated=rated),
    )


class Recognition:
    """Safe to share between threads; `work` belongs to the event loop.

    Attributes:
        config: as configured.
        corpora: the vector index.
        admission: who may send a picture now.
        uploads: who may send a batch now; slow uploads of batches keep no picture waiting.
        batches: orders of many pictures, None where no folder is configured.
        runner: works on them; started and stopped with the service.
    """

    def __init__(
        self,
        config: RecognitionConfig,
        assets: Assets,
        corpora: Corpora,
        batches: BatchStore | None,
        admission: Admission,
        uploads: Admission,
    ) -> None:
        self.config = config
        self.corpora = corpora
        self.batches = batches
        self.admission = admission
        self.uploads = uploads
        self._assets = assets
        spec = assets.current().bundle.manifest.preprocessing
        self._pool_spec = spec
        self._pool = DecoderPool(spec, config.decoders, guard_of(config))
        self._pool.start()
        self._free = asyncio.Semaphore(config.decoders)
        self._threads = ThreadPoolExecutor(config.decoders, "pictures")
        self.runner = (
            None
            if batches is None
            else BatchRunner(batches, self.answer_of_batch, config.picture_bytes)
        )
        self._batch_decoder: GuardedDecoder | None = None

    def loaded(self) -> Loaded:
        """Return the bundle and gallery in use, after a look whether they changed."""
        return self._assets.current()

    def health(self) -> dict[str, Any]:
        """Return what /readyz tells."""
        loaded = self.loaded()
        problems = [self._assets.bundle_problem, loaded.gallery_problem]
        return {
            **answers.versions_json(loaded),
            "decoders": len(self._pool.process_ids),
            "problems": [one for one in problems if one],
        }

    async def work(self, function: Callable[[], T]) -> T:
        """Run a function that decodes and computes in a thread, when one is free.

        Raises:
            Problem: 503, none became free in time.
        """
        try:
            async with asyncio.timeout(self.config.queue_s):
                await self._free.acquire()
        except TimeoutError:
            raise busy() from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        finally:
            self._free.release()

    def recognise(self, data: bytes, top: int) -> dict[str, Any]:
        """Return `RecogniseAnswer` as JSON. Raises Problem 422 for no good picture, 503."""
        loaded = self.loaded()
        return _recognised(loaded, self._decoded(loaded, data), top)

    def search(
        self,
        data: bytes,
        corpus: str,
        k: int,
        min_score: float | None = None,
        chains: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return `ImageSearchAnswer` as JSON. Raises Problem: 404 for the corpus, 422, 503."""
        loaded = self.loaded()
        picture = self._decoded(loaded, data)
        return self._searched(loaded, picture, corpus, k, min_score, chains)

    def compare(self, one: bytes, other: bytes, corpus: str | None) -> dict[str, Any]:
        """Return `CompareAnswer` as JSON. Raises Problem 422 naming the field, 503."""
        loaded = self.loaded()
        left = self._decoded(loaded, one, "one", with_grey=True)
        right = self._decoded(loaded, other, "other", with_grey=True)
        score = cosine(loaded.embed(left.tensor), loaded.embed(right.tensor))
        reason = next(
            (
                f"{name}: {picture.problem}"
                for name, picture in (("one", left), ("other", right))
                if picture.problem
            ),
            "one of them has an embedding of no length" if score is None else None,
        )
        band, precision = None, None
        if corpus is not None and score is not None and reason is None:
            space = Space(corpus, loaded.model_sha256, loaded.dimensions)
            band, precision = self.corpora.judged(space, score)
        return {
            "cosine": None if score is None else round(score, 6),
            "band": band,
            "estimated_precision": None if precision is None else round(precision, 4),
            "arrangement": arrangement_json(left.grey, right.grey),
            "abstain_reason": reason,
            **answers.versions_json(loaded),
        }

    def check_corpus(self, corpus: str) -> None:
        """Raises Problem 404 where the model in use has no vectors in a corpus."""
        loaded = self.loaded()
        self.corpora.check(Space(corpus, loaded.model_sha256, loaded.dimensions))

    def index_status(self) -> dict[str, Any]:
        """Return `IndexStatus` as JSON; raises InputError where the database is away."""
        loaded = self.loaded()
        states = self.corpora.states(loaded.model_sha256)
        return {
            "corpora": [answers.state_json(state) for state in states],
            **answers.versions_json(loaded),
        }

    def answer_of_batch(self, ask: Ask, data: bytes) -> dict[str, Any]:
        """Answer one picture of an order, with a decoder of its own: nobody else waits for it."""
        loaded = self.loaded()
        self._same_spec(loaded)
        if self._batch_decoder is None:
            self._batch_decoder = GuardedDecoder(self._pool_spec, guard_of(self.config))
        try:
            picture = self._batch_decoder.decode(data, whole=loaded.whole)
        except (ImageError, DecoderUnavailableError) as error:
            raise _problem_of(error) from error
        if ask.kind == "recognise":
            return _recognised(loaded, picture, ask.k)
        assert ask.corpus is not None
        return self._searched(loaded, picture, ask.corpus, ask.k, None, ())

    def close(self) -> None:
        """End the decoders and close the indexes."""
        if self.runner is not None:
            self.runner.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()
        if self._batch_decoder is not None:
            self._batch_decoder.close()
        self.corpora.close()

    def _searched(
        self,
        loaded: Loaded,
        picture: Decoded,
        corpus: str,
        k: int,
        min_score: float | None,
        chains: Sequence[str],
    ) -> dict[str, Any]:
        space = Space(corpus, loaded.model_sha256, loaded.dimensions)
        vector = loaded.embed(picture.tensor)
        reason = picture.problem
        if reason is None and not vector.any():
            reason = "too simple to match (an embedding of no length)"
        if reason is not None:
            return answers.searched_json(corpus, loaded, (), reason, calibrated=False)
        found, calibrated = self.corpora.search(
            space, vector, k, min_score=min_score, chains=chains
        )
        return answers.searched_json(corpus, loaded, found, None, calibrated=calibrated)

    def _decoded(
        self, loaded: Loaded, data: bytes, field: str = "", *, with_grey: bool = False
    ) -> Decoded:
        self._same_spec(loaded)
        try:
            return self._pool.decode(data, whole=loaded.whole, with_grey=with_grey)
        except (ImageError, DecoderUnavailableError) as error:
            raise _problem_of(error, field) from error

    def _same_spec(self, loaded: Loaded) -> None:
        """Let the decoders prepare pictures as the bundle in use wants them."""
        spec: Preprocessing = loaded.bundle.manifest.preprocessing
        if spec == self._pool_spec:
            return
        before, self._pool_spec = self._pool, spec
        self._pool = DecoderPool(spec, self.config.decoders, guard_of(self.config))
        before.close()
        if self._batch_decoder is not None:
            self._batch_decoder.close()
            self._batch_decoder = None


def guard_of(config: RecognitionConfig) -> GuardConfig:
    """Return how pictures are decoded here."""
    return GuardConfig(
        limits=ImageLimits(config.picture_bytes, config.picture_pixels),
        confinement=Confinement(
            address_space_bytes=config.decoder_bytes, cpu_s=max(2, int(2 * config.decode_s))
        ),
        time_s=config.decode_s,
    )


def _recognised(loaded: Loaded, picture: Decoded, top: int) -> dict[str, Any]:
    said = loaded.recognise(picture.tensor, top)
    return answers.recognised_json(loaded, said, picture.problem)


def _problem_of(error: ImageError | DecoderUnavailableError, field: str = "") -> Problem:
    if isinstance(error, DecoderUnavailableError):
        return Problem(503, "decoder-unavailable", str(error), headers={"retry-after": "5"})
    code = "picture-too-slow" if isinstance(error, PictureTooSlowError) else "picture-refused"
    members: dict[str, Any] = {"field": field} if field else {}
    return Problem(422, code, str(error), **members)
