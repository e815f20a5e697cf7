"""Chromium's own instruments: memory of page and worker after a collection, and long tasks.

Speaks the Chrome DevTools Protocol over the socket of a browser that Selenium drives, since
Selenium's commands reach the page but not its workers.
"""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selenium import webdriver

WAIT_S = 60.0
# Put before the worker's script: WebAssembly's memories are in no heap's figures, and only who
# makes them can find them.
KEEP_MEMORIES = b"""
self.wasmMemories = [];
{
  const note = (instance) => {
    for (const one of Object.values(instance.exports)) {
      if (one instanceof WebAssembly.Memory) self.wasmMemories.push(one);
    }
  };
  const Instance = WebAssembly.Instance;
  WebAssembly.Instance = function (...words) {
    const made = new Instance(...words);
    note(made);
    return made;
  };
  WebAssembly.Instance.prototype = Instance.prototype;
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const make = WebAssembly[name];
    WebAssembly[name] = async (...words) => {
      const made = await make.apply(WebAssembly, words);
      note(made instanceof Instance ? made : made.instance);
      return made;
    };
  }
}
"""
WASM_BYTES = "self.wasmMemories.reduce((sum, one) => sum + one.buffer.byteLength, 0)"


class DevTools:
    """One socket to the browser; sessions to its page and workers."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Connect to the browser behind `driver`."""
        from websocket import create_connection

        address = driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
        with urllib.request.urlopen(f"http://{address}/json/version", timeout=WAIT_S) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        self._socket = create_connection(url, timeout=WAIT_S, suppress_origin=True)
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """Close the socket; the browser stays."""
        self._socket.close()

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command; events that come meanwhile are kept."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def wait_for(self, method: str) -> dict[str, Any]:
        """Return the parameters of the next event of that name, of now or later."""
        while True:
            for at, event in enumerate(self.events):
                if event.get("method") == method:
                    del self.events[at]
                    parameters: dict[str, Any] = event["params"]
                    return parameters
            self.events.append(json.loads(self._socket.recv()))

    def listen(self, seconds: float) -> list[dict[str, Any]]:
        """Return what was kept until now, and the next event if one comes within `seconds`."""
        from websocket import WebSocketTimeoutException

        self._socket.settimeout(seconds)
        try:
            self.events.append(json.loads(self._socket.recv()))
        except WebSocketTimeoutException:
            pass
        finally:
            self._socket.settimeout(WAIT_S)
        heard, self.events = self.events, []
        return heard

    def attach(self, kind: str, part: str = "") -> str:
        """Return a session to the first "page" or "worker" with `part` in its address."""
        targets = self.ask("Target.getTargets", filter=[{}])["targetInfos"]
        for target in targets:
            if target["type"] == kind and part in target["url"]:
                told = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
                return str(told["sessionId"])
        raise AssertionError(f"no {kind} {part!r} in {[(t['type'], t['url']) for t in targets]}")

    def value(self, session: str, expression: str) -> Any:
        """Return what an expression is worth there."""
        told = self.ask("Runtime.evaluate", session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")


@contextmanager
def devtools(driver: webdriver.Chrome) -> Iterator[DevTools]:
    """Connect for the length of a block."""
    tools = DevTools(driver)
    try:
        yield tools
    finally:
        tools.close()


@dataclass(frozen=True)
class Memory:
    """Bytes after a forced collection.

    Attributes:
        page, worker: JavaScript heap, with what it holds outside of itself (array buffers).
        wasm: of all WebAssembly memories of the worker.
    """

    page: int
    worker: int
    wasm: int

    @property
    def total(self) -> int:
        """Heap and WebAssembly together, each counted once."""
        return self.page + self.worker + self.wasm


def memory_of(tools: DevTools, page: str, worker: str) -> Memory:
    """Collect garbage in both and measure them; the worker's script began with KEEP_MEMORIES."""
    heaps = []
    for session in (page, worker):
        # Twice: what the first collection lets go may hold more.
        for _ in range(2):
            tools.ask("HeapProfiler.collectGarbage", session)
        usage = tools.ask("Runtime.getHeapUsage", session)
        # The second is what array buffers take; WebAssembly's memories are not in it.
        heaps.append(int(usage["usedSize"] + usage["backingStorageSize"]))
    return Memory(heaps[0], heaps[1], int(tools.value(worker, WASM_BYTES)))


def watch_memory(
    tools: DevTools, page: str, worker: str, seconds: float, every_s: float
) -> list[tuple[float, Memory]]:
    """Measure again and again while the app works; returns (seconds since the start, memory)."""
    import time

    started = time.monotonic()
    seen: list[tuple[float, Memory]] = []
    while (now := time.monotonic() - started) < seconds:
        time.sleep(max(0.0, min(every_s * (len(seen) + 1), seconds) - now))
        at_s = time.monotonic() - started
        seen.append((at_s, memory_of(tools, page, worker)))
    return seen


def growth(seen: list[tuple[float, Memory]], base_s: float) -> float:
    """Return the last memory as a share of the first one measured at `base_s` or later."""
    base = next(memory for at_s, memory in seen if at_s >= base_s)
    return seen[-1][1].total / base.total


def long_tasks_ms(tools: DevTools, seconds: float) -> list[tuple[float, float]]:
    """Watch for `seconds`; return the tasks of the page's main thread that took 50 ms or more.

    Returns:
        (wall ms, ms of processor time) of each. On a busy machine a task may stand in a queue for
        long that works for little; what it works is what a phone would feel.
    """
    import time

    categories = ["toplevel", "__metadata"]
    config = {"includedCategories": categories, "excludedCategories": ["*"]}
    tools.ask("Tracing.start", transferMode="ReportEvents", traceConfig=config)
    time.sleep(seconds)
    tools.events.clear()
    tools.ask("Tracing.end")
    tools.wait_for("Tracing.tracingComplete")
    events = [
        event
        for told in tools.events
        if told.get("method") == "Tracing.dataCollected"
        for event in told["params"]["value"]
    ]
    tools.events.clear()
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    assert mains, "no main thread in the trace"
    return [
        (event["dur"] / 1000, event.get("tdur", 0) / 1000)
        for event in events
        if event["ph"] == "X"
        and (event["pid"], event["tid"]) in mains
        and event.get("dur", 0) >= 50_000
    ]
