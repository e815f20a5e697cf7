"""Which providers are asked for stores, in which order, and how much of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PROVIDERS = ("kakao", "overpass", "local")


@dataclass(frozen=True)
class RemoteConfig:
    """One provider on the network.

    Attributes:
        url: where it is; for tests and demos, of a stand-in.
        timeout_s: for one question, all its requests together.
        keep_s: how long its answers are kept; map services forbid to keep them for long.
        per_day: requests of all workers together on one Korean day.
        per_question: requests that one question may cost.
        at_once: questions of one worker under way; further ones go to the next provider.
    """

    url: str
    timeout_s: float
    keep_s: float
    per_day: int
    per_question: int
    at_once: int = 16

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError(f"url is {self.url[:80]!r}, not https://host/path")
        for name, value in vars(self).items():
            if name != "url" and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, not a number above 0")


@dataclass(frozen=True)
class KakaoConfig(RemoteConfig):
    """Kakao Local: 100,000 requests a day are free."""

    url: str = "https://dapi.kakao.com"
    timeout_s: float = 2.5
    keep_s: float = 3_600.0
    per_day: int = 90_000
    per_question: int = 12


@dataclass(frozen=True)
class OverpassConfig(RemoteConfig):
    """OpenStreetMap: the public server asks for fair use and gives two places at a time."""

    url: str = "https://overpass-api.de/api/interpreter"
    timeout_s: float = 6.0
    keep_s: float = 86_400.0
    per_day: int = 5_000
    per_question: int = 1
    at_once: int = 2


@dataclass(frozen=True)
class StoresConfig:
    """Stores near a place.

    Attributes:
        providers: asked in this order until one answers. `kakao` is passed over without a key
            (KAKAO_REST_API_KEY), `overpass` is asked only where it is named: both learn in which
            neighbourhood somebody is.
        kept_stores: stores in kept answers, in one worker for each provider; about a KB each.
        failures: failures in a row after which a provider rests.
        rest_s: how long it rests at first; longer with every further failure.
        agent: what we call ourselves; services ask for a way to reach the operator.
    """

    providers: tuple[str, ...] = ("kakao", "local")
    kakao: KakaoConfig = field(default_factory=KakaoConfig)
    overpass: OverpassConfig = field(default_factory=OverpassConfig)
    kept_stores: int = 20_000
    failures: int = 3
    rest_s: float = 30.0
    agent: str = "promolens-server/0.1"

    def __post_init__(self) -> None:
        unknown = [name for name in self.providers if name not in PROVIDERS]
        if unknown or not self.providers or len(set(self.providers)) < len(self.providers):
            raise ValueError(f"providers are {self.providers}, not each of {PROVIDERS} once")
        for name in ("kept_stores", "failures", "rest_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}, not a number above 0")
        if not self.agent.isascii() or not self.agent.isprintable() or not self.agent.strip():
            raise ValueError("agent is no plain ASCII text")
