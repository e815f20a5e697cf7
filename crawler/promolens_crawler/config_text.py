"""The configuration files that the program writes: one with everything off, one for stand-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from promolens_catalog.chains import CHAINS, Chain
from promolens_crawler.config import ACKNOWLEDGEMENTS
from promolens_runtime.errors import InputError

DEMO_DELAY_S = 0.2

_DEMO_HEAD = "# Stand-in shops on this machine (promolens demo-shops). Nothing live is switched on."
_HEAD = """\
# What is crawled, and how. Every source is off until its own table says otherwise.
# docs/crawling.md tells how to run it, docs/crawling-manners.md what has to be true before a live
# source is switched on. Lines that begin with # show the defaults.

[crawler]
# Who crawls: an e-mail address or a page. It goes into the user agent; live sources need it.
# contact = "crawler@example.org"

# Raw answers of every crawl, below the folder of this file.
# archive = "crawl-archive"
# retention_days = 90

# Least seconds between two requests to a host; at least 1 for live hosts. A robots.txt that asks
# for more is obeyed.
# min_delay_s = 1.0

# Browser and driver, for sources with transport = "browser"; found on the PATH if not given.
# chromium = "/usr/bin/chromium"
# chromedriver = "/usr/bin/chromedriver"

[crawler.schedule]
# When `promolens crawl daemon` crawls, in Korean time. Lists change at midnight of the 1st, some
# also in the middle of the month.
# daily_at = ["06:40"]
# turn_days = [1, 15, 16]
# turn_at = ["00:20", "02:00", "04:00"]
# jitter_s = 900            # later by up to so much, different for each chain and day
# misfire_grace_s = 43200   # what was missed by more waits for the next time
# retry_after_s = 1800
# max_retries = 3

[alerts]
# A webhook that is told of held and failed crawls and of sources that are gone. Better in the
# environment: PROMOLENS_ALERT_URL, and PROMOLENS_ALERT_SECRET to sign what is sent.
# url = "https://hooks.example.org/promolens"

[metrics]
# Numbers for Prometheus: a file for node_exporter, or a port of the daemon.
# textfile = "/var/lib/prometheus/node-exporter/promolens.prom"
# port = 9464
# host = "127.0.0.1"
"""

_SOURCE = """\

# ---- {name}
[sources.{chain}]
enabled = false
# Switch it on only if this sentence is true, and then repeat it word by word:
# acknowledged = {acknowledged}
# transport = "http"        # or "browser": slower, the way a person's browser gets the rows
# delay_s = 2.0             # more than min_delay_s, for this host
# pictures = ["https://..."]  # hosts that `gallery build --from-catalog` may fetch pictures from
{more}"""
_MORE: dict[Chain, str] = {
    Chain.GS25: '# visit_window = "0400-0845"  # UTC: the hours that its robots.txt asks for\n',
    Chain.CU: (
        "# [sources.cu.thresholds]    # where its crawls are held: docs/publishing.md\n"
        "# max_drop = 0.30\n"
    ),
}


def empty_config_text() -> str:
    """Return a commented configuration in which every source is off."""
    parts = [_HEAD]
    for chain, info in CHAINS.items():
        if not info.historic:
            acknowledged = json.dumps(ACKNOWLEDGEMENTS[chain], ensure_ascii=False)
            more = _MORE.get(chain, "")
            name = info.name_en
            parts.append(
                _SOURCE.format(name=name, chain=chain, acknowledged=acknowledged, more=more)
            )
    return "".join(parts)


def demo_config_text(homes: Mapping[Chain, str], delay_s: float = DEMO_DELAY_S) -> str:
    """Return a configuration that crawls stand-in shops on this machine.

    Args:
        homes: chain -> `http://127.0.0.1:PORT`.
        delay_s: between two requests to a shop; loopback may be asked faster than a live host.
    """
    lines = [
        _DEMO_HEAD,
        "[crawler]",
        f"min_delay_s = {delay_s:g}",
        'archive = "demo-archive"',
    ]
    for chain, home in homes.items():
        lines += ["", f"[sources.{chain}]", "enabled = true", f"home = {json.dumps(home)}"]
    return "\n".join(lines) + "\n"


def write_new(path: Path, text: str) -> None:
    """Write a configuration.

    Raises:
        InputError: there is a file already, or it cannot be written.
    """
    _write(path, text, "x")


def write_demo(path: Path, text: str) -> None:
    """Write a configuration for stand-in shops, in place of an older one of that sort only.

    Raises:
        InputError: there is another file, or it cannot be written.
    """
    older = path.is_file() and path.read_bytes().startswith(_DEMO_HEAD.encode())
    _write(path, text, "w" if older else "x")


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(
            f"Expected no file at {path}. Received one, which is left as it is. "
            "Choose another name, or remove it first."
        ) from error
    except OSError as error:
        raise InputError(
            f"Expected to write {path}. Received {error.strerror or error}. Check the folder."
        ) from error
