"""Renders a report: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promolens_training.files import write_atomically
from promolens_training.report import charts
from promolens_training.report.content import ReportContent
from promolens_training.report.sections import percent

_HERE = Path(__file__).parent
TEMPLATE = "report.html.j2"
STYLE = "report.css"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _size(value: float) -> str:
    return f"{value / 1e6:.2f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"


def _memory(value: float) -> str:
    return f"{value / 2**30:.2f} GiB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _plain(value: object) -> str:
    return "–" if value is None or value == "" else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from _flat(item, f"{name}.")
        elif isinstance(item, list | tuple) and any(isinstance(one, Mapping) for one in item):
            for place, one in enumerate(item):
                yield from _flat({str(place): one}, f"{name}.")
        else:
            yield (
                name,
                ", ".join(map(_plain, item)) if isinstance(item, list | tuple) else _plain(item),
            )


def render_report(content: ReportContent) -> str:
    """Return the page as text; the same content gives the same text."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        points=_points,
        signed=_signed,
        size=_size,
        memory=_memory,
        duration=_duration,
        flat=_flat,
    )
    style = Markup((_HERE / STYLE).read_text("utf-8"))  # noqa: S704 - our own file
    page: str = environment.get_template(TEMPLATE).render(
        c=content, charts=charts, style=style, name=lambda label: content.names.get(label, label)
    )
    return page


def write_report(out_path: Path, content: ReportContent) -> None:
    """Write the report atomically as one self-contained HTML file.

    Raises:
        OSError: the disk is full or the folder not writable; what was at `out_path` stays.
    """
    data = render_report(content).encode()
    write_atomically(out_path, lambda file: file.write(data))
