"""The list of phones that `adb devices -l` prints, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from promolens_runtime.errors import InputError

READY = "device"
# Remarks of adb's own background program begin with a star.
_LINE = re.compile(r"([^\s*]\S*)\s+(\S.*)")
_ADVICE = {
    "unauthorized": "Unlock the phone and allow USB debugging from this machine.",
    "authorizing": "Unlock the phone and allow USB debugging from this machine.",
    "offline": "Connect the cable again, or switch USB debugging off and on.",
    "no permissions": "Allow this user to open USB devices (Debian: sudo apt-get install "
    "android-sdk-platform-tools-common), then connect the cable again.",
}
_OTHER_ADVICE = "Start the phone as usual, and connect it again."


@dataclass(frozen=True)
class Device:
    """One line of the list.

    Attributes:
        serial: what `--serial` takes; it identifies a phone, so it is in no report.
        state: `device` where it is ready.
        model: as adb spells it, or empty.
    """

    serial: str
    state: str
    model: str = ""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"{self.serial} ({self.model})" if self.model else self.serial


def parse_devices(text: str) -> tuple[Device, ...]:
    """Read the list; whatever stands before its title, and after its end, is left out.

    >>> parse_devices("List of devices attached\\n29091FDH3 device usb:1-1 model:Pixel_7\\n\\n")
    (Device(serial='29091FDH3', state='device', model='Pixel_7'),)
    """
    title, _, rest = text.partition("List of devices attached")
    lines = (rest if title != text else "").splitlines()
    matches = (_LINE.match(line) for line in lines)
    return tuple(_device(one[1], one[2]) for one in matches if one is not None)


def _device(serial: str, rest: str) -> Device:
    # The one state with a blank in it, and a sentence behind.
    state = "no permissions" if rest.startswith("no permissions") else rest.split()[0]
    model = next((word[6:] for word in rest.split() if word.startswith("model:")), "")
    return Device(serial, state, model)


def choose(devices: Sequence[Device], serial: str | None) -> Device:
    """Return the phone to measure: that of a serial, or the only one that is ready.

    Raises:
        InputError: there is none, none that is ready, or there are several.
    """
    if serial is not None:
        named = [one for one in devices if one.serial == serial]
        if not named:
            raise InputError(
                f"Expected a phone with the serial {serial!r}. Received {_listed(devices)}. "
                "Look at: adb devices"
            )
        return _ready(named[0])
    if not devices:
        raise InputError(
            "Expected a phone. Received none. Switch on USB debugging (Settings, Developer "
            "options), connect the cable, and look at: adb devices"
        )
    ready = [one for one in devices if one.state == READY]
    if len(ready) > 1:
        raise InputError(
            f"Expected one phone. Received {_listed(ready)}. "
            f"Choose: promolens bench phone --serial {ready[0].serial}"
        )
    return _ready(ready[0] if ready else devices[0])


def _ready(device: Device) -> Device:
    if device.state == READY:
        return device
    raise InputError(
        f"Expected the phone {device.name} to be ready. Received: {device.state}. "
        f"{_ADVICE.get(device.state, _OTHER_ADVICE)}"
    )


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(one.name for one in devices) if devices else "none"
