"""The stand-in map service as a real HTTP server on loopback, in a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType

import uvicorn

from promolens_demo.maps import kakao, overpass
from promolens_demo.maps.modes import PROVIDERS, parse_mode
from promolens_demo.maps.stores import DemoStore
from promolens_demo.maps.web import Asked, MapState, make_app
from promolens_runtime.errors import InputError

LOOPBACK = "127.0.0.1"
_START_WITHIN_S = 20.0
_STOP_WITHIN_S = 5.0


def utc_now() -> datetime:
    """Return the present instant, UTC."""
    return datetime.now(UTC)


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
        self._home = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(self._state),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="stand-in maps", daemon=True
        )
        self._thread.start()
        self._wait_for_start()

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

    @property
    def category_url(self) -> str:
        """Kakao's category search."""
        return self._home + kakao.CATEGORY

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
        self._server.should_exit = True
        self._thread.join(_STOP_WITHIN_S)

    def _wait_for_start(self) -> None:
        deadline_s = time.monotonic() + _START_WITHIN_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise InputError(
                    "Expected the map service to open on loopback. Received no answer from it. "
                    "Check whether this machine allows listening on 127.0.0.1."
                )
            time.sleep(0.005)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(
            f"Expected port {port} of {LOOPBACK} to be free. Received: {error}. "
            "Name another with --port, or leave it out for a free one."
        ) from None
    return listening
