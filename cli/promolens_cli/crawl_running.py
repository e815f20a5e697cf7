"""Actions of `promolens crawl` that crawl, or take a list from elsewhere."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Any

from promolens_cli.crawl_places import (
    chain_named,
    chains_named,
    default_linker,
    log_to_stderr,
    open_config,
    opened_database,
)
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from promolens_catalog.chains import Chain
    from promolens_crawler.config import CrawlerConfig, TransportName
    from promolens_crawler.results import ChainResult

INTERRUPTED = 130


def run_crawls(args: argparse.Namespace) -> int:
    """Crawl the chains that are named, or all that are switched on."""
    from promolens_catalog.calendar import first_day
    from promolens_crawler.progress import terminal_progress
    from promolens_crawler.results import exit_status
    from promolens_crawler.runner import Run, RunOptions

    config = open_config(args)
    chains = _chosen(args, config)
    if args.month is not None:
        first_day(args.month)  # before anything is opened
    options = RunOptions(args.month, _transport(args.transport), args.fresh)
    log_to_stderr()
    asked = _stop_on_signals()
    try:
        with opened_database(args) as database, terminal_progress() as progress:
            run = Run(config, database, progress, default_linker(), stop=asked.is_set)
            results = run.crawl_all(chains, options)
    except KeyboardInterrupt:
        results = []
    if asked.is_set():
        print("interrupted; pages read so far are kept, the next run goes on", file=sys.stderr)
        return INTERRUPTED
    _print_results(results, as_json=args.json)
    return exit_status(results)


def run_daemon(args: argparse.Namespace) -> int:
    """Crawl on schedule until SIGTERM or Ctrl-C."""
    from promolens_crawler.daemon import Daemon, run_until
    from promolens_crawler.metrics import serve
    from promolens_crawler.progress import NoProgress
    from promolens_crawler.runner import Run, RunOptions, chain_plans, last_start
    from promolens_crawler.status import chain_statuses

    config = open_config(args)
    log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened_database(args) as database:
        run = Run(config, database, NoProgress(), default_linker(), stop=stop.is_set)

        def crawl(chain: Chain) -> ChainResult:
            result = run.crawl(chain, RunOptions())
            run.tell([result])
            return result

        daemon = Daemon(
            chain_plans(config),
            crawl,
            lambda chain: last_start(database, chain),
            run.clock.now,
            run.measure,
        )
        if config.metrics.port is not None:
            place = config.metrics
            _, port = serve(
                lambda: chain_statuses(database, run.clock.now()), place.host, place.port or 0
            )
            _say(f"metrics: http://{place.host}:{port}/metrics")
        run_until(stop, daemon, _say)
    return 0


def replay(args: argparse.Namespace) -> int:
    """Read an archived crawl again; with --publish, send it through the pipeline."""
    from promolens_crawler.replaying import (
        chain_of_run,
        publish_again,
        read_again,
        summary_lines,
    )
    from promolens_crawler.results import exit_status
    from promolens_crawler.sites import site_of
    from promolens_crawler.transports.build import archive_of
    from promolens_crawler.validation import holds

    config = open_config(args)
    chain = chain_of_run(args.name)
    archive, site = archive_of(config), site_of(chain)
    limits = config.sources[chain].thresholds
    log_to_stderr()
    with opened_database(args) as database:
        if args.publish:
            result = publish_again(
                archive,
                args.name,
                site,
                database,
                linker=default_linker(),
                thresholds=limits,
                limits=config.limits.paging,
            )
            _print_results([result], as_json=args.json)
            return exit_status([result])
        found = read_again(archive, args.name, site, database, limits)
    if args.json:
        print(
            json.dumps(
                {
                    "crawl": found.name,
                    "month": found.month,
                    "rows": len(found.facts.offers),
                    "cards": found.facts.cards,
                    "unread": [list(one) for one in found.unread],
                    "findings": [asdict(one) for one in found.findings],
                },
                ensure_ascii=False,
                indent=1,
            )
        )
    else:
        print("\n".join(summary_lines(found)))
    return 1 if found.unread else 3 if holds(found.findings) else 0


def import_list(args: argparse.Namespace) -> int:
    """Take a chain's list from a file: judged, then published or held."""
    from promolens_catalog.calendar import korean_month
    from promolens_catalog.importing import read_list
    from promolens_crawler.feeding import feed
    from promolens_crawler.manners import utc_now
    from promolens_crawler.results import exit_status

    chain, now = chain_named(args.chain), utc_now()
    limits = open_config(args).sources[chain].thresholds
    read = read_list(args.file, chain, args.month or korean_month(now))
    with opened_database(args) as database:
        result = feed(database, read, now, linker=default_linker(), thresholds=limits)
    if read.ignored_columns:
        _say(f"note: columns that mean nothing here: {', '.join(read.ignored_columns)}")
    _print_results([result], as_json=args.json)
    return exit_status([result])


def write_config(args: argparse.Namespace) -> int:
    """Write a commented configuration with everything off."""
    from promolens_crawler.config_text import empty_config_text, write_new

    write_new(args.file, empty_config_text())
    print(f"{args.file}: everything is off; read its comments and docs/crawling-manners.md")
    return 0


def _chosen(args: argparse.Namespace, config: CrawlerConfig) -> Sequence[Chain]:
    if args.all == bool(args.chains):
        received = "both" if args.all else "neither"
        raise InputError(
            f"Expected chains or --all. Received {received}. For example: promolens crawl run --all"
        )
    return config.enabled() if args.all else chains_named(args.chains)


def _transport(name: str | None) -> TransportName | None:
    from promolens_crawler.config import TransportName

    if name is None:
        return None
    try:
        return TransportName(name)
    except ValueError:
        raise InputError(
            f"Expected --transport {' or '.join(TransportName)}. Received {name[:40]!r}."
        ) from None


def _stop_on_signals() -> threading.Event:
    """Make Ctrl-C and SIGTERM (systemd, cron) break off what runs, and set the event.

    An exception that falls on a finaliser is dropped by Python; then the crawl ends with the page
    that it reads.
    """
    asked = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    return asked


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_results(results: Sequence[ChainResult], *, as_json: bool) -> None:
    from promolens_crawler.plain import plain

    if as_json:
        print(json.dumps([_json(one) for one in results], ensure_ascii=False, indent=1))
        return
    for one in results:
        print(_line(one))
        if one.message:
            print("\n".join(f"    {line}" for line in plain(one.message).splitlines()))
        if one.outcome == "held":
            print(f"    look:    promolens crawl diff {one.chain}")
            print(f"    publish: promolens crawl approve {one.snapshot_id}")
            print(f"    discard: promolens crawl reject {one.snapshot_id}")


def _line(one: ChainResult) -> str:
    if one.version is not None:
        what = f"{one.rows} rows, {one.added} began, {one.ended} ended, version {one.version}"
    elif one.outcome == "held":
        what = f"{one.rows} rows as snapshot {one.snapshot_id}; what is published stays"
    else:
        reason = "" if one.reason == one.outcome else f"{one.reason}; "
        what = f"{reason}what is published stays"
    return f"{one.chain:<8} {one.outcome:<9} {what}"


def _json(one: ChainResult) -> dict[str, Any]:
    fields = asdict(one)
    fields["findings"] = [finding.line() for finding in one.findings]
    return fields
