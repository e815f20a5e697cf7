"""How a model is trained, as frozen data: every knob visible, checked when made, saved as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def require(condition: bool, what: str, received: object) -> None:
    """Raise InputError unless `condition` holds; `what` was expected in the recipe."""
    if not condition:
        raise InputError(f"Expected {what} in the recipe. Received {received!r}.")


@dataclass(frozen=True)
class Augmentation:
    """Random changes that a phone and a shopper make to a picture of the same product.

    Geometry is strong and colour is light, because colour tells flavours apart. Nothing is
    mirrored: print is not.

    Attributes:
        min_area: smallest share of the picture's area that a random crop keeps, 0..1.
        max_aspect: largest stretch of a crop's sides, >= 1.
        rotate_deg: largest rotation either way.
        perspective: largest shift of a corner as a share of the side.
        exposure: largest change of brightness, as a share; `contrast` and `gamma` likewise.
        white_balance: largest gain of one channel, as a share.
        blur, noise, jpeg, erase: probabilities of defocus or motion blur, sensor noise, strong
            JPEG compression and an occluding patch.
    """

    min_area: float = 0.45
    max_aspect: float = 1.25
    rotate_deg: float = 12.0
    perspective: float = 0.06
    flip: float = 0.0
    exposure: float = 0.30
    contrast: float = 0.25
    gamma: float = 0.20
    white_balance: float = 0.08
    blur: float = 0.20
    noise: float = 0.20
    jpeg: float = 0.20
    erase: float = 0.20

    def __post_init__(self) -> None:
        require(0 < self.min_area <= 1, "min_area in (0, 1]", self.min_area)
        require(self.max_aspect >= 1, "max_aspect >= 1", self.max_aspect)
        for name in ("flip", "blur", "noise", "jpeg", "erase"):
            require(0 <= getattr(self, name) <= 1, f"{name} in [0, 1]", getattr(self, name))


@dataclass(frozen=True)
class Phase:
    """One stretch of fine-tuning with its own resolution and learning-rate cycle.

    Attributes:
        epochs: passes over the training photos.
        image_px: side of the training pictures; the last phase may train larger (FixRes,
            Touvron et al. 2019, arXiv 1906.06423).
        peak_learning_rate: reached after `warmup_epochs`, then falling along a cosine to zero.
        first_block: blocks before this one stay as ImageNet left them; 0 trains the whole
            network, `HEAD_ONLY` trains the classifier alone.
        mixup_alpha, cutmix_alpha: Beta parameters; 0 switches off.
    """

    epochs: int
    image_px: int
    peak_learning_rate: float
    warmup_epochs: float = 1.0
    first_block: int = 0
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    augment: bool = True

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs >= 1", self.epochs)
        require(32 <= self.image_px <= 512, "image_px in 32..512", self.image_px)
        require(0 < self.peak_learning_rate < 1, "a learning rate in (0, 1)", self)


HEAD_ONLY = 99


@dataclass(frozen=True)
class Distillation:
    """Learn from a bigger network trained on the same photos (Beyer et al. 2021, 2106.05237).

    Attributes:
        teacher: name of the recipe that trains the teacher, a key of `RECIPES`.
        weight: share of the teacher's soft labels in the loss, 0..1.
        temperature: both sides' logits are divided by it.
        views: augmented views a photo whose teacher logits are computed once.
    """

    teacher: str
    weight: float = 0.5
    temperature: float = 2.0
    views: int = 8

    def __post_init__(self) -> None:
        require(0 <= self.weight <= 1, "distillation weight in [0, 1]", self.weight)
        require(self.temperature > 0 and self.views >= 1, "temperature > 0, views >= 1", self)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides the photos.

    Attributes:
        image_px: side of the exported model's input.
        probe_c: inverse strength of the L2 penalty of the softmax head fitted on cached features
            (scikit-learn's `C`).
        probe_first: start the fine-tuning from that head (LP-FT, Kumar et al. 2022, arXiv
            2202.10054) and not from a random one. Measured worse: docs/decisions/0010.
        head_l2: L2 penalty on the head's kernel while fine-tuning.
        ema_decay: decay a step of the averaged weights that are kept; 0 keeps the last weights.
    """

    name: str
    backbone: str = "efficientnet_lite0"
    image_px: int = 224
    batch: int = 32
    dropout: float = 0.2
    probe_c: float = 0.1
    head_l2: float = 1e-5
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    ema_decay: float = 0.98
    probe_first: bool = True
    phases: tuple[Phase, ...] = ()
    augmentation: Augmentation = field(default_factory=Augmentation)
    distillation: Distillation | None = None
    seed: int = 2026

    def __post_init__(self) -> None:
        require(32 <= self.image_px <= 512, "image_px in 32..512", self.image_px)
        require(2 <= self.batch <= 512, "batch in 2..512", self.batch)
        require(0 <= self.dropout < 1, "dropout in [0, 1)", self.dropout)
        require(0 <= self.label_smoothing < 1, "label_smoothing in [0, 1)", self.label_smoothing)
        require(0 <= self.ema_decay < 1, "ema_decay in [0, 1)", self.ema_decay)
        require(self.probe_c > 0, "probe_c > 0", self.probe_c)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON types."""
        return plain_recipe(self)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the canonical JSON, in hex."""
        return recipe_fingerprint(self.to_json())


def plain_recipe(recipe: DataclassInstance) -> dict[str, Any]:
    """Return any recipe, a dataclass, as plain JSON types."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain


def recipe_fingerprint(plain: dict[str, Any]) -> str:
    """Return the SHA-256 of a plain recipe's canonical JSON, in hex."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def recipe_from_json(plain: dict[str, Any]) -> Recipe:
    """Rebuild a recipe that `to_json` wrote.

    Raises:
        InputError: a field is unknown or out of range.
    """
    try:
        parts = dict(plain)
        parts["phases"] = tuple(Phase(**phase) for phase in parts.get("phases", ()))
        parts["augmentation"] = Augmentation(**parts.get("augmentation", {}))
        if parts.get("distillation"):
            parts["distillation"] = Distillation(**parts["distillation"])
        return Recipe(**parts)
    except TypeError as error:
        raise InputError(
            f"Expected a recipe of this version. Received one that does not fit: {error}. "
            "Train again, or use the version that wrote it."
        ) from error


CARD = Recipe(name="card", dropout=0.2, probe_c=0.1)
"""The plain transfer-learning recipe: ImageNet weights, frozen, and an L2-regularised softmax."""

STRONG = Augmentation(
    min_area=0.25,
    max_aspect=1.4,
    rotate_deg=25.0,
    perspective=0.12,
    exposure=0.45,
    contrast=0.35,
    gamma=0.35,
    white_balance=0.15,
    blur=0.35,
    noise=0.3,
    jpeg=0.3,
    erase=0.4,
)
"""Further than a phone usually goes: it bought 1.4 points on visits that training never saw."""

FAST = Recipe(
    name="fast",
    probe_first=False,
    phases=(Phase(10, 160, 5e-4), Phase(3, 224, 2e-4, warmup_epochs=0.25)),
    augmentation=STRONG,
)
"""Fine-tune the whole network, most of the time at half the pixels: minutes on two cores.
The best row of the ablation in docs/benchmarks.md."""

TEACHER = Recipe(
    name="teacher",
    backbone="efficientnet_lite2",
    image_px=260,
    label_smoothing=0.0,
    phases=(Phase(12, 260, 3e-4),),
)
"""A bigger network whose soft labels the best recipe learns from; label smoothing would blunt them
(Müller et al. 2019, arXiv 1906.02629)."""

BEST = replace(
    FAST,
    name="best",
    phases=(Phase(50, 160, 5e-4), Phase(15, 224, 2e-4, warmup_epochs=0.25)),
    ema_decay=0.99,
)
"""The fast recipe given five times the work: more epochs were what helped most."""

RECIPES = {recipe.name: recipe for recipe in (CARD, FAST, TEACHER, BEST)}


def recipe_named(name: str) -> Recipe:
    """Return a recipe of the table.

    Raises:
        InputError: there is none of that name; the text lists them.
    """
    if name not in RECIPES:
        raise InputError(f"Expected a recipe among {', '.join(RECIPES)}. Received {name!r}.")
    return RECIPES[name]
