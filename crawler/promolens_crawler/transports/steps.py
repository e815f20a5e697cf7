"""The JavaScript with which the browser transport asks a page how it stands. Text only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promolens_crawler.sites.base import BrowserPlan

# Rows are compared by their last ones: a further page of a long list changes those.
_COMPARED_ROWS = 64

_PROBE = """
const rows = Array.from(document.querySelectorAll(arguments[0]));
let hash = 2166136261;
for (const row of rows.slice(-%d)) {
  const text = row.outerHTML;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  }
}
const shown = (element) => element.getClientRects().length > 0
  && getComputedStyle(element).visibility !== "hidden";
let done = false;
try { done = Boolean((function () { %s })()); } catch (error) { done = false; }
return {
  ready: document.readyState,
  count: rows.length,
  hash: hash >>> 0,
  covered: arguments[1] !== "" && Array.from(document.querySelectorAll(arguments[1])).some(shown),
  done: done,
  url: location.href,
};
"""
_TAKE = """
// The driver cannot hand over a lone surrogate; U+FFFD stands for it, as in plain HTML.
const html = (element) => element.outerHTML.toWellFormed();
const rows = Array.from(document.querySelectorAll(arguments[0]));
window.scrollTo(0, 0);
return {
  count: rows.length,
  rows: rows.slice(arguments[2]).map(html),
  context: arguments[1] === "" ? [] : Array.from(document.querySelectorAll(arguments[1]), html),
  url: location.href,
};
"""
# Pages that load on sight want the end of the list to come into sight; it was out of it since the
# rows were taken.
_MORE = """
const rows = document.querySelectorAll(arguments[0]);
if (rows.length) { rows[rows.length - 1].scrollIntoView(); }
%s
"""


@dataclass(frozen=True)
class Probe:
    """How a page stands.

    Attributes:
        ready: `loading`, `interactive` or `complete`.
        count: rows.
        mark: changes with the rows.
        covered: the overlay is in sight.
        done: no further rows will come, as the plan tells.
    """

    ready: str
    count: int
    mark: int
    covered: bool
    done: bool
    url: str

    @classmethod
    def of(cls, value: dict[str, Any]) -> Probe:
        """Read what the probe script returns."""
        return cls(
            str(value["ready"]),
            int(value["count"]),
            int(value["hash"]),
            bool(value["covered"]),
            bool(value["done"]),
            str(value["url"]),
        )

    def same_rows(self, other: Probe) -> bool:
        """Say whether the rows are those of another look."""
        return (self.count, self.mark) == (other.count, other.mark)


def probe_script(plan: BrowserPlan) -> str:
    """Return the script that looks at a page; arguments: row selector, overlay selector."""
    return _PROBE % (_COMPARED_ROWS, plan.done)


def take_script() -> str:
    """Return the script that takes rows: row selector, context selector, first row to take."""
    return _TAKE


def more_script(plan: BrowserPlan) -> str:
    """Return the script that asks for more rows; argument: row selector."""
    return _MORE % plan.more
