"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from promolens_server.models.base import Answer, Version


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = Field(examples=["ok"])


class Ready(Health):
    """The catalog can be read."""

    version: Version
