"""What may be compared with what: vectors of one collection, one model and one length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from promolens_runtime.errors import InputError

MAX_DIM = 4096
DTYPE = "float16"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:@+-]{0,199}")


@dataclass(frozen=True)
class Space:
    """A collection of vectors that are compared by the inner product of unit vectors (cosine).

    Attributes:
        corpus: whose vectors: `gallery`, `originals`, ...; collections never mix.
        model_id: the model that made them; vectors of two models never mix.
        dim: numbers in a vector, 1 to 4096.
        dtype: how they are kept; `float16` is the only one.
    """

    corpus: str
    model_id: str
    dim: int
    dtype: str = DTYPE

    def __post_init__(self) -> None:
        """Check the names and the length; raises InputError."""
        for what, name in (("corpus", self.corpus), ("model_id", self.model_id)):
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"Expected a {what} of up to 200 letters, digits and . _ : @ + - that begins "
                    f"with a letter or digit. Received {name[:80]!r}. Rename it."
                )
        if isinstance(self.dim, bool) or not 1 <= self.dim <= MAX_DIM:
            raise InputError(
                f"Expected vectors of 1 to {MAX_DIM} numbers. Received {self.dim}. "
                "Use a smaller embedding."
            )
        if self.dtype != DTYPE:
            raise InputError(
                f"Expected {DTYPE} as dtype of a space. Received {self.dtype[:40]!r}. Leave it out."
            )

    def __str__(self) -> str:
        return f"{self.corpus}/{self.model_id}/{self.dim}"

    def check_model(self, model_id: str) -> None:
        """Refuse vectors of another model; raises InputError."""
        if model_id != self.model_id:
            raise InputError(
                f"Expected vectors of model {self.model_id}. Received those of {model_id[:80]!r}. "
                "Embed the pictures with the first model, or open a space for the second."
            )
