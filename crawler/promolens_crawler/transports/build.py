"""From a configuration to a transport with its gate: the one place where the parts meet."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin

from promolens_catalog.chains import Chain
from promolens_crawler.archive import Archive
from promolens_crawler.backoff import TransientError, try_again
from promolens_crawler.config import CrawlerConfig, TransportName
from promolens_crawler.errors import FetchFailedError, NotAllowedError
from promolens_crawler.manners import Clock, Gate, Pace, host_of
from promolens_crawler.pages import Request
from promolens_crawler.robots import RobotsRules, read_robots, unreadable
from promolens_crawler.sites.base import Site
from promolens_crawler.transports.base import Transport
from promolens_crawler.transports.http import HttpTransport
from promolens_crawler.transports.wire import Wire

PACE_FOLDER = ".pace"


def home_of(config: CrawlerConfig, site: Site) -> str:
    """Return where a chain's pages are: `https://host`, or the configured stand-in."""
    return config.sources[site.chain].home or site.home


def gate_for(config: CrawlerConfig, site: Site, clock: Clock | None = None) -> Gate:
    """Return a gate that lets through to one chain's host, if its source is switched on.

    Raises:
        NotAllowedError: it is not.
    """
    config.source(site.chain)
    host = host_of(home_of(config, site))
    return _gate(config, {host: config.delay_s(site.chain)}, clock or Clock())


def picture_gate(config: CrawlerConfig, chain: Chain, clock: Clock) -> Gate:
    """Return a gate that lets through to the hosts of a chain's pictures alone.

    Raises:
        NotAllowedError: the source is switched off, or names no host of pictures.
    """
    source = config.source(chain)
    if not source.pictures:
        raise NotAllowedError(
            f"Expected a source whose pictures may be fetched. Received {chain}, which names no "
            "host of pictures. Read docs/crawling-manners.md, then set pictures in "
            f"[sources.{chain}]."
        )
    delay_s = config.delay_s(chain)
    return _gate(config, {host_of(one): delay_s for one in source.pictures}, clock)


def _gate(config: CrawlerConfig, delays_s: Mapping[str, float], clock: Clock) -> Gate:
    pace = Pace(config.archive / PACE_FOLDER, clock)

    def fetch_robots(url: str) -> RobotsRules:
        address, wire = urljoin(url, "/robots.txt"), Wire(config.agent, config.limits, clock.now)
        try:
            reply = try_again(
                lambda: wire.follow(Request(address), gate.turn),
                address,
                config.limits,
                clock.sleep,
            )
        except FetchFailedError as error:
            raise unreadable(host_of(url), _received(error)) from error
        finally:
            wire.close()
        return read_robots(reply.status, reply.body, host_of(url))

    gate = Gate(delays_s, fetch_robots, pace, clock)
    return gate


def open_transport(
    config: CrawlerConfig,
    site: Site,
    *,
    name: TransportName | None = None,
    archive: Archive | None = None,
    clock: Clock | None = None,
) -> Transport:
    """Return the transport that the configuration names for a chain; close it after use.

    Args:
        name: another one than the configured.
        archive: where plain HTTP finds the answers of earlier crawls, to ask whether they hold.

    Raises:
        NotAllowedError: the source is not switched on.
        MissingError: the browser or its driver is not installed.
    """
    clock = clock or Clock()
    gate = gate_for(config, site, clock)
    if (name or config.source(site.chain).transport) is TransportName.HTTP:
        kept = archive.kept(site.chain) if archive is not None else None
        return HttpTransport(gate, config.agent, config.limits, clock, kept)
    from promolens_crawler.transports.browser import BrowserTransport
    from promolens_crawler.transports.chromium import find_programs

    programs = find_programs(config.chromium, config.chromedriver)
    return BrowserTransport(gate, config.agent, config.limits, clock, programs)


def archive_of(config: CrawlerConfig) -> Archive:
    """Return the configured archive."""
    return Archive(config.archive, config.limits.max_body_bytes)


def _received(error: FetchFailedError) -> str:
    cause = error.__cause__
    return cause.received if isinstance(cause, TransientError) else "an answer beyond the limits"
