"""The stand-in map service as a real HTTP server on loopback, in a thread."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType

from promolens_demo.maps import overpass
from promolens_demo.maps.modes import PROVIDERS, parse_mode
from promolens_demo.maps.stores import DemoStore
from promolens_demo.maps.web import Asked, MapState, make_app
from promolens_demo.shops.loopback import LOOPBACK, LoopbackServer, address_of, listen, utc_now
from promolens_runtime.errors import InputError


class MapService:
    """The service, running until `close` or the end of a `with` block.

    ```
    with MapService(demo_stores()) as maps:
        maps.set_mode("kakao", "429")
        requests.get(maps.kakao_url + "/v2/local/search/category.json", ...)
        assert len(maps.asked("kakao")) == 1
    ```
    """

    def __init__(
        self,
        stores: Sequence[DemoStore],
        *,
        port: int = 0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open the service; `port` 0 is any free one.

        Raises:
            InputError: the port is taken.
        """
        self._state = MapState(tuple(stores), now)
        listening = _listen(port)
        self._home = address_of(listening)
        self._server = LoopbackServer(make_app(self._state), [listening], "the map service")

    def __enter__(self) -> MapService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def kakao_url(self) -> str:
        """What `https://dapi.kakao.com` is for the real one."""
        return self._home

    @property
    def overpass_url(self) -> str:
        """What `https://overpass-api.de/api/interpreter` is for the real one."""
        return self._home + overpass.PATH

    def set_mode(self, provider: str, words: str) -> None:
        """Let a provider go wrong; `""` lets it work again.

        Raises:
            InputError: unknown provider or mode, or a number out of range.
        """
        self._state.modes[provider] = parse_mode(words, provider)

    def modes(self) -> dict[str, str]:
        """Return the mode of each provider, `""` where it works."""
        found = {name: self._state.modes.get(name) for name in PROVIDERS}
        return {name: mode.name if mode else "" for name, mode in found.items()}

    def asked(self, provider: str) -> list[Asked]:
        """Return the requests that a provider got, in order."""
        return [one for one in self._state.asked if one.provider == provider]

    def forget(self) -> None:
        """Forget the requests so far."""
        self._state.asked.clear()

    def close(self) -> None:
        """Close the service; open connections are broken after a moment."""
        self._server.close()


def _listen(port: int) -> socket.socket:
    try:
        return listen(port)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Expected port {port} of {LOOPBACK} to be free. Received: {error}. "
            "Name another with --port, or leave it out for a free one."
        ) from None
