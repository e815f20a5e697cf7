"""What routes work with: opened once for a worker, handed to each router."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from promolens_catalog.database import Database, Pool, open_database
from promolens_catalog.lookup import Lookup
from promolens_server.bundles.store import GALLERIES, ArtefactStore
from promolens_server.config import ServerConfig
from promolens_server.feedback.opening import FeedbackDesk, open_feedback
from promolens_server.keys import KeyRing
from promolens_server.metrics import Metrics, open_metrics
from promolens_server.recognition.opening import Recognition, open_recognition
from promolens_server.stores.counting import counted
from promolens_server.stores.finder import StoreFinder
from promolens_server.stores.opening import open_finder
from promolens_server.versions import PrimaryVersions, Versions, versions_of

Clock = Callable[[], datetime]
# Of each of several connections: what is asked for often goes through `Lookup`.
_CACHE_KIB = 2_048
# The one connection that answers scans and searches keeps the search index as well.
_SEARCHED_KIB = 10_240


@dataclass(frozen=True)
class Services:
    """Everything that a route may use. Safe to share between threads.

    Attributes:
        config: how the service runs.
        catalog: for reading; the replica, where one is configured.
        lookup: products by key, quickly enough for the event loop.
        texts: products by text, on a connection of its own, for threads.
        versions: the newest version of that catalog.
        primary_versions: the newest version that there is; the same where no replica is read.
        clock: the time, in UTC.
        keys: API keys.
        metrics: what this worker counts.
        stores: finds stores near a place; closed by its routes, in their event loop.
        bundles, galleries: what phones download; `None` where no store is configured.
        primary: the catalog for writing; only for the pages under /admin, else `None`.
        recognition: answers questions about pictures; `None` where no bundle is configured.
        feedback: takes pictures that people send; `None` where no folder is configured.
    """

    config: ServerConfig
    catalog: Database
    lookup: Lookup
    texts: Lookup
    versions: Versions
    primary_versions: Versions
    clock: Clock
    keys: KeyRing
    metrics: Metrics
    stores: StoreFinder
    bundles: ArtefactStore | None = None
    galleries: ArtefactStore | None = None
    primary: Database | None = None
    recognition: Recognition | None = None
    feedback: FeedbackDesk | None = None

    def close(self) -> None:
        """Let go of files, connections and processes."""
        if self.recognition is not None:
            self.recognition.close()
        if self.feedback is not None:
            self.feedback.close()
        if self.primary is not None and self.primary is not self.catalog:
            self.primary.close()
        self.versions.close()
        self.primary_versions.close()
        self.lookup.close()
        self.texts.close()
        self.catalog.close()


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def open_services(config: ServerConfig, clock: Clock = utc_now) -> Services:
    """Open what the configuration names.

    Raises:
        InputError: the database is not an address, not a catalog, or not reachable.
        BundleError: the bundle that recognises pictures cannot be trusted, or is damaged.
        MissingError: PostgreSQL without its driver.
    """
    if config.read_url:
        # A replica gets its tables from the primary.
        catalog = _opened(config, config.read_url, migrate=False)
    else:
        catalog = _opened(config, config.database_url)
    metrics = open_metrics()
    versions = versions_of(catalog)
    return Services(
        config=config,
        catalog=catalog,
        lookup=Lookup(catalog, wait_s=0.05, cache_kib=_SEARCHED_KIB),
        texts=Lookup(catalog),
        versions=versions,
        primary_versions=_primary_versions(config) if config.read_url else versions,
        clock=clock,
        keys=KeyRing(config.keys.file),
        metrics=metrics,
        stores=open_finder(
            config.stores,
            catalog,
            clock,
            kakao_key=config.kakao_key,
            workers=config.workers,
            note=counted(metrics.registry),
        ),
        bundles=ArtefactStore(config.bundles.store) if config.bundles.store else None,
        galleries=ArtefactStore(config.bundles.store, GALLERIES) if config.bundles.store else None,
        primary=_primary(config, catalog),
        recognition=open_recognition(config.recognition, catalog, clock, rated=config.rate.enabled),
        feedback=open_feedback(config.feedback, clock),
    )


def _primary_versions(config: ServerConfig) -> Versions:
    return PrimaryVersions(lambda: _opened(config, config.database_url, migrate=False))


def _primary(config: ServerConfig, catalog: Database) -> Database | None:
    """Return the catalog that the pages under /admin write to; `None` without these pages."""
    if config.admin_token is None or config.read_url is None:
        return catalog if config.admin_token else None
    return _opened(config, config.database_url)


def _opened(config: ServerConfig, url: str, *, migrate: bool = True) -> Database:
    settings = config.database
    pool = Pool(
        settings.pool_size,
        settings.pool_overflow,
        settings.pool_wait_s,
        settings.statement_s,
        settings.pooler,
        _CACHE_KIB,
    )
    return open_database(url, migrate=migrate, wait_s=settings.pool_wait_s, pool=pool)
