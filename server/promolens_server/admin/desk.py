"""What the pages show, read from the catalog and the bundle store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from promolens_catalog import link_review, snapshots
from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.changes import catalog_versions
from promolens_catalog.database import Database
from promolens_catalog.link_review import OpenRow
from promolens_catalog.schema import link_candidate, promotion
from promolens_catalog.snapshots import Diff, Snapshot, SourceState, live_at
from promolens_runtime.errors import InputError
from promolens_server.bundles.channels import CHANNELS, Channel
from promolens_server.bundles.releases import Release
from promolens_server.bundles.store import ArtefactStore

DIFF_ROWS = 50
MAX_DIFF_ROWS = 5_000
SNAPSHOTS_SHOWN = 30
REVIEW_ROWS = 20
MAX_SOLD = 12
WEB = ("https://", "http://")


@dataclass(frozen=True)
class SourceLine:
    """One chain: how its list is doing, and the snapshots that matter."""

    state: SourceState
    published: Snapshot | None
    held: tuple[Snapshot, ...]


@dataclass(frozen=True)
class Overview:
    """The first page.

    Attributes:
        rolling_out: kind of artefact to how many are on their way to some of the phones.
    """

    version: int
    sources: tuple[SourceLine, ...]
    to_review: int
    rolling_out: Mapping[str, int]

    @property
    def held(self) -> list[Snapshot]:
        """All held snapshots."""
        return [one for line in self.sources for one in line.held]

    @property
    def in_trouble(self) -> list[SourceLine]:
        """Chains whose list is stale or gone."""
        return [line for line in self.sources if line.state.state in ("stale", "gone")]


@dataclass(frozen=True)
class SnapshotPage:
    """One snapshot, and what it would change; `diff` is `None` where nothing is published."""

    snapshot: Snapshot
    live: Snapshot | None
    diff: Diff | None
    rows: int


@dataclass(frozen=True)
class Sold:
    """A live row of a product that is proposed."""

    chain: Chain
    name: str
    price_krw: int
    kind: str
    image_url: str | None


@dataclass(frozen=True)
class ReviewPage:
    """Rows that wait for a person.

    Attributes:
        pictures: image addresses of the rows, by chain and key.
        sold: live rows of the proposed products.
    """

    rows: tuple[OpenRow, ...]
    total: int
    pictures: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sold: Mapping[int, Sequence[Sold]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReleasesPage:
    """Channels and releases of bundles or of galleries; `None` and empty without a store."""

    channels: Mapping[str, Channel] | None
    releases: tuple[Release, ...] = ()


def overview(db: Database, stores: Sequence[ArtefactStore | None]) -> Overview:
    """Return what the first page shows."""
    states = {one.chain: one for one in snapshots.sources(db)}
    held = snapshots.held_snapshots(db)
    lines = tuple(
        SourceLine(
            states[chain],
            snapshots.published_snapshot(db, chain),
            tuple(one for one in held if one.chain == chain),
        )
        for chain in Chain
        if not CHAINS[chain].historic or states[chain].state != "never"
    )
    rolling = {
        store.folder.name: sum(store.channel(name).candidate is not None for name in CHANNELS)
        for store in stores
        if store is not None
    }
    return Overview(catalog_versions(db)[0], lines, link_review.count_open(db), rolling)


def chain_page(db: Database, chain: Chain) -> tuple[SourceState, list[Snapshot]]:
    """Return a chain's state and its snapshots, newest first."""
    state = next(one for one in snapshots.sources(db) if one.chain == chain)
    return state, snapshots.snapshots(db, chain, SNAPSHOTS_SHOWN)


def snapshot_page(db: Database, snapshot_id: int, rows: int) -> SnapshotPage:
    """Return a snapshot and how it differs from the published one.

    Raises:
        InputError: there is no such snapshot.
    """
    with db.read() as connection:
        found = snapshots.snapshot_in(connection, snapshot_id)
        live = snapshots.published_in(connection, found.chain)
    diff = None
    if live is not None and live.id != found.id and (found.version or found.state == "held"):
        diff = snapshots.diff(db, found.chain, live.id, found.id)
    return SnapshotPage(found, live, diff, min(rows, MAX_DIFF_ROWS))


def review_page(db: Database, chain: Chain | None) -> ReviewPage:
    """Return the surest of the rows that wait, with the rows that they are compared with."""
    rows = link_review.open_rows(db, chain, limit=REVIEW_ROWS)
    total = link_review.count_open(db, chain)
    keys = {one.offer_key for one in rows}
    items = {one.item_id for row in rows for one in row.proposals}
    columns = (
        promotion.c.chain,
        promotion.c.offer_key,
        promotion.c.item_id,
        promotion.c.name,
        promotion.c.price_krw,
        promotion.c.kind,
        promotion.c.image_url,
    )
    with db.read() as connection:
        ours = connection.execute(
            select(*columns).where(promotion.c.offer_key.in_(keys), live_at())
        ).all()
        theirs = connection.execute(
            select(*columns)
            .where(promotion.c.item_id.in_(items), live_at())
            .order_by(promotion.c.item_id, promotion.c.chain, promotion.c.price_krw)
        ).all()
    pictures = {(row.chain, row.offer_key): row.image_url for row in ours if web(row.image_url)}
    sold: dict[int, list[Sold]] = {}
    for row in theirs:
        some = sold.setdefault(row.item_id, [])
        if len(some) < MAX_SOLD:
            image = row.image_url if web(row.image_url) else None
            some.append(Sold(Chain(row.chain), row.name, row.price_krw, row.kind, image))
    return ReviewPage(tuple(rows), total, pictures, sold)


def releases_page(store: ArtefactStore | None) -> ReleasesPage:
    """Return the channels and what is in the store."""
    if store is None:
        return ReleasesPage(None)
    return ReleasesPage({name: store.channel(name) for name in CHANNELS}, tuple(store.releases()))


def snapshot_state(db: Database, snapshot_id: int) -> str | None:
    """Return the state of a snapshot; `None` where there is none."""
    try:
        with db.read() as connection:
            return snapshots.snapshot_in(connection, snapshot_id).state
    except InputError:
        return None


def candidate_state(db: Database, candidate_id: int) -> str | None:
    """Return the state of a proposed link; `None` where there is none."""
    query = select(link_candidate.c.state).where(link_candidate.c.id == candidate_id)
    with db.read() as connection:
        state: str | None = connection.execute(query).scalar()
    return state


def web(address: str | None) -> bool:
    """Tell whether an address is one of the web: nothing else becomes a link."""
    return address is not None and address.lower().startswith(WEB)
