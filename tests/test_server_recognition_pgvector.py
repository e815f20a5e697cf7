"""Questions with pictures where another server keeps the vectors."""

from __future__ import annotations

import numpy as np
import pytest

from promolens_catalog.database import open_database
from promolens_retrieval.entries import Entry
from promolens_retrieval.opening import URL_VARIABLE, list_spaces, open_index
from promolens_retrieval.spaces import Space
from promolens_runtime.bundle import read_bundle
from promolens_runtime.embedder import Embedder
from recognition_support import Desk, asking, desk, pattern, saved
from retrieval_support import empty_vectors
from server_support import assert_problem

__all__ = ["desk"]
PNG = {"content-type": "image/png"}


def test_corpora_of_pgvector_are_found_and_searched(
    desk: Desk, pgvector_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_vectors(pgvector_url)
    monkeypatch.setenv(URL_VARIABLE, pgvector_url)
    data = saved(pattern(2))
    embedder = Embedder(read_bundle(desk.folder, desk.public_key))
    space = Space("shelf", embedder.model_sha256, embedder.dimensions)
    database = open_database(desk.database_url)
    assert list_spaces(database) == []
    index = open_index(database, space)
    vectors = np.stack([embedder.embed(data), np.eye(8, dtype=np.float32)[0]])
    index.upsert([Entry("a", "same"), Entry("b", "other")], vectors, model_id=space.model_id)
    index.close()
    assert list_spaces(database) == [space]
    database.close()
    with asking(desk) as (client, _):
        found = client.post("/v1/search/image?corpus=shelf&k=1", content=data, headers=PNG).json()
        assert [one["item_id"] for one in found["matches"]] == ["same"]
        (state,) = client.get("/v1/index/status").json()["corpora"]
        assert state["index"]["kind"] == "pgvector exact"
        # The gallery's vectors are in the catalog, which is not asked now.
        answer = client.post("/v1/search/image?corpus=gallery.default", content=data, headers=PNG)
        assert_problem(answer, 404, "unknown-corpus")
