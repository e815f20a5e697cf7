"""The report as JSON to share, in the shape of the app's own field report, and as a table.

Where both tell the same, the names are those of app/src/report.ts. No serial number, no account
and no place is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from promolens_cli.phone_bench.facts import Phone
from promolens_cli.phone_bench.figures import Inference
from promolens_cli.phone_bench.measuring import Measured, Plan

FORMAT = "promolens-phone-benchmark"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Subject:
    """The model that was measured.

    Attributes:
        bundle_id, version, input_px: `None` for a file that came without a bundle.
        sha256: lower-case hex.
    """

    bundle_id: str | None
    version: int | None
    input_px: int | None
    sha256: str
    size_bytes: int


def as_json(
    phone: Phone,
    subject: Subject,
    plan: Plan,
    measured: Sequence[Measured],
    made: tuple[str, datetime],
) -> dict[str, Any]:
    """Return the report.

    Args:
        made: by which version of promolens, and when (UTC).
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "app_version": made[0],
        "made_at": made[1].isoformat(timespec="seconds"),
        "device": asdict(phone),
        "model": {**asdict(subject), "accelerator": "native-cpu"},
        "warmup_runs": plan.warmup_runs,
        "measurements": [_measurement(one) for one in measured],
    }


def _measurement(one: Measured) -> dict[str, Any]:
    inference = one.inference
    return {
        "threads": one.threads,
        "runs": inference.runs,
        "bare_inference_ms": {
            name: _rounded(getattr(inference, name))
            for name in ("median", "p95", "average", "min", "max", "std")
        },
        "first_inference_ms": _rounded(inference.first),
        "open_ms": _rounded(inference.init),
        "memory_mb": _rounded(inference.memory_mb),
        "before": asdict(one.before),
        "after": asdict(one.after),
    }


def table(phone: Phone, subject: Subject, measured: Sequence[Measured]) -> list[str]:
    """Return the report for people, as lines of Markdown."""
    name = " ".join(word for word in (phone.manufacturer, phone.model) if word) or "a phone"
    facts = [
        phone.soc,
        phone.android and f"Android {phone.android}",
        phone.abi,
        phone.cores and f"{phone.cores} cores",
        phone.memory_gib and f"{phone.memory_gib:g} GiB",
    ]
    model = f"{subject.bundle_id} version {subject.version}" if subject.bundle_id else "model"
    return [
        f"{name}: {', '.join(str(fact) for fact in facts if fact)}",
        f"{model}, {subject.size_bytes} bytes, sha256 {subject.sha256[:12]}",
        "",
        "| threads | runs | median ms | p95 ms | average ms | min ms | first ms | open ms "
        "| memory MB | battery | thermal |",
        "| ---: " * 9 + "| --- | --- |",
        *(_row(one) for one in measured),
    ]


def _row(one: Measured) -> str:
    inference: Inference = one.inference
    cells = [str(one.threads), str(inference.runs)]
    cells += [
        _cell(value)
        for value in (
            inference.median,
            inference.p95,
            inference.average,
            inference.min,
            inference.first,
            inference.init,
            inference.memory_mb,
        )
    ]
    celsius = [f"{state.battery_c:g}" for state in (one.before, one.after) if state.battery_c]
    battery = f"{' to '.join(celsius)} °C" if celsius else "-"
    cells += [battery, f"{one.before.thermal or '-'} to {one.after.thermal or '-'}"]
    return f"| {' | '.join(cells)} |"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
