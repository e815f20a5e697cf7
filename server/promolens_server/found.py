"""What a text may mean, as bytes."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import unquote_to_bytes

from pydantic import ValidationError

from promolens_catalog.calendar import korean_day
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.lookup import Lookup
from promolens_catalog.promotion_list import Filters
from promolens_server.answers import Built
from promolens_server.caching import json_bytes
from promolens_server.models.search import SearchQuery
from promolens_server.views import chains_text, match_json

# `q=` and nothing else: what an app sends while somebody types.
_PLAIN_QUERY = re.compile(rb"q=([^&;=]+)")


def found_by_text(lookup: Lookup, query: SearchQuery, now: datetime) -> Built:
    """Make `models.search.SearchAnswer`.

    Raises:
        InputError: the database is locked, damaged or gone.
    """
    filters = Filters(
        chains=frozenset(map(Chain, query.chain)), kinds=frozenset(map(Kind, query.kind))
    )
    found = lookup.by_text(
        query.q, now, filters=filters, limit=query.limit, offered_only=query.offered
    )
    answer = {
        "status": str(found.status),
        "version": found.version,
        "day": korean_day(now).isoformat(),
        "matches": [match_json(match) for match in found.matches],
        "chains": chains_text(found.chains),
    }
    return Built(found.version, json_bytes(answer))


def plain_query(query_string: bytes) -> SearchQuery | None:
    """Return a search for a text and nothing else; `None` for everything that is not just that."""
    found = _PLAIN_QUERY.fullmatch(query_string)
    if found is None:
        return None
    try:
        return SearchQuery(q=unquote_to_bytes(found[1].replace(b"+", b" ")).decode("utf-8"))
    except (UnicodeDecodeError, ValidationError):
        return None
