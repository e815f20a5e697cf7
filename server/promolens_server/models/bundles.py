"""What /v1/bundles and /v1/galleries answer."""

from __future__ import annotations

from pydantic import BaseModel, Field

from promolens_server.models.base import Answer

EXAMPLE_SHA256 = "8b0a3f1d5c0f6b2de5bd9c5a4fb38b76f1f9b0f1c8f2a2f4f3e1d0c9b8a79685"
_FILES = f"/v1/bundles/files/{EXAMPLE_SHA256}"


class EncodedSize(BaseModel):
    """A compressed form of a file."""

    size_bytes: int = Field(description="as it goes over the network", examples=[3481112])


class BundleFile(BaseModel):
    """One file of a release; its address never changes what it gives."""

    name: str = Field(examples=["model.tflite"])
    url: str = Field(examples=[f"{_FILES}/model.tflite"])
    sha256: str = Field(description="lower-case hex, of the file itself", examples=[EXAMPLE_SHA256])
    size_bytes: int = Field(examples=[4195392])
    encoded: dict[str, EncodedSize] = Field(
        description="content codings that it can be asked for in (Accept-Encoding)",
        examples=[{"br": {"size_bytes": 3481112}}],
    )


class Offer(BaseModel):
    """What a channel offers to this phone."""

    channel: str = Field(examples=["stable"])
    version: int = Field(description="only rises; leave a lower one alone", examples=[7])
    manifest_sha256: str = Field(description="names the release", examples=[EXAMPLE_SHA256])
    size_bytes: int = Field(description="of all files, not compressed", examples=[4312345])
    early: bool = Field(description="this phone gets it before the others do", examples=[False])
    added_at: str = Field(description="UTC", examples=["2026-11-21T06:45:12+00:00"])
    manifest_url: str = Field(examples=[f"{_FILES}/manifest.json"])
    signature_url: str = Field(examples=[f"{_FILES}/manifest.sig"])
    files: list[BundleFile]


class OfferedBundle(Offer):
    """The bundle that a channel offers to this phone."""

    bundle_id: str = Field(examples=["demo-fast"])
    minimum_app_version: str = Field(examples=["0.1.0"])


class OfferedGallery(Offer):
    """The gallery that a channel offers to this phone."""

    gallery_id: str = Field(examples=["november"])
    model_sha256: str = Field(
        description="the model that it is for: whose bundle has another one waits",
        examples=[EXAMPLE_SHA256],
    )


class Announced(Answer):
    """The newest release that every phone of the channel is offered."""

    version: int = Field(ge=1, examples=[7])
    manifest_sha256: str = Field(description="names the release", examples=[EXAMPLE_SHA256])


class Releases(Answer):
    """What the channel `stable` offers to every phone; null where that is nothing."""

    bundle: Announced | None
    gallery: Announced | None
