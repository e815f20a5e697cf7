"""Cross-batch memory: earlier embeddings as further negatives and positives.

Wang et al. 2020, "Cross-Batch Memory for Embedding Learning" (arXiv 1912.06798): embeddings drift
slowly, so those of the last steps still stand for their pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# A slot that was never written is no class's positive and lies nowhere: see `arrays`.
EMPTY = -1


class CrossBatchMemory:
    """A ring of the last `size` embeddings; NumPy, so that a checkpoint can hold it."""

    def __init__(self, size: int, width: int) -> None:
        self._rows = np.zeros((size, width), np.float32)
        self._labels = np.full(size, EMPTY, np.int32)
        self._next = 0

    @property
    def size(self) -> int:
        """How many embeddings it holds at most."""
        return len(self._labels)

    def push(self, embeddings: Floats, labels: npt.NDArray[np.int32]) -> None:
        """Store rows `[B, D]` and labels `[B]` over the oldest ones; of more than fit, the last."""
        if not self.size:
            return
        embeddings, labels = embeddings[-self.size :], labels[-self.size :]
        at = (self._next + np.arange(len(embeddings))) % self.size
        self._rows[at] = embeddings
        self._labels[at] = labels
        self._next = int((self._next + len(embeddings)) % self.size)

    def arrays(self) -> tuple[Floats, npt.NDArray[np.int32]]:
        """Return the stored rows `[M, D]` and labels `[M]`, oldest place first; nothing empty."""
        written = self._labels != EMPTY
        return self._rows[written].copy(), self._labels[written].copy()

    def state(self) -> dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]]:
        """Return what `restore` needs, for a checkpoint."""
        return {
            "rows": self._rows.copy(),
            "labels": self._labels.copy(),
            "next": np.array([self._next], np.int32),
        }

    def restore(self, state: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]]) -> None:
        """Take over what `state` returned on a memory of the same size and width."""
        self._rows[:] = state["rows"]
        self._labels[:] = state["labels"]
        self._next = int(state["next"][0])
