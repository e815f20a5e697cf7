"""One running shop: its list of the month, what is switched on, and what it remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from promolens_catalog.chains import CHAINS, Chain
from promolens_demo.shops.assortment import Assortment, list_of
from promolens_demo.shops.modes import Modes, parse_modes
from promolens_demo.shops.rows import Row
from promolens_demo.shops.settings import ShopSettings, check_robots
from promolens_demo.shops.view import Bounds, View, view

_FAILS_EVERY = 4


class Shop:
    """One running shop; safe to change from other threads than the server's."""

    def __init__(self, chain: Chain, settings: ShopSettings, assortment: Assortment) -> None:
        """Open the shop of `chain`."""
        self.chain = chain
        self.settings = settings
        self.assortment = assortment
        self.name_en = CHAINS[chain].name_en
        self._lock = threading.Lock()
        self._month = settings.month
        self._robots = settings.robots
        self._modes = Modes()
        self._seen: dict[str, int] = {}
        self._shifts: dict[str, int] = {}
        self._answered = 0
        self.set_modes(settings.modes.get(chain, ""))
        # Made now, so that the first visitor waits no longer than the others.
        list_of(assortment, chain, settings.month)

    @property
    def month(self) -> str:
        """The month that the shop shows."""
        return self._month

    @property
    def robots(self) -> str:
        """Which rules robots.txt states."""
        return self._robots

    @property
    def modes(self) -> Modes:
        """What is switched on for every request."""
        return self._modes

    def set_month(self, month: str) -> None:
        """Show another month; `InputError` if it is none."""
        list_of(self.assortment, self.chain, month)
        self._month = month

    def set_robots(self, robots: str) -> None:
        """Serve other rules; `InputError` if they are none of `ROBOTS`."""
        check_robots(robots)
        self._robots = robots

    def set_modes(self, words: str) -> None:
        """Replace what is switched on; what the shop remembers of earlier modes is forgotten.

        Raises:
            InputError: unknown mode or a number out of range.
        """
        modes = parse_modes(words, self.chain)
        with self._lock:
            self._modes = modes
            self._seen.clear()
            self._shifts.clear()
            self._answered = 0

    def rows(self) -> tuple[Row, ...]:
        """Return the list of the month shown, every offer once."""
        return list_of(self.assortment, self.chain, self._month)

    def listing(self, belongs: Callable[[Row], bool]) -> list[Row]:
        """Return the rows of one tab as they are printed, doubled cards doubled."""
        printed = [row for row in self.rows() if belongs(row)]
        for place in range(len(printed) - 1, -1, -1):
            if printed[place].printed_twice:
                printed.insert(place + 1 + (place * 7) % 24, printed[place])
        return printed

    def view(self, key: str, rows: list[Row], page: int, bounds: Bounds, modes: Modes) -> View:
        """Return one page of a list; `key` names the list for mode `shift`."""
        shifts = 0
        if "shift" in modes:
            with self._lock:
                shifts = self._shifts[key] = self._shifts.get(key, -1) + 1
        return view(rows, page, bounds, modes, shifts)

    def begun(self, modes: Modes, *, counts: bool) -> Modes:
        """Return the modes that have begun by this request.

        Args:
            counts: the request is for a document or list, so it brings later modes nearer.
        """
        with self._lock:
            answered = self._answered
            self._answered += counts
        return modes.begun(answered)

    def fails_now(self, key: str) -> bool:
        """Say whether mode `503` refuses this request: every fourth new one, the first time."""
        with self._lock:
            order = len(self._seen)
            times = self._seen[key] = self._seen.get(key, 0) + 1
        return times == 1 and order % _FAILS_EVERY == 0
