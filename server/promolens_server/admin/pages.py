"""Pages as HTML: templates that escape everything, no script, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import Response

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.kinds import KINDS, Kind
from promolens_server.admin.desk import web
from promolens_server.admin.sessions import Session
from promolens_server.admin.texts import LANGUAGE_NAMES, LANGUAGES, REASONS, TEXTS

ROOT = "/admin"
_SEOUL = ZoneInfo("Asia/Seoul")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex",
}


@cache
def style() -> tuple[bytes, str]:
    """Return the style sheet and a short hash of it, for its address."""
    data = (resources.files("promolens_server.admin") / "admin.css").read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:12]


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("promolens_server.admin"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["web"] = web
    return environment


class Words:
    """The words of one language, and how it writes numbers and times."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = TEXTS[language]
        self._reasons = REASONS[language]

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with values in it; plain text, which the template escapes."""
        return self._texts[key].format(**values)

    def chain(self, chain: Chain | str) -> str:
        """Return the name of a chain."""
        info = CHAINS[Chain(chain)]
        return info.name_ko if self.language == "ko" else info.name_en

    def kind(self, kind: Kind | str) -> str:
        """Return the name of a kind."""
        info = KINDS[Kind(kind)]
        return info.name_ko if self.language == "ko" else info.name_en

    def won(self, price_krw: int) -> str:
        """Return a price."""
        return f"{price_krw:,}원" if self.language == "ko" else f"₩{price_krw:,}"

    def time(self, moment: datetime | None) -> str:
        """Return a moment in Korea; an en dash for none."""
        return "–" if moment is None else f"{moment.astimezone(_SEOUL):%Y-%m-%d %H:%M}"

    def size(self, size_bytes: int) -> str:
        """Return a size in megabytes, a small one in kilobytes."""
        return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:,.1f} kB"

    def reason(self, line: str) -> str | None:
        """Return what the code at the beginning of a line means; `None` for an unknown one."""
        return self._reasons.get(line.partition(":")[0].strip())


def render(
    name: str,
    language: str,
    session: Session | None,
    *,
    here: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Return a page.

    Args:
        name: of the template, without `.html.j2`.
        here: the address of the page itself or of the one to go back to, without a language.
    """
    words = Words(language)
    html = (
        _templates()
        .get_template(f"{name}.html.j2")
        .render(
            t=words,
            language=language,
            languages=[
                (one, LANGUAGE_NAMES[one], f"{here}{'&' if '?' in here else '?'}lang={one}")
                for one in LANGUAGES
            ],
            session=session,
            style_url=f"{ROOT}/static/{style()[1]}/admin.css",
            root=ROOT,
            query=urlencode,
            **{"section": name, "notice": None, **values},
        )
    )
    return Response(
        html, status_code=status, media_type="text/html", headers={**HEADERS, **(headers or {})}
    )
