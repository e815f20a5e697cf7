"""The crawler's configuration: TOML in, frozen dataclasses out, everything checked at load.

Without a configuration nothing is crawled. A live shop is crawled only where its own table says
`enabled = true`, repeats the sentence in `ACKNOWLEDGEMENTS` word by word, and `[crawler]` names a
contact that goes into the user agent. See docs/crawling-manners.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.toml_tables import fill, read_toml, table_of
from promolens_crawler.errors import NotAllowedError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import LIVE_MIN_DELAY_S, host_of, is_loopback, user_agent
from promolens_crawler.schedule import SchedulePlan, VisitWindow, visit_window
from promolens_crawler.validation import CHAIN_THRESHOLDS, Thresholds
from promolens_runtime.errors import InputError

MAX_DELAY_S = 3600.0
_CONTACT = re.compile(r"[^\s@()<>]{1,64}@[^\s@()<>]+\.[^\s@()<>]+|https?://[^\s()<>]{4,200}")
_READ = "and take responsibility for crawling it"
ACKNOWLEDGEMENTS: dict[Chain, str] = {
    Chain.CU: (
        f"I have read the terms of use of cu.bgfretail.com, which has no robots.txt, {_READ}."
    ),
    Chain.GS25: (
        "I have read the terms of use and robots.txt of gs25.gsretail.com "
        f"(Crawl-delay, Visit-time) {_READ}."
    ),
    Chain.SEVEN: (
        "I have read the terms of use and robots.txt of www.7-eleven.co.kr "
        f"(images are disallowed) {_READ}."
    ),
    Chain.EMART24: (
        "I have read the terms of use of emart24.co.kr, whose section 8 forbids crawlers, have its "
        f"permission {_READ}."
    ),
    Chain.CSPACE: (f"I have read the terms of use and robots.txt of www.cspace.co.kr {_READ}."),
}


class TransportName(StrEnum):
    """How pages are got."""

    HTTP = "http"
    BROWSER = "browser"


@dataclass(frozen=True)
class SourceConfig:
    """One chain's source.

    Attributes:
        enabled: off until a person switches it on.
        acknowledged: the chain's sentence of `ACKNOWLEDGEMENTS`; a home on loopback needs none.
        home: `https://host`, or where a stand-in listens; `""` for the chain's own site.
        delay_s: least seconds between requests; `None` takes `[crawler] min_delay_s`.
        page_size: rows a page, where the shop honours a wish; `None` takes the chain's own.
        visit_window: `0400-0845` (UTC), where crawls must be planned within a shop's hours.
        schedule: when the daemon crawls it.
        thresholds: where its crawls are held; `None` takes the chain's own.
        pictures: `https://host` of each host that `promolens gallery build --from-catalog` may
            fetch the chain's pictures from; a crawl never fetches any.
    """

    chain: Chain
    enabled: bool = False
    acknowledged: str = ""
    home: str = ""
    transport: TransportName = TransportName.HTTP
    delay_s: float | None = None
    page_size: int | None = None
    visit_window: VisitWindow | None = None
    schedule: SchedulePlan = field(default_factory=SchedulePlan)
    thresholds: Thresholds | None = None
    pictures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.home:
            _check_home(self.home)
        for host in self.pictures:
            _check_home(host, "pictures")
        if self.page_size is not None and not 1 <= self.page_size <= 500:
            raise ValueError(f"page_size must be within 1..500, not {self.page_size}")
        if self.delay_s is not None:
            _check_delay("delay_s", self.delay_s, live=not self.is_loopback)
        if self.enabled and CHAINS[self.chain].historic:
            raise ValueError(f"{self.chain} is historic: its list is data of the past")

    @property
    def is_loopback(self) -> bool:
        """Say whether the source, its pictures included, is a stand-in on this machine."""
        return bool(self.home) and all(map(is_loopback, (self.home, *self.pictures)))


@dataclass(frozen=True)
class AlertsConfig:
    """Who is told of held and failed crawls.

    Attributes:
        url: of a webhook; `""` for none. `PROMOLENS_ALERT_URL` goes before it.
    """

    url: str = ""


@dataclass(frozen=True)
class MetricsConfig:
    """Where numbers for Prometheus go.

    Attributes:
        textfile: for node_exporter's textfile collector; `None` for none.
        port: of the daemon; `None` for none, 0 for a free one.
        host: the address that the daemon listens on.
    """

    textfile: Path | None = None
    port: int | None = None
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise ValueError(f"port must be within 0..65535, not {self.port}")


@dataclass(frozen=True)
class CrawlerConfig:
    """All of a configuration.

    Attributes:
        contact: an e-mail address or a page that says who crawls; every live source needs it.
        archive: folder of raw answers.
        retention_days: archived crawls older than that may be deleted.
        min_delay_s: least seconds between requests to a host; at least 1 for live hosts.
        chromium, chromedriver: programs; `None` looks for them on the PATH.
        sources: every chain, those that the file does not name included.
    """

    contact: str = ""
    archive: Path = Path("crawl-archive")
    retention_days: int = 90
    min_delay_s: float = LIVE_MIN_DELAY_S
    chromium: Path | None = None
    chromedriver: Path | None = None
    limits: Limits = field(default_factory=Limits)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    sources: Mapping[Chain, SourceConfig] = field(
        default_factory=lambda: {chain: SourceConfig(chain) for chain in Chain}
    )

    def __post_init__(self) -> None:
        if self.contact and _CONTACT.fullmatch(self.contact) is None:
            raise ValueError(
                f"contact must be an e-mail address or a page, not {self.contact[:80]!r}"
            )
        if not 1 <= self.retention_days <= 36_500:
            raise ValueError(f"retention_days must be within 1..36500, not {self.retention_days}")
        live = [one for one in self.sources.values() if one.enabled and not one.is_loopback]
        _check_delay("min_delay_s", self.min_delay_s, live=bool(live))
        for source in live:
            self._check_live(source)

    @property
    def agent(self) -> str:
        """The user agent of all requests."""
        return user_agent(version("promolens"), self.contact)

    def enabled(self) -> tuple[Chain, ...]:
        """Return the chains that are switched on."""
        return tuple(chain for chain, source in self.sources.items() if source.enabled)

    def source(self, chain: Chain) -> SourceConfig:
        """Return a chain's source if it is switched on.

        Raises:
            NotAllowedError: it is not.
        """
        source = self.sources[chain]
        if not source.enabled:
            raise NotAllowedError(
                f"Expected a source that is switched on. Received {chain}, which is off. Read "
                f"docs/crawling-manners.md, then set enabled = true in [sources.{chain}]."
            )
        return source

    def delay_s(self, chain: Chain) -> float:
        """Return the least seconds between two requests to a chain's host."""
        source = self.sources[chain]
        return self.min_delay_s if source.delay_s is None else source.delay_s

    def _check_live(self, source: SourceConfig) -> None:
        if not self.contact:
            raise ValueError(
                f"{source.chain} is a live source, and [crawler] has no contact; set contact to an "
                "e-mail address or a page that says who crawls"
            )
        wanted = ACKNOWLEDGEMENTS[source.chain]
        if source.acknowledged != wanted:
            raise ValueError(
                f"{source.chain} is a live source without its acknowledgement; if it is true, set "
                f'acknowledged = "{wanted}" in [sources.{source.chain}]'
            )


def load_config(path: Path | None) -> CrawlerConfig:
    """Read a configuration; `None` gives the default, in which every source is off.

    A relative `archive` is below the folder of the file.

    Raises:
        InputError: what is wrong, with the table and the key.
    """
    if path is None:
        return CrawlerConfig()
    return config_of(read_toml(path), path.absolute().parent)


def config_of(tables: Mapping[str, Any], folder: Path) -> CrawlerConfig:
    """Return the configuration of some tables; raises InputError."""
    rest = dict(tables)
    crawler = dict(_table_of(rest.pop("crawler", {}), "crawler"))
    limits = fill(Limits, _table_of(crawler.pop("limits", {}), "crawler.limits"), "crawler.limits")
    plan = _table_of(crawler.pop("schedule", {}), "crawler.schedule")
    fill(SchedulePlan, plan, "crawler.schedule")
    named = dict(_table_of(rest.pop("sources", {}), "sources"))
    sources = {chain: _source(chain, named.pop(chain, {}), plan) for chain in Chain}
    for name in named:
        raise InputError(
            f"Expected [sources.NAME] for one of {', '.join(Chain)}. Received {name[:40]!r}."
        )
    parts = {
        "alerts": fill(AlertsConfig, _table_of(rest.pop("alerts", {}), "alerts"), "alerts"),
        "metrics": fill(MetricsConfig, _table_of(rest.pop("metrics", {}), "metrics"), "metrics"),
    }
    for name in rest:
        raise InputError(
            f"Expected the tables crawler, sources, alerts and metrics. Received [{name[:40]}]. "
            "Check the spelling."
        )
    config = fill(CrawlerConfig, crawler, "crawler", limits=limits, sources=sources, **parts)
    return replace(config, archive=folder / config.archive.expanduser())


def _table_of(value: object, where: str) -> dict[str, Any]:
    """Return a table; raises InputError."""
    return table_of(value, where, "See docs/crawling-manners.md.")


def _source(chain: Chain, value: object, common_plan: Mapping[str, Any]) -> SourceConfig:
    where = f"sources.{chain}"
    table = dict(_table_of(value, where))
    own_plan = _table_of(table.pop("schedule", {}), f"{where}.schedule")
    plan = fill(SchedulePlan, {**common_plan, **own_plan}, f"{where}.schedule")
    held = _table_of(table.pop("thresholds", {}), f"{where}.thresholds")
    window = table.pop("visit_window", None)
    if window is not None and not isinstance(window, str):
        raise InputError(
            f'Expected {where}.visit_window such as "0400-0845" (UTC). Received {window!r:.40}.'
        )
    return fill(
        SourceConfig,
        table,
        where,
        chain=chain,
        schedule=plan,
        visit_window=None if window is None else visit_window(window),
        thresholds=_thresholds(chain, held, f"{where}.thresholds") if held else None,
    )


def _thresholds(chain: Chain, table: Mapping[str, Any], where: str) -> Thresholds:
    """Return the chain's own thresholds with what the table changes."""
    changed = fill(Thresholds, table, where)
    own = CHAIN_THRESHOLDS.get(chain, Thresholds())
    return replace(own, **{name: getattr(changed, name) for name in table})


def _check_home(home: str, name: str = "home") -> None:
    try:
        host_of(home)
        parts = urlsplit(home)
    except (NotAllowedError, ValueError):
        raise ValueError(f"{name} must be https://host or http://host, not {home[:80]!r}") from None
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"{name} must end with the host, without a path, not {home[:80]!r}")


def _check_delay(name: str, delay_s: float, *, live: bool) -> None:
    least = LIVE_MIN_DELAY_S if live else 0.0
    if not least <= delay_s <= MAX_DELAY_S:
        where = "live hosts" if live else "stand-ins on loopback"
        raise ValueError(f"{name} must be within {least:g}..{MAX_DELAY_S:g} for {where}")
