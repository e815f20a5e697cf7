"""The array type of this package's signatures; each docstring says shape, dtype and range."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
