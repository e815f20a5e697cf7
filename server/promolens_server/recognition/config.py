"""How pictures are taken in and answered; no table, no such addresses and none of their cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_server.config import LimitsConfig

RECOGNISE = "/v1/recognise"
SEARCH_IMAGE = "/v1/search/image"
COMPARE = "/v1/compare"
BATCHES = "/v1/batches"
# Of a form around two pictures: boundaries and headers of its parts.
_FORM_BYTES = 8_192


@dataclass(frozen=True)
class BatchConfig:
    """Many pictures in one order.

    Attributes:
        folder: where orders, results and, until they are answered, pictures lie; one folder for all
            workers of a machine. Without one there are no batches.
        zip_bytes: of an upload.
        upload_s: how long an upload may take.
        pictures: in one order.
        ratio: of a file in the ZIP, unpacked to packed, at most.
        unfinished: orders that wait or run, of everybody.
        per_client: the same of one key or address.
        kept: orders that are kept, finished ones included.
        keep_days: how long results are kept after the end.
    """

    folder: Path | None = None
    zip_bytes: int = 64_000_000
    upload_s: float = 300.0
    pictures: int = 1_000
    ratio: float = 100.0
    unfinished: int = 20
    per_client: int = 3
    kept: int = 1_000
    keep_days: float = 7.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class RecognitionConfig:
    """Pictures.

    Attributes:
        assets: folder with `bundle/` and perhaps `gallery/`, or the bundle's folder itself; without
            one the service takes no pictures.
        gallery: folder of the gallery where it lies elsewhere.
        public_key: `ed25519:<base64>` that signed the bundle; else PROMOLENS_PUBLIC_KEY, else the
            development key of this machine.
        allow_unsigned: take a bundle without a signature. For trying things out.
        picture_bytes: of one picture.
        picture_pixels: of one picture.
        decode_s: wall time for decoding one picture.
        decoders: decoding processes of one worker; as many pictures are worked on at once.
        decoder_bytes: memory that each of them may map.
        model_threads: processor threads of the model.
        at_once: pictures that are received, wait or are worked on; further ones get 503.
        per_client: the same of one key or address; further ones get 429.
        queue_s: how long a picture waits for a decoder.
        per_s: pictures a second of one address, over time; besides the rate of all requests.
        burst: pictures at once after a pause.
        key_per_s: the same for a key.
        key_burst: the same for a key.
        calibration: folder with `<corpus>.json`: cut-points and background of corpora.
        index_folder: for files of the vector index, shared by the workers of a machine; the
            database's user must then be allowed to write `vector_snapshot`.
        batches: many pictures in one order.
    """

    assets: Path | None = None
    gallery: Path | None = None
    public_key: str | None = None
    allow_unsigned: bool = False
    picture_bytes: int = 12_000_000
    picture_pixels: int = 50_000_000
    decode_s: float = 5.0
    decoders: int = 1
    decoder_bytes: int = 1 << 30
    model_threads: int = 1
    at_once: int = 16
    per_client: int = 4
    queue_s: float = 6.0
    per_s: float = 2.0
    burst: int = 10
    key_per_s: float = 10.0
    key_burst: int = 50
    calibration: Path | None = None
    index_folder: Path | None = None
    batches: BatchConfig = field(default_factory=BatchConfig)

    def __post_init__(self) -> None:
        _check(self)
        if self.decoder_bytes < 256 << 20:
            raise ValueError("decoder_bytes is below 256 MiB, which no decoder starts in")
        if self.assets is None and self.batches.folder is not None:
            raise ValueError("batches without assets")


def limits_of_pictures(
    config: RecognitionConfig, usual: LimitsConfig
) -> Mapping[str, LimitsConfig]:
    """Return the limits of the addresses that take pictures, which are larger than other bodies."""
    if config.assets is None:
        return {}
    one = replace(usual, body_bytes=config.picture_bytes)
    return {
        RECOGNISE: one,
        SEARCH_IMAGE: one,
        COMPARE: replace(usual, body_bytes=2 * config.picture_bytes + _FORM_BYTES),
        BATCHES: replace(
            usual, body_bytes=config.batches.zip_bytes, body_s=config.batches.upload_s
        ),
    }


def _check(config: object) -> None:
    for name, value in vars(config).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"{name} is {value}, not a number above 0")
