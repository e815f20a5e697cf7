"""What a set of stand-in shops is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from promolens_catalog.calendar import first_day
from promolens_catalog.chains import Chain
from promolens_demo.shops.assortment import DEFAULT_ROWS, SHOPS, Assortment
from promolens_demo.shops.modes import parse_modes
from promolens_runtime.errors import InputError

ROBOTS = ("open", "real")


def check_robots(robots: str) -> None:
    """Raise `InputError` unless `robots` is one of `ROBOTS`."""
    if robots not in ROBOTS:
        raise InputError(
            f"Expected robots rules {' or '.join(ROBOTS)}. Received {robots[:40]!r}. "
            "Choose one with --robots."
        )


@dataclass(frozen=True)
class ShopSettings:
    """What a set of stand-in shops is started with.

    Attributes:
        month: `YYYY-MM` that the shops show; an offer is valid from its first to its last day.
        n_rows: promotions of each chain.
        seed: of which chain sells what.
        modes: chain -> hostile modes, as `parse_modes` reads them.
        robots: `open` permits everything; `real` serves the rules of the real shops.
        pictures: folder of demo data whose `catalogue/` pictures are shown; drawn labels else.
        overlay_ms: how long CU covers its page while rows load.

    Raises:
        InputError: one of them is out of range or unknown.
    """

    month: str
    n_rows: int = DEFAULT_ROWS
    seed: int = 2026
    modes: Mapping[Chain, str] = field(default_factory=dict)
    robots: str = "open"
    pictures: Path | None = None
    overlay_ms: int = 350

    def __post_init__(self) -> None:
        first_day(self.month)
        self.assortment()
        check_robots(self.robots)
        for chain, words in self.modes.items():
            if chain not in SHOPS:
                raise InputError(
                    f"Expected one of {', '.join(SHOPS)}. Received {chain}. "
                    "This chain has no stand-in."
                )
            parse_modes(words, chain)
        if self.pictures is not None and not (self.pictures / "catalogue").is_dir():
            raise InputError(
                f"Expected demo data with a folder catalogue/ at {self.pictures}. Received none. "
                f"Draw it with: promolens demo-data {self.pictures}"
            )

    def assortment(self) -> Assortment:
        """Return what decides the lists."""
        return Assortment(self.n_rows, self.seed)
