"""Questions that are asked with a picture, and their answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer, ChainName

CorpusName = Annotated[
    str,
    Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z._:@+-]{0,199}$",
        max_length=200,
        description="A collection of vectors; /v1/index/status lists them.",
        examples=["gallery.default"],
    ),
]
BandName = Literal["copy", "likely", "weak", "none"]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
AbstainReason = Annotated[
    str | None,
    Field(
        description="Why the picture is no good to match; null where it is.",
        examples=["too simple to match (nearly one colour)"],
    ),
]


class RecogniseQuery(BaseModel):
    """What may be asked of /v1/recognise."""

    model_config = ConfigDict(extra="forbid")

    top: int = Field(default=5, ge=1, le=20, description="How many candidates.")


class ImageSearchQuery(BaseModel):
    """What may be asked of /v1/search/image."""

    model_config = ConfigDict(extra="forbid")

    corpus: CorpusName
    k: int = Field(default=10, ge=1, le=100, description="How many matches.")
    min_score: float | None = Field(default=None, ge=-1, le=1, description="Smallest cosine.")
    chain: list[ChainName] = Field(
        default=[],
        max_length=6,
        description="Only pictures that were stored with one of these as attribute `chain`.",
    )


class CompareQuery(BaseModel):
    """What may be asked of /v1/compare."""

    model_config = ConfigDict(extra="forbid")

    corpus: CorpusName | None = Field(
        default=None, description="Whose cut-points name the band; without one there is none."
    )


class ModelVersion(Answer):
    """Which bundle answered."""

    bundle_id: str = Field(examples=["demo-fast"])
    version: int = Field(examples=[1])
    embedding_model: str = Field(description="SHA-256 of the model that embeds.")


class GalleryVersion(Answer):
    """Which gallery answered."""

    gallery_id: str = Field(examples=["default"])
    version: int = Field(examples=[3])


class Answered(Answer):
    """What all answers about pictures have."""

    model: ModelVersion
    gallery: GalleryVersion | None = Field(description="Null where the service has none.")
    abstain_reason: AbstainReason


class RecognisedProduct(Answer):
    """A product of the bundle or the gallery."""

    label: str = Field(examples=["byeolsolsaem-soda-lemon-250ml"])
    item_id: str = Field(examples=["8801056150013"])
    barcodes: list[str] = Field(examples=[["8801056150013"]])
    name_ko: str = Field(examples=["별솔샘 레몬 소다 250ml"])
    name_en: str = Field(examples=["Byeolsolsaem lemon soda 250ml"])
    address: str = Field(
        description="Ask here for its promotions.",
        examples=["/v1/products/by-barcode/8801056150013"],
    )


class CandidateModel(RecognisedProduct):
    """A product that the classifier thinks of."""

    probability: Share


class SimilarModel(RecognisedProduct):
    """A product whose catalogue picture is like the picture."""

    cosine: Cosine


class RecogniseAnswer(Answered):
    """What a picture shows."""

    known: bool = Field(
        description="False: the picture is probably none of the products; say so to people."
    )
    by: Literal["classifier", "gallery", "nobody"] = Field(description="Who knows the product.")
    product: RecognisedProduct | None = Field(description="What to show; null unless known.")
    candidates: list[CandidateModel] = Field(description="The classifier's, most probable first.")
    similar: list[SimilarModel] = Field(description="The gallery's, most similar first.")


class ImageMatch(Answer):
    """A vector of the corpus."""

    image_id: str
    region_id: int = Field(description="Which part of that image; 0 for the whole.")
    item_id: str
    score: Cosine = Field(description="Cosine with the picture.")
    normalised_score: float | None = Field(
        description="The score less what unrelated pictures score; null without a background."
    )
    band: BandName | None = Field(
        description="What the score means; null where the corpus has no cut-points of the model."
    )
    estimated_precision: Share | None = Field(
        description="Share of true matches among validation pairs with such a score."
    )


class ImageSearchAnswer(Answered):
    """The nearest vectors of a corpus."""

    corpus: CorpusName
    calibrated: bool = Field(description="Whether matches have bands.")
    matches: list[ImageMatch] = Field(description="The most similar first; empty on abstention.")


class ArrangementModel(Answer):
    """Corners that both pictures have in the same arrangement: evidence for a copy, if many."""

    inliers: int = Field(ge=0, description="Pairs of corners that one perspective explains.")
    pairs: int = Field(ge=0, description="Pairs of corners that look alike.")
    same: bool = Field(description="Enough of them. False says nothing: plain pictures have few.")


class CompareAnswer(Answered):
    """How alike two pictures are."""

    cosine: Cosine | None = Field(description="Of their embeddings; null where one has no length.")
    band: BandName | None
    estimated_precision: Share | None
    arrangement: ArrangementModel | None = Field(
        description="Null where the service has no OpenCV."
    )


class IndexModel(Answer):
    """How the index of a corpus is, in the process that answers."""

    rows: int = Field(ge=0, description="Vectors that can be found.")
    sequence: int = Field(ge=0, description="Of the newest change that searches see.")
    kind: str = Field(examples=["exact int8"])
    newer_rows: int = Field(ge=0, description="Changed since the index was built.")
    gone_rows: int = Field(ge=0, description="Deleted or replaced since; never answered.")
    size_bytes: int = Field(ge=0)
    note: str = Field(description="What to do about it; empty where there is nothing.")


class CorpusModel(Answer):
    """A collection of vectors."""

    corpus: CorpusName
    embedding_model: str = Field(description="SHA-256 of the model that made the vectors.")
    dimensions: int
    searchable: bool = Field(description="Whether they are of the model in use.")
    calibrated: bool
    index: IndexModel | None = Field(description="Null where this process has not searched it yet.")


class IndexStatus(Answer):
    """All collections."""

    model: ModelVersion
    gallery: GalleryVersion | None
    corpora: list[CorpusModel]
