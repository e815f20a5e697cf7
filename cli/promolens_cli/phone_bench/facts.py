"""What is told about a phone: enough to compare figures, nothing that names its owner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_cli.phone_bench.adb import Adb

_PROPERTY = re.compile(r"^\[([\w.-]+)\]: \[(.*)\]$")
_NUMBER = re.compile(r"^\s*([A-Za-z ]+):\s*(-?\d+)\s*$")
_THERMAL = re.compile(r"Thermal Status:\s*(\d)")
# android.os.PowerManager THERMAL_STATUS_*.
_THERMAL_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_MAX_CHARACTERS = 100
# android.os.BatteryManager BATTERY_STATUS_CHARGING and _FULL.
_CHARGING = (2, 5)


@dataclass(frozen=True)
class State:
    """How a phone is at one moment; `None` where it does not say.

    Attributes:
        battery_percent: 0..100.
        charging: or full.
        battery_c: temperature of the battery, Celsius.
        thermal: `none` to `shutdown`: whether it slows itself down.
    """

    battery_percent: int | None = None
    charging: bool | None = None
    battery_c: float | None = None
    thermal: str | None = None


@dataclass(frozen=True)
class Phone:
    """What stays the same; `None` where the phone does not say.

    Attributes:
        abi: of its processor, such as `arm64-v8a`.
        cores: processors that are there.
        memory_gib: of all memory, as the kernel counts it.
    """

    manufacturer: str | None
    model: str | None
    soc: str | None
    android: str | None
    sdk: int | None
    abi: str | None
    cores: int | None
    memory_gib: float | None


def read_phone(adb: Adb) -> Phone:
    """Ask a phone what it is."""
    properties = parse_properties(adb.shell("getprop").text)
    sdk = properties.get("ro.build.version.sdk", "")
    maker, soc = properties.get("ro.soc.manufacturer"), properties.get("ro.soc.model")
    known = " ".join(word for word in (maker, soc) if word)
    return Phone(
        manufacturer=properties.get("ro.product.manufacturer"),
        model=properties.get("ro.product.model"),
        soc=known or properties.get("ro.board.platform") or properties.get("ro.hardware"),
        android=properties.get("ro.build.version.release"),
        sdk=int(sdk) if sdk.isdecimal() and len(sdk) < 6 else None,
        abi=properties.get("ro.product.cpu.abi"),
        cores=_whole(adb.shell("nproc").text),
        memory_gib=parse_memory(adb.shell("cat", "/proc/meminfo").text),
    )


def read_state(adb: Adb) -> State:
    """Ask a phone how it is now."""
    battery = adb.shell("dumpsys", "battery").text
    return parse_state(battery, adb.shell("dumpsys", "thermalservice").text)


def parse_properties(text: str) -> dict[str, str]:
    """Read what `getprop` prints; empty values are left out, long ones cut.

    >>> parse_properties("[ro.product.model]: [Pixel 7]")
    {'ro.product.model': 'Pixel 7'}
    """
    found = (_PROPERTY.match(line.strip()) for line in text.splitlines())
    return {
        one[1]: _plain(one[2]) for one in found if one is not None and _plain(one[2])
    }  # fmt: skip


def parse_state(battery: str, thermal: str) -> State:
    """Read what `dumpsys battery` and `dumpsys thermalservice` print."""
    matches = (_NUMBER.match(line) for line in battery.splitlines())
    numbers = {one[1].strip().lower(): int(one[2]) for one in matches if one is not None}
    tenths, level = numbers.get("temperature"), numbers.get("level")
    scale = numbers.get("scale") or 100
    status = numbers.get("status")
    hot = _THERMAL.search(thermal)
    return State(
        battery_percent=None if level is None else round(100 * level / scale),
        charging=None if status is None else status in _CHARGING,
        battery_c=None if tenths is None else tenths / 10,
        thermal=_THERMAL_NAMES[int(hot[1])] if hot and int(hot[1]) < len(_THERMAL_NAMES) else None,
    )


def parse_memory(text: str) -> float | None:
    """Return the whole memory that /proc/meminfo tells, GiB to one digit."""
    found = re.search(r"^MemTotal:\s+(\d{1,12}) kB", text, re.MULTILINE)
    return round(int(found[1]) / 2**20, 1) if found else None


def _whole(text: str) -> int | None:
    word = text.strip()
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else None


def _plain(value: str) -> str:
    return "".join(sign for sign in value if sign.isprintable()).strip()[:_MAX_CHARACTERS]
