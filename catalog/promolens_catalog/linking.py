"""The linker of publications: rows without a barcode find their items by name, price and size.

Asked are the names that chains use for items with barcodes, at the prices that were last seen. What
people have decided counts first: an accepted row never gets here (`assigning`), a rejected pair is
never proposed again. A link made by this matcher is no evidence for another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, exists, func, or_, select

from promolens_catalog.chains import Chain
from promolens_catalog.items import BARCODE
from promolens_catalog.link_context import Place
from promolens_catalog.link_features import Listed
from promolens_catalog.link_matching import Entry, ScoredPair, score_lists
from promolens_catalog.link_model import LinkModel, shipped_model
from promolens_catalog.links import Link, LinkCandidate
from promolens_catalog.names import normalise
from promolens_catalog.offers import Offer
from promolens_catalog.schema import item_key, link_candidate, promotion
from promolens_catalog.snapshots import live_at

METHOD = "name-price-size"
FORMER_NAME = "former-name"
MAX_CANDIDATES = 3
# A chain's rows of the past are names of its items, and no rivals of its rows of today.
_BEFORE = " before"
_SURE_METHODS = ("barcode", "review")


@dataclass(frozen=True)
class KnownName:
    """What a chain calls an item with a barcode, and what it last asked for it.

    Attributes:
        live: the row is in the chain's list of today.
    """

    item_id: int
    chain: Chain
    name: str
    price_krw: int
    kind: str
    live: bool


@dataclass
class _Claims:
    """The best pair of one row with each item it may be."""

    allowed: dict[int, ScoredPair] = field(default_factory=dict)
    refused: dict[int, ScoredPair] = field(default_factory=dict)

    def add(self, item_id: int, pair: ScoredPair) -> None:
        side = self.refused if pair.against else self.allowed
        known = side.get(item_id)
        # Of equal scores the one that may be linked, whatever the order of the lists.
        if known is None or (pair.score, pair.mutual) > (known.score, known.mutual):
            side[item_id] = pair


class NameLinker:
    """A `links.Linker`. It holds the model and nothing else, and can be used again and again."""

    def __init__(self, model: LinkModel | None = None) -> None:
        self.model = shipped_model() if model is None else model

    def __call__(self, connection: Connection, offers: Sequence[Offer]) -> list[Link]:
        """Return one link for each offer; see `links.Linker`."""
        links: dict[Offer, Link] = {}
        for chain in dict.fromkeys(offer.chain for offer in offers):
            ours = list(dict.fromkeys(offer for offer in offers if offer.chain == chain))
            names = known_names(connection, chain)
            links |= link_offers(ours, names, _rejected(connection, chain), self.model)
        return [links[offer] for offer in offers]


def link_offers(
    offers: Sequence[Offer],
    names: Sequence[KnownName],
    rejected: Mapping[str, frozenset[int]],
    model: LinkModel,
) -> dict[Offer, Link]:
    """Link rows of one chain. Pure.

    Args:
        offers: without a barcode, each once.
        names: of items with barcodes, in all chains.
        rejected: by `Offer.key()`, the items that a person has said it is not.
    """
    links = _by_former_name(offers, names, rejected)
    left = [offer for offer in offers if offer not in links]
    return links | (_by_likeness(left, names, rejected, model) if left else {})


def _by_former_name(
    offers: Sequence[Offer], names: Sequence[KnownName], rejected: Mapping[str, frozenset[int]]
) -> dict[Offer, Link]:
    """Link rows whose very name and price the chain had for exactly one item.

    A chain that loses the picture of a product keeps its name. Names are cut off, so that a name
    which two items share decides nothing, nor does one that is in today's list with a barcode.
    """
    chain = offers[0].chain
    owners: dict[str, list[KnownName]] = {}
    for known in names:
        if known.chain == chain:
            owners.setdefault(known.name, []).append(known)
    links: dict[Offer, Link] = {}
    for offer in offers:
        had = owners.get(offer.name, [])
        if len(had) != 1 or had[0].live or had[0].price_krw != offer.price_krw:
            continue
        if had[0].item_id not in rejected.get(offer.key(), ()):
            links[offer] = Link(had[0].item_id, FORMER_NAME, 1.0)
    return links


def _by_likeness(
    offers: Sequence[Offer],
    names: Sequence[KnownName],
    rejected: Mapping[str, frozenset[int]],
    model: LinkModel,
) -> dict[Offer, Link]:
    chain = offers[0].chain
    lists = _lists(chain, offers, names)
    claims = [_Claims() for _ in offers]
    for pair in score_lists(lists, model):
        row, other = _sides(pair, str(chain), len(offers))
        item_id = lists[other[0]][other[1]].product
        if item_id is not None and item_id not in rejected.get(offers[row].key(), ()):
            claims[row].add(item_id, pair)
    accepted = _accepted(offers, claims, model)
    method = f"{METHOD}/{model.version}"
    return {
        offer: Link(accepted[row][0], method, accepted[row][1])
        if row in accepted
        else _doubtful(claims[row], model, method)
        for row, offer in enumerate(offers)
    }


def _lists(
    chain: Chain, offers: Sequence[Offer], names: Sequence[KnownName]
) -> dict[str, list[Entry]]:
    """Return the lists to compare; the offers come first in that of their chain."""
    own = str(chain)
    lists = {own: [Entry(Listed(one.name, one.price_krw, str(one.kind))) for one in offers]}
    for known in names:
        before = known.chain == chain and not known.live
        list_name = f"{known.chain}{_BEFORE if before else ''}"
        # The kind of an earlier month says nothing about this one.
        listed = Listed(known.name, known.price_krw, known.kind if known.live else "")
        lists.setdefault(list_name, []).append(Entry(listed, known.item_id))
    return lists


def _sides(pair: ScoredPair, own: str, offers: int) -> tuple[int, Place]:
    """Return the number of the offer in a pair, and the other row."""
    if pair.a[0] == own and pair.a[1] < offers:
        return pair.a[1], pair.b
    return pair.b[1], pair.a


def _accepted(
    offers: Sequence[Offer], claims: Sequence[_Claims], model: LinkModel
) -> dict[int, tuple[int, float]]:
    """Return item and score of the rows that are linked; an item goes to one name only."""
    best: dict[int, tuple[int, float]] = {}
    for row, claim in enumerate(claims):
        ranked = sorted(claim.allowed.items(), key=lambda one: (-one[1].score, one[0]))
        if not ranked:
            continue
        (item_id, pair), *rivals = ranked
        alone = all(rival.score < model.review_at_least for _, rival in rivals)
        if pair.score >= model.accept_at_least and pair.mutual and alone:
            best[row] = (item_id, pair.score)
    winners: dict[int, str] = {}
    accepted: dict[int, tuple[int, float]] = {}
    for row, (item_id, score) in sorted(best.items(), key=lambda one: (-one[1][1], one[0])):
        name = normalise(offers[row].name)
        if winners.setdefault(item_id, name) == name:
            accepted[row] = (item_id, score)
    return accepted


def _doubtful(claims: _Claims, model: LinkModel, method: str) -> Link:
    """Return a link to nothing with the items that a person should look at."""
    best: dict[int, ScoredPair] = dict(claims.refused)
    for item_id, pair in claims.allowed.items():
        if item_id not in best or pair.score >= best[item_id].score:
            best[item_id] = pair
    likely = {i: pair for i, pair in best.items() if pair.score >= model.review_at_least}
    ranked = sorted(likely.items(), key=lambda one: (-one[1].score, one[0]))[:MAX_CANDIDATES]
    if not ranked:
        return Link(None, method)
    against = ranked[0][1].against
    candidates = tuple(LinkCandidate(item_id, pair.score) for item_id, pair in ranked)
    return Link(None, f"{method} {against}" if against else method, None, candidates)


# ---- what the catalog knows


def known_names(connection: Connection, chain: Chain) -> list[KnownName]:
    """Return what each chain calls each item with a barcode, by its newest row.

    Rows that a matcher has linked are left out: only barcodes and people are evidence. But those
    in today's list of `chain` itself are there, because they hold their items.
    """
    sure = promotion.c.link_method.in_(_SURE_METHODS)
    holding = and_(promotion.c.chain == str(chain), live_at())
    coded = exists().where(item_key.c.item_id == promotion.c.item_id, item_key.c.kind == BARCODE)
    newest = (
        select(func.max(promotion.c.id))
        .where(or_(sure, holding), coded)
        .group_by(promotion.c.item_id, promotion.c.chain)
    )
    columns = ("item_id", "chain", "name", "price_krw", "kind", "until_version")
    query = (
        select(*(promotion.c[name] for name in columns))
        .where(promotion.c.id.in_(newest))
        .order_by(promotion.c.id)
    )
    return [
        KnownName(
            row.item_id,
            Chain(row.chain),
            row.name,
            row.price_krw,
            row.kind,
            live=row.until_version is None,
        )
        for row in connection.execute(query)
    ]


def _rejected(connection: Connection, chain: Chain) -> dict[str, frozenset[int]]:
    query = select(link_candidate.c.offer_key, link_candidate.c.item_id).where(
        link_candidate.c.chain == str(chain), link_candidate.c.state == "rejected"
    )
    items: dict[str, set[int]] = {}
    for row in connection.execute(query):
        items.setdefault(row.offer_key, set()).add(row.item_id)
    return {key: frozenset(ids) for key, ids in items.items()}
