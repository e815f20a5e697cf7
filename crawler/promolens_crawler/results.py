"""How the crawl of a chain ended, as one value, one log line and one exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from promolens_catalog.chains import Chain
from promolens_crawler.validation import Finding


class Outcome(StrEnum):
    """How the crawl of one chain ended; `EXIT_STATUS` says what a monitor sees."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    GONE = "gone"
    BUSY = "busy"
    STOPPED = "stopped"


EXIT_STATUS: dict[Outcome, int] = {
    Outcome.PUBLISHED: 0,
    Outcome.UNCHANGED: 0,
    Outcome.HELD: 3,
    Outcome.FAILED: 1,
    Outcome.GONE: 1,
    Outcome.BUSY: 4,
    Outcome.STOPPED: 130,
}
_WORST_FIRST = (
    Outcome.STOPPED,
    Outcome.FAILED,
    Outcome.GONE,
    Outcome.HELD,
    Outcome.BUSY,
)


@dataclass(frozen=True)
class ChainResult:
    """What one crawl of one chain came to.

    Attributes:
        month: `YYYY-MM`, in Korea.
        reason: code of the error or of the first finding that holds; `""` if published.
        message: the error, or the findings that hold, one a line.
        rows: different rows read.
        added, ended: rows that began and ended by the publication.
        pages: staged by this process; `pages_kept`: found staged by an earlier one.
        requests: made by this process, retries and opening pages included.
        findings: what a person should know, notes included.
    """

    chain: Chain
    outcome: Outcome
    month: str
    reason: str = ""
    message: str = ""
    crawl_id: int | None = None
    snapshot_id: int | None = None
    version: int | None = None
    rows: int = 0
    added: int = 0
    ended: int = 0
    pages: int = 0
    pages_kept: int = 0
    requests: int = 0
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()


def exit_status(results: Sequence[ChainResult]) -> int:
    """Return what a run ends with: the status of its worst chain, 0 for none."""
    outcomes = {result.outcome for result in results}
    worst = next((outcome for outcome in _WORST_FIRST if outcome in outcomes), None)
    return EXIT_STATUS[worst] if worst else 0


def log_line(result: ChainResult) -> str:
    """Return the one line that a log keeps of a crawl: `crawl`, then `key=value` pairs."""
    pairs: dict[str, object] = {
        "chain": result.chain,
        "outcome": result.outcome,
        "month": result.month,
        "reason": "" if result.reason == result.outcome else result.reason,
        "rows": result.rows,
        "added": result.added,
        "ended": result.ended,
        "version": result.version,
        "crawl": result.crawl_id,
        "snapshot": result.snapshot_id,
        "pages": result.pages,
        "kept": result.pages_kept,
        "requests": result.requests,
        "seconds": f"{result.seconds:.1f}",
    }
    shown = [f"{name}={value}" for name, value in pairs.items() if value not in (None, "")]
    return " ".join(["crawl", *shown])
