"""`promolens demo`: step after step, each only where it is needed, and then the service."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_cli.demo_ports import listen
from promolens_cli.demo_steps import Steps
from promolens_cli.demo_telling import Told, tell

if TYPE_CHECKING:
    from promolens_cli.local_certificates import LocalCertificate
    from promolens_server.config import ServerConfig

HTTP_PORT = 8000
HTTPS_PORT = 8443
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where --https asks for it


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asks for.

    Attributes:
        assets: folder with `bundle` and `www`.
        state: folder for catalog, bundle store and pictures.
        port: 0 for any free one; `None` for 8000, or 8443 with `https`.
        https: serve the network over HTTPS, not this machine alone over HTTP.
        addresses: this machine's in the network; those that are found where it is empty.
        fresh: forget catalog and bundle store first.
        qr: print a QR code.
    """

    assets: Path
    state: Path
    port: int | None = None
    https: bool = False
    addresses: tuple[IPv4Address, ...] = ()
    fresh: bool = False
    qr: bool = True


def run_demo(options: DemoOptions) -> int:
    """Prepare, serve until Ctrl-C, and return the exit status.

    Raises:
        PromolensError: something is missing or does not verify, or the port is taken.
    """
    try:
        with _listening(options) as listening:
            _prepare_and_serve(options, listening)
    except KeyboardInterrupt:
        pass
    print(f"\nclosed; what it made stays in {options.state}", file=sys.stderr)
    return 0


@contextmanager
def _listening(options: DemoOptions) -> Iterator[socket.socket]:
    """Take the port first: nobody should wait for a crawl to hear that it is taken."""
    usual = HTTPS_PORT if options.https else HTTP_PORT
    port = usual if options.port is None else options.port
    listening = listen(_EVERYWHERE if options.https else _LOOPBACK, port)
    try:
        yield listening
    finally:
        listening.close()


def _prepare_and_serve(options: DemoOptions, listening: socket.socket) -> None:
    from promolens_cli.demo_serving import serve
    from promolens_demo.sheet.running import Sheet
    from promolens_demo.sheet.web import Shown

    port: int = listening.getsockname()[1]
    steps = Steps(options.assets, options.state, datetime.now(UTC))
    if options.fresh:
        steps.forget()
    bundle = steps.bundle()
    steps.app(bundle)
    steps.catalog()
    steps.offer(bundle)
    products, note = steps.products(bundle)
    newcomers = steps.newcomers(bundle)
    pictures = steps.pictures([*products, *newcomers])
    named = steps.gallery(bundle, newcomers, pictures)
    steps.fronts()
    addresses, certificate = _secured(options)
    told = Told(addresses, port, certificate)
    shown = Shown(products, told.app, note, named)
    config = _config(options, port, certificate)
    with Sheet(shown, pictures, min(port + 1, 65_535)) as sheet:
        serve(config, listening, lambda: tell(told, sheet.url, note, qr=options.qr))


def _secured(options: DemoOptions) -> tuple[tuple[IPv4Address, ...], LocalCertificate | None]:
    if not options.https:
        return (), None
    from promolens_cli.lan import lan_addresses
    from promolens_cli.local_certificates import local_certificate
    from promolens_runtime.errors import InputError
    from promolens_runtime.signing import development_key_path

    addresses = options.addresses or lan_addresses()
    if not addresses:
        raise InputError(
            "Expected this machine in a network. Received no address of it. Connect it to the "
            "phone's Wi-Fi, or name the address: promolens demo --https --address 192.168.0.12"
        )
    folder = development_key_path().parent / "local-authority"
    return addresses, local_certificate(folder, addresses, datetime.now(UTC))


def _config(options: DemoOptions, port: int, certificate: LocalCertificate | None) -> ServerConfig:
    from promolens_server.config import (
        AppConfig,
        BundlesConfig,
        LogConfig,
        ServerConfig,
        SyncConfig,
        TlsConfig,
        built_app,
    )

    tls = TlsConfig()
    if certificate is not None:
        tls = TlsConfig(certificate.certificate, certificate.key, certificate.authority)
    return ServerConfig(
        host=_EVERYWHERE if options.https else _LOOPBACK,
        port=port,
        database_url=f"sqlite:///{(options.state / 'catalog.db').absolute()}",
        bundles=BundlesConfig(options.state / "bundles"),
        sync=SyncConfig(options.state / "sync"),
        app=built_app(options.assets, AppConfig()),
        logs=LogConfig(requests=False),
        tls=tls,
    )
