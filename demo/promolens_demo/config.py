"""What to draw: the settings of one set of demo data."""

from __future__ import annotations

from dataclasses import dataclass

from promolens_demo.catalogue import DEFAULT_PRODUCTS, make_catalogue
from promolens_runtime.errors import InputError

DEFAULT_SEED = 2026
DEFAULT_PHOTOS = 40
DEFAULT_TEST_PHOTOS = 13


@dataclass(frozen=True)
class DemoConfig:
    """What to draw.

    Attributes:
        n_products: 3 or more; the first 24 are the default catalogue.
        n_photos: training photos a product.
        n_test_photos: test photos a product; 13 for every 40 training photos when None.
        seed: of everything that is left to chance.
        strangers: draw what is not in the catalogue as well; only the default catalogue has such.

    Raises:
        InputError: a number is out of range.
    """

    n_products: int = DEFAULT_PRODUCTS
    n_photos: int = DEFAULT_PHOTOS
    n_test_photos: int | None = None
    seed: int = DEFAULT_SEED
    strangers: bool = True

    def __post_init__(self) -> None:
        make_catalogue(self.n_products)
        if not 1 <= self.n_photos <= 10_000:
            raise InputError(
                f"Expected 1 to 10000 photos a product. Received {self.n_photos}. "
                "Choose another number with --photos."
            )
        if self.n_test_photos is not None and not 1 <= self.n_test_photos <= 10_000:
            raise InputError(
                f"Expected 1 to 10000 test photos a product. Received {self.n_test_photos}. "
                "Choose another number with --test-photos."
            )
        if not 0 <= self.seed < 2**63:
            raise InputError(
                f"Expected a seed from 0 to 2^63 - 1. Received {self.seed}. "
                "Choose another with --seed."
            )

    def per_split(self) -> dict[str, int]:
        """Return the number of photos a product, by split."""
        test = self.n_test_photos or max(
            1, round(self.n_photos * DEFAULT_TEST_PHOTOS / DEFAULT_PHOTOS)
        )
        return {"train": self.n_photos, "test": test}
