"""Works on orders, one picture after the other, in a thread of its own.

One process of the machine works; when it dies, another one goes on behind the last whole result.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from promolens_runtime.errors import ImageError, InputError
from promolens_server.problems import Problem
from promolens_server.recognition.batches.orders import Ask, Order
from promolens_server.recognition.batches.store import RESULTS, UPLOAD, BatchStore
from promolens_server.recognition.batches.zips import Pictures

_EVERY_S = 1.0
_STOP_WITHIN_S = 5.0
_log = logging.getLogger(__name__)

Answer = Callable[[Ask, bytes], dict[str, Any]]


class BatchRunner:
    """The thread.

    Args:
        answer: answers one picture; raises Problem 4xx for the picture's own fault, anything else
            for trouble that may be over later.
        picture_bytes: of one picture, unpacked.
    """

    def __init__(self, store: BatchStore, answer: Answer, picture_bytes: int) -> None:
        self._store = store
        self._answer = answer
        self._picture_bytes = picture_bytes
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; what was left undone comes first."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Look for orders now."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the picture that is being worked on."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_STOP_WITHIN_S)
            self._thread = None

    def work_once(self) -> None:
        """Work on every order that is there; does nothing where another process works."""
        with self._store.working() as ours:
            if not ours:
                return
            self._store.tidy()
            for order in self._store.orders():
                if self._stopping.is_set():
                    return
                if self._store.end(order.id) is None:
                    self._work_on(order)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.work_once()
            except Exception:
                # Whatever it is must not end the thread: the next look may find it gone.
                _log.exception("batches: trouble, tried again")
            self._wake.wait(_EVERY_S)
            self._wake.clear()

    def _work_on(self, order: Order) -> None:
        store = self._store
        results = store.results(order)
        try:
            pictures = Pictures(store.path(order, UPLOAD), self._picture_bytes)
        except InputError as error:
            store.finish(order, "failed", str(error))
            return
        path = store.path(order, RESULTS)
        try:
            with path.open("ab") as file:
                file.truncate(results.sound_bytes)
                for n in range(len(results.lines), len(order.files)):
                    if self._stopping.is_set():
                        return
                    if store.is_cancelled(order):
                        store.finish(order, "cancelled")
                        return
                    _append(file, self._line(order, n, pictures))
        finally:
            pictures.close()
        store.finish(order, "done")

    def _line(self, order: Order, n: int, pictures: Pictures) -> dict[str, Any]:
        name = order.files[n]
        line: dict[str, Any] = {"n": n, "name": name, "status": "answered"}
        try:
            return line | {"answer": self._answer(order.ask, pictures.read(name))}
        except ImageError as error:
            code, detail = "picture-refused", str(error)
        except Problem as problem:
            if problem.status >= 500:
                raise
            code, detail = problem.code, problem.detail
        return line | {"status": "refused", "code": code, "detail": detail}


def _append(file: BinaryIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    # Seen by readers at once, and by the next process when this one is killed.
    file.flush()
