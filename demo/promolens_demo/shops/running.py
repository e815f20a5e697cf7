"""Stand-in shops that run: real HTTP servers on loopback, one port a chain, in one thread."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType

from starlette.types import Receive, Scope, Send

from promolens_catalog.chains import Chain
from promolens_catalog.offers import Offer
from promolens_demo.shops.access_log import AccessLog
from promolens_demo.shops.assortment import SHOPS, list_of
from promolens_demo.shops.loopback import LOOPBACK, LoopbackServer, address_of, listen, utc_now
from promolens_demo.shops.pictures import Pictures
from promolens_demo.shops.settings import ShopSettings
from promolens_demo.shops.shop import Shop
from promolens_demo.shops.sites import SITES
from promolens_demo.shops.web import ShopApp
from promolens_runtime.errors import InputError

_MAX_PORT = 65535


class Shops:
    """All stand-in shops, running until `close` or the end of a `with` block.

    ```
    with Shops(ShopSettings(month="2026-11")) as shops:
        shops.set_modes(Chain.CU, "drop")
        requests.get(shops.home(Chain.CU) + "/event/plus.do")
        assert len(shops.log.entries(Chain.CU, "document")) == 1
    ```
    """

    def __init__(
        self,
        settings: ShopSettings,
        *,
        first_port: int = 0,
        access_log: Path | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        utc: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open the shops.

        Args:
            first_port: port of the first chain, the others follow; 0 for free ones.
            access_log: a file that gets one line of JSON a request.

        Raises:
            InputError: a port is taken, or not all are within 1..65535.
        """
        _check_ports(first_port)
        self.settings = settings
        assortment = settings.assortment()
        self.shops: Mapping[Chain, Shop] = {
            chain: Shop(chain, settings, assortment) for chain in SHOPS
        }
        sockets = _listen(first_port)
        self.log = AccessLog(clock_s, utc, access_log)
        self._homes = {chain: address_of(sock) for chain, sock in zip(SHOPS, sockets, strict=True)}
        pictures = Pictures(settings.pictures)
        doors = {
            sock.getsockname()[1]: ShopApp(self.shops[chain], SITES[chain], pictures, self.log)
            for chain, sock in zip(SHOPS, sockets, strict=True)
        }
        self._server = LoopbackServer(_Street(doors), sockets, "the shops")

    def __enter__(self) -> Shops:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def home(self, chain: Chain) -> str:
        """Return `http://127.0.0.1:PORT` of a chain, what `https://host` is for the real one."""
        return self._homes[chain]

    def start_page(self, chain: Chain) -> str:
        """Return the address that a person opens."""
        return self.home(chain) + SITES[chain].start

    def set_modes(self, chain: Chain, words: str) -> None:
        """Switch hostile modes on for every request to a chain; `""` switches all off.

        Raises:
            InputError: unknown mode or a number out of range.
        """
        self.shops[chain].set_modes(words)

    def set_month(self, month: str) -> None:
        """Let all shops show another month; `InputError` if it is none."""
        for shop in self.shops.values():
            shop.set_month(month)

    def set_robots(self, robots: str) -> None:
        """Let all shops serve other rules: `open` or `real`."""
        for shop in self.shops.values():
            shop.set_robots(robots)

    def truth(self, chain: Chain, month: str | None = None) -> tuple[Offer, ...]:
        """Return the offers of a chain's lists, each once, as a perfect crawl reads them.

        Args:
            month: the one that the shop shows, if not given.
        """
        shop = self.shops[chain]
        month = month or shop.month
        rows = list_of(shop.assortment, chain, month)
        return tuple(row.offer(self.home(chain), month) for row in rows)

    def close(self) -> None:
        """Close the shops; open connections are broken after a moment."""
        self._server.close()
        self.log.close()


class _Street:
    """One application for all ports: the port tells the shop."""

    def __init__(self, doors: Mapping[int, ShopApp]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._doors[scope["server"][1]](scope, receive, send)


def _check_ports(first_port: int) -> None:
    most = _MAX_PORT - len(SHOPS) + 1
    if first_port and not 1 <= first_port <= most:
        raise InputError(
            f"Expected a first port of 1 to {most}: each of {len(SHOPS)} shops takes one of "
            f"1..{_MAX_PORT}. Received {first_port}. Name another with --port, or leave it out for "
            "free ones."
        )


def _listen(first_port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for offset in range(len(SHOPS)):
        port = first_port + offset if first_port else 0
        try:
            sockets.append(listen(port))
        except OSError as error:
            for opened in sockets:
                opened.close()
            raise InputError(
                f"Expected port {port} of {LOOPBACK} to be free. Received: {error}. "
                "Name another first port with --port, or leave it out for free ones."
            ) from None
    return sockets
