"""The sheet as a running server on this machine's loopback address."""

from __future__ import annotations

from types import TracebackType

from promolens_demo.sheet.pictures import SheetPictures
from promolens_demo.sheet.web import Shown, sheet_app
from promolens_demo.shops.loopback import LoopbackServer, address_of, listen


class Sheet:
    """Serves the sheet until `close` or the end of a `with` block.

    Args:
        port: where it should be; any free port where that one is taken.

    Attributes:
        url: `http://127.0.0.1:PORT/`.
    """

    def __init__(self, shown: Shown, pictures: SheetPictures, port: int = 0) -> None:
        try:
            listening = listen(port)
        except (OSError, OverflowError):
            listening = listen(0)
        self.url = address_of(listening) + "/"
        self._server = LoopbackServer(sheet_app(shown, pictures), [listening], "the sheet")

    def __enter__(self) -> Sheet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.close()
