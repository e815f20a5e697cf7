"""Logs as JSON lines on stderr: one a request, and one for whatever else is to be told.

A line of a request has the template of its address, never the address itself: a query may hold a
place, and a header a key.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from typing import Any

_MOST_LINES = 10_000
_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning"}


def utc_text(seconds: float) -> str:
    """Return a moment as `2026-02-24T03:00:00.123Z`."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


class JsonFormatter(logging.Formatter):
    """Makes one JSON line of a record: time, level, event, logger; the traceback where one is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": utc_text(record.created),
            "level": _LEVELS.get(record.levelname, "error"),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line.update(getattr(record, "members", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_settings(level: str = "INFO") -> dict[str, Any]:
    """Return settings for `logging.config` with which everything goes to stderr as JSON lines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "promolens_server.logs.JsonFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "uvicorn": {"level": level},
            "promolens_server": {"level": level},
        },
    }


class RequestLog:
    """Writes one line a request, many lines at once: a line waits for a tenth of a second."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.__stderr__.fileno() if descriptor is None and sys.__stderr__ else 2
        if descriptor is not None:
            self._descriptor = descriptor
        self._lines: list[str] = []
        self._second = -1
        self._second_text = ""
        self.lost = 0
        self.wait_s = 0.1

    def add(self, line: str) -> bool:
        """Keep a line; return whether it is the first one, so that somebody arranges `flush`."""
        if len(self._lines) >= _MOST_LINES:
            self.lost += 1
            return False
        self._lines.append(line)
        return len(self._lines) == 1

    def time_text(self) -> str:
        """Return the time; the text of the second is made once a second."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"

    def flush(self) -> None:
        """Write what is kept; a reader that is gone or stands still loses lines, not requests."""
        lines, self._lines = self._lines, []
        data = "".join(lines).encode("utf-8", "replace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]
