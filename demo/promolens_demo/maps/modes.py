"""The ways in which the stand-in map service can go wrong, by provider."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promolens_runtime.errors import InputError

PROVIDERS = ("kakao", "overpass", "naver")
_ALL = PROVIDERS


@dataclass(frozen=True)
class Mode:
    """One way to go wrong; `number` is the default after a colon, `None` where there is none."""

    name: str
    summary: str
    number: float | None = None
    of: tuple[str, ...] = _ALL


MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("400", "the question is refused"),
        Mode("401", "the key is wrong"),
        Mode("403", "the service is not switched on for the key"),
        Mode("429", "too many requests; the number is Retry-After in seconds", 30),
        Mode("500", "an error of the service"),
        Mode("503", "the service is away"),
        Mode("504", "the service is overloaded"),
        Mode("over-limit", "status 400 with code -10, as Kakao says it too", of=("kakao",)),
        Mode("remark", "status 200, half of the stores and a remark", of=("overpass",)),
        Mode("slow", "each answer takes its time, in seconds", 10),
        Mode("drip", "a body that comes byte by byte, seconds each", 0.2),
        Mode("drop", "the connection breaks in the middle of the body"),
        Mode("html", "status 200 with a page for people"),
        Mode("cut", "JSON cut short"),
        Mode("empty", "no stores"),
        Mode("fields", "other names for all fields"),
        Mode("types", "fields that hold lists, numbers and nothing"),
        Mode("array", "a list in place of the object"),
        Mode("deep", "JSON nested very deeply"),
        Mode("huge", "a very large body, in MB", 50),
        Mode("packed", "a packed body that nobody asked for"),
        Mode("redirect", "another address"),
    )
}


@dataclass(frozen=True)
class Switched:
    """A mode that is on."""

    name: str
    number: float


def parse_mode(words: str, provider: str) -> Switched | None:
    """Read `slow:0.5`; `""` is no mode.

    Raises:
        InputError: an unknown mode or provider, or a number out of range.
    """
    if provider not in PROVIDERS:
        raise InputError(
            f"Expected one of {', '.join(PROVIDERS)}. Received {provider[:40]!r}. "
            "Check the spelling."
        )
    if not words:
        return None
    name, colon, text = words.partition(":")
    mode = MODES.get(name)
    if mode is None or provider not in mode.of:
        known = ", ".join(one.name for one in MODES.values() if provider in one.of)
        raise InputError(
            f"Expected a mode of {provider}: {known}. Received {name[:40]!r}. Check the spelling."
        )
    return Switched(name, _number(mode, text) if colon else mode.number or 0.0)


def _number(mode: Mode, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if mode.number is None or not 0 <= number <= 10_000:
        raise InputError(
            f"Expected {mode.name}:NUMBER with 0 to 10000, where the mode has one. Received "
            f"{text[:20]!r}. Change it."
        )
    return number
