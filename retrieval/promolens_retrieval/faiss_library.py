"""The one place that loads FAISS: it takes a third of a second, and its types tell half of it."""

from __future__ import annotations

from functools import cache
from typing import Any

from promolens_runtime.errors import MissingError


@cache
def faiss_library() -> Any:
    """Return the module; raises MissingError where FAISS is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise MissingError(
            "Expected FAISS to search vectors. Received a Python without it. "
            "Run: pip install 'promolens[retrieval]'"
        ) from error
    return faiss
