"""A picture that somebody sends to make recognition better, and what a phone is told before."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be shown")
    return text


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]


class FeedbackPhoto(BaseModel):
    """A picture and what was said of it; nothing says who sent it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    picture: str = Field(
        description="JPEG in base64, drawn anew on the phone: no EXIF, no place.", min_length=1
    )
    answer: Line | None = Field(description="The item that the app showed; null for not known.")
    bundle: Line = Field(description="Which recogniser answered.", examples=["demo 12"])
    chosen: Line | None = Field(default=None, description="The item that the person says it is.")
    text: Line | None = Field(default=None, description="What the person says it is.")


class FeedbackTaken(Answer):
    """It was kept."""

    keep_days: int = Field(
        ge=1, description="It is deleted after so many days, or before.", examples=[30]
    )


class FeedbackOffer(Answer):
    """What a photo that is sent must be, and how long it is kept."""

    picture_bytes: int = Field(ge=1, examples=[2_000_000])
    side_px: int = Field(ge=1, description="Of the longer side.", examples=[1024])
    keep_days: int = Field(ge=1, examples=[30])
