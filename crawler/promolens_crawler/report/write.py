"""Renders the report: one HTML file that asks nobody for anything."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from promolens_catalog.calendar import KOREA
from promolens_catalog.kinds import KINDS, Kind
from promolens_crawler.files import write_atomically
from promolens_crawler.report import charts, words
from promolens_crawler.report.content import ReportContent
from promolens_runtime.errors import InputError

_HERE = Path(__file__).parent
TEMPLATE = "report.html.j2"
STYLE = "report.css"
DIFF_ROWS_SHOWN = 25


def render_report(content: ReportContent) -> str:
    """Return the page as text; the same content gives the same text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        korean=_korean, age=lambda at: words.age_words(at, content.generated_at)
    )
    style = Markup((_HERE / STYLE).read_text("utf-8"))  # noqa: S704 - our own file
    page: str = environment.get_template(TEMPLATE).render(
        c=content,
        charts=charts,
        style=style,
        words=words,
        kind_name=lambda kind: KINDS[Kind(kind)].name_ko,
        kind_class=lambda kind: charts.css(Kind(kind)),
        shown=DIFF_ROWS_SHOWN,
    )
    return page


def write_report(out: Path, content: ReportContent) -> None:
    """Write the report atomically as one self-contained HTML file.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full; what was at `out`
            stays.
    """
    # A name out of a hostile page may hold what UTF-8 does not write.
    data = render_report(content).encode("utf-8", "replace")
    try:
        write_atomically(out, data)
    except OSError as error:
        raise InputError(
            f"Expected to write the report to {out}. Received {error.strerror or error}. "
            "Choose another place with --out."
        ) from error


def _korean(instant: datetime) -> str:
    return f"{instant.astimezone(KOREA):%Y-%m-%d %H:%M}"
