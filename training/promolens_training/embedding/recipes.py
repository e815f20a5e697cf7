"""How an embedder is trained, as frozen data: every knob visible, checked when made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from promolens_runtime.errors import InputError
from promolens_training.recipes import plain_recipe, recipe_fingerprint, require

LOSSES = (
    "none",
    "across_domains",
    "supervised_contrastive",
    "triplet",
    "contrastive",
    "multi_similarity",
    "cascaded",
    "center",
    "arcface",
    "proxy_anchor",
)
# Where the trained part begins -> the layer whose output is cached; "" trains from pixels.
LEVELS = {"pooled": "embedding", "block14": "block14_add", "block10": "block10_add", "pixels": ""}
STARTS = ("discriminant", "pca", "random")
NECKS = ("none", "batch_norm")
POOLINGS = ("mean", "gem")


_LATER_FIELDS = ("neighbours", "frozen_to", "pooling", "imitation", "kept_px")


@dataclass(frozen=True)
class EmbeddingRecipe:
    """Everything that decides an embedder's weights, besides the pictures.

    Attributes:
        loss: one of `LOSSES`; "none" keeps the start and trains nothing.
        level: one of `LEVELS`: what lies before it stays as ImageNet left it.
        width: length of the embedding; prefixes: its Matryoshka prefixes, the width among them.
        start: how the projection begins: learned whitening, PCA whitening or random numbers.
        shrink: see `whitening`.
        neck: "batch_norm" puts a batch normalisation after the projection (Luo et al. 2019, arXiv
            1903.07071); it is folded into the projection at the end.
        classes, photos, catalogue, pasted: a batch is `classes` classes, and of each so many
            photos, catalogue pictures and pasted catalogue pictures.
        neighbours: how many classes that look alike to the network are drawn together; 1 draws
            every class by itself.
        frozen_to: layer up to which the backbone stays as ImageNet left it, where `level` is
            "pixels"; "" trains all of it.
        memory: embeddings kept of earlier batches (cross-batch memory); 0 keeps none.
        consistency: weight of the threshold-consistent margin.
        geometry: weight of relational distillation from the frozen network's features.
        imitation: weight of regression distillation from the start's embeddings: galleries of the
            start go on answering.
        kept_px: side of the squares that views are cut from where `level` is "pixels": more shows
            small print in zoomed views, and takes memory (384: 0.44 GB for 1,000 pictures).
        pooling: "gem" learns between mean and maximum; for servers, full int8 cannot hold it.
        blend: share of the trained weights in the final ones, the rest as they began (WiSE-FT,
            Wortsman et al. 2022, arXiv 2109.01903): training fits the classes at hand, the start
            fits what is not there.
        temperature: of the losses that have one.
    """

    name: str
    loss: str = "across_domains"
    backbone: str = "efficientnet_lite0"
    image_px: int = 224
    level: str = "pooled"
    width: int = 256
    prefixes: tuple[int, ...] = (64, 128, 256)
    start: str = "discriminant"
    shrink: float = 1.0
    neck: str = "none"
    classes: int = 24
    photos: int = 2
    catalogue: int = 1
    pasted: int = 1
    neighbours: int = 1
    frozen_to: str = ""
    kept_px: int = 256
    pooling: str = "mean"
    steps: int = 200
    peak_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    memory: int = 0
    consistency: float = 0.0
    geometry: float = 0.0
    imitation: float = 0.0
    blend: float = 1.0
    temperature: float = 0.1
    seed: int = 2026

    def __post_init__(self) -> None:
        require(self.loss in LOSSES, f"a loss among {', '.join(LOSSES)}", self.loss)
        require(self.level in LEVELS, f"a level among {', '.join(LEVELS)}", self.level)
        require(self.start in STARTS, f"a start among {', '.join(STARTS)}", self.start)
        require(self.neck in NECKS, f"a neck among {', '.join(NECKS)}", self.neck)
        require(self.pooling in POOLINGS, f"a pooling among {', '.join(POOLINGS)}", self.pooling)
        require(
            self.pooling == "mean" or self.level != "pooled",
            "a level below the pooling",
            self.level,
        )
        require(8 <= self.width <= 2048, "a width in 8..2048", self.width)
        require(
            self.prefixes == tuple(sorted(set(self.prefixes)))
            and self.prefixes[-1:] == (self.width,)
            and self.prefixes[0] >= 1,
            "rising prefixes that end with the width",
            self.prefixes,
        )
        require(2 <= self.classes <= 512, "classes in 2..512", self.classes)
        require(self.photos + self.catalogue + self.pasted >= 2, "2 pictures a class", self)
        require(min(self.photos, self.catalogue, self.pasted) >= 0, "counts >= 0", self)
        require(1 <= self.neighbours <= self.classes, "neighbours in 1..classes", self)
        require(
            not self.frozen_to or self.level == "pixels", "frozen_to with level pixels", self.level
        )
        require(32 <= self.kept_px <= 1024, "kept_px in 32..1024", self.kept_px)
        require(1 <= self.steps <= 1_000_000, "steps in 1..1000000", self.steps)
        require(0 < self.peak_learning_rate < 1, "a learning rate in (0, 1)", self)
        require(0 <= self.memory <= 65536, "memory in 0..65536", self.memory)
        require(0 < self.blend <= 1, "blend in (0, 1]", self.blend)
        require(self.temperature > 0, "temperature > 0", self.temperature)
        weights = (self.consistency, self.geometry, self.imitation, self.shrink)
        require(min(weights) >= 0, "weights >= 0", self)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON types.

        A field that came later is left out at its default: older fingerprints stay as they are.
        """
        plain = plain_recipe(self)
        for name in _LATER_FIELDS:
            if plain[name] == getattr(EmbeddingRecipe, name):
                plain.pop(name)
        return plain

    def fingerprint(self) -> str:
        """Return the SHA-256 of the canonical JSON, in hex."""
        return recipe_fingerprint(self.to_json())


def embedding_recipe_from_json(plain: dict[str, Any]) -> EmbeddingRecipe:
    """Rebuild a recipe that `to_json` wrote.

    Raises:
        InputError: a field is unknown or out of range.
    """
    try:
        return EmbeddingRecipe(**{**plain, "prefixes": tuple(plain.get("prefixes", ()))})
    except TypeError as error:
        raise InputError(
            f"Expected an embedding recipe of this version. Received another: {error}. "
            "Train again, or use the version that wrote it."
        ) from error


_HEAD = EmbeddingRecipe("head")
_BLOCK = replace(_HEAD, level="block14", steps=120, peak_learning_rate=5e-4, geometry=1.0)
_DEEP = replace(_BLOCK, level="block10", steps=240)

_PLAIN = (
    EmbeddingRecipe("pca", loss="none", start="pca", shrink=0.1),
    EmbeddingRecipe("whitened", loss="none"),
    replace(_HEAD, name="across"),
    replace(_HEAD, name="supcon", loss="supervised_contrastive"),
    replace(_HEAD, name="supcon-xbm", loss="supervised_contrastive", memory=2048),
    replace(_HEAD, name="triplet", loss="triplet"),
    replace(_HEAD, name="contrastive", loss="contrastive"),
    replace(_HEAD, name="multi-similarity", loss="multi_similarity"),
    replace(_HEAD, name="cascaded", loss="cascaded"),
    replace(_HEAD, name="center", loss="center"),
    replace(_HEAD, name="arcface", loss="arcface"),
    replace(_HEAD, name="proxy-anchor", loss="proxy_anchor"),
    replace(_HEAD, name="across-tcm", consistency=0.5),
    replace(_HEAD, name="across-rkd", geometry=1.0),
    replace(_HEAD, name="across-imitated", imitation=1.0),
    replace(_HEAD, name="across-half", blend=0.5, geometry=1.0),
    replace(_HEAD, name="across-bn", neck="batch_norm"),
    replace(_HEAD, name="across-random", start="random"),
    replace(_BLOCK, name="across-block"),
    replace(_BLOCK, name="across-block-half", blend=0.5),
    replace(_BLOCK, name="across-block-gem", pooling="gem"),
    replace(_BLOCK, name="arcface-block", loss="arcface"),
    replace(_BLOCK, name="proxy-anchor-block", loss="proxy_anchor"),
    replace(_BLOCK, name="supcon-block", loss="supervised_contrastive"),
    replace(_DEEP, name="across-deep"),
    replace(_DEEP, name="proxy-anchor-deep", loss="proxy_anchor"),
    replace(_DEEP, name="across-whole", level="pixels", steps=600, classes=12),
    replace(_DEEP, name="proxy-anchor-whole", loss="proxy_anchor", level="pixels", steps=600,
            classes=12),
    replace(_DEEP, name="look-alikes-whole", level="pixels", steps=600, classes=12, neighbours=12,
            frozen_to="block2_add", temperature=0.05, kept_px=384),
    # For catalogues of hundreds of products: look-alikes meet in every batch.
    replace(_HEAD, name="across-catalogue", level="pixels", steps=5000, classes=16, photos=1,
            pasted=0, neighbours=16, frozen_to="block2_add", temperature=0.05,
            peak_learning_rate=5e-4),
)  # fmt: skip
EMBEDDING_RECIPES = {recipe.name: recipe for recipe in _PLAIN}


def embedding_recipe_named(name: str) -> EmbeddingRecipe:
    """Return a recipe of the table.

    Raises:
        InputError: there is none of that name; the text lists them.
    """
    if name not in EMBEDDING_RECIPES:
        raise InputError(
            f"Expected an embedding recipe among {', '.join(EMBEDDING_RECIPES)}. Received {name!r}."
        )
    return EMBEDDING_RECIPES[name]
