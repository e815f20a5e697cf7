"""What `promolens demo` prints when everything is open."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_cli.local_certificates import LocalCertificate


@dataclass(frozen=True)
class Told:
    """Where the service is.

    Attributes:
        addresses: of this machine in its networks; empty without HTTPS.
        port: of the service.
        certificate: `None` without HTTPS.
    """

    addresses: Sequence[IPv4Address]
    port: int
    certificate: LocalCertificate | None

    @property
    def app(self) -> str:
        """The app's address as a phone opens it."""
        if self.certificate is None:
            return f"http://localhost:{self.port}/app/"
        return f"https://{self.addresses[0]}:{self.port}/app/"


def tell(told: Told, sheet: str, note: str | None, *, qr: bool) -> None:
    """Print the address, its QR code and what to do with it, on stdout."""
    from promolens_demo.sheet.qr import qr_lines

    lines = ["", f"The camera app is open: {told.app}", ""]
    if qr and _can_draw():
        lines += [*qr_lines(told.app, colours=sys.stdout.isatty()), ""]
    lines += _usb(told.port) if told.certificate is None else _network(told, told.certificate)
    lines += [
        "",
        f"Products to scan: {sheet}",
        "  Open it on this screen, choose a product, and point the phone at it.",
    ]
    if note:
        lines.append(f"  note: {note}")
    lines += ["", "Ctrl-C ends it."]
    print("\n".join(lines), flush=True)


def _can_draw() -> bool:
    try:
        "█▀▄".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _usb(port: int) -> list[str]:
    return [
        "On this machine: open that address in a browser; a webcam will do.",
        "On a phone, by USB (the camera works, since the phone sees it as its own localhost):",
        "  1. On the phone: Settings, Developer options, USB debugging. Connect the cable.",
        f"  2. Here: adb reverse tcp:{port} tcp:{port}",
        "  3. On the phone: scan the code above, or type the address into Chrome.",
        "On a phone, by Wi-Fi: end this, and run promolens demo --https",
    ]


def _network(told: Told, certificate: LocalCertificate) -> list[str]:
    others = [f"https://{one}:{told.port}/app/" for one in told.addresses[1:]]
    origin = told.app.removesuffix("app/")
    return [
        *([f"Other addresses of this machine: {' '.join(others)}", ""] if others else []),
        f"On this machine: https://localhost:{told.port}/app/",
        "On a phone in the same Wi-Fi: scan the code above. Its browser warns, since only this",
        "machine vouches for the address.",
        "  To try it: Advanced, Proceed. The camera works; being offline and installing do not.",
        "  For all of it, install this machine's authority on the phone once:",
        f"    1. On the phone, open {origin}authority.crt and keep the file.",
        "    2. Settings, Security, Encryption & credentials, Install a certificate,",
        "       CA certificate.",
        "    3. Compare its SHA-256 in Trusted credentials, User:",
        f"       {certificate.fingerprint[:47]}",
        f"       {certificate.fingerprint[48:]}",
        "  It can vouch for private addresses only. Remove it there when the demo is over.",
        "  No answer at all? A firewall here, or a Wi-Fi that keeps its guests apart.",
    ]
